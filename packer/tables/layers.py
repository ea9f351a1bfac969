"""`[layers]`: how packages are put into layers, and how these are compressed."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers import strategies
from layers.compress import codec
from layers.errors import InputError
from layers.plan import DEFAULT_MAX_LAYERS, MOST_LAYERS, checked_max_layers
from packer import forms
from packer.document import quoted
from packer.record import Record, failure, mistake, refusal, settings

_DEFAULT_STRATEGY = "size"
_DEFAULT_CODEC = "gzip"

#: The codecs that `layers.compress.codec` has, with their levels.
CODECS = {"none": range(1), "gzip": range(1, 10), "zstd": range(1, 20)}


def _level_schema(name: str, levels: range) -> dict[str, Any]:
    named = {"properties": {"codec": {"const": name}}}
    condition = named if name == _DEFAULT_CODEC else {**named, "required": ["codec"]}
    return {"if": condition, "then": {"properties": {"level": {"minimum": levels[0], "maximum": levels[-1]}}}}


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"allOf": [_level_schema(name, levels) for name, levels in CODECS.items()]}),
)
class Compression(Record):
    """How layers are compressed."""

    EXAMPLE: ClassVar[str] = """\
[layers.compression]
codec = "gzip"
level = 6
"""

    codec: Annotated[str, forms.Choice("compression", {name: name for name in CODECS})] = Field(
        default=_DEFAULT_CODEC, description="The codec's name. Podman and containerd take zstd; docker 20.10 does not."
    )
    level: int | None = Field(
        default=None, description="The codec's own scale, 3 without it: gzip 1 to 9, zstd 1 to 19."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """A level that the codec has."""
        name, level = table.get("codec", _DEFAULT_CODEC), table.get("level")
        if not isinstance(name, str) or name not in CODECS or type(level) is not int:
            return
        try:
            codec(name, level)
        except InputError as error:
            yield failure(refusal(error), "level")


def _compression(value: object) -> object:
    """The short form: a codec's name alone."""
    if isinstance(value, str):
        if value not in CODECS:
            raise mistake(f"there is no compression {quoted(value)}", given=value, names=CODECS)
        return {"codec": value}
    return value


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings(
        {
            "if": {"not": {"properties": {"force": {"const": True}}, "required": ["force"]}},
            "then": {"properties": {"max-layers": {"maximum": MOST_LAYERS}}},
        }
    ),
)
class Layers(Record):
    """How packages are put into layers. What is not a package's goes into one more layer on top of them."""

    EXAMPLE: ClassVar[str] = """\
[layers]
max-layers = 60
strategy = "popularity"
compression = { codec = "zstd", level = 9 }
"""

    max_layers: int = Field(
        default=DEFAULT_MAX_LAYERS,
        ge=2,
        description=f"Most layers, the one on top included. Docker runs images of up to {MOST_LAYERS}.",
    )
    force: bool = Field(
        default=False, description=f"Allow more than {MOST_LAYERS} layers, for a runtime that can do more than docker."
    )
    strategy: Annotated[str, forms.Choice("layering strategy", {name: name for name in strategies.NAMES})] = Field(
        default=_DEFAULT_STRATEGY,
        description="`size`: the largest packages have a layer each; `popularity`: those that most others need; "
        "`single`: one layer for all.",
    )
    compression: Annotated[
        Compression, BeforeValidator(_compression, json_schema_input_type=Literal[tuple(CODECS)] | Compression)
    ] = Field(
        default=Compression(),
        description='A codec\'s name, `"none"`, `"gzip"` or `"zstd"`, or a table with a level.',
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Not more layers than docker can run, unless forced."""
        most = table.get("max-layers")
        if type(most) is not int or most < MOST_LAYERS:
            return
        try:
            checked_max_layers(most, force=table.get("force") is True)
        except InputError:
            message = f"docker refuses to run an image of more than {MOST_LAYERS} layers (max depth exceeded)"
            hint = f"take {MOST_LAYERS} or less, or add force = true for a runtime that can do more"
            yield failure(mistake(message, hint=hint), "max-layers")

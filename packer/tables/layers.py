"""`[layers]`: how packages are put into layers, and how these are compressed."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers import strategies
from layers.errors import InputError
from layers.plan import DEFAULT_MAX_LAYERS, MOST_LAYERS, checked_max_layers
from packer import forms
from packer.record import Record, failure, mistake, settings
from packer.tables.compression import LAYER_CODECS, LayerCompression, short_form

_DEFAULT_STRATEGY = "size"


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
strategy = "tiers"
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
        description="`size`: the largest packages have a layer each, for the smallest registry and first pull; `tiers`:"
        " packages are put where updates pull little more than what changed; `popularity`: those that most others need"
        " have a layer each; `single`: one layer for all. [When to take which](layering.md).",
    )
    compression: Annotated[
        LayerCompression,
        BeforeValidator(
            partial(short_form, LAYER_CODECS), json_schema_input_type=Literal[LAYER_CODECS] | LayerCompression
        ),
    ] = Field(
        default=LayerCompression(),
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
            hint = f"take {MOST_LAYERS} or less, or add force = true (--force-layers) for a runtime that can do more"
            yield failure(mistake(message, hint=hint), "max-layers")

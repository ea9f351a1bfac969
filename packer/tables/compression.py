"""Compression: a codec and its level, as tables of os.toml have it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers.codec import Codec
from layers.compress import LEVELS, codec
from layers.errors import InputError
from packer import forms
from packer.document import quoted
from packer.record import Record, failure, mistake, refusal, settings

_DEFAULT_CODEC = "gzip"
_LEVEL = "The codec's own scale: gzip 1 to 9, zstd 1 to 19, both 3 without it"


def level_schema(names: Iterable[str]) -> dict[str, Any]:
    """What the JSON schema says of the levels of some codecs."""
    return {"allOf": [_level_schema(name, LEVELS[name]) for name in names]}


def _level_schema(name: str, levels: range) -> dict[str, Any]:
    named = {"properties": {"codec": {"const": name}}}
    condition = named if name == _DEFAULT_CODEC else {**named, "required": ["codec"]}
    return {"if": condition, "then": {"properties": {"level": {"minimum": levels[0], "maximum": levels[-1]}}}}


def choice(names: Iterable[str]) -> forms.Choice:
    """The form of the name of a codec."""
    return forms.Choice("compression", {name: name for name in names})


def short_form(names: Iterable[str], value: object) -> object:
    """A codec's name alone as the table that it stands for."""
    names = tuple(names)
    if isinstance(value, str):
        if value not in names:
            raise mistake(f"there is no compression {quoted(value)}", given=value, names=names)
        return {"codec": value}
    return value


@dataclass(frozen=True, slots=True, kw_only=True, config=settings(level_schema(LEVELS)))
class Compression(Record):
    """How a file is compressed."""

    EXAMPLE: ClassVar[str] = """\
[tarball.compression]
codec = "xz"
level = 9
"""

    codec: Annotated[str, choice(LEVELS)] = Field(default=_DEFAULT_CODEC, description="The codec's name.")
    level: int | None = Field(
        default=None, description=f"{_LEVEL}; xz and lzip 0 to 9, 6 without it; bzip2 1 to 9, 9 without it."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """A level that the codec has."""
        name, level = table.get("codec", _DEFAULT_CODEC), table.get("level")
        if not isinstance(name, str) or name not in LEVELS or type(level) is not int:
            return
        try:
            codec(name, level)
        except InputError as error:
            yield failure(refusal(error), "level")

    def made(self) -> Codec:
        """The codec."""
        return codec(self.codec, self.level)


#: What Linux reads in squashfs, of what there is a library for.
SQUASHFS_CODECS = ("gzip", "xz", "zstd")


@dataclass(frozen=True, slots=True, kw_only=True, config=settings(level_schema(SQUASHFS_CODECS)))
class SquashfsCompression(Compression):
    """How an image is compressed."""

    EXAMPLE: ClassVar[str] = """\
[squashfs.compression]
codec = "zstd"
level = 19
"""

    codec: Annotated[str, choice(SQUASHFS_CODECS)] = Field(
        default=_DEFAULT_CODEC,
        description="The codec's name. Linux reads gzip since 2.6.29, xz since 2.6.38, zstd since 4.14.",
    )
    level: int | None = Field(default=None, description=f"{_LEVEL}; xz 0 to 9, 6 without it.")


#: What container runtimes read: image-spec, layer.md.
LAYER_CODECS = ("none", "gzip", "zstd")


@dataclass(frozen=True, slots=True, kw_only=True, config=settings(level_schema(LAYER_CODECS)))
class LayerCompression(Compression):
    """How layers are compressed."""

    EXAMPLE: ClassVar[str] = """\
[layers.compression]
codec = "gzip"
level = 6
"""

    codec: Annotated[str, choice(LAYER_CODECS)] = Field(
        default=_DEFAULT_CODEC, description="The codec's name. Podman and containerd take zstd; docker 20.10 does not."
    )
    level: int | None = Field(default=None, description=f"{_LEVEL}.")

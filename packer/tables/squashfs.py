"""`[squashfs]`: how the root file system becomes one squashfs image."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats import squashfs
from formats.filesystem.squashfs import BLOCKS, DEFAULT_BLOCK
from packer import forms
from packer.record import Record, failure, mistake
from packer.tables.compression import SQUASHFS_CODECS, SquashfsCompression, short_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Squashfs(Record):
    """How the root file system becomes one squashfs image: `ocipack squashfs`."""

    EXAMPLE: ClassVar[str] = """\
[squashfs]
compression = "zstd"
block-size = "1 MiB"
"""

    compression: Annotated[
        SquashfsCompression,
        BeforeValidator(
            partial(short_form, SQUASHFS_CODECS), json_schema_input_type=Literal[SQUASHFS_CODECS] | SquashfsCompression
        ),
    ] = Field(
        default=SquashfsCompression(),
        description='A codec\'s name, `"gzip"`, `"xz"` or `"zstd"`, or a table with a level.',
    )
    block_size: Annotated[int, forms.Size()] = Field(
        default=DEFAULT_BLOCK,
        description="How much is compressed at a time: a power of two from 4 KiB to 1 MiB. Larger blocks make smaller "
        "images, of which more is read and decompressed for a few bytes.",
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """A size that blocks can have."""
        size = forms.bytes_of(table.get("block-size", DEFAULT_BLOCK))
        if size is not None and size not in BLOCKS:
            yield failure(mistake("is no power of two from 4 KiB to 1 MiB", hint='such as "128 KiB"'), "block-size")

    def options(self, folder: str) -> squashfs.Options:  # noqa: ARG002
        """What the format is told; see `packer.image_types.options`."""
        return squashfs.Options(self.compression.made(), self.block_size)

"""`[tarball]`: how the root file system becomes one tar."""

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from formats import tarball
from layers.compress import LEVELS
from packer import forms
from packer.record import Record
from packer.tables.compression import Compression, short_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Tarball(Record):
    """How the root file system becomes one tar: `ocipack tarball`."""

    EXAMPLE: ClassVar[str] = """\
[tarball]
compression = "zstd"
root-name = "hello-1.0"
"""

    compression: Annotated[
        Compression,
        BeforeValidator(partial(short_form, LEVELS), json_schema_input_type=Literal[tuple(LEVELS)] | Compression),
    ] = Field(
        default=Compression(),
        description='A codec\'s name, `"none"`, `"gzip"`, `"zstd"`, `"xz"`, `"lzip"` or `"bzip2"`, or a table with a '
        "level.",
    )
    root_name: Annotated[str, forms.ARCHIVE_FOLDER.or_empty()] = Field(
        default="", description="The folder of the tar that everything is in. Without it, `etc` is just `etc`."
    )

    def options(self, folder: str) -> tarball.Options:  # noqa: ARG002
        """What the format is told; see `packer.image_types.options`."""
        return tarball.Options(self.compression.made(), self.root_name)

"""Partitions: what `partitions` of `[disk]` declares."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats import image
from layers.errors import InputError
from packer import forms
from packer.document import quoted
from packer.folder.initializer import FolderInitializer
from packer.record import Record, failure, mistake, settings

_FLAGS = (image.BOOT, image.ESP, image.BIOS_GRUB, image.BLS_BOOT)
UUID_TEXT = forms.Form("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID of 32 digits")
_FAT_SERIAL = re.compile("[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}")
FEATURE = forms.Form(r"\^?[a-z0-9_]+", "a feature of ext4, or `^` and one that it shall not have")


def choice(what: str, names: Iterable[str]) -> forms.Choice:
    """The form of one of some words that mean themselves."""
    return forms.Choice(what, {name: name for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class DiskPartition(Record):
    """A partition, in place of those that the image type has; the first one has the number 1."""

    EXAMPLE: ClassVar[str] = """\
[[disk.partitions]]
label = "ESP"
file-system = "vfat"
size = "64 MiB"
flags = ["esp"]
mount-point = "/boot/efi"

[[disk.partitions]]
label = "root"
mount-point = "/"

[[disk.partitions]]
label = "data"
size = "2 GiB"
source = "data"
mount-point = "/srv"
mount-options = ["noatime"]
"""

    label: str = Field(default="", description="Name of the file system, and in a GPT of the partition.")
    file_system: Annotated[str, choice("file system", image.FILE_SYSTEMS)] = Field(
        default="ext4", description="Its file system; `vfat` is the FAT that goes with the size."
    )
    size: Annotated[int | str | None, forms.Size(("guess",))] = Field(
        default=None,
        description='Bytes, or a text such as `"4 GiB"`. Without it, or as `"guess"`: what its content needs, and some '
        "room; if the disk has a size, the last of these gets all the rest.",
    )
    offset: Annotated[int | None, forms.Size()] = Field(
        default=None, description="Where it begins; without it, at the next whole MiB after the one before."
    )
    flags: tuple[Annotated[str, choice("flag", _FLAGS)], ...] = Field(
        default=(),
        description="`boot`: a BIOS starts from it; `esp`: EFI system partition; `bios_grub`: for GRUB's code, in a "
        "GPT; `bls_boot`: extended boot loader partition.",
        json_schema_extra={"uniqueItems": True},
    )
    uuid: Annotated[str, forms.FILE_SYSTEM_UUID.or_empty()] = Field(
        default="", description="Of the file system; of FAT as `1A2B-3C4D`. Without it, it derives from what is packed."
    )
    partition_uuid: Annotated[str, UUID_TEXT.or_empty()] = Field(default="", description="Of the partition in a GPT.")
    type: Annotated[str, UUID_TEXT.or_empty()] = Field(
        default="", description="Type of the partition in a GPT, if flags and file system do not say it."
    )
    file_system_options: tuple[Annotated[str, FEATURE], ...] = Field(
        default=(), description="Features of ext2, ext3 or ext4, as `mke2fs -O` has them: `^metadata_csum`."
    )
    mount_point: Annotated[str, forms.PATH.or_empty()] = Field(
        default="", description="The folder whose content it holds, and where it is mounted; `/` is the root."
    )
    mount_options: tuple[Annotated[str, forms.MOUNT_OPTION], ...] = Field(
        default=(), description="Options of mount(8) in /etc/fstab; those that are usual without this key."
    )
    source: Annotated[str, forms.NOT_EMPTY, forms.PACKED_FOLDER] | None = Field(
        default=None,
        description="A folder of this machine: what is in it is in the partition, over what the system has below the "
        "mount point, if there is one. A relative path starts at the folder of os.toml. All is root's, and has the "
        "permissions 0755 or 0644, by whether a file may be executed.",
        examples=["firmware"],
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """A UUID that its file system can have; a mount point for what can be mounted."""
        kind, uuid = table.get("file-system", "ext4"), table.get("uuid")
        if uuid and kind == image.UNFORMATTED:
            hint = "partition-uuid is that of the partition, type says what is in it"
            yield failure(mistake(f"{kind} has no file system that could have one", hint=hint), "uuid")
        elif isinstance(uuid, str) and uuid and isinstance(kind, str) and kind in image.FILE_SYSTEMS:
            wanted = _FAT_SERIAL if kind in image.FAT else re.compile(UUID_TEXT.pattern)
            if not wanted.fullmatch(uuid):
                form = "1A2B-3C4D" if kind in image.FAT else "32 digits in five groups"
                yield failure(mistake(f"{quoted(uuid)} is no UUID of {kind}", hint=f"it looks like {form}"), "uuid")
        if kind in ("swap", image.UNFORMATTED) and table.get("mount-point"):
            yield failure(mistake(f"{kind} cannot be mounted", hint="leave it out"), "mount-point")
        if kind in ("swap", image.UNFORMATTED) and table.get("source"):
            yield failure(mistake(f"{kind} holds no files", hint="leave it out"), "source")

    def partition(self, folder: str, key: str) -> image.Partition:
        """The partition as formats know it.

        Args:
            folder: of os.toml.
            key: of os.toml, that names it.

        Raises:
            InputError: the folder that it holds is not there.
        """
        return image.Partition(
            label=self.label,
            size=None if self.size == "guess" else self.size,  # type: ignore[arg-type]  # no other word
            offset=self.offset,
            file_system=self.file_system,
            file_system_options=self.file_system_options,
            flags=frozenset(self.flags),
            uuid=UUID(self.uuid.replace("-", "").ljust(32, "0")) if self.uuid else None,
            partition_uuid=UUID(self.partition_uuid) if self.partition_uuid else None,
            type=UUID(self.type) if self.type else None,
            mount_point=self.mount_point,
            mount_options=self.mount_options,
            initializer=_initializer(self.source, folder, f"{key}.source"),
        )


def _initializer(source: str | None, folder: str, key: str) -> FolderInitializer | None:
    if source is None:
        return None
    place = os.path.normpath(os.path.join(folder, source))
    if not os.path.isdir(place):
        hint = "A relative path starts at the folder of os.toml."
        raise InputError(f"{key}: there is no folder {place}", hint=hint)
    return FolderInitializer(place, key)

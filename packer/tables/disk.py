"""`[disk]`: what disks look like that image types make, and what is on them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats.image import ESP, Image, Partition
from formats.image_types import LAYOUTS, layout
from layers.errors import InputError
from packer import forms
from packer.boot.loaders import LOADERS, NONE
from packer.document import quoted
from packer.record import Record, failure, mistake, refusal, settings
from packer.tables.partitions import FEATURE, UUID_TEXT, DiskPartition, choice

#: The containers that a disk can be in.
CONTAINERS = ("raw", "qcow2", "qcow2-compressed", "vdi", "vpc")

#: Kinds of partition tables in which a disk has a UUID.
WITH_UUID = ("gpt", "hybrid")

_MIB = 1 << 20

#: Partition tables for partitions of one's own: those of nixpkgs' layouts that are the name of a table, too, and two.
_TABLES = {"mbr": "mbr", "gpt": "gpt", "hybrid": "hybrid", "none": "none"}


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Disk(Record):
    """What disks look like: `ocipack disk`, `efi-raw` and all other image types that are disks, and `iso9660`.

    A type has all of this already; keys that are there replace what it has. The table is one for all types, and each
    has of it what says something of it:

    - `container` and `partition-table` are those of the type `disk`, and of types that inherit from it. Other types
      have their own container; a type of `[types]` that inherits from one of them names another in its own `disk`.
    - `iso9660` and `uncompressed-iso9660` have `label`, in capital letters, `bootloader` and `post-build`. Nothing can
      be written to a CD, so that its root is always volatile.

    A key is a mistake if it says nothing of any type that `outputs` names, or that `[types]` declares; in the `disk` of
    one of `[types]`, if it says nothing of that. A build of a type that the command line names warns of keys that no
    type has a use for: os.toml may have them for types that are named another time.
    """

    EXAMPLE: ClassVar[str] = """\
[disk]
partition-table = "efi"
container = "qcow2"
additional-space = "2 GiB"
"""

    size: Annotated[int | str | None, forms.Size(("guess",))] = Field(
        default=None,
        description='Of the whole disk: bytes, a text such as `"4 GiB"`, or `"guess"`: what its content needs, and '
        "some room.",
    )
    additional_space: Annotated[int | None, forms.Size()] = Field(
        default=None,
        description="How much stays free in the root if its size is guessed; without it 512 MiB in the layouts of "
        "`partition-table`, and a quarter of what is used in others.",
    )
    partition_table: Annotated[str, choice("partition table", dict.fromkeys((*LAYOUTS, *_TABLES)))] | None = Field(
        default=None,
        description="The layout, in nixpkgs' words: `none`, `legacy` (the default), `legacy+boot`, `legacy+gpt`, "
        "`efi`, `efixbootldr` or `hybrid`. With `partitions`, their table: `mbr`, `gpt` (the default), `hybrid` (both) "
        "or `none`.",
    )
    boot_size: Annotated[int | None, forms.Size()] = Field(
        default=None,
        description="Where the boot partition of these layouts ends, 256 MiB without this key; size of the EFI system "
        "partition of `efi-raw`.",
    )
    container: Annotated[str, choice("container", CONTAINERS)] | None = Field(
        default=None, description="The file that the disk is in; `raw` without this key. `vpc` is a VHD."
    )
    bootloader: Annotated[str, choice("boot loader", (*LOADERS, NONE))] | None = Field(
        default=None, description="What starts the system; without this key, what goes with the partitions."
    )
    volatile_root: bool | None = Field(
        default=None, description="Whether what is written to the root is gone at the next start; `false` without it."
    )
    file_system: Annotated[str, choice("file system", ("ext2", "ext3", "ext4"))] | None = Field(
        default=None, description="The root's file system; `ext4` without this key."
    )
    label: str | None = Field(
        default=None,
        description="The root's label. Without it `nixos` or `Guix_image` if these are packed, else `root`; of a store "
        "alone `nix-store`. That of an image for CDs has at most 32 characters.",
    )
    file_system_options: tuple[Annotated[str, FEATURE], ...] | None = Field(
        default=None, description="Features of the root's file system, as `mke2fs -O` has them: `^metadata_csum`."
    )
    store_only: bool | None = Field(
        default=None,
        description="Whether there is nothing but the store of Nix or Guix, at the root of the file system.",
    )
    shared_store: bool | None = Field(
        default=None, description="Whether the store is left out, because the host of a virtual machine shares its own."
    )
    efi_vars: bool | None = Field(
        default=None,
        description="Whether the variables of UEFI firmware that starts the disk are written beside it, into "
        "NAME.efi-vars.fd.",
    )
    uuid: Annotated[str, UUID_TEXT] | None = Field(
        default=None, description="Of the disk, in a GPT; without it, it derives from what is packed."
    )
    post_build: tuple[Annotated[str, forms.NOT_EMPTY], ...] | None = Field(
        default=None,
        description="A program and its arguments, which is run with the finished disk's path as its last argument, in "
        "the folder of os.toml; the build fails if it does. What it does is up to it: no part of what ocipack says of "
        "equal bytes.",
        min_length=1,
    )
    partitions: tuple[DiskPartition, ...] | None = Field(
        default=None, description="Partitions in place of those that the type has.", min_length=1
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Partitions or a layout; one root; one way to say what is in it."""
        name, partitions = table.get("partition-table"), table.get("partitions")
        if isinstance(name, str) and isinstance(partitions, tuple) and name not in _TABLES and name in LAYOUTS:
            hint = f"with partitions it is one of {', '.join(_TABLES)}"
            yield failure(mistake(f"{name} has partitions of its own", hint=hint), "partition-table")
        if isinstance(name, str) and partitions is None and name in _TABLES and name not in LAYOUTS:
            hint = f"name one of {', '.join(LAYOUTS)}, or add disk.partitions"
            yield failure(mistake(f"{name} says nothing of partitions", hint=hint), "partition-table")
        yield from _roots(partitions)
        yield from _of_layouts(table)
        if table.get("store-only") and table.get("shared-store"):
            yield failure(mistake("there would be nothing on the disk", hint="keep one of both"), "shared-store")
        if table.get("store-only") and table.get("bootloader") not in (None, "none"):
            yield failure(mistake("a store alone has nothing to start", hint="leave it out"), "bootloader")

    def outline(self, made: Image, *, has_layout: bool) -> Image:
        """The same as `applied`, without the folders that partitions shall hold.

        Raises:
            InputError: the layout leaves no room for a partition.
        """
        bare = self.partitions and tuple(replace(partition, source=None) for partition in self.partitions)
        return replace(self, partitions=bare).applied(made, "", has_layout=has_layout)

    def applied(self, made: Image, folder: str, *, has_layout: bool) -> Image:
        """The image of a type, with what the table says instead.

        Args:
            made: the image.
            folder: of os.toml.
            has_layout: whether its partitions are those of `partition-table`.

        Raises:
            InputError: the layout leaves no room for a partition, or a folder that one shall hold is not there.
        """
        made = self._laid_out(made, folder, has_layout=has_layout)
        changes: dict[str, Any] = {
            "format": self.container,
            "additional_space": self.additional_space,
            "boot_loader": self.bootloader,
            "volatile_root": self.volatile_root,
            "shared_store": self.shared_store,
            "store_only": self.store_only,
            "efi_variables": self.efi_vars,
            "disk_uuid": UUID(self.uuid) if self.uuid else None,
            "size": None if self.size == "guess" else self.size,
        }
        made = replace(made, **{key: value for key, value in changes.items() if value is not None})
        return replace(made, partitions=tuple(map(self._changed, made.partitions)))

    def _laid_out(self, made: Image, folder: str, *, has_layout: bool) -> Image:
        if self.partitions is not None:
            partitions = tuple(
                partition.partition(folder, f"disk.partitions[{place}]")
                for place, partition in enumerate(self.partitions)
            )
            table = self.partition_table or ("gpt" if has_layout else made.partition_table_type)
            return replace(made, partitions=partitions, partition_table_type=table, additional_space=None)
        if has_layout:
            return layout(self.partition_table or "legacy", *([self.boot_size] if self.boot_size is not None else []))
        if self.boot_size is None:
            return made
        return replace(
            made,
            partitions=tuple(
                replace(partition, size=self.boot_size) if ESP in partition.flags else partition
                for partition in made.partitions
            ),
        )

    def _changed(self, partition: Partition) -> Partition:
        """The root, with what the table says of it; all other partitions as they are."""
        if partition.mount_point != "/":
            return partition
        changes: dict[str, Any] = {
            "label": self.label,
            "file_system": self.file_system,
            "file_system_options": self.file_system_options,
        }
        return replace(partition, **{key: value for key, value in changes.items() if value is not None})


def _of_layouts(table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
    """What the layout that the table names does not have."""
    boot_size = forms.bytes_of(table.get("boot-size"))
    if boot_size is not None and 0 <= boot_size < _MIB:
        message = f"a boot partition of {boot_size} bytes holds no kernel"
        yield failure(mistake(message, hint='write "256 MiB", for example'), "boot-size")
        boot_size = None
    name = table.get("partition-table")
    if not isinstance(name, str) or name not in LAYOUTS or table.get("partitions"):
        return
    try:
        made = layout(name, *([boot_size] if boot_size else []))
    except InputError as error:
        yield failure(refusal(error), "boot-size")
        return
    if table.get("uuid") and made.partition_table_type not in WITH_UUID:
        yield failure(mistake(f"{name} has no GPT, which could have one", hint="leave it out"), "uuid")
    if table.get("efi-vars") is True and not any(ESP in partition.flags for partition in made.partitions):
        hint = "take efi, efixbootldr or hybrid as partition-table, or leave it out"
        yield failure(mistake(f"{name} has no EFI system partition", hint=hint), "efi-vars")


def _roots(partitions: object) -> Iterable[InitErrorDetails]:
    """Mount points that two partitions have, and that none has."""
    rows = partitions if isinstance(partitions, tuple) else ()
    places = [row.get("mount-point") if isinstance(row, Mapping) else getattr(row, "mount_point", "") for row in rows]
    for place, mount_point in enumerate(places):
        if mount_point and mount_point in places[:place]:
            message = (
                f"{quoted(str(mount_point))} is the mount-point of disk.partitions[{places.index(mount_point)}] already"
            )
            yield failure(mistake(message, hint="keep one of them"), "partitions", place, "mount-point")
    if rows and "/" not in places:
        yield failure(mistake("none of them is the root", hint='add mount-point = "/" to one'), "partitions")

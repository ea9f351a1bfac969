"""The image API: what a disk looks like, in records that inherit from each other by `replace`.

It is what Guix has as `<image>`, `<partition>` and `<image-type>` (Guix reference manual, "Creating System Images"). An
image says which partitions there are and what is in them; an image type makes an image of an operating system. The
types that everybody has are in `formats.image_types`; os.toml declares more.

The whole root file system is one tree. Each partition with a mount point gets what is below that, and the folder itself
stays behind: an EFI system partition at `/boot/efi` holds what boot loaders put there.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import UUID

from formats.platform import Platform
from layers.digest import Digest
from layers.errors import InputError
from layers.tree import Tree

if TYPE_CHECKING:
    from formats.system import System

#: The flag of the partition that a BIOS starts from; in Guix's words it marks the root.
BOOT = "boot"
#: The flag of an EFI system partition.
ESP = "esp"
#: The flag of a partition without file system that holds GRUB's core image, on a GPT.
BIOS_GRUB = "bios_grub"
#: The flag of an extended boot loader partition (Boot Loader Specification).
BLS_BOOT = "bls_boot"

#: The file system of a partition that has none.
UNFORMATTED = "unformatted"
#: The file systems of Unix, of which features can be chosen, and those that have neither owners nor permissions.
EXT = ("ext2", "ext2-hurd", "ext3", "ext4")
FAT = ("fat12", "fat16", "fat32", "vfat")
#: Every name of a partition's file system.
FILE_SYSTEMS = (*EXT, *FAT, "swap", UNFORMATTED)
#: The file system that is the root of an image of the format of that name.
ISO9660 = "iso9660"

_LABELS = {"/gnu/store/": "Guix_image", "/nix/store/": "nixos"}


@runtime_checkable
class Initializer(Protocol):
    """Says what is in a partition."""

    @property
    def identity(self) -> Digest:
        """A name for what it does: those with equal names make the same of the same."""
        ...

    def fill(self, below: Tree) -> Tree:
        """What is in the partition.

        Args:
            below: what the system has below the mount point; nothing if there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an image.

    Attributes:
        label: of the file system, and on a GPT of the partition.
        size: bytes; None: as much as its content needs, and some room.
        offset: its first byte on the disk; None: the next whole MiB.
        file_system: `ext2`, `ext2-hurd` (that of the GNU Hurd), `ext3`, `ext4`, `fat12`, `fat16`, `fat32`, `vfat` (of
            which FAT depends on the size), `swap` or `unformatted`.
        file_system_options: features to have, or with a `^` not to have, in mke2fs's words.
        flags: any of the constants above.
        uuid: of the file system; None: one that derives from what is packed.
        partition_uuid: of the partition in a GPT; None: as above.
        type: GUID of the partition's type in a GPT, for one that no flag and no file system stands for.
        mount_point: the folder whose content it holds, and where it is mounted; empty: none.
        mount_options: of mount(8); empty: those that go with its file system.
        initializer: says what is in it; None: what the system has below the mount point.
        minimum_size: bytes that it has at least, if its size is not given.
    """

    label: str = ""
    size: int | None = None
    offset: int | None = None
    file_system: str = "ext4"
    file_system_options: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    uuid: UUID | None = None
    partition_uuid: UUID | None = None
    type: UUID | None = None
    mount_point: str = ""
    mount_options: tuple[str, ...] = ()
    initializer: Initializer | None = None
    minimum_size: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """What to make of an operating system.

    Attributes:
        name: file name of the artefact without what formats append; empty: the system's.
        format: a container (`raw`, `qcow2`, `qcow2-compressed`, `vdi`, `vpc`), or a format of its own: `iso9660`.
        platform: the processor that it is for; None: the system's.
        size: bytes of the whole disk; None: as much as its partitions need.
        additional_space: bytes that stay free in the root file system when its size is not given.
        firmware: the processor that UEFI firmware is for; None: the same. Some of x86_64 is of 32 bits.
        operating_system: what is packed; None in an image that others inherit from.
        partitions: in the order of their numbers.
        partition_table_type: `mbr`, `gpt`, `hybrid` (a GPT with an MBR that has the partitions, too), or `none`: the
            artefact is the one partition's file system.
        boot_loader: which one starts it; empty: the one that goes with its partitions; `none`: none.
        board: the single-board computer whose boot loader is written to the disk, by the names of `formats.boards`;
            empty: the machine has its firmware.
        compression: of formats that can be with and without.
        volatile_root: whether what is written to the root is gone at the next start.
        shared_store: the store's items are not in the image: the host shares its own. What a boot loader reads of them
            is in `/boot`.
        store_only: there is nothing but the store of Nix or Guix, at the root of the file system.
        disk_uuid: of a GPT; None: one that derives from what is packed.
        efi_variables: whether a file with the variables of UEFI firmware, which starts this disk, is made beside it.
    """

    name: str = ""
    format: str = "raw"
    platform: Platform | None = None
    firmware: Platform | None = None
    size: int | None = None
    additional_space: int | None = None
    operating_system: "System | None" = None
    partitions: tuple[Partition, ...] = ()
    partition_table_type: str = "mbr"
    boot_loader: str = ""
    board: str = ""
    compression: bool = True
    volatile_root: bool = False
    shared_store: bool = False
    store_only: bool = False
    disk_uuid: UUID | None = None
    efi_variables: bool = False


@dataclass(frozen=True, slots=True)
class ImageType:
    """A name, and what it makes of an operating system.

    Attributes:
        name: on the command line and in os.toml.
        summary: what it makes, for people, on one line.
        image: without an operating system; types inherit from each other by `replace`.
        platforms: names of those that it is for; empty: any.
    """

    name: str
    summary: str
    image: Image
    platforms: tuple[str, ...] = ()

    def constructor(self, system: "System") -> Image:
        """The image of an operating system."""
        return image_of(self.image, system)


def image_of(image: Image, system: "System") -> Image:
    """An image with its operating system.

    Args:
        image: without one; a root file system without a label gets that of its kind of system.
        system: what is packed.

    Raises:
        InputError: the store alone is wanted, and there is none that is one folder.
    """
    root = Partition(mount_point=_store(system), label="nix-store") if image.store_only else None
    partitions = tuple(_as_root(partition, root, system) for partition in image.partitions)
    loader = "none" if image.store_only else image.boot_loader
    return replace(
        image,
        operating_system=system,
        partitions=partitions,
        platform=image.platform or system.platform,
        boot_loader=loader,
    )


def _as_root(partition: Partition, store: Partition | None, system: "System") -> Partition:
    """A root with its label, or with the store in its place; what is no root stays as it is."""
    if partition.mount_point != "/":
        return partition
    label = store.label if store else root_label(system)
    return replace(partition, label=partition.label or label, mount_point=store.mount_point if store else "/")


def _store(system: "System") -> str:
    """The folder that a store is in."""
    for store in _LABELS:
        if all(item.path.startswith(store) for item in system.closure):
            return store.rstrip("/")
    raise InputError("there is more to pack than one store of Nix or Guix", hint="Leave store-only out.")


def root_label(system: "System") -> str:
    """What the root file system is called if nobody says: what Guix and nixpkgs call theirs, else `root`."""
    return next(
        (label for store, label in _LABELS.items() if any(item.path.startswith(store) for item in system.closure)),
        "root",
    )

"""What makes a disk start: boot loaders, the kernel's companions, and what the system must know of its partitions.

A disk knows its partitions and their identifiers before it knows their sizes. It asks an *installer* then, which
answers with entries that are laid over the root file system (each partition takes those below its mount point: a
boot loader's files for firmware go to `/boot/efi/EFI`), and with the code that is outside of all file systems.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from formats import partition as table
from formats.image import Image, Partition
from formats.system import System
from layers.entry import Content, Entry
from layers.reader import Reader


@dataclass(frozen=True, slots=True)
class Volume:
    """A partition as an installer sees it.

    Attributes:
        number: of the partition, from 1; 0 for a file system that is the whole disk.
        partition: what was asked for.
        file_system_uuid: as `UUID=` in fstab(5) and on a kernel's command line has it: of FAT `1A2B-3C4D`; empty if it
            has no file system.
        partition_uuid: as `PARTUUID=` has it; empty without a table.
    """

    number: int
    partition: Partition
    file_system_uuid: str
    partition_uuid: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk as an installer sees it.

    Attributes:
        system: what is packed.
        image: how.
        volumes: its partitions, in the order of their numbers.
        gap: the bytes of the disk, as (first, end), where code for a BIOS may be: between an MBR and the first
            partition, or a GPT's BIOS boot partition; None: nowhere.
        cache: folder of the cache, where an installer may keep what it has found out; empty: nowhere.
    """

    system: System
    image: Image
    volumes: Sequence[Volume]
    gap: tuple[int, int] | None = None
    cache: str = ""

    def at(self, mount_point: str) -> Volume | None:
        """The volume that is mounted there."""
        return next((volume for volume in self.volumes if volume.partition.mount_point == mount_point), None)


@dataclass(frozen=True, slots=True)
class Embedded:
    """Code at a place of the disk.

    Attributes:
        name: for messages.
        offset: its first byte on the disk.
        content: the bytes.
    """

    name: str
    offset: int
    content: Content


@dataclass(frozen=True, slots=True)
class Installed:
    """What is added to a disk so that it starts.

    Attributes:
        entries: laid over the root file system.
        code: for the first 440 bytes of the disk.
        embedded: code at other places outside of file systems.
        el_torito: on an ISO 9660 image, what a BIOS loads from a CD.
        efi_variables: makes what UEFI firmware keeps of the disk, when it is known where the partitions are, in the
            order of their numbers: a file beside the disk.
        loaded: paths of what a boot loader reads of the root file system: that is never compressed.
    """

    entries: tuple[Entry, ...] = ()
    code: bytes = b""
    embedded: tuple[Embedded, ...] = ()
    el_torito: Content | None = None
    efi_variables: Callable[[Sequence[table.Partition]], bytes] | None = None
    loaded: frozenset[bytes] = frozenset()


class Installer(Protocol):
    """Makes disks start."""

    def install(self, layout: Layout, reader: Reader) -> Installed:
        """What the disk needs besides the system.

        Raises:
            InputError: the system lacks something that has to be in it, with the package that has it.
        """
        ...

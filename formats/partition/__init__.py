"""Partition tables: where on a disk its volumes are, and what they are.

A table is asked for with a `Disk`, which names its partitions and their places; `place` finds places for such as have
none. Tables are written as pieces (see `formats.filesystem.pieces`): what is between them belongs to the volumes, and
the first 440 bytes to the code of a boot loader.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from formats.partition.types import PartitionType
from layers.digest import Digest
from layers.errors import InputError

SECTOR = 512
ALIGNMENT = 1 << 20  # as all partitioning programs have it: a multiple of any device's blocks
MBR_CODE = 440  # bytes of boot code before the signature of the disk


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition.

    Attributes:
        name: its label; a GPT keeps it.
        start: first byte, a whole number of sectors.
        size: bytes, a whole number of sectors.
        type: what is in it.
        bootable: a BIOS shall boot from it: the active one of an MBR, `legacy_boot` in a GPT.
        hybrid: it is in the MBR of a GPT, too, for systems that do not know GPTs.
        uuid: its identifier in a GPT; without, one that derives from the disk's identity.
    """

    name: str
    start: int
    size: int
    type: PartitionType
    bootable: bool = False
    hybrid: bool = False
    uuid: UUID | None = None

    @property
    def end(self) -> int:
        """The byte after its last."""
        return self.start + self.size

    @property
    def first_sector(self) -> int:
        """Its first logical block address."""
        return self.start // SECTOR

    @property
    def sectors(self) -> int:
        """Their number."""
        return self.size // SECTOR


@dataclass(frozen=True, slots=True)
class Disk:
    """What a partition table is told.

    Attributes:
        identity: of what is packed; identifiers derive from it.
        size: bytes, a whole number of sectors.
        partitions: in the order of their numbers, which may be another than that of their places.
        uuid: identifier of a GPT's disk; without, one that derives from the identity.
        pmbr_boot: whether a GPT's protective MBR is marked as bootable, which some BIOSes ask for and UEFI ignores; the
            word is parted's.
    """

    identity: Digest
    size: int
    partitions: Sequence[Partition]
    uuid: UUID | None = None
    pmbr_boot: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A partition that looks for its place.

    Attributes:
        name: its label, for messages.
        size: bytes.
        offset: where it must begin, or where there is room.
    """

    name: str
    size: int
    offset: int | None = None


def place(wanted: Iterable[Wanted], first: int = ALIGNMENT) -> list[int]:
    """Where partitions begin: at their offsets, the others at the next MiB after the one before them.

    Args:
        wanted: in the order of their numbers.
        first: the least offset of those that have none.

    Raises:
        InputError: two of them overlap.
    """
    found: list[tuple[int, Wanted]] = []
    free = first
    for partition in wanted:
        start = -(-free // ALIGNMENT) * ALIGNMENT if partition.offset is None else partition.offset
        free = max(first, start + partition.size)
        found.append((start, partition))
    problems = _overlaps([(start, start + partition.size, partition.name) for start, partition in found])
    if problems:
        raise InputError("; ".join(problems), hint="Change their offsets, or leave them out to have places found.")
    return [start for start, _ in found]


def title(name: str, number: int) -> str:
    """A partition, for people: by its name, or by its number, from 1."""
    return f"the partition {name!r}" if name else f"partition {number}"


def check(disk: Disk, first: int, end: int) -> None:
    """Hold the partitions against each other and against what the table leaves them.

    Args:
        disk: whose table it is.
        first: the least byte of a partition.
        end: the byte after the last one that a partition may have.

    Raises:
        InputError: with all that is wrong.
    """
    problems = [] if disk.size % SECTOR == 0 else [f"the disk has {disk.size} bytes, which are no whole sectors"]
    for number, partition in enumerate(disk.partitions, 1):
        name = title(partition.name, number)
        if partition.start % SECTOR or partition.size % SECTOR:
            problems.append(f"{name} does not begin and end at multiples of {SECTOR} bytes")
        if partition.size < SECTOR:
            problems.append(f"{name} is empty")
        if partition.start < first:
            problems.append(f"{name} begins at {partition.start}, and the table ends at {first}")
        if partition.end > end:
            problems.append(f"{name} ends {partition.end - end} bytes after the room for partitions")
    problems += _overlaps([(partition.start, partition.end, partition.name) for partition in disk.partitions])
    if problems:
        raise InputError("; ".join(problems))


def _overlaps(ranges: list[tuple[int, int, str]]) -> list[str]:
    problems = []
    last = (0, 0, "")
    for one in sorted(ranges):
        if one[0] < last[1]:
            problems.append(
                f"the partitions {last[2]!r} and {one[2]!r} overlap by {min(last[1], one[1]) - one[0]} bytes"
            )
        last = max(last, one, key=lambda each: each[1])
    return problems

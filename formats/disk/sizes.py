"""How large the partitions of a disk are, and where they begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from formats.disk.naming import naming, title
from formats.filesystem import Prepared, TooSmallError, guessed_size, size_with_space
from formats.filesystem.pieces import Bytes
from formats.image import Image, Partition
from formats.partition import ALIGNMENT, Disk, Wanted, gpt, mbr, place
from layers.errors import InputError


@dataclass(frozen=True, slots=True)
class Table:
    """A kind of partition table.

    Attributes:
        pieces: of a disk's table.
        first: the least byte of a partition that has no offset.
        after: bytes at the end of the disk that no partition may have.
    """

    pieces: Callable[[Disk], list[Bytes]]
    first: int
    after: int


_TABLES = {
    "none": Table(lambda _disk: [], 0, 0),
    "mbr": Table(lambda disk: list(mbr.pieces(disk)), ALIGNMENT, 0),
    "gpt": Table(lambda disk: list(gpt.pieces(disk)), ALIGNMENT, gpt.AFTER_LAST),
}
_TABLES["hybrid"] = _TABLES["gpt"]


def table_of(image: Image) -> Table:
    """The kind of table that an image has.

    Raises:
        InputError: there is no such kind, or it does not fit to the partitions.
    """
    name = image.partition_table_type
    if name not in _TABLES:
        raise InputError(f"there is no partition table {name!r}", hint=f"There are {', '.join(_TABLES)}.")
    if name == "none" and (len(image.partitions) != 1 or image.partitions[0].offset):
        raise InputError("a disk without a partition table is one file system, from its first byte on")
    return _TABLES[name]


@dataclass(frozen=True, slots=True)
class Sized:
    """A disk with its sizes, all in bytes.

    Attributes:
        size: of the disk.
        starts: of the partitions, in the order of their numbers.
        sizes: of the partitions.
    """

    size: int
    starts: tuple[int, ...]
    sizes: tuple[int, ...]


def sized(image: Image, prepared: Sequence[Prepared | None], table: Table) -> Sized:
    """Find sizes and places.

    Args:
        image: the disk.
        prepared: what is in the partitions, in the order of their numbers; None: nothing.
        table: of the disk.

    Raises:
        TooSmallError: the disk has a size that is not enough.
        InputError: partitions overlap, or a size is missing.
    """
    sizes = [
        partition_size(partition, number, content, image)
        for number, (partition, content) in enumerate(zip(image.partitions, prepared, strict=True), 1)
    ]
    starts = _places(image, sizes, table)
    if image.size is None:
        return Sized(_rounded(_end(starts, sizes, table), table), tuple(starts), tuple(sizes))
    guessed = [rank for rank, each in enumerate(image.partitions) if each.size is None and not each.minimum_size]
    if guessed:
        rank, content = guessed[-1], prepared[guessed[-1]]
        sizes[rank] = _whole(content.minimum_size()) if content else sizes[rank]
        starts = _places(image, sizes, table)
    if image.size < (end := _end(starts, sizes, table)):
        raise TooSmallError(image.size, end, "the disk")
    if guessed:
        room = _room(image, rank, starts, sizes, image.size - table.after)
        sizes[rank] += room // ALIGNMENT * ALIGNMENT if table.first else room
        starts = _places(image, sizes, table)
    return Sized(image.size, tuple(starts), tuple(sizes))


def partition_size(partition: Partition, number: int, content: Prepared | None, image: Image) -> int:
    """The size that a partition has: its own, or what its content needs, and some room.

    Args:
        partition: which one.
        number: of it, from 1.
        content: what is in it; None: nothing.
        image: the disk.

    Raises:
        InputError: it has none of its own, and nobody knows how much it needs.
    """
    if partition.size is not None:
        return partition.size
    if content is None or partition.file_system == "swap":
        raise InputError(f"{title(partition, number)} has no size", hint="Only file systems know how much they need.")
    with naming(partition, number):
        least = content.minimum_size()
        is_root = partition.mount_point == "/"
        space = image.additional_space if is_root else None
        size = guessed_size(least) if space is None else size_with_space(least, space)
        size = max(size, partition.minimum_size)
        try:
            content.plan(size)
        except TooSmallError as error:  # more room needs more tables, too
            return _whole(error.needed)
    return size


def _whole(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _places(image: Image, sizes: Sequence[int], table: Table) -> list[int]:
    wanted = [
        Wanted(partition.label or f"number {number}", size, partition.offset)
        for number, (partition, size) in enumerate(zip(image.partitions, sizes, strict=True), 1)
    ]
    return place(wanted, table.first)


def _end(starts: Sequence[int], sizes: Sequence[int], table: Table) -> int:
    """The least size of the disk."""
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    return max(ends, default=table.first) + table.after


def _room(image: Image, rank: int, starts: Sequence[int], sizes: Sequence[int], end: int) -> int:
    """By how much a partition can grow: up to the next one that has to be where it is."""
    later = [(starts[one], one) for one in range(len(starts)) if starts[one] > starts[rank]]
    fixed = [start for start, one in later if image.partitions[one].offset is not None]
    limit = min([end, *fixed])
    moved = max(starts[one] + sizes[one] for start, one in [(starts[rank], rank), *later] if start < limit)
    return max(0, limit - moved)


def _rounded(size: int, table: Table) -> int:
    """Up to whole MiB, where there is a table that wants them."""
    return _whole(size) if table.first else size

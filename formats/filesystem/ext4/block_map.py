"""Block maps: which blocks of a file are where, in ext2 and ext3. The kernel's documentation, ext4/ifork.rst.

    inode:  12 numbers of blocks | of a block with 1024 numbers | of one with 1024 of such blocks | of one with those

The number of a hole is zero, and blocks full of zeros are left out.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

from formats.filesystem.ext4.extents import BlockTree, Extent
from formats.filesystem.ext4.structures import DIRECT_BLOCKS, NUMBERS_PER_BLOCK

_LEVELS = 3  # indirect, double indirect, triple indirect


def blocks_needed(extents: Sequence[Extent], /) -> int:
    """Blocks of the map below the inode."""
    needed = 0
    for level in range(1, _LEVELS + 1):
        reach = _reach(level)
        for depth in range(1, level + 1):
            needed += _distinct(extents, reach, NUMBERS_PER_BLOCK**depth)
    return needed


def build(extents: Sequence[Extent], numbers: Iterable[int], _seed: int | None, /) -> BlockTree:
    """The map of some extents; see `extents.build`. Nothing in it has a checksum."""
    free = iter(numbers)
    pointers = dict(_pointers(extents))
    root = [pointers.pop(logical, 0) for logical in range(DIRECT_BLOCKS)]
    blocks: dict[int, bytes] = {}
    for level in range(1, _LEVELS + 1):
        first, end = _reach(level)
        entries = {logical - first: number for logical, number in pointers.items() if first <= logical < end}
        for _ in range(level):
            entries = _fold(entries, free, blocks)
        root.append(entries.get(0, 0))
    return BlockTree(_table(dict(enumerate(root)), len(root)), blocks)


def _reach(level: int) -> tuple[int, int]:
    """The logical blocks, as (first, end), that are found through so many indirect blocks."""
    first = DIRECT_BLOCKS + sum(NUMBERS_PER_BLOCK**below for below in range(1, level))
    return first, first + NUMBERS_PER_BLOCK**level


def _distinct(extents: Sequence[Extent], reach: tuple[int, int], span: int) -> int:
    """How many stretches of `span` blocks within reach have something in them."""
    count, last = 0, -1
    for extent in extents:
        start, end = max(extent.logical, reach[0]), min(extent.logical + extent.length, reach[1])
        if start < end:
            low, high = (start - reach[0]) // span, (end - 1 - reach[0]) // span
            count += high - max(low, last + 1) + 1
            last = high
    return count


def _pointers(extents: Sequence[Extent]) -> Iterator[tuple[int, int]]:
    for extent in extents:
        yield from zip(
            range(extent.logical, extent.logical + extent.length),
            range(extent.physical, extent.physical + extent.length),
            strict=True,
        )


def _fold(entries: dict[int, int], free: Iterator[int], blocks: dict[int, bytes]) -> dict[int, int]:
    """Put numbers into blocks; answers with the numbers of these."""
    tables: dict[int, dict[int, int]] = {}
    for place, number in entries.items():
        tables.setdefault(place // NUMBERS_PER_BLOCK, {})[place % NUMBERS_PER_BLOCK] = number
    above = {}
    for place, table in tables.items():
        above[place] = number = next(free)
        blocks[number] = _table(table, NUMBERS_PER_BLOCK)
    return above


def _table(numbers: dict[int, int], size: int) -> bytes:
    table = [0] * size
    for place, number in numbers.items():
        table[place] = number
    return struct.pack(f"<{size}I", *table)

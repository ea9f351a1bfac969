"""Where the groups of a volume have their metadata, and which blocks are left for everything else.

The kernel's documentation, filesystems/ext4/blockgroup.rst. A *zone* is a copy of the superblock and the group
descriptors at the beginning of a group, with the blocks that are reserved for more descriptors when the volume grows.
With flex_bg, 16 groups are a *flexible group*: bitmaps and inode tables of all of them stand in its first, so that the
rest is long runs of free blocks.
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, replace

from formats.filesystem.ext4.features import Feature, Features
from formats.filesystem.ext4.structures import (
    BLOCK,
    BLOCKS_PER_GROUP,
    DESCRIPTOR,
    FULL_INODES,
    LOG_GROUPS_PER_FLEX,
    NARROW_DESCRIPTOR,
    NUMBERS_PER_BLOCK,
)

_GROWTH = 1024  # times the size that descriptors are reserved for, as mke2fs(8) has it for `resize=`
_LEAST_DATA = 50  # blocks; a last group with fewer than that is left out, as mke2fs does
_NO_END = 1 << 62

Run = tuple[int, int]
"""Blocks: (first, how many)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A volume's groups.

    Attributes:
        blocks: of the volume.
        groups: how many.
        inodes_per_group: in each.
        descriptor_blocks: of one copy of the group descriptors.
        reserved_blocks: after each copy, to grow.
        table_blocks: of each group's inode table.
        copies: the groups that begin with a zone, in order; the first is 0.
        block_bitmaps: of each group, where its bitmap of blocks is.
        inode_bitmaps: of each group, where its bitmap of inodes is.
        inode_tables: of each group, where its inodes are.
        taken: ranges of blocks that all of these take, as (first, end), in order.
        left_out: blocks after the last group, too few for another.
        short: so many more, and they would be one; 0 if nothing is left out.
    """

    blocks: int
    groups: int
    inodes_per_group: int
    descriptor_blocks: int
    reserved_blocks: int
    table_blocks: int
    copies: tuple[int, ...]
    block_bitmaps: "array[int]"
    inode_bitmaps: "array[int]"
    inode_tables: "array[int]"
    taken: tuple[Run, ...]
    left_out: int = 0
    short: int = 0

    @property
    def inodes(self) -> int:
        """Of the whole volume."""
        return self.groups * self.inodes_per_group

    @property
    def zone(self) -> int:
        """Blocks of a copy of superblock and descriptors, with what is reserved."""
        return 1 + self.descriptor_blocks + self.reserved_blocks

    @property
    def missing(self) -> int:
        """Blocks that the metadata alone has too few."""
        return max(0, self.taken[-1][1] - self.blocks)

    @property
    def free(self) -> int:
        """Blocks that its metadata leaves."""
        return self.blocks - sum(end - start for start, end in self.taken)

    def growth(self, missing: int) -> int:
        """How many blocks more there must be, left out or not, for so many more that are of use."""
        return max(missing - self.left_out, self.short) if self.left_out else missing

    def used(self, group: int, frontier: int) -> int:
        """The bitmap of a group's blocks, as a number: what is before the frontier, metadata, and what does not exist.

        Args:
            group: its number.
            frontier: all free blocks before this one are used.
        """
        first = group * BLOCKS_PER_GROUP
        end = first + BLOCKS_PER_GROUP
        bits = _bits(0, frontier - first) | _bits(self.blocks - first, BLOCKS_PER_GROUP)
        for start, stop in self.taken[self._position(first) :]:
            if start >= end:
                break
            bits |= _bits(start - first, stop - first)
        return bits

    def is_untouched(self, group: int, frontier: int) -> bool:
        """Whether a group has nothing but its zone, so that its bitmap need not be written."""
        first = group * BLOCKS_PER_GROUP
        if frontier > first or group == self.groups - 1:
            return False
        own = first + self.zone if group in self.copies else first
        position = self._position(own)
        return self.taken[position][0] >= first + BLOCKS_PER_GROUP if position < len(self.taken) else True

    def _position(self, block: int) -> int:
        """Of the first range that ends after the block."""
        return bisect_right(self.taken, block, key=lambda run: run[1])


def _bits(start: int, end: int) -> int:
    start, end = max(start, 0), min(end, BLOCKS_PER_GROUP)
    return (1 << end) - (1 << start) if start < end else 0


def lay_out(blocks: int, inodes: int, features: Features) -> Layout:
    """Decide where the metadata of groups goes.

    Args:
        blocks: of the volume, at most; a remainder that is too small for a group is left out.
        inodes: at least so many, as far as there is room in the groups.
        features: of the volume.
    """
    groups = -(-blocks // BLOCKS_PER_GROUP)
    per_group = _inodes_per_group(inodes, groups, features)
    width = DESCRIPTOR.size if Feature.WIDE in features else NARROW_DESCRIPTOR
    descriptor_blocks = -(-groups * width // BLOCK)
    reserved = _reserved_blocks(blocks, descriptor_blocks, width) if Feature.RESIZE_INODE in features else 0
    table = per_group * features.inode_size // BLOCK
    zone = 1 + descriptor_blocks + reserved
    together = 1 << LOG_GROUPS_PER_FLEX if Feature.FLEX_BG in features else 1
    rest = blocks % BLOCKS_PER_GROUP
    last = groups - 1
    copies = _copies(groups)
    own = (zone if last in copies else 0) + (2 + table if last % together == 0 else 0)
    if last and 0 < rest < own + _LEAST_DATA:
        return replace(lay_out(blocks - rest, inodes, features), left_out=rest, short=own + _LEAST_DATA - rest)
    placer = _Placer(zone, copies)
    for first in range(0, groups, together):
        placer.place(range(first, min(first + together, groups)), table)
    return Layout(
        blocks, groups, per_group, descriptor_blocks, reserved, table, copies,
        placer.block_bitmaps, placer.inode_bitmaps, placer.inode_tables, placer.taken(),
    )  # fmt: skip


def _inodes_per_group(inodes: int, groups: int, features: Features) -> int:
    in_block = BLOCK // features.inode_size
    wanted = -(-inodes // groups)
    most = min(FULL_INODES, 0xFFFFFFFF // groups // in_block * in_block)
    return min(most, -(-wanted // in_block) * in_block)


def _reserved_blocks(blocks: int, descriptor_blocks: int, width: int) -> int:
    """As e2fsprogs reckons: descriptors of a volume 1024 times as large, as many as one indirect block can name."""
    largest = min(0xFFFFFFFF, blocks * _GROWTH)
    groups = -(-largest // BLOCKS_PER_GROUP)
    needed = -(-groups * width // BLOCK)
    return max(0, min(needed - descriptor_blocks, NUMBERS_PER_BLOCK))


def _copies(groups: int) -> tuple[int, ...]:
    """The groups that have a copy of the superblock: sparse_super."""
    found = {0, 1}
    for base in (3, 5, 7):
        power = base
        while power < groups:
            found.add(power)
            power *= base
    return tuple(sorted(group for group in found if group < groups))


class _Placer:
    """Puts bitmaps and tables between the zones."""

    def __init__(self, zone: int, copies: tuple[int, ...]) -> None:
        self._zones = [(group * BLOCKS_PER_GROUP, group * BLOCKS_PER_GROUP + zone) for group in copies]
        self._placed: list[Run] = []
        self._cursor = 0
        self.block_bitmaps = array("Q")
        self.inode_bitmaps = array("Q")
        self.inode_tables = array("Q")

    def place(self, groups: range, table: int) -> None:
        """Those of groups that belong together, in the first of them."""
        self._cursor = max(self._cursor, groups[0] * BLOCKS_PER_GROUP)
        for places, size in ((self.block_bitmaps, 1), (self.inode_bitmaps, 1), (self.inode_tables, table)):
            for _ in groups:
                places.append(self._take(size))

    def _take(self, size: int) -> int:
        position = bisect_right(self._zones, self._cursor, key=lambda zone: zone[1])
        while position < len(self._zones) and self._cursor + size > self._zones[position][0]:
            self._cursor = self._zones[position][1]
            position += 1
        start, self._cursor = self._cursor, self._cursor + size
        self._placed.append((start, self._cursor))
        return start

    def taken(self) -> tuple[Run, ...]:
        """All of it with the zones, joined where it touches."""
        joined: list[Run] = []
        for start, end in sorted([*self._zones, *self._placed]):
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        return tuple(joined)


class Allocator:
    """Hands out the free blocks of a layout from the first to the last; after the last it goes on.

    So it is known by how many blocks a volume is too small.

    Attributes:
        frontier: all free blocks before this one are used.
    """

    def __init__(self, layout: Layout) -> None:
        self._blocks = layout.blocks
        ends = [end for _, end in layout.taken]
        starts = [start for start, _ in layout.taken[1:]]
        free = [(start, min(end, layout.blocks)) for start, end in zip(ends, [*starts, layout.blocks], strict=True)]
        free = [(start, end) for start, end in free if start < end]
        self._free = iter([*free, (max(layout.blocks, ends[-1]), _NO_END)])
        self.frontier, self._end = next(self._free)

    @property
    def room(self) -> int:
        """How many free blocks follow each other from the frontier on; there may be more behind what is not free."""
        return self._end - self.frontier

    def take(self, count: int) -> list[Run]:
        """So many blocks, in as few runs as there can be."""
        start = self.frontier
        if start + count <= self._end:
            self.frontier = start + count
            return [(start, count)]
        runs = []
        while count:
            if self.frontier == self._end:
                self.frontier, self._end = next(self._free)
            some = min(count, self._end - self.frontier)
            runs.append((self.frontier, some))
            self.frontier += some
            count -= some
        return runs

    @property
    def missing(self) -> int:
        """Blocks that were handed out and do not exist."""
        return max(0, self.frontier - self._blocks)

"""Extents: which blocks of a file are where, for runs of blocks. The kernel's documentation, ext4/ifork.rst.

    inode                      block                        block
    +--------+-----------+     +--------+-------------+     +--------+--------------+----------+
    | header | 4 entries | --> | header | 340 indexes | --> | header | 340 extents  | checksum |
    +--------+-----------+     +--------+-------------+     +--------+--------------+----------+

The inode has up to four extents itself; a file with more has a tree of blocks below it, as deep as it needs.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from formats.filesystem.ext4.checksums import crc32c, stored
from formats.filesystem.ext4.groups import Run
from formats.filesystem.ext4.structures import (
    BLOCK,
    EXTENT,
    EXTENT_HEADER,
    EXTENT_INDEX,
    EXTENT_MAGIC,
    EXTENTS_IN_BLOCK,
    EXTENTS_IN_INODE,
    INODE_BLOCKS,
    LONGEST_EXTENT,
    halves,
)

_CHECKSUM_OFFSET = EXTENT_HEADER.size + EXTENTS_IN_BLOCK * EXTENT.size
_CHECKSUM = struct.Struct("<I")
_ONE_EXTENT = EXTENT_HEADER.pack(EXTENT_MAGIC, 1, EXTENTS_IN_INODE, 0, 0)
_NO_MORE = bytes(INODE_BLOCKS - EXTENT_HEADER.size - EXTENT.size)


class Extent(NamedTuple):
    """A run of a file's blocks; a tuple, because there is one for each file.

    Attributes:
        logical: the first, as the file counts.
        physical: the first, as the volume counts.
        length: how many.
    """

    logical: int
    physical: int
    length: int


@dataclass(frozen=True, slots=True)
class BlockTree:
    """How an inode finds its blocks.

    Attributes:
        root: what stands in the inode.
        blocks: the blocks below it, by number.
    """

    root: bytes
    blocks: dict[int, bytes]


def joined(logical: Sequence[Run], physical: Sequence[Run]) -> list[Extent]:
    """Extents of a file.

    Args:
        logical: the runs of the file's blocks that are not holes.
        physical: as many blocks of the volume.
    """
    if len(logical) == 1 and logical[0][1] <= LONGEST_EXTENT and len(physical) == 1:
        return [Extent(logical[0][0], *physical[0])]  # as most files have it
    extents = []
    places = iter(physical)
    place, left = 0, 0
    for first, count in logical:
        while count:
            if not left:
                place, left = next(places)
            some = min(count, left, LONGEST_EXTENT)
            extents.append(Extent(first, place, some))
            first, count = first + some, count - some
            place, left = place + some, left - some
    return extents


def blocks_needed(extents: Sequence[Extent], /) -> int:
    """Blocks of the tree below the inode."""
    entries, blocks = len(extents), 0
    while entries > EXTENTS_IN_INODE:
        entries = -(-entries // EXTENTS_IN_BLOCK)
        blocks += entries
    return blocks


def build(extents: Sequence[Extent], numbers: Iterable[int], seed: int | None, /) -> BlockTree:
    """The tree of some extents.

    Args:
        extents: of a file, in order.
        numbers: of the blocks that the tree may take, `blocks_needed` of them.
        seed: of the inode's checksums, if there are any.
    """
    if len(extents) == 1:  # as most files have it
        return BlockTree(_ONE_EXTENT + _leaf(extents[0]) + _NO_MORE, {})
    free = iter(numbers)
    blocks: dict[int, bytes] = {}
    entries = [(extent.logical, _leaf(extent)) for extent in extents]
    depth = 0
    while len(entries) > EXTENTS_IN_INODE:
        above = []
        rest = iter(entries)
        while some := list(islice(rest, EXTENTS_IN_BLOCK)):
            number = next(free)
            blocks[number] = _block(some, depth, seed)
            above.append((some[0][0], _index(some[0][0], number)))
        entries = above
        depth += 1
    return BlockTree(_node(entries, EXTENTS_IN_INODE, depth).ljust(INODE_BLOCKS, b"\0"), blocks)


def _leaf(extent: Extent) -> bytes:
    low, high = halves(extent.physical, 32)
    return EXTENT.pack(extent.logical, extent.length, high, low)


def _index(logical: int, number: int) -> bytes:
    low, high = halves(number, 32)
    return EXTENT_INDEX.pack(logical, low, high, 0)


def _node(entries: Sequence[tuple[int, bytes]], most: int, depth: int) -> bytes:
    header = EXTENT_HEADER.pack(EXTENT_MAGIC, len(entries), most, depth, 0)
    return header + b"".join(entry for _, entry in entries)


def _block(entries: Sequence[tuple[int, bytes]], depth: int, seed: int | None) -> bytes:
    node = _node(entries, EXTENTS_IN_BLOCK, depth).ljust(_CHECKSUM_OFFSET, b"\0")
    checksum = b"" if seed is None else _CHECKSUM.pack(stored(crc32c(node, seed)))
    return (node + checksum).ljust(BLOCK, b"\0")

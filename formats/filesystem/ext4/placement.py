"""Placement: which blocks of a volume of a given size everything takes.

Free blocks are handed out from the first to the last: the journal, what leads to the reserved descriptors, folders and
long links, attributes, then files in the order of the tree. So a tree is listed without moving about, and files are
written in the order in which they are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from formats.filesystem.ext4 import block_map, extents
from formats.filesystem.ext4.extents import BlockTree, Extent, joined
from formats.filesystem.ext4.features import Feature, Features
from formats.filesystem.ext4.groups import Allocator, Layout, Run, lay_out
from formats.filesystem.ext4.nodes import Nodes
from formats.filesystem.ext4.structures import BLOCKS_PER_GROUP, JOURNAL_INODE
from formats.filesystem.ext4.xattrs import MOST_SHARED, Attribute

#: Volumes of so many blocks and more have a journal of so many blocks: `ext2fs_default_journal_size` of e2fsprogs.
_JOURNALS = (
    (32 << 20, 262144),
    (16 << 20, 262144 // 2),
    (8 << 20, 262144 // 4),
    (4 << 20, 262144 // 8),
    (1 << 19, 262144 // 16),
    (1 << 18, 262144 // 32),
    (1 << 15, 262144 // 64),
    (1 << 11, 1024),
)


class BlockMapper(Protocol):
    """`extents` or `block_map`: how inodes find their blocks."""

    def blocks_needed(self, extents: Sequence[Extent], /) -> int:
        """Of the blocks below an inode, how many there are."""

    def build(self, extents: Sequence[Extent], numbers: Sequence[int], seed: int | None, /) -> BlockTree:
        """Make them, with checksums if there is a seed."""


def mapper(features: Features) -> BlockMapper:
    """The one that a volume has."""
    return extents if Feature.EXTENT in features else block_map


class Mapped(NamedTuple):
    """The blocks of an inode; a tuple, because there is one for each file.

    Attributes:
        extents: its own.
        below: numbers of those that only lead to others.
    """

    extents: list[Extent]
    below: list[int]

    @property
    def blocks(self) -> int:
        """All of them."""
        return sum([extent.length for extent in self.extents]) + len(self.below)


@dataclass(frozen=True, slots=True)
class AttributeBlock:
    """A block of attributes.

    Attributes:
        number: of the block.
        attributes: what is in it.
        inodes: whose they are.
    """

    number: int
    attributes: tuple[Attribute, ...]
    inodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything is.

    Attributes:
        layout: of the groups.
        mapped: number of an inode -> its blocks; the journal's, too.
        attribute_blocks: in order.
        resize_block: of the inode that holds the reserved descriptors; 0 without resize_inode.
        frontier: all free blocks before this one are used.
    """

    layout: Layout
    mapped: dict[int, Mapped]
    attribute_blocks: list[AttributeBlock]
    resize_block: int
    frontier: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Not enough room.

    Attributes:
        blocks: at least so many more are needed.
    """

    blocks: int


def place(nodes: Nodes, least: int, blocks: int, inodes: int, features: Features) -> Placement | Missing:
    """Place a tree in a volume.

    Args:
        nodes: of the tree.
        least: `nodes.blocks`, which takes some time to count.
        blocks: of the volume.
        inodes: at least so many, if there is room for them.
        features: of the volume.
    """
    layout = lay_out(blocks, inodes, features)
    known = least + _besides(nodes, blocks, features)
    if missing := max(layout.missing, known - layout.free, _for_inodes(nodes.last, layout)):
        return Missing(layout.growth(missing))
    placer = _Placer(layout, features)
    if Feature.HAS_JOURNAL in features:
        placer.journal()
    resize_block = placer.one() if Feature.RESIZE_INODE in features else 0
    for node in nodes.small:
        placer.map(node.number, node.runs)
    attribute_blocks = [
        AttributeBlock(placer.one(), attributes, tuple(numbers[first : first + MOST_SHARED]))
        for attributes, numbers in nodes.shared.items()
        for first in range(0, len(numbers), MOST_SHARED)
    ]
    for node in nodes.files:
        placer.map(node.number, node.runs)
    if missing := placer.allocator.missing:
        return Missing(layout.growth(missing))
    return Placement(layout, placer.mapped, attribute_blocks, resize_block, placer.allocator.frontier)


def _besides(nodes: Nodes, blocks: int, features: Features) -> int:
    """Blocks that no node has; only those that lead to others are not known before all are placed."""
    journal = journal_blocks(blocks) if Feature.HAS_JOURNAL in features else 0
    attributes = sum(-(-len(numbers) // MOST_SHARED) for numbers in nodes.shared.values())
    return journal + attributes + (Feature.RESIZE_INODE in features)


def _for_inodes(last: int, layout: Layout) -> int:
    """Blocks up to one group more, if the groups are full of inodes."""
    return -layout.blocks % BLOCKS_PER_GROUP + 1 if last > layout.inodes else 0


def journal_blocks(blocks: int) -> int:
    """Of the journal of a volume with so many blocks; 0: it is too small for one."""
    return next((size for least, size in _JOURNALS if blocks >= least), 0)


class _Placer:
    def __init__(self, layout: Layout, features: Features) -> None:
        self._layout = layout
        self._needed = mapper(features).blocks_needed
        self.allocator = Allocator(layout)
        self.mapped: dict[int, Mapped] = {}

    def one(self) -> int:
        ((number, _),) = self.allocator.take(1)
        return number

    def journal(self) -> None:
        if blocks := journal_blocks(self._layout.blocks):
            self.map(JOURNAL_INODE, [(0, blocks)])

    def map(self, number: int, runs: Sequence[Run]) -> None:
        places = self.allocator.take(sum([count for _, count in runs])) if runs else []
        found = joined(runs, places)
        needed = self._needed(found)
        below = [self.one() for _ in range(needed)]
        self.mapped[number] = Mapped(found, below)

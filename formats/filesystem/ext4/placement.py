"""Placement: which blocks of a volume of a given size everything takes.

Free blocks are handed out from the first to the last: the journal, what leads to the reserved descriptors, folders and
long links, attributes, then files in the order of the tree. So a tree is listed without moving about, and files are
written in the order in which they are read.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from formats.filesystem.ext4.demands import Demands
from formats.filesystem.ext4.extents import joined
from formats.filesystem.ext4.features import Feature, Features
from formats.filesystem.ext4.groups import Allocator, Layout, Run, lay_out
from formats.filesystem.ext4.mapped import Mapped, mapper
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
        mapped: the blocks of inodes; the journal's, too.
        attribute_blocks: in order.
        resize_block: of the inode that holds the reserved descriptors; 0 without resize_inode.
        frontier: all free blocks before this one are used.
    """

    layout: Layout
    mapped: "Places"
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


class Places:
    """Which blocks inodes have. Of nodes that follow each other only the first is kept, until somebody asks for them.

    Args:
        demands: of the nodes.
    """

    def __init__(self, demands: Demands) -> None:
        self._demands = demands
        self._stretches: list[tuple[int, int]] = []
        self._apart: dict[int, Mapped] = {}

    def add_stretch(self, position: int, start: int) -> None:
        """Nodes from this position on follow each other, up to the next that is known."""
        self._stretches.append((position, start))

    def add(self, number: int, mapped: Mapped) -> None:
        """The blocks of a single inode."""
        self._apart[number] = mapped

    def get(self, number: int) -> Mapped | None:
        """The blocks of an inode, if it has some."""
        if known := self._apart.get(number):
            return known
        position = self._demands.position(number)
        if position is None:
            return None
        first, start = self._stretches[bisect_right(self._stretches, position, key=itemgetter(0)) - 1]
        starts = self._demands.starts
        return self._demands.mapped(position, start + starts[position] - starts[first])

    def __getitem__(self, number: int) -> Mapped:
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def leading(self) -> Iterator[tuple[int, Mapped]]:
        """Inodes with blocks that only lead to others, and their blocks."""
        for number in sorted({*self._demands.leading(), *self._apart}):
            if (mapped := self[number]).below:
                yield number, mapped


def place(nodes: Nodes, demands: Demands, blocks: int, inodes: int, features: Features) -> Placement | Missing:
    """Place a tree in a volume.

    Args:
        nodes: of the tree.
        demands: of the nodes.
        blocks: of the volume.
        inodes: at least so many, if there is room for them.
        features: of the volume.
    """
    layout = lay_out(blocks, inodes, features)
    known = demands.own + _besides(nodes, blocks, features)
    if missing := max(layout.missing, known - layout.free, _for_inodes(nodes.last, layout)):
        return Missing(layout.growth(missing))
    placer = _Placer(layout, demands, features)
    if Feature.HAS_JOURNAL in features:
        placer.journal()
    resize_block = placer.one() if Feature.RESIZE_INODE in features else 0
    placer.place(0, demands.files)
    attribute_blocks = [
        AttributeBlock(placer.one(), attributes, tuple(numbers[first : first + MOST_SHARED]))
        for attributes, numbers in nodes.shared.items()
        for first in range(0, len(numbers), MOST_SHARED)
    ]
    placer.place(demands.files, len(demands.nodes))
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
    def __init__(self, layout: Layout, demands: Demands, features: Features) -> None:
        self._layout, self._demands = layout, demands
        self._needed = mapper(features).blocks_needed
        self.allocator = Allocator(layout)
        self.mapped = Places(demands)

    def one(self) -> int:
        ((number, _),) = self.allocator.take(1)
        return number

    def journal(self) -> None:
        if blocks := journal_blocks(self._layout.blocks):
            self._map(JOURNAL_INODE, [(0, blocks)])

    def place(self, position: int, end: int) -> None:
        """Place the nodes from one position up to another."""
        starts = self._demands.starts
        while position < end:
            fitting = bisect_right(starts, starts[position] + self.allocator.room, position, end + 1) - 1
            if fitting > position:
                ((start, _),) = self.allocator.take(starts[fitting] - starts[position])
                self.mapped.add_stretch(position, start)
            if fitting < end:
                node = self._demands.nodes[fitting]
                self._map(node.number, node.runs)
            position = fitting + 1

    def _map(self, number: int, runs: Sequence[Run]) -> None:
        """Give an inode blocks wherever some are free."""
        found = joined(runs, self.allocator.take(sum([count for _, count in runs])) if runs else [])
        self.mapped.add(number, Mapped(found, [self.one() for _ in range(self._needed(found))]))

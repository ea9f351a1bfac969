"""Demands: how many blocks nodes need, in the order in which these are handed out.

A node whose blocks stand one after another needs its own, and behind them those that only lead to others. Where free
blocks go on, nodes follow each other just so, and where each of a hundred thousand begins is known from sums alone.
"""

from collections.abc import Iterator, Sequence

from formats.filesystem.ext4.extents import joined
from formats.filesystem.ext4.features import Features
from formats.filesystem.ext4.groups import Run
from formats.filesystem.ext4.mapped import Mapped, mapper
from formats.filesystem.ext4.nodes import Node, Nodes


class Demands:
    """What the nodes of a tree need.

    Args:
        nodes: of the tree.
        features: of the volume.

    Attributes:
        nodes: those that have blocks: folders and long links first, then files.
        files: position of the first file.
        starts: of each node, blocks of all nodes before it; and of all nodes.
        own: blocks of all nodes, without those that only lead to others.
    """

    def __init__(self, nodes: Nodes, features: Features) -> None:
        self.nodes: Sequence[Node] = [*nodes.small, *nodes.files]
        self.files = len(nodes.small)
        self._needed = mapper(features).blocks_needed
        self._positions = {node.number: position for position, node in enumerate(self.nodes)}
        self._leading: list[int] = []
        self.starts, self.own = [0], 0
        known: dict[tuple[Run, ...], tuple[int, int]] = {}  # most files have as many blocks as many others
        for position, node in enumerate(self.nodes):
            runs = tuple(node.runs)
            if runs not in known:
                known[runs] = self._needs(runs)
            own, below = known[runs]
            if below:
                self._leading.append(position)
            self.own += own
            self.starts.append(self.starts[-1] + own + below)

    def _needs(self, runs: Sequence[Run]) -> tuple[int, int]:
        """Blocks of a node's own, and those that only lead to others."""
        own = _count(runs)
        return own, self._needed(joined(runs, [(0, own)]))

    def position(self, number: int) -> int | None:
        """Of the node whose inode has this number."""
        return self._positions.get(number)

    def leading(self) -> Iterator[int]:
        """Numbers of the inodes with blocks that only lead to others."""
        return (self.nodes[position].number for position in self._leading)

    def mapped(self, position: int, start: int) -> Mapped:
        """The blocks of a node, if all of them stand one after another.

        Args:
            position: of the node.
            start: the first of them.
        """
        runs = self.nodes[position].runs
        below = start + _count(runs)
        end = start + self.starts[position + 1] - self.starts[position]
        return Mapped(joined(runs, [(start, below - start)]), list(range(below, end)))


def _count(runs: Sequence[Run]) -> int:
    return sum([count for _, count in runs])

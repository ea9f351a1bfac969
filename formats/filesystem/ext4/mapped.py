"""The blocks that an inode has, and the two ways in which it finds them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from formats.filesystem.ext4 import block_map, extents
from formats.filesystem.ext4.extents import BlockTree, Extent
from formats.filesystem.ext4.features import Feature, Features


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

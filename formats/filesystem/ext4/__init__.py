"""ext2, ext3 and ext4: the file systems of Linux, with blocks of 4 KiB.

What is on disk is described in the kernel's documentation, filesystems/ext4. `features` says what a volume has,
`structures` what it looks like, `groups` and `placement` where things go; `directories`, `extents`, `xattrs` and
`inodes` make their parts, and `plan` brings them into one stream.
"""

from dataclasses import dataclass

from formats.filesystem import TooSmallError, Volume
from formats.filesystem.ext4.checksums import Checksums
from formats.filesystem.ext4.demands import Demands
from formats.filesystem.ext4.features import EXT4, Feature, Features
from formats.filesystem.ext4.nodes import Nodes, survey
from formats.filesystem.ext4.placement import Missing, Placement, place
from formats.filesystem.ext4.plan import Ext4Plan
from formats.filesystem.ext4.structures import BLOCK, LABEL_BYTES
from formats.filesystem.ext4.superblock import Identity
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree

_SEED_BYTES = 16
_LEAST_BLOCKS = 16
_NARROW_BLOCKS = 1 << 32


@dataclass(frozen=True, slots=True)
class Ext4:
    """An ext file system with its options.

    Attributes:
        volume: what it is told of itself; its label has at most 16 bytes.
        features: what it has: `EXT2`, `EXT3`, `EXT4`, or changed.
        bytes_per_inode: one inode for so many bytes of it, as `mke2fs -i`; always some more than the tree needs.
        reserved_percent: of its blocks, for root alone, as `mke2fs -m`.
    """

    volume: Volume
    features: Features = EXT4
    bytes_per_inode: int = 16384
    reserved_percent: int = 5

    def prepare(self, tree: Tree, reader: Reader) -> "PreparedExt4":
        """See `formats.filesystem.FileSystem`.

        Raises:
            EntryError: ext4 cannot hold something in the tree.
            InputError: the label is too long, or features do not go together.
        """
        label = self.volume.label.encode()
        if len(label) > LABEL_BYTES:
            raise InputError(f"the label {self.volume.label!r} has {len(label)} bytes, and ext4 room for {LABEL_BYTES}")
        features = self.features.checked()
        seed = self.volume.derive("ext4 hash seed", _SEED_BYTES)
        identity = Identity(self.volume.identifier("ext4 uuid"), seed, label, self.volume.epoch)
        checksums = Checksums(identity.uuid) if Feature.METADATA_CSUM in features else None
        nodes = survey(tree, self.volume, features, checksums, seed, reader)
        return PreparedExt4(self, nodes, identity)


class PreparedExt4:
    """A tree that was looked at.

    Args:
        options: of the file system.
        nodes: of the tree.
        identity: of the volume.
    """

    def __init__(self, options: Ext4, nodes: Nodes, identity: Identity) -> None:
        self._options = options
        self._nodes = nodes
        self._demands = Demands(nodes, options.features)
        self._identity = identity
        self._placed: tuple[int, Placement | Missing] | None = None  # the last one, which takes some time to find

    def minimum_size(self) -> int:
        """The least bytes that hold it, with nothing left free."""
        return self._fitting(_LEAST_BLOCKS) * BLOCK

    def plan(self, size: int) -> Ext4Plan:
        """Decide where everything goes.

        Args:
            size: of the volume in bytes.

        Raises:
            TooSmallError: that is not enough.
            InputError: it is more than volumes without 64bit can have.
        """
        blocks = size // BLOCK
        if blocks >= _NARROW_BLOCKS and Feature.WIDE not in self._options.features:
            raise InputError(f"a volume of {size} bytes needs the feature 64bit")
        if blocks < _LEAST_BLOCKS:
            raise TooSmallError(size, self.minimum_size())
        placement = self._place(blocks)
        if isinstance(placement, Missing):
            raise TooSmallError(size, self._fitting(blocks) * BLOCK)
        reserved = placement.layout.blocks * self._options.reserved_percent // 100
        return Ext4Plan(self._nodes, placement, self._options.features, self._identity, reserved)

    def _place(self, blocks: int) -> Placement | Missing:
        if self._placed is None or self._placed[0] != blocks:
            used = self._nodes.last
            inodes = max(blocks * BLOCK // self._options.bytes_per_inode, used + used // 4)
            self._placed = blocks, place(self._nodes, self._demands, blocks, inodes, self._options.features)
        return self._placed[1]

    def _fitting(self, blocks: int) -> int:
        """The least number of blocks that is enough, from this one on."""
        first = blocks
        while isinstance(placement := self._place(blocks), Missing):
            blocks += placement.blocks
        # With one group more, the tables of inodes may be rounded up to less: the last step may have been too far.
        while blocks > first and isinstance(self._place(blocks - 1), Placement):
            blocks -= 1
        return blocks

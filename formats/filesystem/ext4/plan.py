"""The plan of a volume, and its bytes in the order of their offsets.

Two streams are merged: what is known when the plan is made (superblocks, bitmaps, inodes, directories), made piece by
piece when its turn comes; and the contents of files, read in the order of the tree.
"""

import heapq
import stat
import struct
from collections.abc import Callable, Iterator
from functools import partial

from formats.filesystem import Through
from formats.filesystem.contents import Extent, Placed, file_pieces
from formats.filesystem.ext4 import xattrs
from formats.filesystem.ext4.checksums import Checksums
from formats.filesystem.ext4.features import Feature, Features
from formats.filesystem.ext4.inodes import Inode, InodePacker, device_field
from formats.filesystem.ext4.mapped import Mapped, mapper
from formats.filesystem.ext4.nodes import Node, Nodes
from formats.filesystem.ext4.placement import AttributeBlock, Placement
from formats.filesystem.ext4.structures import (
    BLOCK,
    BLOCKS_PER_GROUP,
    DIRECT_BLOCKS,
    DOUBLE_INDIRECT,
    FIRST_INODE,
    HAS_EXTENTS,
    INDEXED_DIRECTORY,
    INODE_BLOCKS,
    JOURNAL,
    JOURNAL_INODE,
    JOURNAL_MAGIC,
    JOURNAL_SUPERBLOCK_V2,
    NUMBERS_PER_BLOCK,
    RESIZE_INODE,
    ROOT_INODE,
    SUPERBLOCK_OFFSET,
)
from formats.filesystem.ext4.superblock import (
    Descriptors,
    Identity,
    block_bitmap,
    groups,
    inode_bitmap,
    superblock,
    used_inodes,
)
from formats.filesystem.pieces import Bytes, Piece
from layers.entry import Device, Directory, File, Symlink
from layers.reader import Reader
from layers.shares import WHOLE, Share

_TYPES = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}
_PRIVATE = stat.S_IFREG | 0o600  # mode of inodes that nobody sees
_BLOCK_NUMBER = struct.Struct("<Q")
_LARGEST_RESERVED = (DIRECT_BLOCKS + NUMBERS_PER_BLOCK + NUMBERS_PER_BLOCK**2) * BLOCK  # as e2fsprogs has its size

Made = tuple[int, Callable[[], "bytes | bytearray"]]
"""Where something goes, in blocks, and what makes it."""


class Ext4Plan:
    """Where everything in a volume goes.

    Args:
        nodes: of the tree.
        placement: of them.
        features: of the volume.
        identity: of the volume.
        reserved: blocks that only root may take.
    """

    def __init__(
        self, nodes: Nodes, placement: Placement, features: Features, identity: Identity, reserved: int
    ) -> None:
        self._nodes = nodes
        self._placement = placement
        self._layout = placement.layout
        self._features = features if placement.mapped.get(JOURNAL_INODE) else features.without(Feature.HAS_JOURNAL)
        self._identity = identity
        self._reserved = reserved
        self._mapper = mapper(features)
        self._map_flag = HAS_EXTENTS if Feature.EXTENT in features else 0
        self._checksums = Checksums(identity.uuid) if Feature.METADATA_CSUM in features else None
        self._packer = InodePacker(features, self._checksums, identity.epoch)
        self._attribute_blocks = {inode: block.number for block in placement.attribute_blocks for inode in block.inodes}
        self._own_blocks: dict[int, Callable[[], bytes]] = {}
        self._roots = {number: self._map(number, mapped) for number, mapped in placement.mapped.leading()}

    @property
    def size(self) -> int:
        """Bytes of the volume."""
        return self._layout.blocks * BLOCK

    def pieces(self, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """See `formats.filesystem.Plan`."""
        return self.pieces_of(WHOLE, reader, through)

    def pieces_of(self, share: Share, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """See `formats.filesystem.SharedPlan`."""
        made = sorted([*self._groups(), *self._blocks()], key=lambda place: place[0])[share.number :: share.count]
        known = (Bytes(block * BLOCK, make()) for block, make in made)
        contents = file_pieces(share.of(list(self._nodes.tree)), self._content_places(), BLOCK, reader, through)
        return heapq.merge(known, contents, key=lambda piece: piece.offset)

    def _content_places(self) -> Callable[[File], Placed | None]:
        files, mapped = {node.entry.path: node for node in self._nodes.files}, self._placement.mapped

        def place(entry: File) -> Placed | None:
            node = files.get(entry.path)
            if node is None or not isinstance(node.entry, File):
                return None
            content = node.entry.content
            return content, [
                Extent(
                    extent.physical * BLOCK,
                    extent.logical * BLOCK,
                    min((extent.logical + extent.length) * BLOCK, content.size),
                )
                for extent in mapped[node.number].extents
            ]

        return place

    def _groups(self) -> Iterator[Made]:
        """Superblocks, descriptors, bitmaps and inode tables."""
        layout, last = self._layout, self._nodes.last
        counted = groups(self._placement, self._directories(), last, self._features)
        table = Descriptors(self._placement, last, self._features, self._identity.uuid).table(counted)
        free = sum(group.free_blocks for group in counted), sum(group.free_inodes for group in counted)
        journal = self._journal_backup()
        for number in layout.copies:
            yield number * BLOCKS_PER_GROUP, partial(self._superblock, number, free, journal)
            yield number * BLOCKS_PER_GROUP + 1, partial(bytes, table)
        for number, group in enumerate(counted):
            if group.has_block_bitmap:
                yield layout.block_bitmaps[number], partial(block_bitmap, number, self._placement)
            if group.has_inode_bitmap:
                yield layout.inode_bitmaps[number], partial(inode_bitmap, number, last, layout)
            if used_inodes(number, last, layout):
                yield layout.inode_tables[number], partial(self._inode_table, number)

    def _superblock(self, number: int, free: tuple[int, int], journal: bytes) -> bytes:
        data = superblock(number, self._layout, free, self._reserved, journal, self._identity, self._features)
        return data if number else bytes(SUPERBLOCK_OFFSET) + data

    def _directories(self) -> list[int]:
        counts = [0] * self._layout.groups
        for node in (self._nodes.root, *self._nodes.all):
            if isinstance(node.entry, Directory):
                counts[(node.number - 1) // self._layout.inodes_per_group] += 1
        return counts

    def _inode_table(self, group: int) -> bytearray:
        first = group * self._layout.inodes_per_group + 1
        table = bytearray()
        for number in range(first, first + used_inodes(group, self._nodes.last, self._layout)):
            inode = self._inode(number)
            table += self._packer.pack(number, inode) if inode else bytes(self._features.inode_size)
        return table

    def _inode(self, number: int) -> Inode | None:
        if number == ROOT_INODE or number >= FIRST_INODE:
            return self._node_inode(self._nodes.get(number))
        if number == JOURNAL_INODE and (mapped := self._placement.mapped.get(number)):
            size = sum(extent.length for extent in mapped.extents) * BLOCK
            return Inode(_PRIVATE, 0, 0, size, 1, mapped.blocks, self._map_flag, self._root(number, mapped))
        if number == RESIZE_INODE and self._placement.resize_block:
            numbers = [0] * (INODE_BLOCKS // 4)
            numbers[DOUBLE_INDIRECT] = self._placement.resize_block
            blocks = 1 + self._layout.reserved_blocks * len(self._layout.copies)
            return Inode(_PRIVATE, 0, 0, _LARGEST_RESERVED, 1, blocks, 0, struct.pack("<15I", *numbers))
        return None

    def _node_inode(self, node: Node) -> Inode:
        entry, meta = node.entry, node.entry.meta
        mapped = self._placement.mapped.get(node.number)
        attribute_block = self._attribute_blocks.get(node.number, 0)
        flags = INDEXED_DIRECTORY if node.indexed else 0
        if isinstance(entry, Device):
            kind, field = entry.kind.value, device_field(entry)
        elif isinstance(entry, Symlink) and mapped is None:
            kind, field = stat.S_IFLNK, entry.target
        else:
            kind, field = _TYPES[type(entry)], self._root(node.number, mapped)
            flags |= self._map_flag
        blocks = (mapped.blocks if mapped else 0) + bool(attribute_block)
        return Inode(
            kind | meta.mode,
            meta.uid,
            meta.gid,
            node.size,
            node.links,
            blocks,
            flags,
            field,
            node.attributes,
            attribute_block,
        )

    def _root(self, number: int, mapped: Mapped | None) -> bytes:
        """What stands in the inode of its blocks."""
        known = self._roots.get(number)
        return known or self._mapper.build(mapped.extents if mapped else (), (), None).root

    def _map(self, number: int, mapped: Mapped) -> bytes:
        """What stands in an inode with blocks below it; these are kept until their turn comes."""
        seed = self._checksums.of_inode(number) if self._checksums else None
        tree = self._mapper.build(mapped.extents, mapped.below, seed)
        for block, data in tree.blocks.items():
            self._own_blocks[block] = partial(bytes, data)
        return tree.root

    def _journal_backup(self) -> bytes:
        """Of the journal's inode, what the superblock keeps: its blocks and its size."""
        inode = self._inode(JOURNAL_INODE)
        return inode.block_field + struct.pack("<II", inode.size >> 32, inode.size & 0xFFFFFFFF) if inode else b""

    def _blocks(self) -> Iterator[Made]:
        """All other blocks but those of files."""
        yield from self._own_blocks.items()
        if journal := self._placement.mapped.get(JOURNAL_INODE):
            yield journal.extents[0].physical, self._journal_superblock
        if self._placement.resize_block:
            yield from self._reserved_descriptors()
        for block in self._placement.attribute_blocks:
            yield block.number, partial(self._attribute_block, block)
        for node in self._nodes.small:
            position = 0
            for extent in self._placement.mapped[node.number].extents:
                data = node.blocks[position : position + extent.length]
                yield extent.physical, partial(b"".join, data)
                position += extent.length

    def _journal_superblock(self) -> bytes:
        blocks = sum(extent.length for extent in self._placement.mapped[JOURNAL_INODE].extents)
        return JOURNAL.pack(
            magic=JOURNAL_MAGIC, type=JOURNAL_SUPERBLOCK_V2, block_size=BLOCK, blocks=blocks, first=1, sequence=1,
            uuid=self._identity.uuid.bytes, users=1,
        )  # fmt: skip

    def _reserved_descriptors(self) -> Iterator[Made]:
        """Resize inode: a block with the numbers of the reserved blocks after the first zone; these say the copies."""
        layout = self._layout
        first = 1 + layout.descriptor_blocks
        numbers = [0] * NUMBERS_PER_BLOCK
        for place in range(layout.reserved_blocks):
            numbers[(layout.descriptor_blocks + place) % NUMBERS_PER_BLOCK] = first + place
            copies = [first + place + group * BLOCKS_PER_GROUP for group in layout.copies[1:]]
            if copies:
                yield first + place, partial(struct.pack, f"<{len(copies)}I", *copies)
        yield self._placement.resize_block, partial(struct.pack, f"<{NUMBERS_PER_BLOCK}I", *numbers)

    def _attribute_block(self, block: AttributeBlock) -> bytes:
        count = len(block.inodes)
        data = xattrs.block(block.attributes, count) or b""
        if self._checksums is None:
            return data
        checksum = self._checksums.of(_BLOCK_NUMBER.pack(block.number) + data)
        return xattrs.block(block.attributes, count, checksum) or b""

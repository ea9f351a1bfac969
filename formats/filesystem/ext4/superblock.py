"""The superblock, the group descriptors and the bitmaps: what they say of a placement."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from formats.filesystem.ext4.checksums import Checksums, crc16, crc32c, stored
from formats.filesystem.ext4.features import Feature, Features, Word
from formats.filesystem.ext4.groups import Layout
from formats.filesystem.ext4.name_hash import HALF_MD4
from formats.filesystem.ext4.placement import Placement
from formats.filesystem.ext4.structures import (
    BLOCK,
    BLOCKS_PER_GROUP,
    BLOCKS_UNINITIALISED,
    CLEAN,
    CONTINUE,
    CRC32C,
    DESCRIPTOR,
    DYNAMIC_REVISION,
    EXTRA_SIZE,
    FIRST_INODE,
    HURD,
    INODES_UNINITIALISED,
    JOURNAL_INODE,
    LABEL_BYTES,
    LOG_GROUPS_PER_FLEX,
    MAGIC,
    NARROW_DESCRIPTOR,
    NEVER,
    SMALL_INODE,
    SUPERBLOCK,
    TABLE_ZEROED,
    UNSIGNED_HASH,
    USER_XATTRS_AND_ACLS,
    halves,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

_LOG_BLOCK = 2  # 1024 << 2
_CHECKSUM = DESCRIPTOR.offset("checksum")


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one volume from another.

    Attributes:
        uuid: its identifier.
        hash_seed: of the hashes in large directories.
        label: its name.
        epoch: its times.
    """

    uuid: "UUID"
    hash_seed: bytes
    label: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class Group:
    """What the descriptor of a group says.

    Attributes:
        free_blocks: how many.
        free_inodes: how many.
        directories: how many of its inodes are directories.
        has_block_bitmap: whether its bitmap of blocks is written.
        has_inode_bitmap: whether its bitmap of inodes is written.
    """

    free_blocks: int
    free_inodes: int
    directories: int
    has_block_bitmap: bool
    has_inode_bitmap: bool


def groups(placement: Placement, directories: "Sequence[int]", last_inode: int, features: Features) -> list[Group]:
    """Count what is in the groups.

    Args:
        placement: of the tree.
        directories: of each group, how many directories have their inode there.
        last_inode: that is used.
        features: of the volume.
    """
    layout = placement.layout
    lazy = Feature.METADATA_CSUM in features or Feature.UNINIT_BG in features
    found = []
    for number in range(layout.groups):
        untouched = lazy and layout.is_untouched(number, placement.frontier)
        if untouched:
            free = BLOCKS_PER_GROUP - (layout.zone if number in layout.copies else 0)
        else:
            free = BLOCKS_PER_GROUP - layout.used(number, placement.frontier).bit_count()
        free_inodes = layout.inodes_per_group - used_inodes(number, last_inode, layout)
        inode_bitmap = not lazy or free_inodes < layout.inodes_per_group
        found.append(Group(free, free_inodes, directories[number], not untouched, inode_bitmap))
    return found


def used_inodes(group: int, last_inode: int, layout: Layout) -> int:
    """How many inodes of a group are used; they are its first."""
    return max(0, min(layout.inodes_per_group, last_inode - group * layout.inodes_per_group))


def block_bitmap(group: int, placement: Placement) -> bytes:
    """The bitmap of a group's blocks: one block."""
    return placement.layout.used(group, placement.frontier).to_bytes(BLOCK, "little")


def inode_bitmap(group: int, last_inode: int, layout: Layout) -> bytes:
    """The bitmap of a group's inodes: one block, with ones for inodes that do not exist."""
    used = (1 << used_inodes(group, last_inode, layout)) - 1
    missing = (1 << BLOCK * 8) - (1 << layout.inodes_per_group)
    return (used | missing).to_bytes(BLOCK, "little")


class Descriptors:
    """Makes group descriptors.

    Args:
        placement: of the tree.
        last_inode: that is used.
        features: of the volume.
        uuid: of the volume.
    """

    def __init__(self, placement: Placement, last_inode: int, features: Features, uuid: "UUID") -> None:
        self._placement = placement
        self._layout = placement.layout
        self._last_inode = last_inode
        self._uuid = uuid.bytes
        self._width = DESCRIPTOR.size if Feature.WIDE in features else NARROW_DESCRIPTOR
        self._checksums = Checksums(uuid) if Feature.METADATA_CSUM in features else None
        self._lazy = self._checksums is not None or Feature.UNINIT_BG in features

    def table(self, all_groups: "Sequence[Group]") -> bytes:
        """The descriptors of all groups, padded to blocks."""
        table = b"".join(self._signed(number, group) for number, group in enumerate(all_groups))
        return table.ljust(self._layout.descriptor_blocks * BLOCK, b"\0")

    def _signed(self, number: int, group: Group) -> bytes:
        data = self._packed(number, group)
        checksum = self._checksum(number.to_bytes(4, "little"), data)
        return data[:_CHECKSUM] + checksum.to_bytes(2, "little") + data[_CHECKSUM + 2 :]

    def _checksum(self, number: bytes, data: bytes) -> int:
        if self._checksums:
            return self._checksums.of(number + data) & 0xFFFF
        return crc16(self._uuid + number + data[:_CHECKSUM] + data[_CHECKSUM + 2 :]) if self._lazy else 0

    def _packed(self, number: int, group: Group) -> bytes:
        layout = self._layout
        block_checksum, inode_checksum = self._bitmap_checksums(number, group)
        block_bitmap_, block_bitmap_hi = halves(layout.block_bitmaps[number], 32)
        inode_bitmap_, inode_bitmap_hi = halves(layout.inode_bitmaps[number], 32)
        table, table_hi = halves(layout.inode_tables[number], 32)
        free_blocks, free_blocks_hi = halves(group.free_blocks, 16)
        free_inodes, free_inodes_hi = halves(group.free_inodes, 16)
        directories, directories_hi = halves(group.directories, 16)
        unused, unused_hi = halves(group.free_inodes if self._lazy else 0, 16)
        return DESCRIPTOR.pack(
            block_bitmap=block_bitmap_, block_bitmap_hi=block_bitmap_hi,
            inode_bitmap=inode_bitmap_, inode_bitmap_hi=inode_bitmap_hi,
            inode_table=table, inode_table_hi=table_hi,
            free_blocks=free_blocks, free_blocks_hi=free_blocks_hi,
            free_inodes=free_inodes, free_inodes_hi=free_inodes_hi,
            directories=directories, directories_hi=directories_hi,
            unused_inodes=unused, unused_inodes_hi=unused_hi,
            block_bitmap_checksum=block_checksum & 0xFFFF, block_bitmap_checksum_hi=block_checksum >> 16,
            inode_bitmap_checksum=inode_checksum & 0xFFFF, inode_bitmap_checksum_hi=inode_checksum >> 16,
            flags=self._flags(group),
        )[: self._width]  # fmt: skip

    def _flags(self, group: Group) -> int:
        if not self._lazy:
            return 0
        flags = TABLE_ZEROED
        flags |= 0 if group.has_block_bitmap else BLOCKS_UNINITIALISED
        return flags | (0 if group.has_inode_bitmap else INODES_UNINITIALISED)

    def _bitmap_checksums(self, number: int, group: Group) -> tuple[int, int]:
        if self._checksums is None:
            return 0, 0
        blocks = self._checksums.of(block_bitmap(number, self._placement)) if group.has_block_bitmap else 0
        if not group.has_inode_bitmap:
            return blocks, 0
        inodes = inode_bitmap(number, self._last_inode, self._layout)
        return blocks, self._checksums.of(inodes[: self._layout.inodes_per_group // 8])


def superblock(
    number: int,
    layout: Layout,
    free: tuple[int, int],
    reserved: int,
    journal: bytes,
    identity: Identity,
    features: Features,
) -> bytes:
    """A superblock, or one of its copies.

    Args:
        number: of the group where it stands.
        layout: of the volume.
        free: blocks and inodes that are free.
        reserved: blocks that only root may take.
        journal: what is kept of the journal's inode, or nothing without a journal.
        identity: of the volume.
        features: of the volume.
    """
    blocks, blocks_hi = halves(layout.blocks, 32)
    free_blocks, free_blocks_hi = halves(free[0], 32)
    reserved, reserved_hi = halves(reserved, 32)
    time, time_hi = halves(identity.epoch, 32)
    extra = EXTRA_SIZE if features.inode_size > SMALL_INODE else 0
    data = SUPERBLOCK.pack(
        inodes_count=layout.inodes, blocks_count=blocks, blocks_count_hi=blocks_hi, free_inodes=free[1],
        free_blocks=free_blocks, free_blocks_hi=free_blocks_hi,
        reserved_blocks=reserved, reserved_blocks_hi=reserved_hi,
        log_block_size=_LOG_BLOCK, log_cluster_size=_LOG_BLOCK,
        blocks_per_group=BLOCKS_PER_GROUP, clusters_per_group=BLOCKS_PER_GROUP,
        inodes_per_group=layout.inodes_per_group,
        group_number=number & 0xFFFF,  # of more than 8 TiB, cut off as in libext2fs; nobody reads it
        write_time=time, write_time_hi=time_hi, check_time=time, check_time_hi=time_hi,
        creation_time=time, creation_time_hi=time_hi, most_mounts=NEVER,
        magic=MAGIC, state=CLEAN, errors=CONTINUE, revision=DYNAMIC_REVISION,
        creator_os=HURD if features.hurd else 0,
        first_inode=FIRST_INODE, inode_size=features.inode_size, least_extra_size=extra, wanted_extra_size=extra,
        compatible=features.word(Word.COMPATIBLE), incompatible=features.word(Word.INCOMPATIBLE),
        read_only=features.word(Word.READ_ONLY), reserved_descriptor_blocks=layout.reserved_blocks,
        descriptor_size=DESCRIPTOR.size if Feature.WIDE in features else 0,
        uuid=identity.uuid.bytes, label=identity.label.ljust(LABEL_BYTES, b"\0"),
        hash_seed=identity.hash_seed, hash_version=HALF_MD4, flags=UNSIGNED_HASH, mount_options=USER_XATTRS_AND_ACLS,
        journal_inode=JOURNAL_INODE if journal else 0, journal_backup_type=1 if journal else 0, journal_backup=journal,
        log_groups_per_flex=LOG_GROUPS_PER_FLEX if Feature.FLEX_BG in features else 0,
        checksum_type=CRC32C if Feature.METADATA_CSUM in features else 0,
    )  # fmt: skip
    if Feature.METADATA_CSUM not in features:
        return data
    place = SUPERBLOCK.offset("checksum")
    return data[:place] + stored(crc32c(data[:place])).to_bytes(4, "little")

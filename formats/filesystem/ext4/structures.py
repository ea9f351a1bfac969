"""Structures of ext4 on disk: the kernel's documentation, filesystems/ext4/, each with its chapter.

    block 0                                           a volume of 4 KiB blocks
    +------+------------+-------------------+--------------------+-------------------------------
    | 1024 | superblock | group descriptors | reserved, to grow  | bitmaps, inode tables, data ...
    +------+------------+-------------------+--------------------+-------------------------------
    every 32768 blocks another group begins; groups 0, 1 and the powers of 3, 5 and 7 with a copy of superblock and
    descriptors, the others with data. With flex_bg, the bitmaps and inode tables of 16 groups stand in the first.

All numbers are little-endian, but for the journal's.
"""

import struct

from formats.structure import Structure

BLOCK = 4096
BLOCKS_PER_GROUP = BLOCK * 8  # what one block of bitmap can say
SECTOR = 512  # in which inodes count their blocks
NUMBERS_PER_BLOCK = BLOCK // 4  # block numbers of 32 bits

# Inodes with a meaning: special_inodes.rst
ROOT_INODE = 2
RESIZE_INODE = 7
JOURNAL_INODE = 8
FIRST_INODE = 11

MOST_LINKS = 65000  # EXT4_LINK_MAX
FULL_INODES = BLOCK * 8  # of a group


#: super.rst. A number that grew has its upper half under the name with `_hi`.
SUPERBLOCK = Structure(
    "<",
    """
    inodes_count:I blocks_count:I reserved_blocks:I free_blocks:I free_inodes:I first_data_block:I
    log_block_size:I log_cluster_size:I blocks_per_group:I clusters_per_group:I inodes_per_group:I
    mount_time:I write_time:I mount_count:H most_mounts:H magic:H state:H errors:H minor_revision:H
    check_time:I check_interval:I creator_os:I revision:I reserved_uid:H reserved_gid:H
    first_inode:I inode_size:H group_number:H compatible:I incompatible:I read_only:I
    uuid:16s label:16s last_mounted:64s algorithm_bitmap:I prealloc_blocks:B prealloc_directory_blocks:B
    reserved_descriptor_blocks:H journal_uuid:16s journal_inode:I journal_device:I last_orphan:I
    hash_seed:16s hash_version:B journal_backup_type:B descriptor_size:H mount_options:I first_meta_group:I
    creation_time:I journal_backup:68s blocks_count_hi:I reserved_blocks_hi:I free_blocks_hi:I
    least_extra_size:H wanted_extra_size:H flags:I raid_stride:H mmp_interval:H mmp_block:Q raid_stripe_width:I
    log_groups_per_flex:B checksum_type:B encryption_level:B padding:B kbytes_written:Q
    snapshots_and_errors:244s write_time_hi:B mount_time_hi:B creation_time_hi:B check_time_hi:B
    errors_hi:I encoding:H encoding_flags:H orphan_file:I reserved:376s checksum:I
    """,
)
SUPERBLOCK_OFFSET = 1024
MAGIC = 0xEF53
CLEAN = 1  # state
HURD = 1  # creator_os; Linux is 0
CONTINUE = 1  # errors
DYNAMIC_REVISION = 1
NEVER = 0xFFFF  # most_mounts
USER_XATTRS_AND_ACLS = 0xC  # mount_options
UNSIGNED_HASH = 0x2  # flags
CRC32C = 1  # checksum_type
LOG_GROUPS_PER_FLEX = 4
EXTRA_SIZE = 32  # bytes of an inode's fields after the first 128
LABEL_BYTES = 16

#: group_descr.rst. The first 32 bytes are all there is without 64bit.
DESCRIPTOR = Structure(
    "<",
    """
    block_bitmap:I inode_bitmap:I inode_table:I free_blocks:H free_inodes:H directories:H flags:H
    exclude_bitmap:I block_bitmap_checksum:H inode_bitmap_checksum:H unused_inodes:H checksum:H
    block_bitmap_hi:I inode_bitmap_hi:I inode_table_hi:I free_blocks_hi:H free_inodes_hi:H directories_hi:H
    unused_inodes_hi:H exclude_bitmap_hi:I block_bitmap_checksum_hi:H inode_bitmap_checksum_hi:H reserved:I
    """,
)
NARROW_DESCRIPTOR = 32
INODES_UNINITIALISED = 1  # flags
BLOCKS_UNINITIALISED = 2
TABLE_ZEROED = 4

#: inodes.rst. Of it, inodes of 128 bytes have all up to `extra_size`. Attributes come after it.
INODE = struct.Struct(
    "<HHIIIIIHHIII60s"  # mode uid size | access change modify delete time | gid links sectors flags version | blocks
    "IIII"  # generation attributes size_hi fragment
    "HHHHHH"  # sectors_hi attributes_hi uid_hi gid_hi checksum reserved; on the Hurd, the last two are the author
    "HHIIIIIII"  # extra_size checksum_hi | change_hi modify_hi access_hi creation creation_hi version_hi project
)
SMALL_INODE = 128
OWNER_IS_AUTHOR = 0xFFFF  # on the Hurd: in both halves of the author
INODE_CHECKSUM = 124  # offsets
INODE_CHECKSUM_HI = 130
INODE_ATTRIBUTES = SMALL_INODE + EXTRA_SIZE
INODE_BLOCKS = 60  # bytes of `blocks`: a map of blocks, extents, or the target of a short symbolic link
INDEXED_DIRECTORY = 0x1000  # flags
HAS_EXTENTS = 0x80000

#: ifork.rst, extent tree
EXTENT_HEADER = struct.Struct("<HHHHI")  # magic entries most depth generation
EXTENT_INDEX = struct.Struct("<IIHH")  # logical block, block of the node below, its upper half, unused
EXTENT = struct.Struct("<IHHI")  # logical block, how many, upper half of the first block, the first block
EXTENT_MAGIC = 0xF30A
LONGEST_EXTENT = 32768
EXTENTS_IN_INODE = (INODE_BLOCKS - EXTENT_HEADER.size) // EXTENT.size
EXTENTS_IN_BLOCK = (BLOCK - EXTENT_HEADER.size - 4) // EXTENT.size  # a checksum at the end

#: ifork.rst, direct and indirect block maps
DIRECT_BLOCKS = 12
DOUBLE_INDIRECT = 13

#: journal.rst: the superblock of a journal, big-endian
JOURNAL = Structure(
    ">",
    """
    magic:I type:I transaction:I block_size:I blocks:I first:I sequence:I start:I error:I
    compatible:I incompatible:I read_only:I uuid:16s users:I
    """,
)
JOURNAL_MAGIC = 0xC03B3998
JOURNAL_SUPERBLOCK_V2 = 4


def halves(value: int, bits: int) -> tuple[int, int]:
    """The lower bits of a number, and the others: how a field that grew is stored."""
    return value & ((1 << bits) - 1), value >> bits

"""Structures of squashfs 4.0 on disk, little-endian all of them: Linux, fs/squashfs/squashfs_fs.h.

    0            96                                                                          bytes_used   next 4 KiB
    +------------+-----------+-------+-----------+----------+--------+-----+----------------+------------+
    | superblock | contents: | inode | directory | fragment | export | id  | xattr table,   | zeros      |
    |            | blocks,   | table | table     | table    | table  | tab | if there are   |            |
    |            | fragments |       |           |          |        | le  | attributes     |            |
    +------------+-----------+-------+-----------+----------+--------+-----+----------------+------------+

Contents are cut into blocks of one size (4 KiB to 1 MiB), each compressed by itself; those of a file follow each other.
What is left of a file behind its last whole block shares a block, a *fragment*, with others. A block of zeros is not
there at all.

All tables are streams of *metadata blocks*: 16 bits with the size and whether it is compressed, and what 8 KiB became.
A place in such a stream is a *reference*: where the metadata block begins, from the table's beginning, shifted by 16
bits, and the byte in what was 8 KiB.

    inode table       an inode for each object; of a file, with the sizes of its blocks
    directory table   for each folder, names by bytes: headers with what the inodes of up to 256 entries have in common
    fragment table    for each fragment, where it is and its size
    export table      for each number of an inode, a reference to it
    id table          owners and groups, which inodes name by their place here
    xattr table       names and values; then for each set of them a reference, how many there are, and their bytes

The last four are found through lists of where their metadata blocks begin; the superblock says where these lists are.
"""

import struct
from enum import IntEnum

from formats.structure import Structure

MAGIC = 0x73717368  # "hsqs"
VERSION = (4, 0)
PADDING = 4096  # what mksquashfs fills its images up to, so that they can be loop devices
NOWHERE = (1 << 64) - 1  # of a table that is not there
NOTHING = (1 << 32) - 1  # of a fragment, or attributes, that are not there

BLOCK_BITS = range(12, 21)
METADATA = 8192
AS_IT_IS = 1 << 15  # of a metadata block's size
BLOCK_AS_IT_IS = 1 << 24  # of a block's
LONGEST_LISTING = (1 << 16) - 1  # of a folder without an index
MOST_IDS = (1 << 16) - 1  # as the superblock counts them
MOST_IN_HEADER = 256
LISTING_EXTRA = 3  # what a folder's size has besides its names

EXPORTABLE = 0x80
DUPLICATES_SHARED = 0x40
ALL_TAILS_IN_FRAGMENTS = 0x20

#: Numbers of compressors.
COMPRESSORS = {"gzip": 1, "xz": 4, "zstd": 6}

SUPERBLOCK = Structure(
    "<",
    """
    magic:I inodes:I mtime:I block_size:I fragments:I compressor:H block_bits:H flags:H ids:H major:H minor:H
    root:Q bytes_used:Q id_table:Q xattr_table:Q inode_table:Q directory_table:Q fragment_table:Q export_table:Q
    """,
)


class Type(IntEnum):
    """Types of inodes; extended ones are these plus `EXTENDED`."""

    DIRECTORY = 1
    FILE = 2
    SYMLINK = 3
    BLOCK = 4
    CHARACTER = 5
    FIFO = 6
    SOCKET = 7


EXTENDED = 7

INODE = struct.Struct("<HHHHII")  # type, mode, owner, group, mtime, number
DIRECTORY = struct.Struct("<IIHHI")  # block, links, size, offset, number of the folder above
EXTENDED_DIRECTORY = struct.Struct("<IIIIHHI")  # links, size, block, above, entries of its index, offset, attributes
INDEX = struct.Struct("<III")  # byte of the listing, block, length of the name less one
FILE = struct.Struct("<IIII")  # first block, fragment, offset there, size
EXTENDED_FILE = struct.Struct("<QQQIIII")  # first block, size, bytes of holes, links, fragment, offset, attributes
SYMLINK = struct.Struct("<II")  # links, length
DEVICE = struct.Struct("<II")  # links, numbers
LINKS = struct.Struct("<I")  # all that a FIFO has
WORD = struct.Struct("<I")

HEADER = struct.Struct("<III")  # entries less one, block of their inodes, number of the first inode
ENTRY = struct.Struct("<HhHH")  # offset of the inode, its number less the header's, type, length of the name less one

FRAGMENT = struct.Struct("<QII")  # where it is, size, unused
REFERENCE = struct.Struct("<Q")

XATTR_TABLE = struct.Struct("<QII")  # where the pairs begin, sets, unused
XATTR_SET = struct.Struct("<QII")  # reference to its first pair, pairs, bytes of names with a zero, and of values
XATTR_NAME = struct.Struct("<HH")  # prefix, length of the rest
#: Beginnings of names of attributes; others have no number.
PREFIXES = (b"user.", b"trusted.", b"security.")
ELSEWHERE = 0x100  # of a prefix: instead of a value, there is a reference to it


def reference(block: int, offset: int) -> int:
    """A place in a stream of metadata blocks."""
    return block << 16 | offset


def device_number(major: int, minor: int) -> int:
    """Numbers of a device as Linux encodes them: `new_encode_dev` of include/linux/kdev_t.h."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12

"""ext2, ext3 and ext4, read: see `formats.filesystem.ext4.structures` for the layout.

Folders are read block by block, whether they are trees or not: to who does not know of it, a tree's inner blocks are
empty. Blocks of files are found by extents or by block maps. With metadata_csum, the checksums of all that is read are
compared. A journal is not replayed; a note says so if it would have to be.
"""

import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from formats.filesystem.ext4 import checksums, directories, xattrs
from formats.filesystem.ext4.features import Feature, Features, Word
from formats.filesystem.ext4.structures import (
    DESCRIPTOR,
    DIRECT_BLOCKS,
    EXTENT,
    EXTENT_HEADER,
    EXTENT_INDEX,
    EXTENT_MAGIC,
    HAS_EXTENTS,
    HURD,
    INODE,
    INODE_BLOCKS,
    INODE_CHECKSUM,
    INODE_CHECKSUM_HI,
    LONGEST_EXTENT,
    MAGIC,
    NARROW_DESCRIPTOR,
    ROOT_INODE,
    SECTOR,
    SMALL_INODE,
    SUPERBLOCK,
    SUPERBLOCK_OFFSET,
)
from formats.reading.artefact import ArtefactError
from formats.reading.filesystem import Object
from formats.reading.source import Cached, Source, damaged, pieces, zeros
from layers.entry import Meta
from layers.tar_reader import Kind, SharedMetas

#: Features that a reader must know, beside those of ours, and which change nothing of what is read.
_RECOVER, _MMP, _EA_INODE, _CHECKSUM_SEED, _LARGE_DIRECTORIES, _CASEFOLD = 0x4, 0x100, 0x400, 0x2000, 0x4000, 0x20000
_KNOWN = Features(frozenset(Feature)).word(Word.INCOMPATIBLE) | (
    _RECOVER | _MMP | _EA_INODE | _CHECKSUM_SEED | _LARGE_DIRECTORIES | _CASEFOLD
)
_KINDS = {
    stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER, stat.S_IFBLK: Kind.BLOCK,
}  # fmt: skip
_LARGEST_BLOCK = 6  # as a power of two, in KiB
_DEEPEST = 5  # tree of extents
_LONGEST_TARGET = 4096
_LOST_AND_FOUND = b"lost+found"
_CHECKSUM_SEED_OFFSET = 0x270  # of the superblock; as it is stored
_TAIL = 12  # bytes of the checksum at the end of a block of a folder
_ATTRIBUTE_BLOCKS = 32  # that are kept: of the largest, with the smallest attributes, in 16 MiB

_Attributes = tuple[tuple[bytes, bytes], ...]


class _Inode(NamedTuple):
    """What stands in an inode, as far as it matters here."""

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    sectors: int
    flags: int
    blocks: bytes
    mtime: int
    attributes: _Attributes  # that stand after its fields
    attribute_block: int
    seed: int  # of the checksums of its blocks


@dataclass(frozen=True, slots=True)
class _Run:
    """Blocks of a file that follow each other; without a place, they are zeros."""

    logical: int
    physical: int
    length: int


def open_volume(volume: Source) -> "Ext4 | None":
    """See `formats.reading.filesystem`."""
    if volume.size < SUPERBLOCK_OFFSET + SUPERBLOCK.size:
        return None
    data = volume.read(SUPERBLOCK_OFFSET, SUPERBLOCK.size)
    return Ext4(volume, data) if SUPERBLOCK.unpack(data).magic == MAGIC else None


class Ext4:
    """A volume; see `formats.reading.filesystem.FileSystem`.

    Args:
        volume: where it is.
        data: its superblock.
    """

    def __init__(self, volume: Source, data: bytes) -> None:
        self._volume, self._structures = volume, Cached(volume)
        self._super = head = SUPERBLOCK.unpack(data)
        if head.incompatible & ~_KNOWN:
            raise ArtefactError(f"{volume.title} has features of ext4 that are not read: {head.incompatible:#x}")
        if head.log_block_size > _LARGEST_BLOCK:
            raise damaged(volume, f"its superblock says that blocks have 2^{head.log_block_size} KiB")
        self._block: int = 1024 << head.log_block_size
        self._inode_size = head.inode_size if head.revision else SMALL_INODE
        self._checked = self._has(Feature.METADATA_CSUM)
        seeded = head.incompatible & _CHECKSUM_SEED
        self._seed = ~_checksum_seed(data) & 0xFFFFFFFF if seeded else checksums.crc32c(head.uuid)
        self._check_superblock(data)
        self._descriptor_size = head.descriptor_size if self._has(Feature.WIDE) else NARROW_DESCRIPTOR
        self._owners: dict[int, tuple[int, int]] = {}  # of blocks that lead to others: inode, and number of the reading
        self._readings = 0
        self._tables: dict[int, int] = {}  # of inodes, by their groups
        self._metas = SharedMetas()
        self._in_attribute_block = lru_cache(_ATTRIBUTE_BLOCKS)(self._read_attribute_block)
        self.label = head.label.partition(b"\0")[0].decode(errors="replace")
        self.uuid = str(UUID(bytes=head.uuid))
        self.notes = ("its journal has what is not written yet",) if head.incompatible & _RECOVER else ()

    @property
    def kind(self) -> str:
        """See `formats.reading.filesystem.FileSystem`; as blkid tells them apart."""
        if self._has(Feature.EXTENT) or self._has(Feature.WIDE) or self._has(Feature.HUGE_FILE):
            return "ext4"
        return "ext3" if self._has(Feature.HAS_JOURNAL) else "ext2"

    def _has(self, feature: Feature) -> bool:
        word, bit = feature.value
        return bool(getattr(self._super, word.name.lower()) & bit)

    def _check_superblock(self, data: bytes) -> None:
        head, volume = self._super, self._volume
        blocks = head.blocks_count | (head.blocks_count_hi << 32 if self._has(Feature.WIDE) else 0)
        if self._checked and checksums.stored(checksums.crc32c(data[:-4])) != head.checksum:
            raise damaged(volume, "its superblock has a wrong checksum")
        if not head.blocks_per_group or not head.inodes_per_group:
            raise damaged(volume, "its superblock says that groups are empty")
        if blocks * self._block > volume.size:
            raise damaged(volume, f"its superblock says {blocks * self._block} bytes, and there are {volume.size}")
        size = self._inode_size
        if size & (size - 1) or not SMALL_INODE <= size <= self._block:
            raise damaged(volume, f"its superblock says that inodes have {size} bytes")
        least = DESCRIPTOR.size if self._has(Feature.WIDE) else 0
        if not least <= head.descriptor_size <= self._block:
            raise damaged(volume, f"its superblock says that group descriptors have {head.descriptor_size} bytes")

    def root(self) -> Object:
        """See `formats.reading.filesystem.FileSystem`."""
        found = self._object(ROOT_INODE)
        if found is None or found.kind is not Kind.DIRECTORY:
            raise damaged(self._volume, "its root is no folder")
        return found

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """See `formats.reading.filesystem.FileSystem`; without sockets, and without an empty `lost+found`."""
        inode: _Inode = folder.place
        if inode.size % self._block:
            raise damaged(self._volume, f"the folder of inode {inode.number} has {inode.size} bytes")
        for piece in self.content(folder):
            for start in range(0, len(piece), self._block):
                for name, number in self._in_block(piece[start : start + self._block], inode):
                    found = self._object(number)
                    if found and not (inode.number == ROOT_INODE and self._is_lost_and_found(name, found)):
                        yield name, found

    def content(self, file: Object) -> Iterator[bytes | memoryview]:
        """See `formats.reading.filesystem.FileSystem`."""
        inode: _Inode = file.place
        position = 0
        for run in self._runs(inode):
            start, physical = run.logical * self._block, run.physical * self._block
            if start >= inode.size:
                break
            if start < position:
                raise self._damaged_blocks(inode, "are out of order")
            yield from zeros(start - position)
            length = min(run.length * self._block, inode.size - start)
            yield from pieces(self._volume, physical, length) if physical else zeros(length)
            position = start + length
        yield from zeros(inode.size - position)

    def _is_lost_and_found(self, name: bytes, found: Object) -> bool:
        """Whether it is the folder that every volume of ext has, with nothing in it: it is nobody's content."""
        if name != _LOST_AND_FOUND or found.kind is not Kind.DIRECTORY:
            return False
        return next(self.names(found), None) is None

    def _in_block(self, data: bytes | memoryview, inode: _Inode) -> Iterator[tuple[bytes, int]]:
        self._check_folder_block(bytes(data), inode)
        position, size = 0, len(data)
        while position < size:
            if position + directories.ENTRY.size > size:
                raise damaged(self._volume, f"an entry of the folder of inode {inode.number} does not fit")
            number, length, name_length, _ = directories.ENTRY.unpack_from(data, position)
            length = size if length in (0, 0xFFFF) and size == 1 << 16 else length
            end = position + directories.ENTRY.size + name_length
            if length < directories.ENTRY.size or length % 4 or end > position + length or position + length > size:
                raise damaged(self._volume, f"an entry of the folder of inode {inode.number} does not fit")
            name = bytes(data[position + directories.ENTRY.size : end])
            if number and name not in (b".", b".."):
                yield name, number
            position += length

    def _check_folder_block(self, data: bytes, inode: _Inode) -> None:
        """Compare the checksum at the end of a block of names; those of a tree's inner blocks are left alone."""
        if not self._checked:
            return
        number, length, name_length, kind = directories.ENTRY.unpack_from(data, len(data) - _TAIL)
        if (number, length, name_length, kind) != (0, _TAIL, 0, directories.TAIL_TYPE):
            return
        expected = checksums.stored(checksums.crc32c(data[:-_TAIL], inode.seed))
        if expected != int.from_bytes(data[-4:], "little"):
            raise damaged(self._volume, f"the folder of inode {inode.number} has a wrong checksum")

    def _object(self, number: int) -> Object | None:
        """What an inode is; None if it is a socket, which archives have none of."""
        inode = self._inode(number)
        kind = _KINDS.get(stat.S_IFMT(inode.mode))
        if stat.S_ISSOCK(inode.mode):
            return None
        if not kind or not inode.links:
            raise damaged(self._volume, f"inode {number} is in a folder, and has the mode {inode.mode:o}")
        size = inode.size if kind in (Kind.FILE, Kind.DIRECTORY) else 0
        key = number if inode.links > 1 or kind is Kind.DIRECTORY else None
        found = Object(kind, self._meta(inode), size, key, inode, mtime=inode.mtime)
        if kind is Kind.SYMLINK:
            found.target = self._target(inode)
        elif kind in (Kind.CHARACTER, Kind.BLOCK):
            found.device = _device(inode.blocks)
        return found

    def _meta(self, inode: _Inode) -> Meta:
        attributes = inode.attributes
        if inode.attribute_block:
            attributes = tuple(sorted((*attributes, *self._in_attribute_block(inode.attribute_block))))
        return self._metas.get(inode.mode & 0o7777, inode.uid, inode.gid, attributes)

    def _target(self, inode: _Inode) -> bytes:
        if not 0 < inode.size <= _LONGEST_TARGET:
            raise damaged(self._volume, f"the symbolic link of inode {inode.number} has {inode.size} bytes")
        own = self._block // SECTOR if inode.attribute_block else 0
        if inode.size < INODE_BLOCKS and not inode.flags & HAS_EXTENTS and inode.sectors == own:
            target = inode.blocks[: inode.size]
        else:
            target = b"".join(self.content(Object(Kind.FILE, Meta(0), place=inode)))
        if b"\0" in target:
            raise damaged(self._volume, f"the symbolic link of inode {inode.number} has no target")
        return target

    def _inode(self, number: int) -> _Inode:
        head = self._super
        if not 0 < number <= head.inodes_count:
            raise damaged(self._volume, f"a folder names inode {number}, and there are {head.inodes_count}")
        group, index = divmod(number - 1, head.inodes_per_group)
        data = self._structures.read(self._inode_table(group) + index * self._inode_size, self._inode_size)
        (
            mode, uid, size, _, _, mtime, _, gid, links, sectors, flags, _, blocks, generation, attribute_block,
            size_hi, _, sectors_hi, attribute_block_hi, uid_hi, gid_hi, checksum, _, extra, checksum_hi, _, mtime_hi,
            *_,
        ) = INODE.unpack(data[: INODE.size].ljust(INODE.size, b"\0"))  # fmt: skip
        if head.creator_os == HURD:
            sectors_hi = attribute_block_hi = 0
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            size |= size_hi << 32
        after = SMALL_INODE + extra if self._inode_size > SMALL_INODE else self._inode_size
        seed = 0
        if self._checked:
            seed = checksums.crc32c(struct.pack("<II", number, generation), self._seed)
            has_whole = after > INODE_CHECKSUM_HI + 1 and self._inode_size > SMALL_INODE
            self._check_inode(number, data, seed, (checksum | checksum_hi << 16, 32) if has_whole else (checksum, 16))
        mtime = (mtime ^ 1 << 31) - (1 << 31) + ((mtime_hi & 3) << 32 if extra >= 16 else 0)
        return _Inode(
            number, mode, uid | uid_hi << 16, gid | gid_hi << 16, size, links, sectors | sectors_hi << 32, flags,
            blocks, mtime, self._in_inode(number, data[after:]), attribute_block | attribute_block_hi << 32, seed,
        )  # fmt: skip

    def _check_inode(self, number: int, data: bytes, seed: int, expected: tuple[int, int]) -> None:
        checksum, bits = expected
        without = data[:INODE_CHECKSUM] + bytes(2) + data[INODE_CHECKSUM + 2 :]
        if bits == 32:
            without = without[:INODE_CHECKSUM_HI] + bytes(2) + without[INODE_CHECKSUM_HI + 2 :]
        if checksums.stored(checksums.crc32c(without, seed)) & (1 << bits) - 1 != checksum:
            raise damaged(self._volume, f"inode {number} has a wrong checksum")

    def _inode_table(self, group: int) -> int:
        """Where the inodes of a group begin."""
        if group not in self._tables:
            self._tables[group] = self._read_descriptor(group)
        return self._tables[group]

    def _read_descriptor(self, group: int) -> int:
        size = self._descriptor_size
        after_superblock = (SUPERBLOCK_OFFSET // self._block + 1) * self._block
        data = self._structures.read(after_superblock + group * size, size)
        found = DESCRIPTOR.unpack(data.ljust(DESCRIPTOR.size, b"\0"))
        if self._checked:
            at = DESCRIPTOR.offset("checksum")
            plain = struct.pack("<I", group) + data[:at] + bytes(2) + data[at + 2 :]
            if checksums.stored(checksums.crc32c(plain, self._seed)) & 0xFFFF != found.checksum:
                raise damaged(self._volume, f"the descriptor of group {group} has a wrong checksum")
        table: int = found.inode_table | found.inode_table_hi << 32
        return table * self._block

    def _runs(self, inode: _Inode) -> Iterator[_Run]:
        """The blocks of a file, in order; what is between them is zeros."""
        self._readings += 1
        if inode.flags & HAS_EXTENTS:
            return self._extents(inode, inode.blocks, range(_DEEPEST + 1), self._readings)
        return self._mapped(inode, self._readings)

    def _extents(self, inode: _Inode, node: bytes, depths: Sequence[int], reading: int) -> Iterator[_Run]:
        magic, entries, most, depth, _ = EXTENT_HEADER.unpack_from(node)
        room = (len(node) - EXTENT_HEADER.size) // EXTENT.size
        if magic != EXTENT_MAGIC or not entries <= most <= room or depth not in depths:
            raise self._damaged_blocks(inode, "are in a tree of extents that is none")
        for place in range(EXTENT_HEADER.size, EXTENT_HEADER.size + entries * EXTENT.size, EXTENT.size):
            if depth:
                _, low, high, _ = EXTENT_INDEX.unpack_from(node, place)
                below = self._extent_node(inode, low | high << 32, reading)
                yield from self._extents(inode, below, (depth - 1,), reading)
                continue
            logical, length, high, low = EXTENT.unpack_from(node, place)
            written = length <= LONGEST_EXTENT
            yield _Run(logical, low | high << 32 if written else 0, length if written else length - LONGEST_EXTENT)

    def _extent_node(self, inode: _Inode, number: int, reading: int) -> bytes:
        data = self._node(inode, number, reading)
        if self._checked:
            end = EXTENT_HEADER.size + EXTENT_HEADER.unpack_from(data)[2] * EXTENT.size
            checksum = int.from_bytes(data[end : end + 4], "little")
            if checksums.stored(checksums.crc32c(data[:end], inode.seed)) != checksum:
                raise self._damaged_blocks(inode, "are in a tree of extents with a wrong checksum")
        return data

    def _node(self, inode: _Inode, number: int, reading: int) -> bytes:
        """A block that leads to others. No two files share one, and no file has one twice: trees are read once."""
        owner, last = self._owners.get(number, (inode.number, 0))
        if owner != inode.number or last == reading:
            raise self._damaged_blocks(inode, f"are found through block {number}, which was read before")
        self._owners[number] = (owner, reading)
        return self._structures.read(number * self._block, self._block)

    def _mapped(self, inode: _Inode, reading: int) -> Iterator[_Run]:
        numbers = struct.unpack(f"<{INODE_BLOCKS // 4}I", inode.blocks)
        for logical, number in enumerate(numbers[:DIRECT_BLOCKS]):
            if number:
                yield _Run(logical, number, 1)
        first, per_block = DIRECT_BLOCKS, self._block // 4
        for level, number in enumerate(numbers[DIRECT_BLOCKS:], 1):
            if number and first * self._block < inode.size:
                yield from self._indirect(inode, number, first, level, reading)
            first += per_block**level

    def _indirect(self, inode: _Inode, block: int, first: int, level: int, reading: int) -> Iterator[_Run]:
        data = self._node(inode, block, reading)
        span = (self._block // 4) ** (level - 1)
        for place, number in enumerate(struct.unpack(f"<{len(data) // 4}I", data)):
            logical = first + place * span
            if logical * self._block >= inode.size:
                return
            if number and level > 1:
                yield from self._indirect(inode, number, logical, level - 1, reading)
            elif number:
                yield _Run(logical, number, 1)

    def _damaged_blocks(self, inode: _Inode, what: str) -> ArtefactError:
        return damaged(self._volume, f"the blocks of inode {inode.number} {what}")

    def _in_inode(self, number: int, data: bytes) -> _Attributes:
        """The attributes that stand in an inode."""
        size = xattrs.IN_INODE.size
        if len(data) < size or xattrs.IN_INODE.unpack_from(data) != (xattrs.MAGIC,):
            return ()
        return tuple(sorted(self._attributes(data[size:], 0, f"inode {number}")))

    def _read_attribute_block(self, number: int) -> _Attributes:
        data = self._structures.read(number * self._block, self._block)
        magic, _, _, _, checksum, _ = xattrs.HEADER.unpack_from(data)
        if magic != xattrs.MAGIC:
            raise damaged(self._volume, f"block {number} should have attributes, and has none")
        if self._checked:
            plain = number.to_bytes(8, "little") + data[: xattrs.CHECKSUM] + bytes(4) + data[xattrs.CHECKSUM + 4 :]
            if checksums.stored(checksums.crc32c(plain, self._seed)) != checksum:
                raise damaged(self._volume, f"the attributes in block {number} have a wrong checksum")
        return tuple(self._attributes(data, xattrs.HEADER.size, f"block {number}"))

    def _attributes(self, data: bytes, position: int, where: str) -> Iterator[tuple[bytes, bytes]]:
        left = (
            len(data) - position
        )  # for values: where several are one, a few bytes of the volume would be many in memory
        while any(data[position : position + 4]):
            start = position + xattrs.ENTRY.size
            if start > len(data):
                break
            length, prefix, offset, inode, size, _ = xattrs.ENTRY.unpack_from(data, position)
            name = data[start : start + length]
            if inode:
                raise ArtefactError(f"{self._volume.title}: an attribute in {where} has an inode of its own")
            left -= size
            if len(name) < length or offset + size > len(data) or left < 0:
                break
            value = data[offset : offset + size]
            try:
                yield xattrs.parsed(prefix, name, value)
            except ValueError as error:
                raise damaged(self._volume, f"an attribute in {where} {error}") from error
            position = start + (length + 3 & ~3)
        else:
            return
        raise damaged(self._volume, f"the attributes in {where} do not fit")


def _checksum_seed(data: bytes) -> int:
    return int.from_bytes(data[_CHECKSUM_SEED_OFFSET : _CHECKSUM_SEED_OFFSET + 4], "little")


def _device(field: bytes) -> tuple[int, int]:
    """Major and minor number: in the shape of old, or in the new one; see `formats.filesystem.ext4.inodes`."""
    old, new = struct.unpack_from("<II", field)
    if old:
        return old >> 8 & 0xFF, old & 0xFF
    return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00

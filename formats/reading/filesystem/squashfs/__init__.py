"""squashfs 4.0, read: see `formats.filesystem.squashfs.structures` for the layout. gzip, xz and zstd are decompressed.

Names are found by reading listings from their beginnings; their indexes, and the export table, are not needed.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from formats.filesystem.squashfs import structures
from formats.filesystem.squashfs.structures import (
    BLOCK_BITS,
    DEVICE,
    ENTRY,
    EXTENDED,
    FRAGMENT,
    HEADER,
    INODE,
    LINKS,
    LISTING_EXTRA,
    MAGIC,
    METADATA,
    MOST_IN_HEADER,
    NOTHING,
    NOWHERE,
    PREFIXES,
    REFERENCE,
    SUPERBLOCK,
    SYMLINK,
    VERSION,
    WORD,
    XATTR_NAME,
    XATTR_SET,
    XATTR_TABLE,
    Type,
    reference,
)
from formats.reading.filesystem import Object
from formats.reading.filesystem.others import Other
from formats.reading.filesystem.squashfs.blocks import NAMES, Blocks, Cursor
from formats.reading.source import Part, Source, damaged, zeros
from layers.entry import Meta
from layers.tar_reader import Kind, SharedMetas

_KINDS = {
    Type.DIRECTORY: Kind.DIRECTORY, Type.FILE: Kind.FILE, Type.SYMLINK: Kind.SYMLINK, Type.BLOCK: Kind.BLOCK,
    Type.CHARACTER: Kind.CHARACTER, Type.FIFO: Kind.FIFO,
}  # fmt: skip
_OTHERS = {2: "lzma", 3: "lzo", 5: "lz4"}
_LONGEST_TARGET = 4096
_MOST_ATTRIBUTES = 1 << 20  # bytes of an object's
_SETS = 16  # of attributes, that are kept

_NO_META = Meta(0)  # until owner and attributes are known

_Attributes = tuple[tuple[bytes, bytes], ...]


class _Listing(NamedTuple):
    """Where the names of a folder are."""

    block: int
    offset: int
    size: int


class _Content(NamedTuple):
    """Where the content of a file is."""

    start: int
    fragment: int
    offset: int
    sizes: int  # reference to the sizes of its blocks


def open_volume(volume: Source) -> "Squashfs | Other | None":
    """See `formats.reading.filesystem`; of another version, or with another compressor, it is not looked into."""
    if volume.size < SUPERBLOCK.size:
        return None
    data = volume.read(0, SUPERBLOCK.size)
    head = SUPERBLOCK.unpack(data)
    if head.magic != MAGIC:
        return None
    if (head.major, head.minor) != VERSION:
        return Other("squashfs", "", "", (f"it is squashfs {head.major}.{head.minor}, and 4.0 is read",))
    if head.compressor not in NAMES:
        name = _OTHERS.get(head.compressor, f"the unknown compressor {head.compressor}")
        return Other("squashfs", "", "", (f"it is compressed with {name}, which is not read in squashfs",))
    return Squashfs(volume, data)


class Squashfs:
    """A volume; see `formats.reading.filesystem.FileSystem`.

    Args:
        volume: where it is.
        data: its superblock.
    """

    kind = "squashfs"
    label = ""
    uuid = ""
    notes = ()

    def __init__(self, volume: Source, data: bytes) -> None:
        self._super = head = SUPERBLOCK.unpack(data)
        if head.block_bits not in BLOCK_BITS or head.block_size != 1 << head.block_bits:
            raise damaged(volume, f"its superblock says that blocks have {head.block_size} bytes")
        if head.bytes_used > volume.size:
            raise damaged(volume, f"its superblock says {head.bytes_used} bytes, and there are {volume.size}")
        self._volume = Part(volume, 0, head.bytes_used, volume.title)
        self._block: int = head.block_size
        self._blocks = Blocks(self._volume, head.compressor, self._block)
        self._metas = SharedMetas()
        self._owner = lru_cache(METADATA // WORD.size)(self._read_owner)
        self._set = lru_cache(_SETS)(self._read_set)

    def root(self) -> Object:
        """See `formats.reading.filesystem.FileSystem`."""
        found = self._object(self._super.root)
        if found is None or found.kind is not Kind.DIRECTORY:
            raise damaged(self._volume, "its root is no folder")
        return found

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """See `formats.reading.filesystem.FileSystem`; without sockets."""
        listing: _Listing = folder.place
        left = listing.size
        cursor = Cursor(self._blocks, self._super.directory_table + listing.block, listing.offset)
        while left > 0:
            count, block, _ = HEADER.unpack(cursor.read(HEADER.size))
            left -= HEADER.size
            if count >= MOST_IN_HEADER:
                raise damaged(self._volume, f"a listing has {count + 1} entries after a header")
            for _ in range(count + 1):
                offset, _, kind, length = ENTRY.unpack(cursor.read(ENTRY.size))
                left -= ENTRY.size + length + 1
                if left < 0:
                    break
                name = cursor.read(length + 1)
                found = self._object(reference(block, offset), kind)
                if found:
                    yield name, found
        if left:
            raise damaged(self._volume, f"a listing of {listing.size} bytes does not end with an entry")

    def content(self, file: Object) -> Iterator[bytes | memoryview]:
        """See `formats.reading.filesystem.FileSystem`."""
        place: _Content = file.place
        start, whole = place.start, file.size // self._block * self._block
        end = whole if place.fragment != NOTHING else file.size
        sizes = self._inode_cursor(place.sizes)
        for position in range(0, end, self._block):
            (word,) = WORD.unpack(sizes.read(WORD.size))
            size = min(self._block, end - position)
            if not word:
                yield from zeros(size)
                continue
            yield self._blocks.content(start, word, size)
            start += word & (structures.BLOCK_AS_IT_IS - 1)
        if end < file.size:
            yield self._rest(place, file.size - end)

    def _rest(self, place: _Content, size: int) -> memoryview:
        """What is in a fragment."""
        head = self._super
        if place.fragment >= head.fragments:
            raise damaged(self._volume, f"a file is in fragment {place.fragment}, and there are {head.fragments}")
        start, word, _ = FRAGMENT.unpack(self._row(head.fragment_table, place.fragment, FRAGMENT))
        data = self._blocks.fragment(start, word)
        if place.offset + size > len(data):
            raise damaged(self._volume, f"a file ends {place.offset + size} bytes into a fragment of {len(data)}")
        return memoryview(data)[place.offset : place.offset + size]

    def _row(self, table: int, number: int, row: struct.Struct) -> bytes:
        """A row of a table that is found through a list."""
        block, index = divmod(number, METADATA // row.size)
        (start,) = REFERENCE.unpack(self._volume.read(table + block * REFERENCE.size, REFERENCE.size))
        return Cursor(self._blocks, start, index * row.size).read(row.size)

    def _inode_cursor(self, place: int) -> Cursor:
        block, offset = place >> 16, place & 0xFFFF
        if offset > METADATA:
            raise damaged(self._volume, f"an inode is at byte {offset} of a metadata block")
        return Cursor(self._blocks, self._super.inode_table + block, offset)

    def _object(self, place: int, named: int | None = None) -> Object | None:
        """What an inode is; None if it is a socket, which archives have none of.

        Args:
            place: a reference to it.
            named: its type, as the listing has it.
        """
        cursor = self._inode_cursor(place)
        number, mode, owner, group, mtime, _ = INODE.unpack(cursor.read(INODE.size))
        extended = number > EXTENDED
        kind = number - EXTENDED if extended else number
        if kind == Type.SOCKET:
            return None
        if kind not in _KINDS or named not in (None, kind):
            raise damaged(self._volume, f"a name of the type {named} leads to an inode of the type {number}")
        found, attributes = self._parsed(Type(kind), cursor, extended=extended, place=place)
        found.mtime = mtime
        found.meta = self._metas.get(mode & 0o7777, self._owner(owner), self._owner(group), attributes)
        return found

    def _parsed(self, kind: Type, cursor: Cursor, *, extended: bool, place: int) -> tuple[Object, _Attributes]:
        if kind is Type.FILE:
            return self._file(cursor, extended=extended, place=place)
        if kind is Type.DIRECTORY:
            return self._folder(cursor, extended=extended, place=place)
        found = Object(_KINDS[kind], _NO_META)
        if kind is Type.SYMLINK:
            links, size = SYMLINK.unpack(cursor.read(SYMLINK.size))
            if not 0 < size <= _LONGEST_TARGET:
                raise damaged(self._volume, f"a symbolic link has {size} bytes")
            found.target = cursor.read(size)
            if b"\0" in found.target:
                raise damaged(self._volume, "a symbolic link has no target")
        elif kind is Type.FIFO:
            (links,) = LINKS.unpack(cursor.read(LINKS.size))
        else:
            links, device = DEVICE.unpack(cursor.read(DEVICE.size))
            found.device = device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00
        number = WORD.unpack(cursor.read(WORD.size))[0] if extended else NOTHING
        found.key = place if links > 1 else None
        return found, self._set(number)

    def _file(self, cursor: Cursor, *, extended: bool, place: int) -> tuple[Object, _Attributes]:
        layout = structures.EXTENDED_FILE if extended else structures.FILE
        fields = layout.unpack(cursor.read(layout.size))
        if extended:
            start, size, _, links, fragment, offset, number = fields
        else:
            (start, fragment, offset, size), links, number = fields, 1, NOTHING
        sizes = cursor.place(self._super.inode_table)
        content = _Content(start, fragment, offset, sizes)
        return Object(Kind.FILE, _NO_META, size, place if links > 1 else None, content), self._set(number)

    def _folder(self, cursor: Cursor, *, extended: bool, place: int) -> tuple[Object, _Attributes]:
        layout = structures.EXTENDED_DIRECTORY if extended else structures.DIRECTORY
        fields = layout.unpack(cursor.read(layout.size))
        if extended:
            _, size, block, _, _, offset, number = fields
        else:
            (block, _, size, offset, _), number = fields, NOTHING
        if size < LISTING_EXTRA or offset > METADATA:
            raise damaged(self._volume, f"a folder of {size} bytes begins at byte {offset} of a metadata block")
        listing = _Listing(block, offset, size - LISTING_EXTRA)
        return Object(Kind.DIRECTORY, _NO_META, listing.size, place, listing), self._set(number)

    def _read_owner(self, place: int) -> int:
        if place >= self._super.ids:
            raise damaged(self._volume, f"an inode names owner {place}, and there are {self._super.ids}")
        owner: int = WORD.unpack(self._row(self._super.id_table, place, WORD))[0]
        return owner

    def _read_set(self, number: int) -> _Attributes:
        """A set of attributes."""
        table = self._super.xattr_table
        if number == NOTHING or table == NOWHERE:
            return ()
        start, count, _ = XATTR_TABLE.unpack(self._volume.read(table, XATTR_TABLE.size))
        if number >= count:
            raise damaged(self._volume, f"an inode has set {number} of attributes, and there are {count}")
        first, pairs, _ = XATTR_SET.unpack(self._row(table + XATTR_TABLE.size, number, XATTR_SET))
        cursor, found, left = self._xattr_cursor(start, first), [], _MOST_ATTRIBUTES
        for _ in range(pairs):
            pair = self._attribute(cursor, start)
            left -= XATTR_NAME.size + WORD.size + sum(map(len, pair))
            if left < 0:
                raise damaged(self._volume, f"set {number} of attributes has more than {_MOST_ATTRIBUTES} bytes")
            found.append(pair)
        return tuple(sorted(found))

    def _attribute(self, cursor: Cursor, start: int) -> tuple[bytes, bytes]:
        """A name and a value."""
        kind, length = XATTR_NAME.unpack(cursor.read(XATTR_NAME.size))
        prefix = kind & ~structures.ELSEWHERE
        if prefix >= len(PREFIXES):
            raise damaged(self._volume, f"an attribute has the prefix {prefix}")
        name = PREFIXES[prefix] + cursor.read(length)
        (size,) = WORD.unpack(cursor.read(WORD.size))
        if kind & structures.ELSEWHERE and size == REFERENCE.size:
            cursor = self._xattr_cursor(start, REFERENCE.unpack(cursor.read(size))[0])
            (size,) = WORD.unpack(cursor.read(WORD.size))
        if size > _MOST_ATTRIBUTES:
            raise damaged(self._volume, f"{name!r} has {size} bytes")
        return name, cursor.read(size)

    def _xattr_cursor(self, start: int, place: int) -> Cursor:
        return Cursor(self._blocks, start + (place >> 16), place & 0xFFFF)

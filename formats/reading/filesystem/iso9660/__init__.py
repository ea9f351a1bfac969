"""ISO 9660, read: see `formats.filesystem.iso9660` for the layouts; with Rock Ridge, AAIP and zisofs.

Folders that mkisofs moves because they are deep are where they were before. Without Rock Ridge, names are identifiers
in small letters without versions, as Linux shows them; there is no Joliet. What is compressed with zisofs is
decompressed.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from formats.filesystem.iso9660.structures import (
    BLOCK,
    DESCRIPTOR,
    DIRECTORY,
    ITSELF,
    MORE_EXTENTS,
    PRIMARY,
    RECORD_HEAD,
    STANDARD,
    SYSTEM_BLOCKS,
    TERMINATOR,
    blocks,
)
from formats.reading.filesystem import Object
from formats.reading.filesystem.iso9660 import rock_ridge
from formats.reading.filesystem.iso9660.rock_ridge import Found, parsed_time
from formats.reading.filesystem.iso9660.zisofs import decompressed
from formats.reading.source import Cached, Source, damaged, pieces
from layers.entry import FILE, FOLDER, Meta
from layers.tar_reader import Kind

_MOST_DESCRIPTORS = 64
_READINGS = 8  # of the same record
_MOST_EXTENTS = 4096  # of a file: 2,049 of 4 GiB less a block fill the largest volume
_EXTENT_BYTES = 150  # of memory
_KINDS = {
    stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER, stat.S_IFBLK: Kind.BLOCK,
}  # fmt: skip


@dataclass(slots=True)
class _Record:
    """A record of a folder, or several of one file."""

    identifier: bytes
    is_folder: bool
    extents: list[tuple[int, int]]  # first block, bytes
    mtime: int
    use: bytes
    goes_on: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a content is."""

    extents: list[tuple[int, int]] = field(default_factory=list)
    block_bits: int = 0  # of zisofs, or 0


def open_volume(volume: Source) -> "Iso9660 | None":
    """See `formats.reading.filesystem`."""
    for number in range(SYSTEM_BLOCKS, SYSTEM_BLOCKS + _MOST_DESCRIPTORS):
        if volume.size < (number + 1) * BLOCK:
            return None
        data = volume.read(number * BLOCK, BLOCK)
        if data[1:6] != STANDARD or data[0] == TERMINATOR:
            return None
        if data[0] == PRIMARY:
            return Iso9660(volume, data)
    return None


class Iso9660:
    """A volume; see `formats.reading.filesystem.FileSystem`.

    Args:
        volume: where it is.
        data: its primary volume descriptor.
    """

    kind = "iso9660"
    notes = ()

    def __init__(self, volume: Source, data: bytes) -> None:
        self._volume, self._structures = volume, Cached(volume)
        self._continuations = _Limited(self._structures, _READINGS * volume.size)
        head = DESCRIPTOR.unpack(data)
        if int.from_bytes(head.block_size[:2], "little") != BLOCK:
            raise damaged(volume, "its descriptor has blocks of another size than 2048 bytes")
        self.label = head.label.decode(errors="replace").rstrip(" \0")
        self.uuid = _uuid(head.modified) or _uuid(head.created)
        self._root = self._record(head.root, "its root")
        self._skipped: int | None = None  # bytes before the entries of Rock Ridge; None: there is none
        itself = next(self._records(self._root), None)
        if itself is None or itself.identifier != ITSELF:
            raise damaged(volume, "its root has no record of itself")
        self._skipped = rock_ridge.skipped(itself.use)
        self._top = self._object(itself)

    def root(self) -> Object:
        """See `formats.reading.filesystem.FileSystem`."""
        return self._top

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """See `formats.reading.filesystem.FileSystem`."""
        for record in self._records(folder.place):
            if len(record.identifier) == 1 and record.identifier[0] < 2:  # itself, and the folder above
                continue
            found = self._found(record)
            if found.is_moved or stat.S_ISSOCK(found.mode or 0):
                continue
            if found.child is not None:
                yield found.name, self._moved(found.child)
            else:
                yield found.name or _plain(record.identifier), self._object(record, found)

    def content(self, file: Object) -> Iterator[bytes]:
        """See `formats.reading.filesystem.FileSystem`."""
        place: _Place = file.place
        if place.block_bits:
            first, size = place.extents[0]
            yield from decompressed(self._volume, first * BLOCK, size, file.size, place.block_bits)
            return
        for first, size in place.extents:
            yield from pieces(self._volume, first * BLOCK, size)

    def _records(self, folder: _Record | _Place) -> Iterator[_Record]:
        """The records of a folder; those of one file's extents are one."""
        before: _Record | None = None
        for first, size in folder.extents:
            for start in range(first * BLOCK, first * BLOCK + size, BLOCK):
                for record in self._in_block(self._structures.read(start, BLOCK), start):
                    if before:
                        record = self._joined(before, record)
                    before = record if record.goes_on else None
                    if not before:
                        yield record
        if before:
            raise damaged(self._volume, f"the last extent of {before.identifier!r} is missing")

    def _joined(self, file: _Record, more: _Record) -> _Record:
        """The record of a file with one more of its extents."""
        file.extents += more.extents
        file.goes_on = more.goes_on
        if len(file.extents) > _MOST_EXTENTS:
            raise damaged(self._volume, f"{file.identifier!r} has more than {_MOST_EXTENTS} extents")
        return file

    def _in_block(self, data: bytes, start: int) -> Iterator[_Record]:
        position = 0
        while position < BLOCK and data[position]:
            length = data[position]
            if position + length > BLOCK:
                raise damaged(self._volume, f"a record of the folder at byte {start} crosses the end of its block")
            yield self._record(data[position : position + length], f"a record of the folder at byte {start}")
            position += length

    def _record(self, data: bytes, what: str) -> _Record:
        """9.1."""
        if len(data) <= RECORD_HEAD or len(data) < RECORD_HEAD + data[RECORD_HEAD - 1]:
            raise damaged(self._volume, f"{what} is too short")
        length, flags = data[RECORD_HEAD - 1], data[25]
        if data[26] or data[27]:
            raise damaged(self._volume, f"{what} is interleaved")
        first, size = (int.from_bytes(data[place : place + 4], "little") for place in (2, 10))
        identifier = data[RECORD_HEAD : RECORD_HEAD + length]
        use = data[RECORD_HEAD + length + (1 - length % 2) :]
        extents = [(first + data[1], size)]
        return _Record(
            identifier, bool(flags & DIRECTORY), extents, parsed_time(data[18:25]), use, bool(flags & MORE_EXTENTS)
        )

    def _found(self, record: _Record) -> Found:
        if self._skipped is None:
            return Found()
        return rock_ridge.parse(record.use[self._skipped :], self._continuations)

    def _moved(self, block: int) -> Object:
        """A folder that lies elsewhere, by its record of itself."""
        itself = next(self._records(_Place([(block, BLOCK)])), None)
        if itself is None or itself.identifier != ITSELF or itself.extents[0][0] != block:
            raise damaged(self._volume, f"no folder begins at block {block}")
        return self._object(itself)

    def _object(self, record: _Record, found: Found | None = None) -> Object:
        result = self._as_object(record, found or self._found(record))
        result.memory = len(record.extents) * _EXTENT_BYTES
        return result

    def _as_object(self, record: _Record, found: Found) -> Object:
        kind = Kind.DIRECTORY if record.is_folder else Kind.FILE
        meta = FOLDER if record.is_folder else FILE
        if found.mode is not None:
            known = _KINDS.get(stat.S_IFMT(found.mode))
            if not known or (known is Kind.DIRECTORY) != record.is_folder:
                raise damaged(self._volume, f"{found.name or record.identifier!r} has the mode {found.mode:o}")
            kind, meta = known, Meta(found.mode & 0o7777, found.uid, found.gid, found.xattrs)
        if kind is Kind.DIRECTORY:
            size = sum(blocks(size) * BLOCK for _, size in record.extents)
            return Object(kind, meta, size, record.extents[0][0], _Place(record.extents), mtime=record.mtime)
        mtime = record.mtime if found.mtime is None else found.mtime
        key = (found.serial, kind, *record.extents) if found.serial and found.links > 1 else None
        if kind is not Kind.FILE:
            if kind is Kind.SYMLINK and not found.target:
                raise damaged(self._volume, f"the symbolic link {found.name!r} has no target")
            return Object(kind, meta, 0, key, None, found.target, found.device, mtime)
        size = sum(size for _, size in record.extents)
        if found.size is None:
            return Object(kind, meta, size, key, _Place(record.extents), mtime=mtime)
        return Object(kind, meta, found.size, key, _Place(record.extents, found.block_bits), mtime=mtime)


class _Limited:
    """A source of which no more than so many bytes are read: what records share, each of them would read again.

    Args:
        source: that is read.
        most: bytes.
    """

    def __init__(self, source: Source, most: int) -> None:
        self.title, self.size = source.title, source.size
        self._source, self._left = source, most

    def read(self, offset: int, size: int) -> bytes:
        """See `formats.reading.source.Source`."""
        self._left -= size
        if self._left < 0:
            raise damaged(self, "its records go on at the same places")
        return self._source.read(offset, size)


def _plain(identifier: bytes) -> bytes:
    """The name of a file without Rock Ridge, as Linux shows it."""
    return identifier.partition(b";")[0].removesuffix(b".").lower()


def _uuid(date: bytes) -> str:
    """A date of the descriptor as blkid has it; empty if there is none."""
    digits = date[:16].decode("ascii", "replace")
    if not digits.isdecimal() or not digits.strip("0"):
        return ""
    return "-".join((digits[:4], *(digits[start : start + 2] for start in range(4, 16, 2))))

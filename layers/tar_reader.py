r"""Tar streams of anybody: ustar, pax and GNU's, read strictly and in bounded memory.

What is read is that of `layers.tar`, and what others write besides: GNU's long names (types L and K), base-256 numbers,
headers before POSIX (no magic), GNU's magic ("ustar  \0", whose prefix is something else).

Readers differ in what they make of damaged archives, and whoever packs a trap counts on it (CVE-2025-62518). So what is
not plain is refused: headers with a wrong checksum, records of pax that do not fit, global headers that change paths,
owners or sizes, sparse files, parts of volumes, anything behind the end, no end.

Python's tarfile would not do: it takes a damaged header for the end, by its version passes over a member with a bad
size without a word, and needs twice the time (18 µs a member, where this needs 9).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

from layers.entry import LONGEST_PATH, Meta, checked_path
from layers.errors import PackError
from layers.tar import BLOCK

_CHUNK = 1 << 20
_LARGEST_EXTENSION = 1 << 20  # of a long name or of pax records
_MOST_EXTENSIONS = 8  # before one member
_LARGEST = (1 << 63) - 1
_LAST_ID = 2**32 - 1
_XATTR = b"SCHILY.xattr."
_LONGEST_XATTR_NAME, _LARGEST_XATTR = 255, 1 << 16  # xattr(7): XATTR_NAME_MAX, XATTR_SIZE_MAX
_MOST_METAS, _LARGEST_META = 1024, 4096  # that are kept, and bytes of the attributes of one
_MAGIC_POSIX = b"ustar\0"
_EMPTY = bytes(BLOCK)

#: Records of pax that change what a member is; in a global header, every reader takes them differently.
_EFFECTIVE = (b"path", b"linkpath", b"size", b"uid", b"gid", b"SCHILY.", b"LIBARCHIVE.", b"GNU.")


class ArchiveError(PackError):
    """A tar archive that is damaged, or holds what nobody should unpack."""


class Kind(Enum):
    """What a file-system object is, in the words of mtree(5)."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "link"
    HARDLINK = "hardlink"
    CHARACTER = "char"
    BLOCK = "block"
    FIFO = "fifo"


_KINDS = {
    b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"1": Kind.HARDLINK, b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER, b"4": Kind.BLOCK, b"5": Kind.DIRECTORY, b"6": Kind.FIFO,
}  # fmt: skip
_LINKS = (Kind.SYMLINK, Kind.HARDLINK)
_DEVICES = (Kind.CHARACTER, Kind.BLOCK)


@dataclass(slots=True)
class Header:
    """What an archive says of a member.

    Attributes:
        path: as entries have it; the root is empty.
        kind: what it is.
        meta: who owns it, and what they may do.
        size: bytes of a file, else 0.
        target: of a link; that of a hard link as entries have it.
        device: major and minor number.
        mtime: seconds since 1970, without fractions.
    """

    path: bytes
    kind: Kind
    meta: Meta
    size: int
    target: bytes
    device: tuple[int, int]
    mtime: int


class SharedMetas:
    """Metas, of which equal ones are one object: in most trees they are few. Those that are kept take 4 MiB at most."""

    def __init__(self) -> None:
        self._kept = lru_cache(_MOST_METAS)(Meta)

    def get(self, mode: int, uid: int, gid: int, xattrs: tuple[tuple[bytes, bytes], ...]) -> Meta:
        """The one that has these; a new one if its attributes are large."""
        if xattrs and sum(len(name) + len(value) for name, value in xattrs) > _LARGEST_META:
            return Meta(mode, uid, gid, xattrs)
        return self._kept(mode, uid, gid, xattrs)


class Stream(Protocol):
    """Bytes in order."""

    @property
    def position(self) -> int:
        """Bytes read or skipped so far."""
        ...

    def read(self, size: int) -> bytes:
        """The next bytes; fewer only at the end."""
        ...

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """The next bytes, piece by piece; fewer only at the end."""
        ...

    def skip(self, size: int) -> None:
        """Go on behind the next bytes, or at the end."""
        ...


class PieceStream:
    """A stream of pieces that come from a decoder or from a network."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._at = 0
        self.position = 0

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        end = self._at + size
        if end <= len(self._piece):
            data = bytes(self._piece[self._at : end])
            self._at = end
            self.position += size
            return data
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """See `Stream`."""
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = memoryview(next(self._pieces, b"")), 0
                if not self._piece:
                    return
            taken = min(size, len(self._piece) - self._at)
            data = self._piece[self._at : self._at + taken]
            self._at += taken
            self.position += taken
            size -= taken
            yield data

    def skip(self, size: int) -> None:
        """See `Stream`."""
        for _ in self.pieces(size):
            pass


class FileStream:
    """A stream of a file that can be sought in: what is skipped is not read.

    Args:
        descriptor: of the file; it stays open.
        size: bytes of the file.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self.position = 0

    def read(self, size: int) -> bytes:
        """See `Stream`."""
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """See `Stream`."""
        while size and (data := os.pread(self._descriptor, min(size, _CHUNK), self.position)):
            self.position += len(data)
            size -= len(data)
            yield data

    def skip(self, size: int) -> None:
        """See `Stream`."""
        self.position = min(self.position + size, self._size)


class TarReader:
    """The members of an archive, one after another.

    Args:
        stream: at the beginning of the archive.
        origin: what it is, for messages.
    """

    def __init__(self, stream: Stream, origin: str) -> None:
        self._stream = stream
        self._origin = origin
        self._left = 0
        self._padding = 0
        self._metas = SharedMetas()

    def __iter__(self) -> Iterator[Header]:
        """The headers; a content that nobody asks for is skipped.

        Raises:
            ArchiveError: the archive is damaged, or not plain.
            EntryError: a path leads out of it.
        """
        while True:
            self._skip_content()
            block = self._stream.read(BLOCK)
            if block == _EMPTY:
                self._end()
                return
            header = self._member(block)
            if header:
                self._left, self._padding = header.size, -header.size % BLOCK
                yield header

    def content(self) -> Iterator[bytes | memoryview]:
        """The content of the last member, piece by piece; each piece is good until the next is asked for.

        Raises:
            ArchiveError: it ends too early.
        """
        size, self._left = self._left, 0
        for piece in self._stream.pieces(size):
            size -= len(piece)
            yield piece
        if size:
            raise self._error("it ends within a file")

    def _skip_content(self) -> None:
        if not self._left + self._padding:
            return
        end = self._stream.position + self._left + self._padding
        self._stream.skip(end - self._stream.position)
        self._left = self._padding = 0
        if self._stream.position != end:
            raise self._error("it ends within a file")

    def _error(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._origin} is damaged, or not plain: {what}, at byte {self._stream.position}")

    def _end(self) -> None:
        while block := self._stream.read(_CHUNK):
            if any(block):
                raise self._error("something follows the end of the archive")

    def _member(self, block: bytes) -> Header | None:
        """The next member; none if it is only about the archive."""
        records: dict[bytes, bytes] = {}
        for _ in range(_MOST_EXTENSIONS):
            kind = self._checked(block)[156:157]
            if kind == b"x":
                records.update(self._records(block))
            elif kind in (b"L", b"K"):
                # Long names of GNU; records of pax win, wherever they stand.
                records.setdefault(b"path" if kind == b"L" else b"linkpath", self._extension(block).partition(b"\0")[0])
            elif kind == b"g":
                self._global(block)
                if not records:
                    return None
            else:
                return self._header(block, records)
            block = self._stream.read(BLOCK)
        raise self._error("too many headers for one member")

    def _checked(self, block: bytes) -> bytes:
        if len(block) < BLOCK:
            raise self._error("the end of the archive is missing")
        # The checksum counts its own field as spaces: POSIX, "ustar Interchange Format".
        if self._number(block[148:156], "checksum") != sum(block) - sum(block[148:156]) + 256:
            raise self._error("a header has a wrong checksum")
        return block

    def _extension(self, block: bytes) -> bytes:
        size = self._number(block[124:136], "size")
        if size > _LARGEST_EXTENSION:
            raise self._error(f"an extended header of {size} bytes")
        padded = size + -size % BLOCK
        data = self._stream.read(padded)
        if len(data) < padded:
            raise self._error("it ends within an extended header")
        return data[:size]

    def _records(self, block: bytes) -> dict[bytes, bytes]:
        r"""Records of pax: `LENGTH KEYWORD=VALUE\n`, the length counting itself."""
        data, found, at = self._extension(block), {}, 0
        while at < len(data):
            digits = data[at : at + 20].partition(b" ")[0]
            length = int(digits) if digits.isdigit() else 0
            record = data[at + len(digits) + 1 : at + length]
            keyword, equals, value = record[:-1].partition(b"=")
            if length > len(data) - at or not record.endswith(b"\n") or not keyword or not equals:
                raise self._error("records of pax that do not fit")
            if keyword.startswith(b"GNU.sparse."):
                raise self._error("a sparse file")
            found[keyword] = value
            at += length
        return found

    def _global(self, block: bytes) -> None:
        if any(keyword.startswith(_EFFECTIVE) for keyword in self._records(block)):
            raise self._error("a global header that changes what follows")

    def _header(self, block: bytes, records: dict[bytes, bytes]) -> Header | None:
        letter = block[156:157]
        if letter == b"V":
            return None  # GNU: the name of a volume
        kind = _KINDS.get(letter)
        if not kind:
            raise self._error("a sparse file" if letter == b"S" else f"a member of type {letter!r}")
        name = self._name(block, records)
        if kind is Kind.FILE and name.endswith(b"/") and letter != b"7":
            kind = Kind.DIRECTORY  # before POSIX, folders had no type of their own
        size = self._size(block, records)
        if size and kind is not Kind.FILE:
            # GNU tar 1.34 passes over that many bytes behind a symbolic link or a FIFO; Go and tarfile do not.
            raise self._error(f"a {kind.value} of {size} bytes")
        return Header(
            self._path(name),
            kind,
            self._meta(block, records),
            size,
            self._target(block, records, kind) if kind in _LINKS else b"",
            self._device(block) if kind in _DEVICES else (0, 0),
            self._mtime(block, records),
        )

    def _name(self, block: bytes, records: dict[bytes, bytes]) -> bytes:
        if b"path" in records:
            return records[b"path"]
        name = block[:100].partition(b"\0")[0]
        if block[345] and block[257:263] == _MAGIC_POSIX:
            return block[345:500].partition(b"\0")[0] + b"/" + name
        return name

    def _path(self, name: bytes) -> bytes:
        if not name or len(name) > LONGEST_PATH:
            raise self._error(f"a path of {len(name)} bytes")
        return checked_path(name, self._origin)

    def _target(self, block: bytes, records: dict[bytes, bytes], kind: Kind) -> bytes:
        target = records.get(b"linkpath") or block[157:257].partition(b"\0")[0]
        if kind is Kind.HARDLINK:
            return self._path(target)
        if not target or len(target) > LONGEST_PATH or b"\0" in target:
            raise self._error(f"a symbolic link to a path of {len(target)} bytes")
        return target

    def _meta(self, block: bytes, records: dict[bytes, bytes]) -> Meta:
        mode = self._number(block[100:108], "mode") & 0o7777
        uid = self._decimal(records[b"uid"], "uid") if b"uid" in records else self._number(block[108:116], "uid")
        gid = self._decimal(records[b"gid"], "gid") if b"gid" in records else self._number(block[116:124], "gid")
        if uid > _LAST_ID or gid > _LAST_ID:
            raise self._error(f"the owner {uid}:{gid}")
        return self._metas.get(mode, uid, gid, self._xattrs(records) if records else ())

    def _xattrs(self, records: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        found = sorted((key[len(_XATTR) :], value) for key, value in records.items() if key.startswith(_XATTR))
        for name, value in found:
            if len(name) > _LONGEST_XATTR_NAME or len(value) > _LARGEST_XATTR:
                raise self._error(f"an attribute with a name of {len(name)} bytes and {len(value)} bytes")
        return tuple(found)

    def _size(self, block: bytes, records: dict[bytes, bytes]) -> int:
        if b"size" not in records:
            return self._number(block[124:136], "size")
        return self._decimal(records[b"size"], "size")

    def _device(self, block: bytes) -> tuple[int, int]:
        return self._number(block[329:337], "device"), self._number(block[337:345], "device")

    def _mtime(self, block: bytes, records: dict[bytes, bytes]) -> int:
        if b"mtime" in records:
            text = records[b"mtime"].partition(b".")[0]
            digits = text.removeprefix(b"-")
            if not digits.isdigit() or len(digits) > 19:
                raise self._error("a time that is no number")
            return int(text)
        if block[136] == 0xFF:  # a time before 1970
            return int.from_bytes(block[137:148], "big", signed=True)
        return self._number(block[136:148], "time")

    def _number(self, field: bytes, what: str) -> int:
        """An octal number, or GNU's base-256 number."""
        if field[0] == 0x80:
            number = int.from_bytes(field[1:], "big")
            if number <= _LARGEST:
                return number
        else:
            digits = field.partition(b"\0")[0].strip(b" ")
            if not digits:
                return 0
            if digits.isdigit() and not digits.translate(None, b"01234567"):
                return int(digits, 8)
        raise self._error(f"a {what} that is no number")

    def _decimal(self, field: bytes, what: str) -> int:
        if not field.isdigit() or len(field) > 19 or int(field) > _LARGEST:
            raise self._error(f"a {what} that is no number")
        return int(field)

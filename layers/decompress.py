r"""Compressed bytes, undone piece by piece: layers, whole archives, and what binary caches compress NARs with.

No piece is larger than a mebibyte, whatever the input is, and no decoder takes more than 128 MiB.

    gzip    1f 8b 08              RFC 1952
    zstd    28 b5 2f fd           RFC 8878, 3.1.1; or 5? 2a 4d 18, a frame to be skipped (3.1.2)
    xz      fd "7zXZ" 00          The .xz File Format, 2.1.1.1
    bzip2   "BZh" 1..9
    lzip    "LZIP" 01             draft-diaz-lzip, 2
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast

import zstandard
from isal import igzip_lib

from layers.errors import PackError

_CHUNK = 1 << 20
_LEAST = 1 << 12  # what a stream is given first
_CUT = "it ends before its end"
_MOST_MEMORY = 128 << 20  # of a decoder; `xz -9` needs 65 MiB, `zstd --ultra -22` 128

_MAGICS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "bzip2": re.compile(rb"BZh[1-9]"),
    "lzip": re.compile(rb"LZIP\x01"),
}

_XZ_UNIT = 4  # of padding: The .xz File Format, 2.2

# RFC 8878.
_ZSTD_LEAST = 5  # of a frame: its magic, and what says how long the rest of its header is
_ZSTD_SKIPPED = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ZSTD_CHECKSUM = 1 << 2  # flag: 3.1.1.1.1
_ZSTD_BLOCK = 128 << 10  # bytes, before and after: 3.1.1.2.3, 3.1.1.2.4
_ZSTD_REPEATED = 1  # a kind of block that has one byte: 3.1.1.2.2


class DecompressionError(PackError):
    """Compressed bytes that are damaged, or that nobody here can read."""


_GzipError = cast("type[Exception]", igzip_lib.error)  # its types say that it is one, and not its class


class _DamagedError(Exception):
    """What decoders say that raise OSError, which a file under the stream may do, too, or have no error at all."""


class _Decoder(Protocol):
    """One compressed stream; the interface is that of the standard library's decoders."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, size: int, /) -> bytes: ...


class _Bzip2Decoder:
    """A decoder of bz2 with an error of its own."""

    def __init__(self) -> None:
        self._decoder = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes | memoryview, size: int, /) -> bytes:
        try:
            return self._decoder.decompress(data, size)
        except OSError as error:
            raise _DamagedError(str(error)) from error


class _LzipDecoder:
    """A member of an lzip file (draft-diaz-lzip, 2): LZMA-302eos between a header and a trailer.

    0  "LZIP" 1 | 5 dictionary size, coded | 6 stream | CRC-32, 4 | size of the data, 8 | size of the member, 8
    """

    _HEADER, _TRAILER = 6, 20

    def __init__(self) -> None:
        self.eof = False
        self.unused_data = b""
        self._begin = b""
        self._decoder: lzma.LZMADecompressor | None = None
        self._end = b""
        self._checksum = self._size = 0
        self._taken = 0

    @property
    def needs_input(self) -> bool:
        return not self._decoder or self._decoder.eof or self._decoder.needs_input

    def decompress(self, data: bytes | memoryview, size: int, /) -> bytes:
        self._taken += len(data)
        if not self._decoder:
            self._begin += data
            if len(self._begin) < self._HEADER:
                return b""
            self._decoder = self._started(self._begin[: self._HEADER])
            data = self._begin[self._HEADER :]
        output = b""
        if not self._decoder.eof:
            output = self._decoder.decompress(data, size)
            self._checksum = zlib.crc32(output, self._checksum)
            self._size += len(output)
            data = self._decoder.unused_data
        if self._decoder.eof:
            self._end += data
            if len(self._end) >= self._TRAILER:
                self._finish()
        return output

    def _started(self, header: bytes) -> lzma.LZMADecompressor:
        if not _MAGICS["lzip"].match(header):
            raise _DamagedError("it is no lzip member")
        base = 1 << (header[5] & 31)
        size = base - (base >> 4) * (header[5] >> 5)
        if not 1 << 12 <= size <= min(1 << 29, _MOST_MEMORY):
            raise _DamagedError(f"its dictionary has {size} bytes")
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": 3, "lp": 0, "pb": 2}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)

    def _finish(self) -> None:
        trailer, self.unused_data = self._end[: self._TRAILER], self._end[self._TRAILER :]
        member = self._taken - len(self.unused_data)
        expected = (
            self._checksum.to_bytes(4, "little") + self._size.to_bytes(8, "little") + member.to_bytes(8, "little")
        )
        if trailer != expected:
            raise _DamagedError("its checksum or its size is wrong")
        self.eof = True


class _Stream:
    """Pieces as a file: what decoders read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._view = memoryview(b"")
        self._at = 0

    def is_at_end(self) -> bool:
        """Whether nothing is left; else the piece that is at hand has something left."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._piece, self._view, self._at = piece, memoryview(piece), 0
        return False

    def read(self, size: int) -> bytes | memoryview:
        """The next bytes, one at least and maybe fewer than there are; none at the end."""
        if self.is_at_end():
            return b""
        start, self._at = self._at, min(self._at + size, len(self._piece))
        return self._piece if self._at - start == len(self._piece) else self._view[start : self._at]

    def back(self, size: int) -> None:
        """Give the last bytes of what `read` gave once more."""
        self._at -= size

    def take(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            EOFError: there are fewer.
        """
        end = self._at + size
        if end <= len(self._piece):
            start, self._at = self._at, end
            return self._piece[start:end]
        whole = bytearray()
        while len(whole) < size:
            data = self.read(size - len(whole))
            if not data:
                raise EOFError(_CUT)
            whole += data
        return bytes(whole)

    def skip_zeros(self) -> int:
        """Go on behind zeros, and say how many there were."""
        count = 0
        while data := self.read(_LEAST):
            rest = len(bytes(data).lstrip(b"\0"))
            count += len(data) - rest
            if rest:
                self.back(rest)
                break
        return count


def compression_of(beginning: bytes) -> str:
    """What compressed a file, by its first bytes, six or more: a name that `decompressed` takes; else `none`."""
    return next((name for name, magic in _MAGICS.items() if magic.match(beginning)), "none")


def decompressed(pieces: Iterator[bytes], compression: str, origin: str, *, alone: bool = False) -> Iterator[bytes]:
    """The bytes that were compressed.

    Args:
        pieces: the compressed bytes; all of them are read.
        compression: `none`, `gzip`, `zstd`, `xz`, `bzip2` or `lzip`.
        origin: what it is, for the message.
        alone: whether it is one stream; else others may follow it, as parallel compressors write them.

    Raises:
        DecompressionError: there is no such decoder, or the bytes are damaged.
    """
    decoder = _DECODERS.get(compression)
    if not decoder:
        hint = f"There are: {', '.join(_DECODERS)}."
        raise DecompressionError(f"{origin}: there is no decoder for {compression[:100]!r}", hint=hint)
    try:
        yield from decoder(_Stream(pieces), alone)
    except (EOFError, _DamagedError, _GzipError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise DecompressionError(f"{origin} is damaged: {error}") from error


def _none(stream: _Stream, alone: bool) -> Iterator[bytes]:  # noqa: ARG001
    while piece := stream.read(_CHUNK):
        yield bytes(piece)


def _members(
    member: Callable[[_Stream], Iterator[bytes]], padding: Callable[[_Stream], None] | None = None
) -> Callable[[_Stream, bool], Iterator[bytes]]:
    """Decode streams that follow each other.

    Args:
        member: decodes one, and leaves what follows it.
        padding: passes over what may follow one.
    """

    def decode(stream: _Stream, alone: bool) -> Iterator[bytes]:
        while True:
            yield from member(stream)
            if padding:
                padding(stream)
            if stream.is_at_end():
                return
            if alone:
                raise _DamagedError("something follows its end")

    return decode


def _member(new: Callable[[], _Decoder]) -> Callable[[_Stream], Iterator[bytes]]:
    def decode(stream: _Stream) -> Iterator[bytes]:
        decoder = new()
        # Decoders copy what they are given behind the end of a stream: what stays in proportion to the stream.
        size = _LEAST
        while not decoder.eof:
            data: bytes | memoryview = b""
            if decoder.needs_input:
                data = stream.read(size)
                if not data:
                    raise EOFError(_CUT)
                size = min(4 * size, _CHUNK)
            if piece := decoder.decompress(data, _CHUNK):
                yield piece
        stream.back(len(decoder.unused_data))

    return decode


def _xz_padding(stream: _Stream) -> None:
    if stream.skip_zeros() % _XZ_UNIT:
        raise _DamagedError(f"the zeros behind a stream are no multiple of {_XZ_UNIT}")


def _gzip_padding(stream: _Stream) -> None:
    """Zeros at the end, which tapes add; gzip(1) ignores what follows them, and others read it."""
    if stream.skip_zeros() and not stream.is_at_end():
        raise _DamagedError("something follows the zeros behind its end")


def _zstd(stream: _Stream, alone: bool) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_MEMORY)  # making one takes longer than a small frame
    return _members(partial(_zstd_frame, decoder))(stream, alone)


def _zstd_frame(decoder: zstandard.ZstdDecompressor, stream: _Stream) -> Iterator[bytes]:
    """A frame. Only `decompressobj` says whether it is whole, and that one gives at once all that its input makes."""
    beginning = stream.take(_ZSTD_LEAST)
    if _ZSTD_SKIPPED.match(beginning):
        _skip(stream, int.from_bytes(beginning[4:] + stream.take(8 - _ZSTD_LEAST), "little"))
        return
    frame = decoder.decompressobj(write_size=_CHUNK)
    for part in _zstd_parts(stream, beginning):
        if piece := frame.decompress(part):
            yield piece
    if not frame.eof:
        raise _DamagedError("a frame does not end with its last block")


def _skip(stream: _Stream, size: int) -> None:
    while size:
        data = stream.read(size)
        if not data:
            raise EOFError(_CUT)
        size -= len(data)


def _zstd_parts(stream: _Stream, beginning: bytes) -> Iterator[bytes]:
    """The parts of a frame (RFC 8878, 3.1.1), each of which makes a mebibyte at most."""
    yield beginning + stream.take(zstandard.frame_header_size(beginning) - len(beginning))
    is_last = 0
    while not is_last:
        blocks: list[bytes] = []  # a header and a content each
        while not is_last and len(blocks) // 2 < _CHUNK // _ZSTD_BLOCK:
            header = stream.take(3)
            fields = int.from_bytes(header, "little")
            is_last, kind, size = fields & 1, fields >> 1 & 3, fields >> 3
            if size > _ZSTD_BLOCK:
                raise _DamagedError(f"a block of {size} bytes")
            blocks += (header, stream.take(1 if kind == _ZSTD_REPEATED else size))
        yield b"".join(blocks)
    if beginning[4] & _ZSTD_CHECKSUM:
        yield stream.take(4)


#: Names as in `Compression` of narinfos, and lzip.
_DECODERS: dict[str, Callable[[_Stream, bool], Iterator[bytes]]] = {
    "none": _none,
    "xz": _members(_member(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)), _xz_padding),
    "zstd": _zstd,
    "bzip2": _members(_member(_Bzip2Decoder)),
    "gzip": _members(_member(lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)), _gzip_padding),
    "lzip": _members(_member(_LzipDecoder)),
}

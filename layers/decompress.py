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
from typing import Protocol, cast

import zstandard
from isal import igzip_lib

from layers.errors import PackError

_CHUNK = 1 << 20
_MOST_MEMORY = 128 << 20  # of a decoder; `xz -9` needs 65 MiB, `zstd --ultra -22` 128

_MAGICS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "bzip2": re.compile(rb"BZh[1-9]"),
    "lzip": re.compile(rb"LZIP\x01"),
}


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
    def decompress(self, data: bytes, size: int, /) -> bytes: ...


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

    def decompress(self, data: bytes, size: int, /) -> bytes:
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

    def decompress(self, data: bytes, size: int, /) -> bytes:
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
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        data = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(data) :]
        return data


def compression_of(beginning: bytes) -> str:
    """What compressed a file, by its first bytes, six or more: a name that `decompressed` takes; else `none`."""
    return next((name for name, magic in _MAGICS.items() if magic.match(beginning)), "none")


def decompressed(pieces: Iterator[bytes], compression: str, origin: str) -> Iterator[bytes]:
    """The bytes that were compressed.

    Args:
        pieces: the compressed bytes; all of them are read.
        compression: `none`, `gzip`, `zstd`, `xz`, `bzip2` or `lzip`.
        origin: what it is, for the message.

    Raises:
        DecompressionError: there is no such decoder, or the bytes are damaged.
    """
    decoder = _DECODERS.get(compression)
    if not decoder:
        hint = f"There are: {', '.join(_DECODERS)}."
        raise DecompressionError(f"{origin}: there is no decoder for {compression[:100]!r}", hint=hint)
    try:
        yield from decoder(_Stream(pieces))
    except (EOFError, _DamagedError, _GzipError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise DecompressionError(f"{origin} is damaged: {error}") from error


def _none(stream: _Stream) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece


def _zstd(stream: _Stream) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_MEMORY)
    with decoder.stream_reader(stream, read_across_frames=True) as file:  # type: ignore[arg-type]  # it only reads
        while piece := file.read(_CHUNK):
            yield piece


def _members(new: Callable[[], _Decoder]) -> Callable[[_Stream], Iterator[bytes]]:
    """Decode streams that follow each other, as parallel compressors write them."""

    def decode(stream: _Stream) -> Iterator[bytes]:
        decoder = new()
        data = stream.read(_CHUNK)
        while True:
            if decoder.eof:
                data = decoder.unused_data or stream.read(_CHUNK)
                if not data:
                    return
                decoder = new()
            elif decoder.needs_input and not data:
                data = stream.read(_CHUNK)
                if not data:
                    raise EOFError("it ends before its end")
            piece = decoder.decompress(data, _CHUNK)
            if piece:
                yield piece
            data = b""

    return decode


#: Names as in `Compression` of narinfos, and lzip.
_DECODERS: dict[str, Callable[[_Stream], Iterator[bytes]]] = {
    "none": _none,
    "xz": _members(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)),
    "zstd": _zstd,
    "bzip2": _members(_Bzip2Decoder),
    "gzip": _members(lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)),
    "lzip": _members(_LzipDecoder),
}

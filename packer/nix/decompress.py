"""What binary caches compress NARs with (nix: src/libutil/compression.cc), undone piece by piece.

No piece is larger than a mebibyte, whatever the input is, and no decoder takes more than 128 MiB.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator

import zstandard

from layers.errors import PackError

_CHUNK = 1 << 20
_MOST_MEMORY = 128 << 20  # of a decoder; `xz -9` needs 65 MiB, `zstd --ultra -22` 128


class DecompressionError(PackError):
    """Compressed bytes that are damaged, or that nobody here can read."""


class _BzipError(Exception):
    """bz2 has no error of its own: it raises OSError, which a file under the stream may do, too."""


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

    def decompress(self, data: bytes, size: int) -> bytes:
        try:
            return self._decoder.decompress(data, size)
        except OSError as error:
            raise _BzipError(str(error)) from error


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


def decompressed(pieces: Iterator[bytes], compression: str, origin: str) -> Iterator[bytes]:
    """The bytes that were compressed.

    Args:
        pieces: the compressed bytes; all of them are read.
        compression: as narinfos call it.
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
    except (EOFError, _BzipError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        raise DecompressionError(f"{origin} is damaged: {error}") from error


def _none(stream: _Stream) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece


def _gzip(stream: _Stream) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as file:  # type: ignore[call-overload]  # it only reads
        while piece := file.read1(_CHUNK):
            yield piece


def _zstd(stream: _Stream) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_MEMORY)
    with decoder.stream_reader(stream, read_across_frames=True) as file:  # type: ignore[arg-type]  # it only reads
        while piece := file.read(_CHUNK):
            yield piece


def _xz(stream: _Stream) -> Iterator[bytes]:
    return _members(stream, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY))


def _bzip2(stream: _Stream) -> Iterator[bytes]:
    return _members(stream, _Bzip2Decoder)


def _members(stream: _Stream, new: Callable[[], lzma.LZMADecompressor | _Bzip2Decoder]) -> Iterator[bytes]:
    """Decode streams that follow each other, as parallel compressors write them."""
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
        yield decoder.decompress(data, _CHUNK)
        data = b""


#: Names as in `Compression`.
_DECODERS: dict[str, Callable[[_Stream], Iterator[bytes]]] = {
    "none": _none,
    "xz": _xz,
    "zstd": _zstd,
    "bzip2": _bzip2,
    "gzip": _gzip,
}

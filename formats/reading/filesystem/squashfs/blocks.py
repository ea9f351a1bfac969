"""Blocks of squashfs, read: decompressed into no more bytes than they may have, and no more often than makes sense."""

import lzma
import zlib
from collections.abc import Callable
from functools import lru_cache

import zstandard

from formats.filesystem.squashfs.structures import AS_IT_IS, BLOCK_AS_IT_IS, COMPRESSORS, METADATA, reference
from formats.reading.source import Cached, Source, damaged

_MOST_MEMORY = 64 << 20  # of a decoder of xz: dictionaries have up to 1 MiB
_KEPT = 4 << 20  # bytes of metadata blocks, and four times that of fragments

# Each name may lead to an inode, and a fragment, of its own. Honest images need far less than this many bytes of them;
# what decompresses is as fast that others take a minute.
_LEAST, _RATIO = 1 << 30, 1100

Decompressor = Callable[[bytes, int], bytes]
"""What makes of a block no more than so many bytes."""


def _gzip(data: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most)


def _xz(data: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY).decompress(data, most)


def _zstd(data: bytes, most: int) -> bytes:
    if zstandard.frame_content_size(data) > most:  # room for it would be made before it is decompressed
        raise zstandard.ZstdError("it has more bytes than a block")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)


_DECOMPRESSORS: dict[str, Decompressor] = {"gzip": _gzip, "xz": _xz, "zstd": _zstd}

#: Names of compressors by their numbers: those of which blocks are read.
NAMES = {number: name for name, number in COMPRESSORS.items()}


class Blocks:
    """The blocks of a volume.

    Args:
        volume: where they are.
        compressor: its number, one of `NAMES`.
        block: bytes of a content's block.
    """

    def __init__(self, volume: Source, compressor: int, block: int) -> None:
        self._volume, self._structures = volume, Cached(volume)
        self._decompress = _DECOMPRESSORS[NAMES[compressor]]
        self._block = block
        self._left = _LEAST + _RATIO * volume.size
        self.metadata = lru_cache(_KEPT // METADATA)(self._read_metadata)
        self.fragment = lru_cache(max(1, 4 * _KEPT // block))(self._read_fragment)

    def content(self, start: int, word: int, size: int) -> bytes:
        """A block of a content.

        Args:
            start: where it is.
            word: its size there, as inodes have it, and not 0.
            size: bytes that it must become.

        Raises:
            ArtefactError: it is damaged.
        """
        data = self._unpacked(start, word, size)
        if len(data) != size:
            raise damaged(self._volume, f"the block at byte {start} has {len(data)} bytes, and should have {size}")
        return data

    def _read_fragment(self, start: int, word: int) -> bytes:
        """A fragment, which may be shorter than a block."""
        self._take(self._block)
        return self._unpacked(start, word, self._block)

    def _read_metadata(self, start: int) -> tuple[bytes, int]:
        """A metadata block, and where the next one begins."""
        self._take(METADATA)
        header = int.from_bytes(self._structures.read(start, 2), "little")
        size = header & ~AS_IT_IS
        data = self._structures.read(start + 2, size)
        if not header & AS_IT_IS:
            data = self._decompressed(start, data, METADATA)
        if not 0 < len(data) <= METADATA:
            raise damaged(self._volume, f"the metadata at byte {start} have {len(data)} bytes")
        return data, start + 2 + size

    def _unpacked(self, start: int, word: int, most: int) -> bytes:
        size = word & (BLOCK_AS_IT_IS - 1)
        if word >= 2 * BLOCK_AS_IT_IS or size > self._block:
            raise damaged(self._volume, f"the block at byte {start} has the size {word:#x}")
        data = self._volume.read(start, size)
        return data if word & BLOCK_AS_IT_IS else self._decompressed(start, data, most)

    def _decompressed(self, start: int, data: bytes, most: int) -> bytes:
        try:
            return self._decompress(data, most)
        except (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise damaged(self._volume, f"the block at byte {start}: {error}") from error

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise damaged(self._volume, "its names lead to the same blocks again and again")


class Cursor:
    """A stream of metadata blocks, read from some place on.

    Args:
        blocks: of the volume.
        start: where a metadata block begins.
        offset: the byte in it.
    """

    def __init__(self, blocks: Blocks, start: int, offset: int) -> None:
        self._blocks, self._start, self._offset = blocks, start, offset

    def place(self, table: int) -> int:
        """A reference to the next byte.

        Args:
            table: where the stream begins.
        """
        return reference(self._start - table, self._offset)

    def read(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            ArtefactError: there are not so many, or they are damaged.
        """
        found = b""
        while True:
            data, following = self._blocks.metadata(self._start)
            part = data[self._offset : self._offset + size - len(found)]
            self._offset += len(part)
            found = found + part if found else part
            if len(found) == size:
                return found
            self._start, self._offset = following, max(0, self._offset - len(data))

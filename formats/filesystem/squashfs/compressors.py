"""What compresses blocks: each by itself, as kernels decompress them.

    gzip   a zlib stream (RFC 1950)
    xz     a stream of .xz with a CRC-32, whose dictionary is as large as a block
    zstd   a frame (RFC 8878)

Kernels take no larger dictionary, no checksum of 64 bits, and no window beyond the block. Images say with what options
they were compressed, for whom adds to them; that is left out, as mksquashfs leaves out its own.
"""

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from isal import isal_zlib

from formats.filesystem.squashfs.structures import METADATA
from layers.codec import Codec
from layers.compress import Zstd, deflate

Buffer = bytes | bytearray | memoryview
Compressor = Callable[[Buffer], bytes]

_ZLIB = b"\x78\x9c"  # deflate, a window of 32 KiB, no dictionary: RFC 1950, 2.2


def compressor(codec: Codec, block: int) -> Compressor:
    """What compresses blocks of up to so many bytes: a pure function, called from many threads.

    Args:
        codec: `gzip`, `xz` or `zstd`, with its level.
        block: bytes of a content's block.
    """
    if codec.name == "gzip":
        return partial(_zlib, level=codec.level)
    if codec.name == "zstd":
        return partial(_zstd, codec=Zstd(codec.level))
    return _Xz(codec.level, max(block, METADATA)).compress


def _zlib(data: Buffer, level: int) -> bytes:
    checksum: int = isal_zlib.adler32(data)
    return b"".join((_ZLIB, deflate(data, level), checksum.to_bytes(4, "big")))


def _zstd(data: Buffer, codec: Zstd) -> bytes:
    return codec.compress(memoryview(data))


@dataclass(frozen=True, slots=True)
class _Xz:
    level: int
    dictionary: int

    def compress(self, data: Buffer) -> bytes:
        filters = [{"id": lzma.FILTER_LZMA2, "preset": self.level, "dict_size": self.dictionary}]
        return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)

"""Codecs with pinned parameters, whose output does not depend on how many threads made it.

A codec cuts its input into chunks of a fixed size and compresses each by itself, so that chunks can be compressed
in parallel and joined in order. `gzip` gives one member (RFC 1952) whose chunks end with a full flush (RFC 1951,
3.2.4: an empty stored block, byte-aligned); `zstd` gives one frame a chunk (RFC 8878, 3: frames concatenate); `bzip2`
one stream a chunk, which concatenate, too; `xz` and `lzip` have modules of their own.
"""

import bz2
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import isal
import zstandard
from isal import isal_zlib

from layers.codec import Codec, Concatenated
from layers.errors import InputError
from layers.lzip import Lzip
from layers.output import Buffer
from layers.tar import CHUNK
from layers.xz import Xz


@dataclass(frozen=True)
class NoCodec:
    """The bytes as they are."""

    name: str = "none"
    level: int = 0
    library: str = "none"
    chunk: int = CHUNK
    checksummed: bool = False

    def start(self) -> bytes:  # noqa: D102
        return b""

    def compress(self, chunk: bytearray) -> bytearray:  # noqa: D102
        return chunk

    def record(self, compressed: bytes | bytearray) -> bytes:  # noqa: ARG002, D102
        return b""

    def end(self, checksum: int, size: int, records: bytes = b"") -> bytes:  # noqa: ARG002, D102
        return b""


_ISAL_LEVELS = range(1, 4)

# igzip's memory for a block: with less than its default, blocks are shorter and their codes fit better. 1.7 GB of
# programs become 0.5 % smaller at every level, in the same time; with still less memory, level 1 is slower.
_ISAL_MEMORY = 5


def deflate(
    data: Buffer | memoryview, level: int, *, window: int = zlib.MAX_WBITS, flush: int = zlib.Z_FINISH
) -> bytes:
    """Raw DEFLATE (RFC 1951).

    Args:
        data: compressed by itself.
        level: 1 to 3 are igzip's (260 to 460 MB/s a core), those above are zlib's.
        window: how far back matches may be, as a power of two.
        flush: how the data ends, as zlib has it.
    """
    library, memory = (isal_zlib, _ISAL_MEMORY) if level in _ISAL_LEVELS else (zlib, zlib.DEF_MEM_LEVEL)
    state = library.compressobj(level, zlib.DEFLATED, -window, memory)
    return bytes(state.compress(data) + state.flush(flush))


@dataclass(frozen=True)
class Gzip:
    """RFC 1952, one member without name and time; levels as `deflate` has them."""

    level: int = 3
    name: str = "gzip"
    chunk: int = CHUNK
    checksummed: bool = True

    @property
    def library(self) -> str:  # noqa: D102
        if self.level in _ISAL_LEVELS:
            return f"isal {isal.__version__} memory {_ISAL_MEMORY}"
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"

    def start(self) -> bytes:  # noqa: D102
        # magic, deflate, no flags, no time, no extra flags, unknown system: RFC 1952, 2.3
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        return deflate(chunk, self.level, flush=zlib.Z_FULL_FLUSH)

    def record(self, compressed: bytes | bytearray) -> bytes:  # noqa: ARG002, D102
        return b""

    def end(self, checksum: int, size: int, records: bytes = b"") -> bytes:  # noqa: ARG002, D102
        last_block = b"\x03\0"  # final, fixed codes, end of block: RFC 1951, 3.2.6
        return last_block + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


_OF_THREAD = threading.local()

# Entries of level 3's tables, of long matches and of short ones, as powers of two; by itself it takes 2^17 and 2^16.
# Tables that stay in a processor's first caches take 18 % less time and leave 2 % more: 1.7 GB of programs are still
# smaller than with gzip -6.
_ZSTD_LONG, _ZSTD_SHORT = 15, 14


@dataclass(frozen=True)
class Zstd(Concatenated):
    """RFC 8878, one frame a chunk, each with its content's size."""

    level: int = 3
    name: str = "zstd"
    chunk: int = CHUNK

    @property
    def library(self) -> str:  # noqa: D102
        tables = f" tables {_ZSTD_LONG} {_ZSTD_SHORT}" if self.level == Zstd.level else ""
        return f"libzstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}{tables}"

    def compress(self, chunk: bytearray | memoryview) -> bytes:  # noqa: D102
        # A thread's compressor is used again: setting one up costs 5 % of compressing a chunk.
        known: dict[int, zstandard.ZstdCompressor] = _OF_THREAD.__dict__.setdefault("compressors", {})
        if self.level not in known:
            known[self.level] = _zstd_compressor(self.level)
        return known[self.level].compress(chunk)


def _zstd_compressor(level: int) -> zstandard.ZstdCompressor:
    if level != Zstd.level:
        return zstandard.ZstdCompressor(level=level, write_content_size=True, threads=0)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=CHUNK, hash_log=_ZSTD_LONG, chain_log=_ZSTD_SHORT, write_content_size=True, threads=0
    )
    return zstandard.ZstdCompressor(compression_params=parameters)


@dataclass(frozen=True)
class Bzip2(Concatenated):
    """The format of bzip2 1.0, one stream a chunk."""

    level: int = 9
    name: str = "bzip2"
    library: str = "libbz2"
    chunk: int = 4 << 20  # a level's blocks have up to 900 kB: less than a block in five is cut off short

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        return bz2.compress(chunk, self.level)


#: Every codec's levels by its name; `codec` makes them.
LEVELS = {
    "none": range(1),
    "gzip": range(1, 10),
    "zstd": range(1, 20),
    "xz": range(10),
    "lzip": range(10),
    "bzip2": range(1, 10),
}

_KINDS: dict[str, Callable[..., Codec]] = {"gzip": Gzip, "zstd": Zstd, "xz": Xz, "lzip": Lzip, "bzip2": Bzip2}


def codec(name: str, level: int | None = None) -> Codec:
    """The codec of a name, at its default level or another.

    Raises:
        InputError: there is no such codec or level.
    """
    if name not in LEVELS:
        raise InputError(f"there is no compression {name!r}", hint=f"There are: {', '.join(LEVELS)}.")
    if level is not None and level not in LEVELS[name]:
        levels = LEVELS[name]
        hint = f"It has {levels[0]} to {levels[-1]}." if len(levels) > 1 else "Leave the level out."
        raise InputError(f"{name} has no level {level}", hint=hint)
    if name == "none":
        return NoCodec()
    return _KINDS[name]() if level is None else _KINDS[name](level)

"""Codecs with pinned parameters, whose output does not depend on how many threads made it.

A codec cuts its input into chunks of a fixed size and compresses each by itself, so that chunks can be compressed
in parallel and joined in order. `gzip` gives one member (RFC 1952) whose chunks end with a full flush (RFC 1951,
3.2.4: an empty stored block, byte-aligned); `zstd` gives one frame a chunk (RFC 8878, 3: frames concatenate).
"""

import zlib
from dataclasses import dataclass
from typing import Protocol

import isal
import zstandard
from isal import isal_zlib

from layers.errors import InputError


class Codec(Protocol):
    """How bytes become fewer.

    Attributes:
        name: as in os.toml and in media types: `none`, `gzip`, `zstd`.
        level: the codec's own scale; 0 where it has none.
        library: what compresses, with its version: the bytes depend on it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def level(self) -> int: ...  # noqa: D102
    @property
    def library(self) -> str: ...  # noqa: D102

    def start(self) -> bytes:
        """What comes before the first chunk."""
        ...

    def compress(self, chunk: bytearray) -> bytes | bytearray:
        """One chunk, compressed: a pure function, called from many threads."""
        ...

    def end(self, checksum: int, size: int) -> bytes:
        """What comes after the last chunk.

        Args:
            checksum: CRC-32 of the whole input.
            size: bytes of the whole input.
        """
        ...


@dataclass(frozen=True)
class NoCodec:
    """The bytes as they are."""

    name: str = "none"
    level: int = 0
    library: str = "none"

    def start(self) -> bytes:  # noqa: D102
        return b""

    def compress(self, chunk: bytearray) -> bytearray:  # noqa: D102
        return chunk

    def end(self, checksum: int, size: int) -> bytes:  # noqa: ARG002, D102
        return b""


_ISAL_LEVELS = range(1, 4)


@dataclass(frozen=True)
class Gzip:
    """RFC 1952, one member without name and time. Levels 1 to 3 are igzip's (260 to 460 MB/s a core), above zlib's."""

    level: int = 3
    name: str = "gzip"

    @property
    def library(self) -> str:  # noqa: D102
        if self.level in _ISAL_LEVELS:
            return f"isal {isal.__version__}"
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"

    def start(self) -> bytes:  # noqa: D102
        # magic, deflate, no flags, no time, no extra flags, unknown system: RFC 1952, 2.3
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        library = isal_zlib if self.level in _ISAL_LEVELS else zlib
        state = library.compressobj(self.level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return bytes(state.compress(chunk) + state.flush(library.Z_FULL_FLUSH))

    def end(self, checksum: int, size: int) -> bytes:  # noqa: D102
        last_block = b"\x03\0"  # final, fixed codes, end of block: RFC 1951, 3.2.6
        return last_block + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


@dataclass(frozen=True)
class Zstd:
    """RFC 8878, one frame a chunk, each with its content's size."""

    level: int = 3
    name: str = "zstd"

    @property
    def library(self) -> str:  # noqa: D102
        return "libzstd " + ".".join(map(str, zstandard.ZSTD_VERSION))

    def start(self) -> bytes:  # noqa: D102
        return b""

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        return zstandard.ZstdCompressor(level=self.level, write_content_size=True, threads=0).compress(chunk)

    def end(self, checksum: int, size: int) -> bytes:  # noqa: ARG002, D102
        # An input of no bytes still has to be a valid stream: one empty frame.
        return b"" if size else self.compress(bytearray())


_LEVELS = {"none": range(1), "gzip": range(1, 10), "zstd": range(1, 20)}


def codec(name: str, level: int | None = None) -> Codec:
    """The codec of a name, at its default level or another.

    Raises:
        InputError: there is no such codec or level.
    """
    if name not in _LEVELS:
        raise InputError(f"there is no compression {name!r}", hint=f"There are: {', '.join(_LEVELS)}.")
    if level is not None and level not in _LEVELS[name]:
        levels = _LEVELS[name]
        raise InputError(f"{name} has no level {level}", hint=f"It has {levels[0]} to {levels[-1]}.")
    if name == "none":
        return NoCodec()
    kind = Gzip if name == "gzip" else Zstd
    return kind() if level is None else kind(level)

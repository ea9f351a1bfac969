"""`lzip`: members that follow one another, each with a chunk, so that both sides can work in parallel.

lzip's manual, "File format"; so does plzip:

    +------------------+
    | LZIP           4 |  magic
    | version        1 |  1
    | dictionary     1 |  bits 4-0: n of 2^n bytes
    | LZMA data        |  lc=3, lp=0, pb=2, with an end marker
    | CRC-32         4 |  of the uncompressed data
    | size           8 |  of the uncompressed data
    | member size    8 |  of all of this
    +------------------+
      ... next member
"""

import lzma
import zlib
from dataclasses import dataclass

from layers.codec import Concatenated

_MAGIC, _VERSION = b"LZIP", 1
_TRAILER = 20


@dataclass(frozen=True)
class Lzip(Concatenated):
    """The lzip format, a member a chunk."""

    level: int = 6
    name: str = "lzip"
    library: str = "liblzma"
    #: A member's dictionary is as large; an encoder takes some eleven times that.
    chunk: int = 4 << 20

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        filters = [{"id": lzma.FILTER_LZMA1, "preset": self.level, "dict_size": self.chunk, "lc": 3, "lp": 0, "pb": 2}]
        data = lzma.compress(chunk, format=lzma.FORMAT_RAW, filters=filters)
        header = _MAGIC + bytes((_VERSION, self.chunk.bit_length() - 1))
        sizes = (len(chunk), len(header) + len(data) + _TRAILER)
        trailer = zlib.crc32(chunk).to_bytes(4, "little") + b"".join(size.to_bytes(8, "little") for size in sizes)
        return header + data + trailer

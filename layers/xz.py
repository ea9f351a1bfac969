r"""`xz`: one stream of blocks that say how long they are, so that both sides can work in parallel.

The .xz File Format, version 1.2.1 (section):

    +---------------------+
    | stream header    12 |  \xfd7zXZ\0, check's kind 2, CRC-32 4                                    (2.1.1)
    +---------------------+
    | block header     24 |  size 1, flags 1, varint compressed size, varint uncompressed size,      (3.1)
    |                     |  filter 3, zeros, CRC-32 4
    | LZMA2 data          |  padded with zeros to 4                                                  (3.2, 3.3)
    | CRC-32            4 |  of the uncompressed data                                                (3.4)
    +---------------------+
      ... next block
    +---------------------+
    | index               |  0, varint blocks, of each (varint unpadded size, varint uncompressed size),
    |                     |  zeros to 4, CRC-32 4                                                    (4)
    | stream footer    12 |  CRC-32 4, index size 4, check's kind 2, YZ                              (2.1.2)
    +---------------------+

The xz of the day takes several threads to decompress only blocks whose header has both sizes, which the encoders of
the standard library leave out: that is why they make the LZMA2 data alone.
"""

import lzma
import zlib
from dataclasses import dataclass

_MAGIC, _FOOTER_MAGIC = b"\xfd7zXZ\0", b"YZ"
_CHECK = b"\0\x01"  # CRC-32: 2.1.1.2
_BLOCK_HEADER = 24  # bytes: room for both sizes of any chunk
_BOTH_SIZES = 0xC0  # block flags, one filter: 3.1.2
_LZMA2 = 0x21  # 5.3.1


@dataclass(frozen=True)
class Xz:
    """The .xz file format, a block a chunk."""

    level: int = 6
    name: str = "xz"
    library: str = "liblzma"
    #: A block's dictionary is as large; an encoder takes some eleven times that.
    chunk: int = 4 << 20
    checksummed: bool = False

    def start(self) -> bytes:  # noqa: D102
        return _MAGIC + _CHECK + _crc(_CHECK)

    def compress(self, chunk: bytearray) -> bytes:  # noqa: D102
        filters = [{"id": lzma.FILTER_LZMA2, "preset": self.level, "dict_size": self.chunk}]
        data = lzma.compress(chunk, format=lzma.FORMAT_RAW, filters=filters)
        return b"".join((self._header(len(data), len(chunk)), data, bytes(-len(data) % 4), _crc(chunk)))

    def record(self, compressed: "bytes | bytearray") -> bytes:
        """What the index says of a block, from its header."""
        data, after = _read_varint(compressed, 2)
        size, _ = _read_varint(compressed, after)
        return _varint(_BLOCK_HEADER + data + 4) + _varint(size)

    def end(self, checksum: int, size: int, records: bytes = b"") -> bytes:  # noqa: ARG002, D102
        blocks = -(-size // self.chunk)
        index = b"\0" + _varint(blocks) + records
        index += bytes(-len(index) % 4)
        index += _crc(index)
        facts = (len(index) // 4 - 1).to_bytes(4, "little") + _CHECK
        return index + _crc(facts) + facts + _FOOTER_MAGIC

    def _header(self, data: int, size: int) -> bytes:
        filter_flags = bytes((_LZMA2, 1, _dictionary(self.chunk)))
        fields = bytes((_BLOCK_HEADER // 4 - 1, _BOTH_SIZES)) + _varint(data) + _varint(size) + filter_flags
        header = fields.ljust(_BLOCK_HEADER - 4, b"\0")
        return header + _crc(header)


def _crc(data: "bytes | bytearray") -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def _dictionary(size: int) -> int:
    """The size of a dictionary, a power of two, as the filter has it: 5.3.1."""
    return 2 * (size.bit_length() - 1 - 12)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first: 1.2."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: "bytes | bytearray", place: int) -> tuple[int, int]:
    """(value, what comes after it)."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if byte < 0x80:
            return value, place

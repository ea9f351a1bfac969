"""zisofs, read: see `formats.filesystem.iso9660.zisofs` for the layout. A block that takes no bytes is zeros."""

import zlib
from collections.abc import Iterator

from formats.filesystem.iso9660.zisofs import HEADER, MAGIC
from formats.reading.source import Cached, Part, Source, damaged

_POINTER = 4  # bytes


def decompressed(volume: Source, offset: int, stored: int, size: int, block_bits: int) -> Iterator[bytes]:
    """The content of a file.

    Args:
        volume: that it is in.
        offset: where it begins.
        stored: bytes that it takes there.
        size: bytes that its record says.
        block_bits: log2 of the bytes that are compressed at a time.

    Raises:
        ArtefactError: it is damaged.
    """
    file = Cached(Part(volume, offset, stored, f"the compressed file at byte {offset} of {volume.title}"))
    magic, header_size, quarters, bits, _ = HEADER.unpack(file.read(0, HEADER.size))
    if (magic, header_size, quarters * 4, bits) != (MAGIC, size, HEADER.size, block_bits):
        raise damaged(file, "its header is not what its record says")
    block = 1 << block_bits
    for number, start in enumerate(range(0, size, block)):
        length = min(block, size - start)
        pointers = file.read(HEADER.size + number * _POINTER, 2 * _POINTER)
        first, end = (int.from_bytes(pointers[place : place + _POINTER], "little") for place in (0, _POINTER))
        if not first <= end <= first + 2 * block:
            raise damaged(file, f"block {number} goes from {first} to {end}")
        yield _block(file, number, file.read(first, end - first), length) if end > first else bytes(length)


def _block(file: Source, number: int, data: bytes, length: int) -> bytes:
    try:
        found = zlib.decompressobj().decompress(data, length)
    except zlib.error as error:
        raise damaged(file, f"block {number}: {error}") from error
    if len(found) != length:
        raise damaged(file, f"block {number} has {len(found)} bytes, and should have {length}")
    return found

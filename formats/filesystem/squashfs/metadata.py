"""Tables: streams of metadata blocks, in memory until they are written."""

from collections.abc import Iterable

from formats.filesystem.squashfs.compressors import Compressor
from formats.filesystem.squashfs.structures import AS_IT_IS, METADATA, REFERENCE, reference


class Metadata:
    """A stream of metadata blocks.

    Args:
        compress: a block.

    Attributes:
        data: the blocks so far.
        starts: where each of them begins.
    """

    def __init__(self, compress: Compressor) -> None:
        self._compress = compress
        self._buffer = bytearray()
        self.data = bytearray()
        self.starts: list[int] = []

    @property
    def place(self) -> tuple[int, int]:
        """Where the next bytes go: where their block begins, and the byte in it."""
        return len(self.data), len(self._buffer)

    def append(self, data: bytes | bytearray) -> int:
        """Add bytes; the answer is a reference to them."""
        start = reference(*self.place)
        self._buffer += data
        while len(self._buffer) >= METADATA:
            self._flush()
        return start

    def close(self) -> bytearray:
        """End the stream; the answer is all of it."""
        if self._buffer:
            self._flush()
        return self.data

    def _flush(self) -> None:
        block = self._buffer[:METADATA]
        del self._buffer[:METADATA]
        packed: bytes | bytearray = self._compress(block)
        header = len(packed)
        if header >= len(block):
            packed, header = block, len(block) | AS_IT_IS
        self.starts.append(len(self.data))
        self.data += header.to_bytes(2, "little") + packed


def indexed(rows: Iterable[bytes], start: int, compress: Compressor) -> tuple[bytes, int]:
    """A table that is found through a list.

    Args:
        rows: of the table.
        start: where it goes.
        compress: a block of it.

    Returns:
        The table with its list, and where the list is.
    """
    metadata = Metadata(compress)
    for row in rows:
        metadata.append(row)
    data = metadata.close()
    places = b"".join(REFERENCE.pack(start + place) for place in metadata.starts)
    return bytes(data) + places, start + len(data)

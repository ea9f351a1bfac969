"""The contents of files as pieces: small ones together, large ones copied by the kernel."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from formats.filesystem import Through
from formats.filesystem.pieces import Bytes, Copy, Piece
from layers.entry import Content, Data, Entry, File, Slice
from layers.reader import Reader

_BATCH = 256 << 10  # bytes: they stay in the processor's cache between reading and writing; more are the kernel's work


class Extent(NamedTuple):
    """A range of a content, and where it goes; a tuple, because there is one for each file.

    Attributes:
        offset: in the volume, in bytes; the start of a block.
        start: first byte in the content.
        end: the byte after the last.
    """

    offset: int
    start: int
    end: int


Placed = tuple[Content, Sequence[Extent]]
"""A content as it was when it was looked at, and its extents, in order; what is between them is zeros."""


def file_pieces(
    tree: Iterable[Entry], place: Callable[[File], Placed | None], block: int, reader: Reader, through: Through
) -> Iterator[Piece]:
    """All contents, in the order of the tree, which must be that of their blocks.

    Args:
        tree: whose files these are.
        place: where a file's content goes; None if it goes nowhere.
        block: bytes of a block; what a content leaves of its last one is zeros.
        reader: reads them.
        through: sees the entries pass.
    """
    batch = _Batch(reader, block)
    for entry in through(tree):
        placed = place(entry) if isinstance(entry, File) else None
        if placed is None:
            continue
        content, extents = placed
        position = 0
        for extent in extents:
            start, end = extent.start, extent.end
            if reader.observed and start > position:
                show(content, position, start, reader)
            position = end
            if end - start <= _BATCH and isinstance(content, Slice):  # as most files have it
                if not batch.has_room(extent.offset, end - start):
                    yield from batch.rest()
                reader.read_into(content, start, batch.room(extent.offset, end - start))
            else:
                yield from batch.rest()
                yield from _large_pieces(content, start, end, extent.offset, reader)
        if reader.observed and position < content.size:
            show(content, position, content.size, reader)
    yield from batch.rest()


def _large_pieces(content: Content, start: int, end: int, offset: int, reader: Reader) -> Iterator[Piece]:
    if isinstance(content, Data):
        yield Bytes(offset, memoryview(content.data)[start:end])
    elif not reader.observed:
        yield Copy(offset, content, start, end - start)
    else:
        for position in range(start, end, _BATCH):
            piece = memoryview(bytearray(min(_BATCH, end - position)))
            reader.read_into(content, position, piece)
            yield Bytes(offset + position - start, piece)


def show(content: Content, start: int, end: int, reader: Reader) -> None:
    """Show a range that nobody needs to who observes the reader."""
    if isinstance(content, Data):
        return
    while start < end:
        size = min(_BATCH, end - start)
        reader.read_into(content, start, memoryview(bytearray(size)))
        start += size


class _Batch:
    """Contents whose blocks follow each other, to be written at once."""

    def __init__(self, reader: Reader, block: int) -> None:
        self._reader = reader
        self._block = block
        self._buffer = memoryview(bytearray(_BATCH))
        self._offset = 0
        self._filled = 0

    def has_room(self, offset: int, size: int) -> bool:
        """Whether bytes that go there follow what is here, and fit."""
        return offset == self._offset + self._filled and self._filled + size <= _BATCH

    def room(self, offset: int, size: int) -> memoryview:
        """For the next content; what is left of its last block is zeros."""
        start = self._filled
        if not start:
            self._offset = offset
        end = start + size
        self._filled = -(-end // self._block) * self._block
        if end < self._filled:
            self._buffer[end : self._filled] = bytes(self._filled - end)
        return self._buffer[start:end]

    def rest(self) -> Iterator[Piece]:
        """Hand on what is there."""
        if self._filled:
            yield Bytes(self._offset, self._buffer[: self._filled])
            self._filled = 0
            if self._reader.observed:  # and so the bytes must stay as they are
                self._buffer = memoryview(bytearray(_BATCH))

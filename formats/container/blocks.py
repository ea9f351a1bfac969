"""What containers with a map of blocks have in common: blocks find their places in the order in which they come."""

from collections.abc import Callable, Iterable, Iterator

from formats.container.nonzero import GRAIN, nonzero
from formats.filesystem.pieces import Bytes, Piece, part, size_of, write_piece
from formats.structure import Structure
from layers.output import PendingFile
from layers.reader import Reader

Allocate = Callable[[int], int]
"""Finds a place for a block of the disk: where it begins in the file. Asked once for each, in order."""

_PAGE = 64 << 10  # bytes of a map that are kept until they are written
_FREE = b"\xff"


def write_blocks(pieces: Iterable[Piece], block: int, allocate: Allocate, output: PendingFile, reader: Reader) -> None:
    """Write what is not zeros to where its blocks are; no other block is asked for.

    Args:
        pieces: of the disk, in order.
        block: bytes of a block.
        allocate: where blocks go.
        output: takes them; what is zeros in a block takes no room on disk, either.
        reader: from which the pieces come.

    Raises:
        OutputError: the output cannot be written.
        ChangedError: a content was written to meanwhile.
    """
    places = _Places(allocate, block)
    for piece in nonzero(pieces, reader, min(GRAIN, block)):
        for start, end, target in places.stretches(piece):
            write_piece(part(piece, start, end), output, target, reader)


class _Places:
    def __init__(self, allocate: Allocate, block: int) -> None:
        self._allocate = allocate
        self._block = block
        self._last = -1
        self._place = 0

    def stretches(self, piece: Piece) -> Iterator[tuple[int, int, int]]:
        """A piece in as few parts as its blocks' places allow: (start, end, where it goes)."""
        begin, target = 0, self._target(piece.offset)
        for start, _ in _cuts(piece, self._block):
            here = self._target(piece.offset + start)
            if here != target + start - begin:
                yield begin, start, target
                begin, target = start, here
        yield begin, size_of(piece), target

    def _target(self, offset: int) -> int:
        number, rest = divmod(offset, self._block)
        if number != self._last:
            self._last, self._place = number, self._allocate(number)
        return self._place + rest


def _cuts(piece: Piece, block: int) -> Iterator[tuple[int, int]]:
    """A piece, cut where blocks of the disk begin, as (start, end)."""
    start, size = 0, size_of(piece)
    while start < size:
        end = min(size, start + block - (piece.offset + start) % block)
        yield start, end
        start = end


def whole_blocks(pieces: Iterable[Piece], size: int, reader: Reader) -> Iterator[tuple[int, bytearray]]:
    """Blocks with their zeros, in memory: those that a piece has to do with, as (number, bytes); nobody else has these.

    Args:
        pieces: of the disk, in order.
        size: bytes of a block.
        reader: from which the pieces come.

    Raises:
        ChangedError: a content was written to meanwhile.
        PackError: a content cannot be read.
    """
    last, block = -1, bytearray()
    for piece in pieces:
        for start, end in _cuts(piece, size):
            number, offset = divmod(piece.offset + start, size)
            if number != last:
                if block:
                    yield last, block
                last, block = number, bytearray(size)
            room = memoryview(block)[offset : offset + end - start]
            if isinstance(piece, Bytes):
                room[:] = memoryview(piece.data)[start:end]
            else:
                reader.read_into(piece.content, piece.start + start, room)
    if block:
        yield last, block


class BlockMap:
    """A map on disk: a number of 32 bits for each block, all ones for those without one.

    It is written as it grows, so that it costs no memory: VDI has up to 4 GiB of it.

    Args:
        output: takes it.
        offset: where it begins.
        size: bytes.
        order: of a number's bytes: `<` or `>`.
    """

    def __init__(self, output: PendingFile, offset: int, size: int, order: str) -> None:
        self._output = output
        self._offset = offset
        self._size = size
        self._entry = Structure(order, "number:I")
        self._written = 0
        self._page = bytearray(_FREE * min(_PAGE, size))

    def set(self, block: int, number: int) -> None:
        """Set the number of a block; those of smaller blocks do not change any more."""
        place = block * self._entry.size
        while place >= self._written + len(self._page):
            self._flush()
        start = place - self._written
        self._page[start : start + self._entry.size] = self._entry.pack(number=number)

    def close(self) -> None:
        """Write the rest."""
        while self._page:
            self._flush()

    def _flush(self) -> None:
        self._output.overwrite(self._offset + self._written, self._page)
        self._written += len(self._page)
        self._page = bytearray(_FREE * min(_PAGE, self._size - self._written))

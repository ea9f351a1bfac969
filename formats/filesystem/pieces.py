"""Volumes as a sparse stream: pieces in the order of their offsets, zeros between them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layers.entry import Slice

if TYPE_CHECKING:
    from layers.output import Buffer, PendingFile
    from layers.reader import Reader


_TOLD = 8 << 20  # bytes: rarely enough that telling costs nothing, often enough for a bar


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes at a place.

    Attributes:
        offset: in the volume.
        data: they may change when the next piece is asked for.
    """

    offset: int
    data: "Buffer | memoryview"


@dataclass(frozen=True, slots=True)
class Copy:
    """A range of a file of the host at a place; the kernel can copy it.

    Attributes:
        offset: in the volume.
        content: the file.
        start: where the range begins in the content.
        size: number of bytes.
    """

    offset: int
    content: Slice
    start: int
    size: int


Piece = Bytes | Copy


def size_of(piece: Piece) -> int:
    """Bytes of a piece."""
    return len(piece.data) if isinstance(piece, Bytes) else piece.size


def part(piece: Piece, start: int, end: int) -> Piece:
    """What is between two of its bytes, at its place."""
    if isinstance(piece, Bytes):
        return Bytes(piece.offset + start, memoryview(piece.data)[start:end])
    return Copy(piece.offset + start, piece.content, piece.start + start, end - start)


def write_piece(piece: Piece, output: "PendingFile", place: int, reader: "Reader") -> None:
    """Write a piece into a file.

    Args:
        piece: with an offset, which does not matter here.
        output: nobody has written yet where it goes.
        place: where it begins in the output.
        reader: from which it comes.

    Raises:
        OutputError: the disk is full.
        ChangedError: a content was written to meanwhile.
    """
    if isinstance(piece, Bytes):
        output.overwrite(place, piece.data)
    else:
        source = reader.descriptor(piece.content)
        output.copy_at(place, source, piece.content.offset + piece.start, piece.size)


def written(pieces: Iterable[Piece], output: "PendingFile", reader: "Reader") -> Iterator[int]:
    """Write pieces into a file where their offsets say, and tell now and then how many bytes came since the last time.

    Args:
        pieces: as in `write_piece`.
        output: as in `write_piece`.
        reader: from which the pieces come.

    Raises:
        OutputError: the disk is full.
        ChangedError: a content was written to meanwhile.
    """
    size = 0
    for piece in pieces:
        write_piece(piece, output, piece.offset, reader)
        size += size_of(piece)
        if size >= _TOLD:
            yield size
            size = 0
    yield size


def write_pieces(pieces: Iterable[Piece], output: "PendingFile", offset: int, size: int, reader: "Reader") -> None:
    """Write a volume into a file; what is zero takes no room on disk.

    Args:
        pieces: of the volume.
        output: nobody has written yet where the volume goes.
        offset: where the volume begins in the output.
        size: of the volume in bytes.
        reader: from which the pieces come.

    Raises:
        OutputError: the disk is full.
        ChangedError: a content was written to meanwhile.
    """
    for piece in pieces:
        write_piece(piece, output, offset + piece.offset, reader)
    output.extend(offset + size)

"""The disk as it is: a sparse file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from formats.container import VirtualDisk
from formats.container.nonzero import nonzero
from formats.filesystem.pieces import Piece, write_pieces
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader


@dataclass(frozen=True, slots=True)
class Raw:
    """No container at all."""

    summary: ClassVar[str] = "the disk as it is, in a sparse file"
    suffix: ClassVar[str] = ".raw"
    compression: ClassVar[str] = ""

    def write(
        self,
        disk: VirtualDisk,
        pieces: Iterable[Piece],
        output: PendingFile,
        reader: Reader,
        pipeline: Pipeline,  # noqa: ARG002  # of the protocol
    ) -> None:
        """See `formats.container.Container`."""
        write_pieces(nonzero(pieces, reader), output, 0, disk.size, reader)

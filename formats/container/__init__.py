"""Containers: the files that virtual machines take for disks.

A container is given a disk as *pieces* in the order of their offsets (see `formats.filesystem.pieces`), with zeros
between them, and writes them once, as they come. What is zero is decided by the bytes, not by who wrote them: equal
disks are equal files, whatever their pieces were. Blocks with nothing but zeros are not in the file, if the format has
a way to say so.

`kinds` has those that there are, by name. `nonzero` leaves out zeros, and `blocks` is what formats with a map of blocks
have in common.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from formats.filesystem.pieces import Piece
from formats.partition import SECTOR
from layers.digest import Digest
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader


@dataclass(frozen=True, slots=True)
class VirtualDisk:
    """What a container is told of the disk in it.

    Attributes:
        size: bytes.
        identity: of what is packed; all that must be unique derives from it.
        epoch: every time in the container, in seconds since 1970.
    """

    size: int
    identity: Digest
    epoch: int

    @property
    def sectors(self) -> int:
        """Their number, with one that is not whole."""
        return -(-self.size // SECTOR)


class Container(Protocol):
    """One kind of file, with its options."""

    @property
    def summary(self) -> str:
        """What people are told of it, on one line."""
        ...

    @property
    def suffix(self) -> str:
        """What the file's name ends in, with the dot."""
        ...

    @property
    def compression(self) -> str:
        """What compresses, how, and in which version, as artefacts record it; empty: nothing does."""
        ...

    def write(
        self, disk: VirtualDisk, pieces: Iterable[Piece], output: PendingFile, reader: Reader, pipeline: Pipeline
    ) -> None:
        """Write a disk.

        The disk has the size that it was given, in whole sectors; `raw` alone has every size to the byte.

        Args:
            disk: its size is looked at before anything is written.
            pieces: of the disk, in the order of their offsets.
            output: empty; nobody else writes to it. It is whole when this returns, and has no name yet.
            reader: from which the pieces come.
            pipeline: compresses. Everything that is under way in it is done when this returns.

        Raises:
            InputError: the container cannot have a disk of that size.
            OutputError: the output cannot be written.
            ChangedError: a content was written to meanwhile.
        """
        ...

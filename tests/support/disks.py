"""Disks with a partition table, and nothing in the partitions; what is damaged on them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from formats.filesystem.pieces import write_pieces
from formats.partition import Disk
from layers.digest import Digest
from layers.output import PendingFile
from layers.reader import Reader

IDENTITY = Digest.of(b"a disk")


def write_disk(path: Path, table: ModuleType, disk: Disk) -> Path:
    """A disk with the table of one of `formats.partition`'s modules."""
    with Reader() as reader, PendingFile(str(path.parent)) as output:
        write_pieces(table.pieces(disk), output, 0, disk.size, reader)
        output.publish(path.name, durable=False)
    return path


@contextlib.contextmanager
def damaged(path: Path, offset: int) -> Iterator[None]:
    """The file with one byte inverted."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))
        try:
            yield
        finally:
            file.seek(offset)
            file.write(bytes([byte]))

"""Archives as files: a tar of entries that appears whole or not at all; or as a stream, into a pipe."""

import os
from collections.abc import Iterable

from layers.entry import Entry, Slice
from layers.output import PendingFile, StreamedFile
from layers.reader import Reader
from layers.tar import TarWriter

#: The path that means standard output.
STANDARD_OUTPUT = "-"

_DESCRIPTOR = 1  # of standard output: POSIX, stdin(3)


def write_archive(path: str, entries: Iterable[Entry], epoch: int) -> None:
    """Write an uncompressed tar; contents that are large are copied by the kernel.

    Args:
        path: the archive, or `STANDARD_OUTPUT`.
        entries: in the order in which they shall stand.
        epoch: modification time of all entries.

    Raises:
        OutputError: the archive cannot be written.
        PackError: a content cannot be read.
    """
    if path == STANDARD_OUTPUT:
        _write(StreamedFile(_DESCRIPTOR), entries, epoch)
        return
    with PendingFile(os.path.dirname(path) or ".") as output:
        _write(output, entries, epoch)
        output.publish(os.path.basename(path))


def _write(output: PendingFile | StreamedFile, entries: Iterable[Entry], epoch: int) -> None:
    def copy(content: Slice) -> None:
        output.copy(content.path, content.offset, content.size)

    with Reader() as reader:
        writer = TarWriter(output.write, epoch, reader, copy)
        writer.add_all(entries)
        writer.close()

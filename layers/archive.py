"""Archives as files: a tar of entries that appears whole or not at all."""

import os
from collections.abc import Iterable

from layers.entry import Entry, Slice
from layers.output import PendingFile
from layers.reader import Reader
from layers.tar import TarWriter


def write_archive(path: str, entries: Iterable[Entry], epoch: int) -> None:
    """Write an uncompressed tar; contents that are whole files of the host are copied by the kernel.

    Args:
        path: the archive.
        entries: in the order in which they shall stand.
        epoch: modification time of all entries.

    Raises:
        OutputError: the archive cannot be written.
        PackError: a content cannot be read.
    """
    with PendingFile(os.path.dirname(path) or ".") as output, Reader() as reader:

        def copy(content: Slice) -> None:
            output.copy(content.path, content.offset, content.size)

        writer = TarWriter(output.write, epoch, reader, copy)
        writer.add_all(entries)
        writer.close()
        output.publish(os.path.basename(path))

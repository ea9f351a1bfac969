"""Archives as files: a tar of entries that appears whole or not at all; or as a stream, into a pipe."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator

from layers.entry import Entry, Slice
from layers.errors import InputError
from layers.output import Buffer, PendingFile, StreamedFile, require_place
from layers.reader import Reader
from layers.tar import BLOCK, TarWriter, file_header

#: The path that means standard output.
STANDARD_OUTPUT = "-"

#: A file of which it is not known beforehand how long it is may have this many bytes at most: what ustar can hold.
LARGEST_STREAMED = 0o77777777777

_DESCRIPTOR = 1  # of standard output: POSIX, stdin(3)


def require_file(path: str, what: str) -> None:
    """See that something that is not written from its beginning to its end can get its place.

    Args:
        path: where it goes.
        what: it is.

    Raises:
        InputError: it would go to standard output.
        OutputError: as `require_place`.
    """
    if path == STANDARD_OUTPUT:
        raise InputError(
            f"{what} is not written in order, and cannot go to standard output", hint="Name a file with --output."
        )
    require_place(path)


class ArchiveWriter:
    """Writes an archive, entry by entry; made by `new_archive`.

    Attributes:
        seekable: whether `add_streamed` works: not into a pipe.
    """

    def __init__(self, output: PendingFile | StreamedFile, epoch: int, reader: Reader) -> None:
        def copy(content: Slice) -> None:
            output.copy(reader.descriptor(content), content.offset, content.size)

        self._output = output
        self._epoch = epoch
        self._writer = TarWriter(output.write, epoch, reader, copy)
        self.seekable = isinstance(output, PendingFile)

    def add(self, entry: Entry) -> None:
        """Write an entry; see `TarWriter.add`."""
        self._writer.add(entry)

    def add_streamed(self, emit: Callable[[Callable[[Buffer], object]], bytes | None]) -> None:
        """Write a file whose name and size are known only when its content has been written.

        Args:
            emit: writes the content, at most `LARGEST_STREAMED` bytes, to the function that it is given; its answer is
                the file's path, or nothing to take the file back.
        """
        assert isinstance(self._output, PendingFile)  # noqa: S101  # for mypy: `seekable` says so
        self._writer.flush()
        header = self._output.size
        self._output.write(bytes(BLOCK))
        path = emit(self._output.write)
        if path is None:
            self._output.cut(header)
            return
        size = self._output.size - header - BLOCK
        self._output.write(bytes(-size % BLOCK))
        self._output.overwrite(header, file_header(path, size, self._epoch))

    def add_placed(self, write: Callable[[PendingFile, int, int], Iterable[tuple[bytes, int, int]]]) -> None:
        """Write files that are where they are to be before their names are known.

        Args:
            write: writes their contents, given the output, where the first header goes, and its size, which is that of
                the room before each content; a content is a multiple of `BLOCK` bytes, at most `LARGEST_STREAMED`. Its
                answer is for each file its path, the offset and the size of its content.
        """
        assert isinstance(self._output, PendingFile)  # noqa: S101  # for mypy: `seekable` says so
        self._writer.flush()
        end = self._output.size
        for path, offset, size in write(self._output, end, BLOCK):
            self._output.overwrite(offset - BLOCK, file_header(path, size, self._epoch))
            end = max(end, offset + size)
        self._output.cut(end)

    def close(self) -> None:
        """Write the end of the archive."""
        self._writer.close()


@contextlib.contextmanager
def new_output(path: str) -> Iterator[PendingFile | StreamedFile]:
    """A file that appears when the block ends without an error; or a stream.

    Args:
        path: the file, or `STANDARD_OUTPUT`.

    Raises:
        OutputError: the file cannot be written.
    """
    if path == STANDARD_OUTPUT:
        yield StreamedFile(_DESCRIPTOR)
        return
    with PendingFile(os.path.dirname(path) or ".") as output:
        yield output
        output.publish(os.path.basename(path))


@contextlib.contextmanager
def new_archive(path: str, epoch: int) -> Iterator[ArchiveWriter]:
    """An archive that appears when the block ends without an error.

    Args:
        path: the archive, or `STANDARD_OUTPUT`.
        epoch: modification time of all entries.

    Raises:
        OutputError: the archive cannot be written.
    """
    with new_output(path) as output, Reader() as reader:
        writer = ArchiveWriter(output, epoch, reader)
        yield writer
        writer.close()


def write_archive(path: str, entries: Iterable[Entry], epoch: int) -> None:
    """Write an uncompressed tar; contents that are large are copied by the kernel.

    Args:
        path: the archive, or `STANDARD_OUTPUT`.
        entries: in the order in which they shall stand.
        epoch: modification time of all entries.

    Raises:
        ChangedError: a content changed since it was looked at.
        OutputError: the archive cannot be written.
        PackError: a content cannot be read.
    """
    with new_archive(path, epoch) as archive:
        for entry in entries:
            archive.add(entry)

"""Reading contents: ranges of the host's files, a bounded piece at a time, noticing a file that changes."""

import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from layers.entry import Content, Data, Slice
from layers.errors import ChangedError, PackError

_PIECE = 1 << 20


class Reader:
    """Reads contents; keeps the file it read last open, because slices of one file come one after another.

    Not for several threads at once. Use it as a context manager, or call `close`.
    """

    def __init__(self) -> None:
        self._path = ""
        self._descriptor = -1
        self._seen: tuple[int, ...] = ()
        self._observer: Callable[[memoryview], object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._forget()

    def observe(self, observer: Callable[[memoryview], object] | None) -> None:
        """Have somebody see all bytes that `read_into` reads from now on; who reads must leave them as they are."""
        self._observer = observer

    @property
    def observed(self) -> bool:
        """Whether somebody sees what is read: then all of a content must be read, with `read_into`, in order."""
        return self._observer is not None

    def descriptor(self, content: Slice) -> int:
        """The slice's file, for what the kernel does with it alone; open until another one is read.

        Raises:
            ChangedError: the file is gone, or was written to.
            PackError: the file cannot be opened.
        """
        if content.path != self._path:
            self.close()
            self._open(content)
        return self._descriptor

    def read_into(self, content: Slice, start: int, buffer: memoryview) -> None:
        """Fill the buffer from the slice, beginning at byte `start` of it.

        Raises:
            ChangedError: the file is shorter than it was, is gone, or was written to.
            PackError: the file cannot be read.
        """
        descriptor = self.descriptor(content)
        offset = content.offset + start
        try:
            done = os.preadv(descriptor, [buffer], offset)  # all of it, unless the disk or a signal has it otherwise
            while done < len(buffer):
                count = os.preadv(descriptor, [buffer[done:]], offset + done)
                if not count:
                    raise ChangedError(f"{content.path} became shorter while it was being packed")
                done += count
        except OSError as error:
            raise PackError(f"cannot read {content.path}: {error.strerror}") from error
        if self._observer:
            self._observer(buffer)

    def read(self, content: Content, limit: int = 16 << 20) -> bytes:
        """The whole content of something small.

        Raises:
            PackError: it has more than `limit` bytes, or cannot be read.
        """
        if isinstance(content, Data):
            return content.data
        if content.size > limit:
            raise PackError(f"{content.path}: {content.size} bytes where at most {limit} were expected")
        data = bytearray(content.size)
        self.read_into(content, 0, memoryview(data))
        return bytes(data)

    def pieces(self, content: Content) -> Iterator[bytes]:
        """A content from its beginning to its end, a mebibyte at a time if it is a file's.

        Raises:
            PackError: as `read_into`.
        """
        if isinstance(content, Data):
            yield content.data
            return
        for start in range(0, content.size, _PIECE):
            piece = bytearray(min(_PIECE, content.size - start))
            self.read_into(content, start, memoryview(piece))
            yield bytes(piece)

    def close(self) -> None:
        """Close the file that is open.

        Raises:
            ChangedError: it was written to since it was opened.
        """
        path, descriptor, seen = self._path, self._descriptor, self._seen
        if descriptor < 0:
            return
        changed = _state(os.fstat(descriptor)) != seen
        self._forget()
        if changed:
            raise ChangedError(f"{path} was written to while it was being packed")

    def _forget(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._path, self._descriptor = "", -1

    def _open(self, content: Slice) -> None:
        path = content.path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise ChangedError(f"{path} vanished while it was being packed") from error
        except OSError as error:
            raise PackError(f"cannot read {path}: {error.strerror}") from error
        status = os.fstat(self._descriptor)
        self._path, self._seen = path, _state(status)
        if content.state and content.state != state(status):
            self._forget()
            raise ChangedError(f"{path} was written to while it was being packed")


def state(status: os.stat_result) -> tuple[int, ...]:
    """What of a file's status changes whenever its content does, even when somebody sets its times back."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ino

"""Files that appear whole or not at all.

The bytes go to an unnamed file of the target's folder (`O_TMPFILE`), which gets its name only when all of them are
on disk: a killed run leaves nothing behind. Replacing an existing file needs a second name for an instant (a link
cannot replace); that name is derived from the target's, so that the next run takes a left-over away.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Self

from layers.errors import PackError

Buffer = bytes | bytearray


class OutputError(PackError):
    """The output cannot be written."""


def said(error: OSError) -> str:
    """What the system says, in words: `No space left on device`."""
    return error.strerror or str(error)


class PendingFile:
    """A file that has no name yet; without `publish` it is gone when it is closed.

    Args:
        folder: where it will get its name.

    Raises:
        OutputError: the folder does not take it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with _explained(folder):
            self.file: BinaryIO = open(_unnamed(folder), "w+b", buffering=0)  # noqa: SIM115  # closed by close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: Buffer) -> None:
        """Append the data.

        Raises:
            OutputError: the disk is full, or broken.
        """
        with _explained(self._folder):
            view = memoryview(data)
            while view:
                view = view[self.file.write(view) :]

    def copy(self, source: str, size: int) -> None:
        """Append a file of the host, which must have `size` bytes; the kernel copies, or shares the blocks.

        Raises:
            OutputError: the disk is full, or the source has another size.
        """
        with _explained(self._folder), open(source, "rb", buffering=0) as file:
            _copy_all(file.fileno(), self.file.fileno(), size)

    def publish(self, name: str, *, mode: int = 0o644, durable: bool = True) -> None:
        """Give it its name, in place of what had that name before.

        Args:
            name: in the folder.
            mode: permission bits, whatever the umask.
            durable: wait until it is on disk.

        Raises:
            OutputError: the name is a folder's, or the disk is full.
        """
        with _explained(self._folder):
            os.fchmod(self.file.fileno(), mode)
            if durable:
                os.fsync(self.file.fileno())
            directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _link(self.file.fileno(), directory, name)
                if durable:
                    os.fsync(directory)
            finally:
                os.close(directory)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


@contextlib.contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {said(error)}") from error


def _unnamed(folder: str) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        raise OutputError(
            f"{folder}: its file system cannot make unnamed files (O_TMPFILE)",
            hint="Write to a local file system and copy the result.",
        ) from error


def _link(descriptor: int, directory: int, name: str) -> None:
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, name, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            raise OutputError(f"{name} is a folder", hint="Choose another output with --output.") from None
        second = f".{name}.ocipack"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(second, dir_fd=directory)
        os.link(source, second, dst_dir_fd=directory, follow_symlinks=True)
        os.rename(second, name, src_dir_fd=directory, dst_dir_fd=directory)


def _copy_all(source: int, target: int, size: int) -> None:
    offset = 0
    while offset < size:
        try:
            copied = os.copy_file_range(source, target, size - offset, offset_src=offset)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            copied = os.sendfile(target, source, offset, size - offset)
        if not copied:
            raise OutputError(f"a file of {size} bytes ends after {offset}: it was changed while it was copied")
        offset += copied

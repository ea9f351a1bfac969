"""Files that appear whole or not at all.

The bytes go to an unnamed file of the target's folder (`O_TMPFILE`), which gets its name only when all of them are
on disk: a killed run leaves nothing behind. Replacing an existing file needs a second name for an instant (a link
cannot replace); that name begins with the target's, so that the next run takes a left-over away. File systems without
unnamed files (FUSE, NFS, overlays of older kernels) get a file with a name of its own from the beginning, that is
locked while somebody writes to it, and taken away by the next run if nobody does any more.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, Self

from layers.copying import copy_range
from layers.errors import PackError

Buffer = bytes | bytearray

#: A folder of ours, which is gone when anybody reads of it.
_OURS = re.compile(r"/(?:\.[^/]*ocipack-|ocipack-gpg-)[^/]*(?:/.*)?$")


class OutputError(PackError):
    """The output cannot be written."""


def said(error: OSError) -> str:
    """What the system says, in words: `No space left on device`."""
    return error.strerror or str(error)


class PendingFile:
    """A file that does not have its name yet; without `publish` it is gone when it is closed.

    Args:
        folder: where it will get its name.

    Raises:
        OutputError: the folder does not take it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._temporary = ""
        with _explained(folder):
            descriptor = _unnamed(folder)
            if descriptor is None:
                descriptor, self._temporary = _named(folder)
            self.file: BinaryIO = open(descriptor, "w+b", buffering=0)  # noqa: SIM115  # closed by close()

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

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.file.tell()

    def overwrite(self, offset: int, data: Buffer | memoryview) -> None:
        """Write at a place of its own: over bytes that are there already, or beyond the end.

        Raises:
            OutputError: the disk is full, or broken.
        """
        with _explained(self._folder):
            view = memoryview(data)
            while view:
                count = os.pwrite(self.file.fileno(), view, offset)
                view, offset = view[count:], offset + count

    def cut(self, size: int) -> None:
        """Forget what comes after the first `size` bytes."""
        self.file.seek(size)
        self.file.truncate()

    def extend(self, size: int) -> None:
        """Have at least this many bytes; those that nobody wrote are zeros that take no room on disk.

        Raises:
            OutputError: the disk has no files of that size.
        """
        with _explained(self._folder):
            if os.fstat(self.file.fileno()).st_size < size:
                self.file.truncate(size)

    def copy_at(self, offset: int, source: int, start: int, size: int) -> None:
        """Write a range of an open file at a place of its own; the kernel shares the blocks, where it can.

        Raises:
            ChangedError: the source is shorter.
            OutputError: the disk is full.
        """
        with _explained(self._folder):
            copy_range(source, self.file.fileno(), start, size, offset)

    def copy(self, source: int, start: int, size: int) -> None:
        """Append a range of an open file; the kernel copies, or shares the blocks.

        Raises:
            ChangedError: the source is shorter.
            OutputError: the disk is full.
        """
        with _explained(self._folder):
            copy_range(source, self.file.fileno(), start, size)

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
                if self._temporary:
                    _refuse_special(directory, name)
                    os.rename(self._temporary, os.path.join(self._folder, name))
                    self._temporary = ""
                else:
                    _link(self.file.fileno(), directory, name)
                if durable:
                    os.fsync(directory)
            finally:
                os.close(directory)

    def close(self) -> None:
        """Let go of the file."""
        if self._temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary)
            self._temporary = ""
        self.file.close()


@contextlib.contextmanager
def _explained(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write into {_OURS.sub('', folder)}: {said(error)}") from error


@contextlib.contextmanager
def _explained_stream() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {said(error)}") from error


_ANOTHER_PLACE = "XDG_CACHE_HOME names another place for it."


@contextlib.contextmanager
def writing_cache(folder: str) -> Iterator[None]:
    """Say of the system's errors in the block that the cache cannot be written.

    Args:
        folder: of the cache, for the message.

    Raises:
        OutputError: the disk is full, read-only or broken.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write into the cache {folder}: {said(error)}", hint=_ANOTHER_PLACE) from error


def make_cache(folder: str, *below: str) -> None:
    """Make the folder of a cache, and folders below it, for this user alone; those that are there stay.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        for path in (folder, *(os.path.join(folder, name) for name in below)):
            os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the cache {folder}: {said(error)}", hint=_ANOTHER_PLACE) from error


def _unnamed(folder: str) -> int | None:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS):
            raise
        return None


def _named(folder: str) -> tuple[int, str]:
    _sweep_folder(folder, _second_names(""))
    while True:
        descriptor, path = tempfile.mkstemp(prefix=_second_names(""), dir=folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, path
        os.close(descriptor)  # another run's sweep was faster than our lock


def _link(descriptor: int, directory: int, name: str) -> None:
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, name, dst_dir_fd=directory, follow_symlinks=True)
    except FileExistsError:
        _refuse_special(directory, name)
        _replace(descriptor, directory, name)


def require_place(path: str) -> None:
    """See that a file can get a name: its folder takes files, and what has the name already can be replaced.

    Raises:
        OutputError: it does not, or cannot.
    """
    with PendingFile(os.path.dirname(path) or "."), _explained(os.path.dirname(path)):
        _refuse_special(None, path)


def _refuse_special(directory: int | None, name: str) -> None:
    """Only files and symbolic links are replaced; not /dev/stdout, which leads to whatever this process has open."""
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode) and os.readlink(name, dir_fd=directory).startswith("/proc/"):
        raise OutputError(f"{name} is a link to an open file", hint="Standard output is `--output -`.")
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        what = "folder" if stat.S_ISDIR(mode) else "device or a pipe"
        raise OutputError(f"{name} is a {what}", hint="Choose another output with --output.")


def _replace(descriptor: int, directory: int, name: str) -> None:
    _sweep(directory, _second_names(name))
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # before it has a name, so that no other run's sweep takes it
    second = f"{_second_names(name)}{os.fstat(descriptor).st_ino}"
    os.link(f"/proc/self/fd/{descriptor}", second, dst_dir_fd=directory, follow_symlinks=True)
    os.rename(second, name, src_dir_fd=directory, dst_dir_fd=directory)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(second, dir_fd=directory)  # rename(2) leaves it there when both names are one file's


def _second_names(name: str) -> str:
    """What second names of a target begin with; those of a file whose target is not known yet, without a name."""
    return f".{name}.ocipack-" if name else ".ocipack-"


def _sweep(directory: int, prefix: str) -> None:
    """Take away what killed runs left behind; what runs that are alive work on is locked."""
    for name in os.listdir(directory):
        if not name.startswith(prefix):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    shutil.rmtree(name, ignore_errors=True, dir_fd=directory)
                else:
                    os.unlink(name, dir_fd=directory)
            finally:
                os.close(descriptor)


class StreamedFile:
    """A descriptor that somebody reads from: what was written cannot be taken back.

    Args:
        descriptor: of a pipe, a terminal or a file; it stays open.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: Buffer) -> None:
        """Append the data.

        Raises:
            BrokenPipeError: nobody reads any more.
            OutputError: the disk is full, or broken.
        """
        with _explained_stream():
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def copy(self, source: int, start: int, size: int) -> None:
        """Append a range of an open file; see `PendingFile.copy`.

        Raises:
            BrokenPipeError: nobody reads any more.
            ChangedError: the source is shorter.
            OutputError: the disk is full, or broken.
        """
        with _explained_stream():
            copy_range(source, self._descriptor, start, size)


class Spool:
    """A file with a path beside an output, that is gone when the output is there.

    Args:
        target: path of the output.

    Attributes:
        path: of the file.
        size: bytes so far.

    Raises:
        OutputError: the folder does not take it.
    """

    def __init__(self, target: str) -> None:
        self._folder = PendingFolder(f"{target}.spool")
        self.path = os.path.join(self._folder.path, "spool")
        self.size = 0
        try:
            with _explained(self._folder.path):
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except BaseException:
            self._folder.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._folder.__exit__()

    def append(self, data: Buffer) -> None:
        """Write at the end.

        Raises:
            OutputError: the disk is full.
        """
        self.overwrite(self.size, data)
        self.size += len(data)

    def overwrite(self, offset: int, data: Buffer) -> None:
        """Write at a place of its own.

        Raises:
            OutputError: the disk is full.
        """
        with _explained(self._folder.path):
            view = memoryview(data)
            while view:
                count = os.pwrite(self._descriptor, view, offset)
                view, offset = view[count:], offset + count


class PendingFolder:
    """A folder that is made under a name of its own beside its target, and takes the target's place at the end.

    Left-overs of killed runs are taken away by the next one; those of runs that are still alive are locked.

    Args:
        path: the target; what is there is replaced as a whole.

    Raises:
        OutputError: the folder above does not take it.
    """

    def __init__(self, path: str) -> None:
        self._target = path.rstrip("/")
        above, name = os.path.split(self._target)
        self._above = above = above or "."
        with _explained(above):
            _sweep_folder(above, _second_names(name))
            while True:
                self.path = tempfile.mkdtemp(prefix=_second_names(name), dir=above)
                lock = _locked(self.path)
                if lock is not None:
                    self._lock = lock
                    return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)

    def publish(self) -> None:
        """Take the target's place; what was there goes.

        Raises:
            OutputError: the target is no folder, or the disk is full.
        """
        with _explained(self._above):
            os.chmod(self.path, 0o755)  # noqa: S103  # as any folder, whatever the umask
            if os.path.lexists(self._target):
                if os.path.islink(self._target) or not os.path.isdir(self._target):
                    raise OutputError(f"{self._target} is no folder", hint="Choose another output with --output.")
                _exchange(self.path, self._target)
            else:
                os.rename(self.path, self._target)


def _locked(folder: str) -> int | None:
    """The lock of a new folder; None: another run's sweep was faster, and the folder is gone."""
    descriptor = -1
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except FileNotFoundError:
        return None
    except BaseException:
        os.rmdir(folder)
        if descriptor >= 0:
            os.close(descriptor)
        raise
    if os.path.exists(folder):
        return descriptor
    os.close(descriptor)
    return None


def sweep(folder: str) -> None:
    """Take away the files of processes that are no more, of those that have names from the beginning.

    Raises:
        OSError: the folder cannot be read.
    """
    _sweep_folder(folder, _second_names(""))


def _sweep_folder(folder: str, prefix: str) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sweep(directory, prefix)
    finally:
        os.close(directory)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2)


def _exchange(new: str, old: str) -> None:
    """Let two paths change places, in one step where the file system can."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):  # anything else fails again, and `old` must not be lost to it
        raise OSError(code, os.strerror(code))
    shutil.rmtree(old)
    os.rename(new, old)

"""The cache as a whole: what is in it, when it was used, and who may remove something.

Each module that keeps something in the cache describes it by a function `kept(folder)`, which gives a `Kept` for each
thing that is whole by itself: a package, a blob, a list. Who shows, prunes or verifies the cache needs no more.

**Used** is when a record was read last. A record is the small file that every use reads first (a layer's, a package's
index), and `mark_used` sets its time of modification. Times of access are no help: most systems do not keep them, or
only once a day. The contents beside a record keep their times: who reads them takes a file with a new time for one
that is being written to.

**Locks.** Whoever builds holds a shared lock on the cache's folder, from the first question to the last byte; whoever
removes something, an exclusive one. So what a build has found stays until the build ends.
"""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from layers.digest import Digest
from layers.output import make_cache, said, writing_cache


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Kept:
    """Something in the cache that can be removed without harm to anything else; who needs it makes it anew.

    Attributes:
        kind: what people call it, in the plural: `packages`.
        paths: of its files and folders, in the cache.
        size: bytes of its files.
        used: when it was used last, in nanoseconds since 1970.
        is_whole: reads all of it, and says whether it is what was kept; it may raise OSError.
    """

    kind: str
    paths: tuple[str, ...]
    size: int
    used: int
    is_whole: Callable[[], bool] = _always


class Keeper(Protocol):
    """Describes a part of the cache."""

    def __call__(self, cache: "CacheFolder", /) -> Iterator[Kept]:
        """What is kept; files that the keeper did not make are passed over.

        Args:
            cache: its root; it need not be there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A directory entry of the cache, as it was found; a link is only that.

    Attributes:
        name: in its folder.
        path: in the cache.
        place: on this machine.
        size: bytes, if it is a file.
        used: its time of modification, in nanoseconds since 1970.
        is_file: whether it is a regular file.
        is_folder: whether it is a folder.
    """

    name: str
    path: str
    place: str
    size: int
    used: int
    is_file: bool
    is_folder: bool


@dataclass(frozen=True, slots=True)
class CacheFolder:
    """The cache, or a folder below it.

    Attributes:
        root: the cache on this machine; itself, it may be a link.
        path: in the cache; empty for the cache itself.
    """

    root: str
    path: str = ""

    def below(self, name: str) -> "CacheFolder":
        """A folder in this one."""
        return CacheFolder(self.root, os.path.join(self.path, name))

    def found(self) -> list[Found]:
        """What is in the folder, sorted by name; nothing if it is not there, or behind a link."""
        try:
            with _opened(self.root, self.path) as directory:
                names = sorted(os.listdir(directory))
                return [one for name in names if (one := self._found(directory, name))]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _found(self, directory: int, name: str) -> Found | None:
        path = os.path.join(self.path, name)
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        is_folder = stat.S_ISDIR(status.st_mode)
        is_file = stat.S_ISREG(status.st_mode)
        place = os.path.join(self.root, path)
        return Found(name, path, place, status.st_size, status.st_mtime_ns, is_file, is_folder)

    @property
    def size(self) -> int:
        """Bytes of all files in the folder, at any depth."""
        return sum(self.below(found.name).size if found.is_folder else found.size for found in self.found())

    def remove(self, path: str) -> None:
        """Remove a file or a folder, if it is there; the caller has the cache for itself.

        A folder is renamed before: if this is interrupted, nobody takes what is left for all of it.

        Args:
            path: in this folder.

        Raises:
            OSError: it cannot be removed.
        """
        above, name = os.path.split(os.path.join(self.path, path))
        with contextlib.suppress(FileNotFoundError), _opened(self.root, above) as directory:
            if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                second = name if is_left_over(name) else f".{name}.ocipack-removed"
                if second != name:
                    with contextlib.suppress(FileNotFoundError):
                        shutil.rmtree(second, dir_fd=directory)
                    os.rename(name, second, src_dir_fd=directory, dst_dir_fd=directory)
                shutil.rmtree(second, dir_fd=directory)
            else:
                os.unlink(name, dir_fd=directory)


def is_left_over(name: str) -> bool:
    """Whether it is the name of something in the making: when nobody builds, a killed run has left it behind."""
    return name.startswith((".ocipack-", "check-")) or (name.startswith(".") and ".ocipack-" in name)


@contextlib.contextmanager
def _opened(root: str, path: str) -> Iterator[int]:
    """A folder of the cache; no link below the root is followed."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in filter(None, path.split("/")):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            os.close(directory)
            directory = below
        yield directory
    finally:
        os.close(directory)


def mark_used(record: str) -> None:
    """Note that something in the cache is used now; if that cannot be noted, it is pruned a little early."""
    with contextlib.suppress(OSError):
        os.utime(record, follow_symlinks=False)


def file_digest(place: str) -> Digest:
    """The digest of a file of the cache.

    Raises:
        OSError: it cannot be read, or is a link.
    """
    with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        return Digest.of_file(file)


def is_named_truly(place: str, name: str) -> bool:
    """Whether a file of the cache is what its name says.

    Args:
        place: of the file.
        name: a digest, in hexadecimal.

    Raises:
        OSError: as `file_digest`.
    """
    return file_digest(place).hex == name


@contextlib.contextmanager
def in_use(folder: str) -> Iterator[str]:
    """Use the cache: nothing of it is removed in the meantime. Waits for who is removing something.

    Args:
        folder: of the cache; made when it is missing.

    Raises:
        OutputError: it cannot be made.
    """
    make_cache(folder)
    with _locked(folder, fcntl.LOCK_SH):
        yield folder


@contextlib.contextmanager
def exclusive(folder: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Have the cache for oneself, to remove something; waits until nobody uses it.

    Args:
        folder: of the cache; it is there.
        waiting: is called if somebody uses it.

    Raises:
        OutputError: it cannot be locked.
    """
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
            return
    except _BusyError:
        waiting()
    with _locked(folder, fcntl.LOCK_EX):
        yield


class _BusyError(Exception):
    """Somebody else has the lock."""


@contextlib.contextmanager
def _locked(folder: str, how: int) -> Iterator[None]:
    with writing_cache(folder):
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with writing_cache(folder):
            try:
                fcntl.flock(directory, how)
            except BlockingIOError as error:
                raise _BusyError(said(error)) from error
        yield
    finally:
        os.close(directory)

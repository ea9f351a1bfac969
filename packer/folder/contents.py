"""Digests of files, kept as long as the files stay the same, so that an unchanged file is not read again.

    FOLDER/HEX of the packed folder's path    one line of JSON: the digests by device, inode, size, mtime and ctime;
                                              and one with the line's SHA-256

A file that was written to a moment ago may be written to again without its times changing, because the clock of a file
system ticks in milliseconds, or in seconds. As git does with its index (Documentation/technical/racy-git.txt), a
digest is kept only when the file's last change, its ctime, which nobody can set, is older than the list itself, which
gets its own time before the first file is read. Nothing here looks at a clock.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from layers.cache import CacheFolder, Kept, mark_used
from layers.digest import Digest, is_hex
from layers.errors import ChangedError, PackError
from layers.output import PendingFile, make_cache, said
from layers.progress import Progress
from layers.reader import state
from packer import checked_line
from packer.folder.scan import Found

_FORMAT = 1
_MOST_FILES = 500_000
_MOST_BYTES = 128 << 20
_TICK = 2_000_000_000  # nanoseconds: of the coarsest clock, that of FAT

_Key = tuple[int, int, int, int, int]


class ContentDigests:
    """Digests of the files of one folder.

    Args:
        cache: where they are kept; made when it is missing.
        folder: that is packed.
    """

    def __init__(self, cache: str, folder: str) -> None:
        self._cache = cache
        self._name = Digest.of(os.fsencode(folder)).hex

    def of(self, files: Iterable[Found], progress: Progress) -> dict[tuple[int, int], Digest]:
        """The digests of regular files, by inode.

        Args:
            files: of the folder.
            progress: is told which files are read.

        Raises:
            ChangedError: a file is written to meanwhile.
            OutputError: the cache cannot be written.
            PackError: a file cannot be read.
        """
        by_key = {_key(found.status): found for found in files}
        make_cache(self._cache)
        with PendingFile(self._cache) as file:
            beginning = os.fstat(file.file.fileno()).st_mtime_ns
            known = _load(os.path.join(self._cache, self._name)) or {}
            digests = {key: known[key] for key in by_key if key in known}
            digests |= _read([by_key[key] for key in by_key if key not in known], progress)
            settled = {key: digest for key, digest in digests.items() if key[-1] < beginning - _TICK}
            if settled != known:
                _write(settled, file)
                file.publish(self._name, mode=0o600, durable=False)
            mark_used(os.path.join(self._cache, self._name))
        return {key[:2]: digest for key, digest in digests.items()}


def read_digests(files: Iterable[Found], progress: Progress) -> dict[tuple[int, int], Digest]:
    """The digests of regular files, by inode, all of which are read now.

    Raises:
        ChangedError: a file is written to meanwhile.
        PackError: a file cannot be read.
    """
    by_key = {_key(found.status): found for found in files}
    return {key[:2]: digest for key, digest in _read(list(by_key.values()), progress).items()}


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The lists of a folder of the cache; see `layers.cache.Keeper`."""
    for found in folder.found():
        if found.is_file and is_hex(found.name):
            is_whole = partial(_is_whole, found.place)
            yield Kept("digests of folders", (found.path,), found.size, found.used, is_whole)


def _is_whole(place: str) -> bool:
    return _load(place) is not None


def _load(place: str) -> dict[_Key, Digest] | None:
    """What is known; None if it is damaged, or not there."""
    facts = checked_line.read(place, _FORMAT, _MOST_BYTES)
    if facts is None:
        return None
    return {(device, inode, size, mtime, ctime): Digest(hexadecimal)
            for device, inode, size, mtime, ctime, hexadecimal in facts["files"]}  # fmt: skip


def _write(digests: dict[_Key, Digest], file: PendingFile) -> None:
    rows = [[*key, digest.hex] for key, digest in sorted(digests.items())[:_MOST_FILES]]
    checked_line.write(file, {"format": _FORMAT, "files": rows})


def _read(files: Sequence[Found], progress: Progress) -> dict[_Key, Digest]:
    progress.begin("contents", sum(found.status.st_size for found in files))
    digests = {}
    for found in files:
        digests[_key(found.status)] = _digest(found)
        progress.advance(os.fsdecode(found.entry.path), found.status.st_size)
    progress.end()
    return digests


def _digest(found: Found) -> Digest:
    place = found.place
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:
            digest = Digest.of_file(file)
            after = os.fstat(descriptor)
    except FileNotFoundError as error:
        raise ChangedError(f"{place} vanished while it was being packed") from error
    except OSError as error:
        raise PackError(f"cannot read {place}: {said(error)}") from error
    if state(after) != state(found.status):
        raise ChangedError(f"{place} was written to while it was being packed")
    return digest


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

"""What is in a folder of this machine: every file-system object below it, with its metadata; nothing is followed.

Whose files they are says the file system only if the folder belongs to root: then it is a root file system, or
something made for one, and owners and extended attributes (capabilities, `user.*`) are meant. Anybody else's folder
belongs to whoever happens to work on this machine, by a number that means nothing in an image: there, everything is
root's, and only permissions are kept. So the same folder gives the same bytes whoever packs it, root or not.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from layers.entry import Device, DeviceKind, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import ChangedError, EntryError, InputError, PackError
from layers.output import said
from layers.reader import state

_XATTRS = (b"security.capability", b"system.posix_acl_", b"user.")
_LINK = 0o777  # whatever a file system says of links, which have no permissions


_Attributes = tuple[tuple[bytes, bytes], ...]
_Facts = tuple[int, int, int, _Attributes]  # the fields of a Meta


class MissingFolderError(InputError):
    """A folder that is not there."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is in a folder.

    Attributes:
        entry: as an image has it; of a file, its content is all of the host's file. Never a hard link.
        place: where it is on the host.
        status: what it is there.
    """

    entry: Entry
    place: str
    status: os.stat_result

    @property
    def inode(self) -> tuple[int, int]:
        """Equal for two names of one file."""
        return self.status.st_dev, self.status.st_ino


def scan(folder: str, key: str = "store.path") -> Iterator[Found]:
    """Everything below a folder, in no order worth mentioning.

    Args:
        folder: its path.
        key: of os.toml, that names it.

    Raises:
        MissingFolderError: there is no such folder.
        EntryError: something that an image cannot hold: a socket.
        ChangedError: something vanished meanwhile.
        PackError: something cannot be read.
    """
    try:
        top = os.stat(folder)
    except OSError as error:
        raise MissingFolderError(f"{key}: cannot read {folder}: {said(error)}") from error
    if not stat.S_ISDIR(top.st_mode):
        raise MissingFolderError(f"{key}: {folder} is no folder")
    scanner = _Scanner(os.fsencode(folder), kept=top.st_uid == 0)
    waiting = [b""]
    while waiting:
        for found in scanner.children(waiting.pop()):
            yield found
            if isinstance(found.entry, Directory):
                waiting.append(found.entry.path)


class _Scanner:
    def __init__(self, root: bytes, *, kept: bool) -> None:
        self._root = root
        self._kept = kept
        self._metas: dict[_Facts, Meta] = {}  # most entries have one of a few

    def children(self, path: bytes) -> Iterator[Found]:
        place = os.fsdecode(os.path.join(self._root, path) if path else self._root)
        try:
            names = os.listdir(place)
        except OSError as error:
            raise _unreadable(place, error) from error
        above, prefix = os.path.join(place, ""), path + b"/" if path else b""
        for name in names:
            where = above + name
            try:
                status = os.lstat(where)
                entry = self._entry(prefix + os.fsencode(name), where, status)
            except OSError as error:
                raise _unreadable(where, error) from error
            yield Found(entry, where, status)

    def _entry(self, path: bytes, where: str, status: os.stat_result) -> Entry:
        kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
        if kind == stat.S_IFLNK:
            return Symlink(path, os.fsencode(os.readlink(where)), self._meta(_LINK, status))
        if kind == stat.S_IFSOCK:
            raise EntryError(
                f"{where} is a socket, which no image can hold",
                hint="End the program that listens there, or take the file away.",
            )
        meta = self._meta(mode, status, _xattrs(where) if self._kept else ())
        if kind == stat.S_IFREG:
            return File(path, Slice(where, 0, status.st_size, state=state(status)), meta)
        if kind == stat.S_IFDIR:
            return Directory(path, meta)
        device = (0, 0) if kind == stat.S_IFIFO else (os.major(status.st_rdev), os.minor(status.st_rdev))
        return Device(path, DeviceKind(kind), *device, meta)

    def _meta(self, mode: int, status: os.stat_result, xattrs: _Attributes = ()) -> Meta:
        facts = (mode, status.st_uid, status.st_gid, xattrs) if self._kept else (mode, 0, 0, xattrs)
        if facts not in self._metas:
            self._metas[facts] = Meta(*facts)
        return self._metas[facts]


def _xattrs(where: str) -> _Attributes:
    found = os.listxattr(where, follow_symlinks=False)
    if not found:  # as for nearly all
        return ()
    names = [os.fsencode(name) for name in found]
    return tuple(
        (name, os.getxattr(where, name, follow_symlinks=False)) for name in sorted(names) if name.startswith(_XATTRS)
    )


def _unreadable(where: str, error: OSError) -> PackError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ChangedError(f"{where} vanished while it was being packed")
    return PackError(f"cannot read {where}: {said(error)}")

"""An OCI image layout that is there already, in a folder or in an archive: where its files are.

Nothing is unpacked: a file is a range of the archive. Links are not followed, so that a layout cannot lead elsewhere.
See `image_layout` for what is in one.
"""

import os
import stat
import tarfile

from layers.entry import Slice
from layers.errors import InputError, PackError
from layers.output import said
from layers.reader import Reader

_MAGIC_AT, _MAGIC = 257, b"ustar"  # POSIX pax(1), ustar Interchange Format
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


class StoredLayout:
    """The files of a layout.

    Args:
        path: of the folder or the archive.

    Raises:
        PackError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._members = None if os.path.isdir(path) else _members(path)

    def content(self, name: str) -> Slice:
        """Where a file is.

        Raises:
            PackError: it is not there, or is no regular file.
        """
        found = self._members.get(name) if self._members is not None else _in_folder(os.path.join(self.path, name))
        if found is None:
            raise PackError(f"{self.path} has no {name}")
        return found

    def read(self, name: str, most: int) -> bytes:
        """A small file.

        Raises:
            PackError: it is not there, or larger.
        """
        with Reader() as reader:
            return reader.read(self.content(name), most)


def is_layout(path: str) -> bool:
    """Whether a path is a folder or an archive, and so may be a layout.

    Raises:
        InputError: it cannot be read.
    """
    if os.path.isdir(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError as error:
        raise InputError(f"{path} cannot be read: {said(error)}") from None


def _members(path: str) -> dict[str, Slice]:
    """The regular files of an archive."""
    found: dict[str, Slice] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.type in _PLAIN:
                    name = member.name.removeprefix("./")
                    if name in found:
                        raise PackError(f"{path} has {name} twice: who reads it decides what it is")
                    found[name] = Slice(path, member.offset_data, member.size)
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
    except OSError as error:
        raise PackError(f"{path} cannot be read: {said(error)}") from None
    except (tarfile.TarError, ValueError, ArithmeticError, RecursionError) as error:
        raise PackError(f"{path} is a damaged archive: {error}") from None
    return found


def _in_folder(path: str) -> Slice | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return Slice(path, 0, status.st_size) if stat.S_ISREG(status.st_mode) else None

"""Entries: file-system objects with their metadata, apart from any file system.

An entry never needs root to exist: its owner, mode and device numbers are plain numbers, and its content is
bytes or a *slice*, a range of a file that is already on the host (an item's file, a kept `data.tar`, an
uncompressed NAR). Emitters copy ranges of it; nothing is staged.

Paths are bytes, because POSIX names are; they are relative to the root of the image, without a leading or a
trailing slash. The root itself is `b""`. Times are not part of an entry: an artefact has one time, its epoch.
"""

import os
import stat
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from layers.errors import EntryError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PATH = 4096  # PATH_MAX: what open(2) takes
_LONGEST_COMPONENT = 255  # NAME_MAX of every file system that Linux has


@dataclass(frozen=True, slots=True)
class Meta:
    """Who owns an entry and who may do what with it.

    Attributes:
        mode: permission bits with setuid, setgid and sticky: 0 to 0o7777.
        uid: owner's number.
        gid: group's number.
        xattrs: extended attributes as (name, value), sorted by name.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


#: What most entries have; shared, because a closure has a hundred thousand of them.
FOLDER = Meta(0o755)
FILE = Meta(0o644)
PROGRAM = Meta(0o755)
LINK = Meta(0o777)


@dataclass(frozen=True, slots=True)
class Data:
    """Content that is at hand.

    Attributes:
        data: the bytes.
    """

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Slice:
    """Content that is a range of a file on the host.

    Attributes:
        path: the host's file; symbolic links are not followed.
        offset: first byte.
        size: number of bytes.
        state: of the file when its content was looked at, as `layers.reader.state` has it: a reader refuses a file in
            another one. Empty: any state will do.
    """

    path: str
    offset: int
    size: int
    state: tuple[int, ...] = field(default=(), kw_only=True)


Content = Data | Slice


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    path: bytes
    content: Content = field(default=Data(b""))
    meta: Meta = FILE


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory, without what is in it."""

    path: bytes
    meta: Meta = FOLDER


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; the target is kept to the letter."""

    path: bytes
    target: bytes
    meta: Meta = LINK


@dataclass(frozen=True, slots=True)
class Hardlink:
    """Another name of a file of the same tree; owner, mode and content are that file's."""

    path: bytes
    target: bytes


class DeviceKind(Enum):
    """What `mknod` makes: the value is the type in `st_mode`."""

    CHARACTER = stat.S_IFCHR
    BLOCK = stat.S_IFBLK
    FIFO = stat.S_IFIFO


@dataclass(frozen=True, slots=True)
class Device:
    """A device node or a FIFO (which has no numbers)."""

    path: bytes
    kind: DeviceKind
    major: int = 0
    minor: int = 0
    meta: Meta = FILE


Entry = File | Directory | Symlink | Hardlink | Device


def checked_path(path: bytes, origin: str) -> bytes:
    """The path as entries have it, from what an archive or a database says: `./a/b/` gives `a/b`.

    Args:
        path: a path from outside; a leading `/` or `./` and a trailing `/` are dropped.
        origin: where it was read, for the message.

    Raises:
        EntryError: it has `..`, a NUL, or a name that no file system takes.
    """
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts or b"\0" in path:
        raise EntryError(f"{origin}: the path {os.fsdecode(path)!r} leads outside of its folder")
    if any(len(part) > _LONGEST_COMPONENT for part in parts):
        raise EntryError(f"{origin}: a name in {os.fsdecode(path)!r} is longer than {_LONGEST_COMPONENT} bytes")
    return b"/".join(parts)


def parents(path: bytes) -> "Iterator[bytes]":
    """The folders above a path, nearest first, without the root: `a/b/c` gives `a/b`, `a`."""
    end = path.rfind(b"/")
    while end > 0:
        path = path[:end]
        yield path
        end = path.rfind(b"/")


def tree_order(path: bytes) -> bytes:
    """Sort key of paths: a folder's contents right after the folder, by name; the order of a NAR, too.

    Plain order of bytes would put `a-b` between `a` and `a/c`.
    """
    return path.replace(b"/", b"\0")

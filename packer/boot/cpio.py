"""cpio archives in the format "newc": what the kernel unpacks as its first root file system.

    +---------------------+
    | header          110 |  "070701", then 13 numbers of 8 hexadecimal digits: inode, mode, uid, gid, links, time,
    |                     |  size, device 2, number of a device node 2, bytes of the name with its NUL, checksum (0)
    | name                |  with a NUL; zeros to a multiple of 4 bytes after the header's beginning
    | content             |  zeros to a multiple of 4 bytes
    +---------------------+
    | ...                 |
    | "TRAILER!!!"        |  an entry of that name
    +---------------------+

Documentation of the kernel: driver-api/early-userspace/buffer-format.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from layers.entry import Content, Data, Device, Directory, Entry, File, Hardlink, Symlink
from layers.errors import EntryError
from layers.reader import Reader

_TRAILER = b"TRAILER!!!"
_ALIGNMENT = 4
_LARGEST = 0xFFFFFFFF
_MODES = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}


def archive(entries: Iterable[Entry], reader: Reader, epoch: int) -> Iterator[bytes]:
    """An archive, piece by piece.

    Args:
        entries: with their parents, each before what is below it; no hard links.
        reader: reads their contents.
        epoch: the time of all of them, in seconds since 1970.

    Raises:
        EntryError: an entry is a hard link, or has more than 4 GiB.
        PackError: a content cannot be read.
    """
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, Hardlink):
            raise EntryError(f"/{os.fsdecode(entry.path)} is a hard link, which a cpio archive of ours has not")
        content = _content(entry)
        numbers = (entry.major, entry.minor) if isinstance(entry, Device) else (0, 0)
        kind = entry.kind.value if isinstance(entry, Device) else _MODES[type(entry)]
        if content.size > _LARGEST:
            raise EntryError(f"/{os.fsdecode(entry.path)} has {content.size} bytes, and a cpio archive room for 4 GiB")
        meta = entry.meta
        fields = (number, kind | meta.mode, meta.uid, meta.gid, 1, min(epoch, _LARGEST), content.size, 0, 0, *numbers)
        yield _header(entry.path, fields)
        yield from reader.pieces(content)
        yield bytes(-content.size % _ALIGNMENT)
    yield _header(_TRAILER, (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0))


def _content(entry: Entry) -> Content:
    if isinstance(entry, File):
        return entry.content
    return Data(entry.target if isinstance(entry, Symlink) else b"")


def _header(name: bytes, fields: tuple[int, ...]) -> bytes:
    numbers = b"".join(b"%08x" % field for field in (*fields, len(name) + 1, 0))
    header = b"070701" + numbers + name + b"\0"
    return header + bytes(-len(header) % _ALIGNMENT)

"""The time zone: the link /etc/localtime (localtime(5)), and its name in /etc/timezone, for programs of Debian."""

import os
from collections.abc import Iterator

from layers.entry import Data, Entry, File, Symlink
from packer.operating_system.image import Image, suggestion

_FOLDER = b"usr/share/zoneinfo"
_SUFFIX = b"/share/zoneinfo/Etc/UTC"
_MAGIC = b"TZif"  # RFC 9636, 3.1
_UTC = ("UTC", "Etc/UTC")
_OTHER_NAMES = (b"posix/", b"right/")  # the same zones again


def entries(zone: str | None, image: Image) -> Iterator[Entry]:
    """Link and name; nothing without a zone.

    A zone that is not in the image would be taken for UTC, without a word: that is a mistake.
    """
    if zone is None:
        return
    folder = _zones(image)
    if not _is_zone(image, folder + b"/" + zone.encode()) and not (zone in _UTC and folder == _FOLDER):
        names = [name for name in _names(image, folder) if _is_zone(image, folder + b"/" + name.encode())]
        missing = "add the package tzdata" if not names else ""
        image.wrong("os.timezone", f"there is no time zone {zone!r} in the image", suggestion(zone, names, missing))
        return
    yield Symlink(b"etc/localtime", b"/" + folder + b"/" + zone.encode())
    yield File(b"etc/timezone", Data(f"{zone}\n".encode()))


def _zones(image: Image) -> bytes:
    """The folder of all zones: the usual one, or that of an item of a store."""
    if image.follow(_FOLDER):
        return _FOLDER
    found = sorted(path for path in image.tree.by_path() if path.endswith(_SUFFIX))
    return found[0].removesuffix(b"/Etc/UTC") if found else _FOLDER


def _names(image: Image, folder: bytes) -> Iterator[str]:
    folder = image.tree.real(folder)
    for entry in image.tree.below(folder):
        name = entry.path[len(folder) + 1 :]
        if not name.startswith(_OTHER_NAMES):
            yield os.fsdecode(name)


def _is_zone(image: Image, path: bytes) -> bool:
    entry = image.follow(path)
    return isinstance(entry, File) and image.reader.read(entry.content).startswith(_MAGIC)

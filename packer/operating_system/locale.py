"""The locale: LANG in /etc/locale.conf (locale.conf(5)).

PAM of Debian reads /etc/default/locale: up to Debian 12 that is the file, and the other one a link to it; since Debian
13 it is the other way round.

The C library finds a locale as a folder below /usr/lib/locale, or in the archive that is there:

    0   magic 0xde020109, serial
    8   offset, used, size of: names (hash table), strings, locales, checksums        four times three numbers
    ..  names: hash, offset of the name, offset of the locale (0: free)               three numbers each

All numbers have 32 bits, and the byte order of the machine (glibc, locale/locarchive.h).
"""

import os
import re
import struct
from collections.abc import Iterator

from layers.entry import Data, Directory, Entry, File, Slice, Symlink
from layers.reader import Reader
from packer.operating_system.image import Image, suggestion

_FOLDER = b"usr/lib/locale"
_ARCHIVE = _FOLDER + b"/locale-archive"
_HEAD = struct.Struct("<8I")
_NAME = struct.Struct("<3I")
_MAGIC = 0xDE020109
_LONGEST_NAME = 256
_MOST_NAMES = 100_000

#: Those that every C library has (since glibc 2.35; Debian has C.UTF-8 in libc-bin).
_BUILT_IN = ("C", "C.UTF-8", "C.utf8", "POSIX")


def entries(locale: str | None, image: Image) -> Iterator[Entry]:
    """The files; nothing without a locale. One that is not in the image would make programs complain."""
    if locale is None:
        return
    names = set(_names(image))
    if locale not in _BUILT_IN and _normalized(locale) not in map(_normalized, names):
        package = "add the package locales-all" if image.is_debian() else "there is C.UTF-8"
        hint = suggestion(_normalized(locale), names, package)
        image.wrong("os.locale", f"there is no locale {locale!r} in the image", hint)
        return
    text = Data(f"LANG={locale}\n".encode())
    if image.is_linked("/etc/default/locale"):
        yield File(b"etc/locale.conf", text)
        yield Symlink(b"etc/default/locale", b"../locale.conf")
    elif image.is_debian():
        yield File(b"etc/default/locale", text)
        yield Symlink(b"etc/locale.conf", b"default/locale")
    else:
        yield File(b"etc/locale.conf", text)


def _normalized(locale: str) -> str:
    """A name as folders have it: `de_DE.UTF-8@euro` gives `de_DE.utf8@euro` (glibc, _nl_normalize_codeset)."""
    found = re.fullmatch(r"([^.@]+)(?:\.([^@]+))?(@.+)?", locale)
    if found is None or found[2] is None:
        return locale
    codeset = "".join(character for character in found[2].lower() if character.isalnum())
    return f"{found[1]}.{'iso' if codeset.isdecimal() else ''}{codeset}{found[3] or ''}"


def _names(image: Image) -> Iterator[str]:
    folder = image.tree.real(_FOLDER)
    for entry in image.tree.below(folder):
        name = entry.path[len(folder) + 1 :]
        if b"/" not in name and isinstance(image.follow(entry.path), Directory):
            yield os.fsdecode(name)
    archive = image.follow(_ARCHIVE)
    if isinstance(archive, File):
        yield from _archived(archive, image.reader)


def _archived(archive: File, reader: Reader) -> Iterator[str]:
    """The names in an archive; it may have hundreds of MiB, of which little is read."""
    head = _part(archive, reader, 0, _HEAD.size)
    if len(head) < _HEAD.size:
        return
    magic, _, start, _, count, _, _, _ = _HEAD.unpack(head)
    if magic != _MAGIC or count > _MOST_NAMES:
        return
    table = _part(archive, reader, start, count * _NAME.size)
    for _, name, locale in _NAME.iter_unpack(table[: len(table) // _NAME.size * _NAME.size]):
        if locale:
            yield os.fsdecode(_part(archive, reader, name, _LONGEST_NAME).partition(b"\0")[0])


def _part(archive: File, reader: Reader, start: int, size: int) -> bytes:
    content = archive.content
    if isinstance(content, Data):
        return content.data[start : start + size]
    size = max(0, min(size, content.size - start))
    return reader.read(Slice(content.path, content.offset + start, size, state=content.state))

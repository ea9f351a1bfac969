"""POSIX access control lists: from the form of Linux' extended attributes to the text that tar archives have.

An attribute (linux/posix_acl_xattr.h) is a version and entries, all little endian:

    version 4 = 2 | tag 2, permissions 2, id 4 | tag 2, permissions 2, id 4 | ...

star's `SCHILY.acl.access` and `SCHILY.acl.default` are the short text form of acl(5), with numbers for names; GNU tar
and bsdtar restore access control lists from these alone.
"""

import struct
from collections.abc import Iterable

from layers.errors import EntryError

#: Names of the attributes that hold lists, and of the records of an archive that do.
RECORDS = {b"system.posix_acl_access": b"SCHILY.acl.access", b"system.posix_acl_default": b"SCHILY.acl.default"}

_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_VERSION = 2
_USER, _GROUP = 0x02, 0x08  # the tags whose id means something
_TAGS = {0x01: b"user", _USER: b"user", 0x04: b"group", _GROUP: b"group", 0x10: b"mask", 0x20: b"other"}
_MOST = 0o7


def acl_entries(value: bytes) -> list[tuple[int, int, int]]:
    """The entries of an attribute: tag, permissions and whom they are for, which means something with two tags alone.

    Raises:
        EntryError: it is no list.
    """
    if len(value) < _HEADER.size or _HEADER.unpack_from(value) != (_VERSION,) or len(value) % _ENTRY.size != 4:
        raise EntryError(f"{value.hex()} is no access control list")
    entries = list(_ENTRY.iter_unpack(value[_HEADER.size :]))
    for tag, permissions, _ in entries:
        if tag not in _TAGS or permissions > _MOST:
            raise EntryError(
                f"an access control list has an entry of the kind {tag:#x} with the permissions {permissions}"
            )
    return entries


def pack_entries(entries: Iterable[tuple[int, int, int]]) -> bytes:
    """The attribute of entries as `acl_entries` has them."""
    return _HEADER.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)


def acl_text(value: bytes) -> bytes:
    """The list of an attribute as text: `user::rw-,user:1000:r--,group::r--,mask::rw-,other::---`.

    Raises:
        EntryError: it is no list.
    """
    return b",".join(_text(*entry) for entry in acl_entries(value))


def _text(tag: int, permissions: int, number: int) -> bytes:
    who = b"%d" % number if tag in (_USER, _GROUP) else b""
    letters = bytes(letter if permissions & bit else ord("-") for letter, bit in zip(b"rwx", (4, 2, 1), strict=True))
    return b":".join((_TAGS[tag], who, letters))

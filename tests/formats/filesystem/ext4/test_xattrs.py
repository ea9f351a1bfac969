import struct

import pytest

from formats.filesystem.ext4 import xattrs
from formats.filesystem.ext4.xattrs import Attribute
from layers.errors import EntryError

ACL = b"system.posix_acl_access"
NOBODY = 2**32 - 1


def acl(*entries: tuple[int, int, int], version: int = 2) -> bytes:
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("name", "prefix", "rest"),
    [
        (b"user.name", 1, b"name"),
        (b"trusted.overlay.opaque", 4, b"overlay.opaque"),
        (b"security.capability", 6, b"capability"),
        (b"system.data", 7, b"data"),
    ],
)
def test_the_beginning_of_a_name_is_a_number(name: bytes, prefix: int, rest: bytes) -> None:
    assert Attribute.parse(name, b"v") == Attribute(prefix, len(rest), rest, b"v")


def test_a_control_list_names_only_who_is_not_known_anyway() -> None:
    value = acl((1, 7, NOBODY), (2, 5, 1000), (4, 5, NOBODY), (8, 6, 70000), (0x10, 7, NOBODY), (0x20, 0, NOBODY))
    wanted = struct.pack("<IHHHHIHHHHIHHHH", 1, 1, 7, 2, 5, 1000, 4, 5, 8, 6, 70000, 0x10, 7, 0x20, 0)
    assert Attribute.parse(ACL, value) == Attribute(2, 0, b"", wanted)
    assert Attribute.parse(b"system.posix_acl_default", acl()) == Attribute(3, 0, b"", struct.pack("<I", 1))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (b"users.name", b"", "no extended attributes like"),
        (b"user.", b"", "no name"),
        (b"user." + b"n" * 256, b"", "no name"),
        (b"user.a\0b", b"", "no name"),
        (ACL + b"es", acl(), "no name"),
        (ACL, b"", "no access control list"),
        (ACL, acl((1, 7, NOBODY))[:-1], "no access control list"),
        (ACL, acl((1, 7, NOBODY), version=1), "no access control list"),
        (ACL, acl((3, 7, NOBODY)), "unknown kind 3"),
    ],
)
def test_what_is_no_attribute_is_refused(name: bytes, value: bytes, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        Attribute.parse(name, value)


@pytest.mark.parametrize(("size", "fits"), [(0, True), (64, True), (68, True), (69, False), (4096, False)])
def test_an_inode_has_room_for_96_bytes(size: int, fits: bool) -> None:
    """A magic number, an entry of 16 bytes with a name of 1 to 4, and the end of entries: 24 + 4."""
    found = xattrs.in_inode([Attribute(1, 1, b"n", b"v" * size)], 96)
    assert (found is not None) is fits
    assert found is None or len(found) == 96


@pytest.mark.parametrize("room", [0, -32])
def test_small_inodes_have_none(room: int) -> None:
    assert xattrs.in_inode([Attribute(1, 1, b"n", b"")], room) is None


@pytest.mark.parametrize(("size", "fits"), [(4040, True), (4041, False)])
def test_a_block_has_room_for_its_bytes_without_header_entry_and_end(size: int, fits: bool) -> None:
    found = xattrs.block([Attribute(1, 4, b"name", b"v" * size)], 1)
    assert (found is not None) is fits
    assert found is None or len(found) == 4096

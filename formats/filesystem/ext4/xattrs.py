"""Extended attributes: the kernel's documentation, filesystems/ext4/attributes.rst.

    in the inode:        magic 4 | entries | 0 | ... free ... | values
    in their own block:  header 32 | entries | 0 | ... free ... | values

    an entry:   length of the name 1 | prefix 1 | offset of the value 2 | inode 4 | size of the value 4 | hash 4 | name

Offsets count from the block's beginning, or from the inode's first entry. Inodes with the same attributes share a
block. An access control list stands there in a shape of its own: entries without a name have no identifier.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from formats.filesystem.ext4.structures import BLOCK
from layers.errors import EntryError

#: Most inodes that share a block: EXT4_XATTR_REFCOUNT_MAX.
MOST_SHARED = 1024

_MAGIC = 0xEA020000
_IN_INODE = struct.Struct("<I")
_HEADER = struct.Struct("<IIIII12s")  # magic, inodes, blocks, hash, checksum, reserved
_ENTRY = struct.Struct("<BBHIII")
_END = 4
_PREFIXES = (
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
    (b"system.", 7),
    (b"gnu.", 10),
)
_ACLS = (2, 3)

_ACL_VERSION = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")  # tag, permissions, identifier
_ACL_SHORT = struct.Struct("<HH")
_XATTR_ACL = 2  # versions: acl(5) as an attribute, and ext4's
_EXT4_ACL = 1
_NAMED = (0x02, 0x08)  # tags of a user and of a group
_UNNAMED = (0x01, 0x04, 0x10, 0x20)  # owner, owning group, mask, others

_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, order=True)
class Attribute:
    """An attribute as ext4 has it; in the order in which they stand in a block.

    Attributes:
        prefix: number of the beginning of its name.
        length: of the rest of its name.
        name: the rest.
        value: any bytes.
    """

    prefix: int
    length: int
    name: bytes
    value: bytes

    @classmethod
    def parse(cls, name: bytes, value: bytes) -> "Attribute":
        """An attribute as xattr(7) has it.

        Raises:
            EntryError: ext4 has no place for such a name, or a control list is none.
        """
        known = next(((beginning, number) for beginning, number in _PREFIXES if name.startswith(beginning)), None)
        if known is None:
            raise EntryError(f"ext4 has no extended attributes like {name!r}")
        rest, prefix = name.removeprefix(known[0]), known[1]
        if bool(rest) == (prefix in _ACLS) or len(rest) > 255 or b"\0" in rest:
            raise EntryError(f"{name!r} is no name of an extended attribute")
        return cls(prefix, len(rest), rest, _acl(name, value) if prefix in _ACLS else value)

    def hash(self) -> int:
        """Of name and value: what entries of a block have."""
        result = 0
        for byte in self.name:
            result = (result << 5 ^ result >> 27 ^ byte) & _MASK
        padded = self.value.ljust(len(self.value) + 3 & ~3, b"\0")
        for (word,) in struct.iter_unpack("<I", padded):
            result = (result << 16 ^ result >> 16 ^ word) & _MASK
        return result


def in_inode(attributes: Sequence[Attribute], room: int) -> bytes | None:
    """What stands in an inode after its fields, or nothing if it has not enough room.

    Args:
        attributes: in order.
        room: bytes.
    """
    body = _body(attributes, 0, room - _IN_INODE.size, [0] * len(attributes))
    return body and _IN_INODE.pack(_MAGIC) + body


def block(attributes: Sequence[Attribute], inodes: int, checksum: int = 0) -> bytes | None:
    """A block of attributes, or nothing if it has not enough room.

    Args:
        attributes: in order.
        inodes: how many share it.
        checksum: of the number of the block, 8 bytes, and the block as it is without a checksum.
    """
    hashes = [attribute.hash() for attribute in attributes]
    body = _body(attributes, _HEADER.size, BLOCK - _HEADER.size, hashes)
    if body is None:
        return None
    together = 0
    for value in hashes:
        together = (together << 16 ^ together >> 16 ^ value) & _MASK
    return _HEADER.pack(_MAGIC, inodes, 1, together if all(hashes) else 0, checksum, b"") + body


def _body(attributes: Sequence[Attribute], start: int, room: int, hashes: Sequence[int]) -> bytes | None:
    entries, values = bytearray(), bytearray()
    for attribute, value_hash in zip(attributes, hashes, strict=True):
        padded = attribute.value.ljust(len(attribute.value) + 3 & ~3, b"\0")
        values[:0] = padded
        offset = start + room - len(values) if padded else 0
        entries += _ENTRY.pack(attribute.length, attribute.prefix, offset & 0xFFFF, 0, len(attribute.value), value_hash)
        entries += attribute.name.ljust(attribute.length + 3 & ~3, b"\0")
        if len(entries) + _END + len(values) > room:
            return None
    return bytes(entries).ljust(room - len(values), b"\0") + bytes(values)


def _acl(name: bytes, value: bytes) -> bytes:
    """A control list in ext4's shape."""
    if len(value) % _ACL_ENTRY.size != _ACL_VERSION.size or _ACL_VERSION.unpack_from(value)[0] != _XATTR_ACL:
        raise EntryError(f"{name.decode()} has a value that is no access control list")
    result = _ACL_VERSION.pack(_EXT4_ACL)
    for tag, permissions, identifier in _ACL_ENTRY.iter_unpack(value[_ACL_VERSION.size :]):
        if tag in _NAMED:
            result += _ACL_ENTRY.pack(tag, permissions, identifier)
        elif tag in _UNNAMED:
            result += _ACL_SHORT.pack(tag, permissions)
        else:
            raise EntryError(f"{name.decode()} has an entry of the unknown kind {tag}")
    return result

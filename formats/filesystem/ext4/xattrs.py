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

MAGIC = 0xEA020000
IN_INODE = struct.Struct("<I")
HEADER = struct.Struct("<IIIII12s")  # magic, inodes, blocks, hash, checksum, reserved
CHECKSUM = 16  # where it is in the header
ENTRY = struct.Struct("<BBHIII")
_END = 4
PREFIXES = (
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
    (b"system.", 7),
    (b"gnu.", 10),
)
ACLS = (2, 3)

ACL_VERSION = struct.Struct("<I")
ACL_ENTRY = struct.Struct("<HHI")  # tag, permissions, identifier
ACL_SHORT = struct.Struct("<HH")
XATTR_ACL = 2  # versions: acl(5) as an attribute, and ext4's
EXT4_ACL = 1
NAMED = (0x02, 0x08)  # tags of a user and of a group
_UNNAMED = (0x01, 0x04, 0x10, 0x20)  # owner, owning group, mask, others

_NOBODY = 0xFFFFFFFF  # the identifier of entries that have none
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
        known = next(((beginning, number) for beginning, number in PREFIXES if name.startswith(beginning)), None)
        if known is None:
            raise EntryError(f"ext4 has no extended attributes like {name!r}")
        rest, prefix = name.removeprefix(known[0]), known[1]
        if bool(rest) == (prefix in ACLS) or len(rest) > 255 or b"\0" in rest:
            raise EntryError(f"{name!r} is no name of an extended attribute")
        return cls(prefix, len(rest), rest, _acl(name, value) if prefix in ACLS else value)

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
    body = _body(attributes, 0, room - IN_INODE.size, [0] * len(attributes))
    return body and IN_INODE.pack(MAGIC) + body


def block(attributes: Sequence[Attribute], inodes: int, checksum: int = 0) -> bytes | None:
    """A block of attributes, or nothing if it has not enough room.

    Args:
        attributes: in order.
        inodes: how many share it.
        checksum: of the number of the block, 8 bytes, and the block as it is without a checksum.
    """
    hashes = [attribute.hash() for attribute in attributes]
    body = _body(attributes, HEADER.size, BLOCK - HEADER.size, hashes)
    if body is None:
        return None
    together = 0
    for value in hashes:
        together = (together << 16 ^ together >> 16 ^ value) & _MASK
    return HEADER.pack(MAGIC, inodes, 1, together if all(hashes) else 0, checksum, b"") + body


def _body(attributes: Sequence[Attribute], start: int, room: int, hashes: Sequence[int]) -> bytes | None:
    entries, values = bytearray(), bytearray()
    for attribute, value_hash in zip(attributes, hashes, strict=True):
        padded = attribute.value.ljust(len(attribute.value) + 3 & ~3, b"\0")
        values[:0] = padded
        offset = start + room - len(values) if padded else 0
        entries += ENTRY.pack(attribute.length, attribute.prefix, offset & 0xFFFF, 0, len(attribute.value), value_hash)
        entries += attribute.name.ljust(attribute.length + 3 & ~3, b"\0")
        if len(entries) + _END + len(values) > room:
            return None
    return bytes(entries).ljust(room - len(values), b"\0") + bytes(values)


def _acl(name: bytes, value: bytes) -> bytes:
    """A control list in ext4's shape."""
    if len(value) % ACL_ENTRY.size != ACL_VERSION.size or ACL_VERSION.unpack_from(value)[0] != XATTR_ACL:
        raise EntryError(f"{name.decode()} has a value that is no access control list")
    result = ACL_VERSION.pack(EXT4_ACL)
    for tag, permissions, identifier in ACL_ENTRY.iter_unpack(value[ACL_VERSION.size :]):
        if tag in NAMED:
            result += ACL_ENTRY.pack(tag, permissions, identifier)
        elif tag in _UNNAMED:
            result += ACL_SHORT.pack(tag, permissions)
        else:
            raise EntryError(f"{name.decode()} has an entry of the unknown kind {tag}")
    return result


def parsed(prefix: int, rest: bytes, value: bytes) -> tuple[bytes, bytes]:
    """An attribute as xattr(7) has it, of what stands in a volume.

    Args:
        prefix: number of the beginning of its name.
        rest: of its name.
        value: as it stands there.

    Raises:
        ValueError: with the rest of a sentence: there is no such prefix, or a control list is none.
    """
    beginning = next((beginning for beginning, number in PREFIXES if number == prefix), None)
    if beginning is None or bool(rest) == (prefix in ACLS):
        raise ValueError(f"has a name with the prefix {prefix}")
    return beginning + rest, _parsed_acl(value) if prefix in ACLS else value


def _parsed_acl(value: bytes) -> bytes:
    """A control list in the shape of an attribute."""
    if value[: ACL_VERSION.size] != ACL_VERSION.pack(EXT4_ACL):
        raise ValueError("is no access control list")
    result, position = bytearray(ACL_VERSION.pack(XATTR_ACL)), ACL_VERSION.size
    while position < len(value):
        if position + ACL_SHORT.size > len(value):
            raise ValueError("is no access control list")
        tag, permissions = ACL_SHORT.unpack_from(value, position)
        identifier, size = _NOBODY, ACL_SHORT.size
        if tag in NAMED:
            if position + ACL_ENTRY.size > len(value):
                raise ValueError("is no access control list")
            identifier, size = ACL_ENTRY.unpack_from(value, position)[2], ACL_ENTRY.size
        result += ACL_ENTRY.pack(tag, permissions, identifier)
        position += size
    return bytes(result)

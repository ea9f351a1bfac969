"""Inodes: everything about a file but its names. The kernel's documentation, filesystems/ext4/inodes.rst."""

import struct
from typing import TYPE_CHECKING, NamedTuple

from formats.filesystem.ext4.checksums import stored
from formats.filesystem.ext4.features import Features
from formats.filesystem.ext4.structures import (
    BLOCK,
    EXTRA_SIZE,
    INODE,
    INODE_BLOCKS,
    INODE_CHECKSUM,
    INODE_CHECKSUM_HI,
    OWNER_IS_AUTHOR,
    SECTOR,
    SMALL_INODE,
    halves,
)
from layers.entry import Device, DeviceKind
from layers.errors import InputError

if TYPE_CHECKING:
    from formats.filesystem.ext4.checksums import Checksums

_CHECKSUM = struct.Struct("<I")
_NUMBERS = struct.Struct("<II")
_SMALL_DEVICE = 0xFF  # largest number that fits into the old shape of a device
_SIGN = 1 << 31
_LOWER = (1 << 32) - 1
_LAST_TIME = (1 << 34) - _SIGN  # the first second that two more bits cannot hold: in the year 2446


class Inode(NamedTuple):
    """What stands in an inode; a tuple, because there is one for each file.

    Attributes:
        mode: type and permissions.
        uid: owner's number.
        gid: group's number.
        size: bytes.
        links: names.
        blocks: that it takes, with those that only lead to others.
        flags: of `structures`.
        block_field: where its blocks are, what device it is, or the target of a short link.
        attributes: what stands after its fields.
        attribute_block: number of a block of attributes, or 0.
    """

    mode: int
    uid: int
    gid: int
    size: int
    links: int
    blocks: int
    flags: int
    block_field: bytes
    attributes: bytes = b""
    attribute_block: int = 0


class InodePacker:
    """Makes the bytes of inodes.

    Args:
        features: of the volume.
        checksums: of the volume, if there are any.
        epoch: all times.

    Raises:
        InputError: the epoch is later than these inodes can say.
    """

    def __init__(self, features: Features, checksums: "Checksums | None", epoch: int) -> None:
        self._size = features.inode_size
        self._checksums = checksums
        self._time, self._time_hi = stored_time(epoch)
        if epoch >= (_SIGN if self._size == SMALL_INODE else _LAST_TIME):
            raise InputError(f"inodes of {self._size} bytes cannot hold the time {epoch}")
        self._has_extra = self._size > SMALL_INODE
        self._author = OWNER_IS_AUTHOR if features.hurd else 0

    def pack(self, number: int, inode: Inode) -> bytes:
        """The bytes of an inode: 128 or 256.

        Args:
            number: of the inode, for its checksum.
            inode: what stands in it.
        """
        mode, uid, gid, size, links, blocks, flags, block_field, attributes, attribute_block = inode
        sectors, time, time_hi = blocks * (BLOCK // SECTOR), self._time, self._time_hi
        data = (
            INODE.pack(
                mode, uid & 0xFFFF, size & _LOWER, time, time, time, 0, gid & 0xFFFF, links, sectors & _LOWER,
                flags, 0, block_field, 0, attribute_block & _LOWER, size >> 32, 0,
                sectors >> 32, attribute_block >> 32, uid >> 16, gid >> 16,
                self._author, self._author,
                EXTRA_SIZE, 0, time_hi, time_hi, time_hi, time, time_hi, 0, 0,
            )
            + attributes
        ).ljust(self._size, b"\0")[: self._size]  # fmt: skip
        if self._checksums is None:
            return data
        checksum = _CHECKSUM.pack(stored(self._checksums.of_inode(number, data)))
        data = data[:INODE_CHECKSUM] + checksum[:2] + data[INODE_CHECKSUM + 2 :]
        return data[:INODE_CHECKSUM_HI] + checksum[2:] + data[INODE_CHECKSUM_HI + 2 :] if self._has_extra else data


def stored_time(epoch: int) -> tuple[int, int]:
    """A time as inodes have it: 32 bits that are signed, and two more in another field."""
    low, high = halves(epoch, 32)
    return low, (high + (low >> 31)) & 0x3


def device_field(device: Device) -> bytes:
    """The numbers of a device: in the shape of old, or where one is larger than that has room for, in the new one."""
    if device.kind is DeviceKind.FIFO:
        return bytes(INODE_BLOCKS)
    major, minor = device.major, device.minor
    if max(major, minor) <= _SMALL_DEVICE:
        numbers = (major << 8 | minor, 0)
    else:
        numbers = (0, minor & 0xFF | major << 8 | (minor & ~0xFF) << 12)
    return _NUMBERS.pack(*numbers).ljust(INODE_BLOCKS, b"\0")

"""Checksums of ext4's metadata: the kernel's documentation, filesystems/ext4/checksums.rst.

With the feature metadata_csum, each structure has a CRC-32C that begins with one of the volume's UUID, so that blocks
of another volume are noticed. Block bitmaps, inodes, directories and extents go on from there:

    volume     = crc32c(UUID)
    an inode   = crc32c(volume, number of the inode, its generation)
    its blocks = crc32c(an inode, the block)

With uninit_bg alone, group descriptors have a CRC-16. The kernel's CRC-32C leaves out the inversion at the end that
everybody else has; here it stays in until the value is stored.
"""

import struct
from typing import TYPE_CHECKING

import google_crc32c

if TYPE_CHECKING:
    from uuid import UUID

_INVERSION = 0xFFFFFFFF
_INODE = struct.Struct("<II")
_GENERATION = 0  # of every inode: nothing was there before


def crc32c(data: bytes, seed: int = 0) -> int:
    """The CRC-32C of data that comes after the data of the seed, as everybody but ext4 has it."""
    value: int = google_crc32c.extend(seed, data)
    return value


def stored(value: int) -> int:
    """A CRC-32C as ext4 stores it."""
    return value ^ _INVERSION


class Checksums:
    """The checksums of one volume.

    Args:
        uuid: of the volume.
    """

    def __init__(self, uuid: "UUID") -> None:
        self._volume = crc32c(uuid.bytes)

    def of(self, data: bytes) -> int:
        """Of something that belongs to the volume as a whole."""
        return stored(crc32c(data, self._volume))

    def of_inode(self, number: int, data: bytes = b"") -> int:
        """With what the checksums of an inode's blocks begin, or of the inode itself; not as it is stored."""
        return crc32c(_INODE.pack(number, _GENERATION) + data, self._volume)


def crc16(data: bytes, value: int = 0xFFFF) -> int:
    """The CRC-16 of the kernel's lib/crc16.c: polynomial 0x8005, reflected, not inverted."""
    for byte in data:
        value = _CRC16[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value


def _crc16_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return value


_CRC16 = [_crc16_of_byte(byte) for byte in range(256)]

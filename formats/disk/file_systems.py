"""The file systems and types of partitions, by the names that people give them."""

from uuid import UUID

from formats.filesystem import FileSystem, Volume
from formats.filesystem.ext4 import Ext4
from formats.filesystem.ext4.features import EXT2, EXT2_HURD, EXT3, EXT4
from formats.filesystem.fat import Fat
from formats.filesystem.iso9660.volume_date import VolumeDate
from formats.filesystem.swap import Swap
from formats.image import BIOS_GRUB, BLS_BOOT, ESP, EXT, FAT, FILE_SYSTEMS, ISO9660, UNFORMATTED, Partition
from formats.partition import types
from formats.partition.types import PartitionType
from layers.errors import InputError

_EXT_FEATURES = {"ext2": EXT2, "ext2-hurd": EXT2_HURD, "ext3": EXT3, "ext4": EXT4}
_FAT_BITS = {"fat12": 12, "fat16": 16, "fat32": 32, "vfat": None}
_SERIAL_BYTES = 4  # of a UUID, that FAT keeps

_FLAGGED = {ESP: types.ESP, BIOS_GRUB: types.BIOS_BOOT, BLS_BOOT: types.XBOOTLDR}


def file_system(partition: Partition, volume: Volume) -> FileSystem | None:
    """The file system of a partition; none for one that is not formatted.

    Raises:
        InputError: there is no such file system, or it does not have these options.
    """
    name, options = partition.file_system, partition.file_system_options
    if name in EXT:
        return Ext4(volume, _EXT_FEATURES[name].changed(",".join(options)))
    if options:
        raise InputError(f"{name} has no options", hint="Features can be chosen of ext2, ext3 and ext4.")
    if name in FAT:
        return Fat(volume, _FAT_BITS[name])
    if name == "swap":
        return Swap(volume)
    if name == UNFORMATTED:
        return None
    raise InputError(f"there is no file system {name!r}", hint=f"There are {', '.join(FILE_SYSTEMS)}.")


def uuid_text(partition: Partition, uuid: UUID) -> str:
    """A file system's UUID as `UUID=` has it; empty if it has none.

    FAT has 4 bytes of it, `1A2B-3C4D`, and ISO 9660 has a date.
    """
    if partition.file_system == UNFORMATTED:
        return ""
    if partition.file_system == ISO9660:
        return str(VolumeDate.of(uuid))
    if partition.file_system not in FAT:
        return str(uuid)
    serial = uuid.bytes[:_SERIAL_BYTES].hex().upper()
    return f"{serial[:4]}-{serial[4:]}"


def partition_type(partition: Partition) -> PartitionType:
    """What a partition table says of a partition: what its flags say, else what goes with its file system.

    A root is any file system of Linux, as Guix and nixpkgs have it; who wants it found without being named gives it the
    type that the Discoverable Partitions Specification has for its processor.
    """
    usual = _usual_type(partition)
    return usual if partition.type is None else PartitionType(partition.type, usual.mbr)


def _usual_type(partition: Partition) -> PartitionType:
    for flag, kind in _FLAGGED.items():
        if flag in partition.flags:
            return kind
    if partition.file_system in FAT:
        return types.FAT32 if partition.file_system == "fat32" else types.FAT16
    return types.SWAP if partition.file_system == "swap" else types.LINUX

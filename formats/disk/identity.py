"""What a disk and its partitions are called, before anything is known of their sizes.

All identifiers derive from what is packed (see `formats.identity`) and from the image's record: another item, another
label or another size are another disk. What nixpkgs' make-disk-image has as fixed GUIDs of its disk and its partitions
is derived as well, because two disks in one machine must not have the same.
"""

from dataclasses import fields, is_dataclass
from typing import Any
from uuid import UUID

from formats import filesystem
from formats.boot import Volume
from formats.container_image import canonical_json
from formats.disk.file_systems import uuid_text
from formats.identifiers import derived_uuid
from formats.identity import root_facts
from formats.image import Image, Initializer, Partition
from formats.partition import Disk, mbr
from formats.platform import Platform
from formats.system import System
from layers.digest import Digest
from layers.entry import Meta

_NOT_NAMING = ("operating_system", "format", "compression", "efi_variables")


def disk_identity(image: Image, system: System) -> Digest:
    """The identity of a disk; it is the same in every container."""
    return Digest.of(canonical_json({"root": root_facts(system), "image": _facts(image)}))


def _facts(value: Any) -> Any:
    """A record as JSON takes it."""
    if isinstance(value, Platform):
        return value.name
    if isinstance(value, Initializer):
        return str(value.identity)
    if is_dataclass(value):
        names = (field.name for field in fields(value) if field.name not in _NOT_NAMING)
        return {name: _facts(getattr(value, name)) for name in names}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_facts(below) for below in value]
    return str(value) if isinstance(value, UUID) else value


def volumes(image: Image, identity: Digest) -> list[Volume]:
    """The partitions as installers see them, in the order of their numbers."""
    if image.partition_table_type == "none":
        return [Volume(0, partition, _text(partition, identity, 1), "") for partition in image.partitions]
    return [
        Volume(
            number,
            partition,
            _text(partition, identity, number),
            _partition_text(image, partition, identity, number),
        )
        for number, partition in enumerate(image.partitions, 1)
    ]


def file_system_volume(
    partition: Partition, identity: Digest, number: int, epoch: int, root: Meta
) -> filesystem.Volume:
    """What the file system of a partition is told of itself.

    Args:
        partition: the partition.
        identity: of the disk.
        number: of the partition, from 1.
        epoch: every time in it, in seconds since 1970.
        root: owner and permissions of its root folder.
    """
    own = Digest.of(f"{identity} partition {number}".encode())
    return filesystem.Volume(own, epoch, partition.label, _uuid(partition, identity, number), root)


def _uuid(partition: Partition, identity: Digest, number: int) -> UUID:
    return partition.uuid or derived_uuid(identity, f"file system of partition {number}")


def _text(partition: Partition, identity: Digest, number: int) -> str:
    return uuid_text(partition, _uuid(partition, identity, number))


def _partition_text(image: Image, partition: Partition, identity: Digest, number: int) -> str:
    """As `PARTUUID=` has it; an MBR has no UUIDs, but the disk's signature and the number."""
    if image.partition_table_type == "mbr":
        return f"{mbr.signature(Disk(identity, 0, ())):08x}-{number:02x}"
    return str(partition.partition_uuid or derived_uuid(identity, f"partition {number}"))

"""/etc/fstab: the partitions of the disk that the system shall mount (fstab(5)).

What the system says itself of a mount point stays. A volatile root has no line: it is mounted when /etc/fstab is read,
and what it lies on must stay as it is.
"""

from collections.abc import Iterator

from formats.boot import Layout, Volume
from formats.image import FAT
from layers.entry import Entry
from layers.reader import Reader
from packer.operating_system.mounts import Fstab
from packer.tables.mounts import NOWHERE, Mount


def entries(layout: Layout, reader: Reader) -> Iterator[Entry]:
    """The file, if there is anything to add to it.

    Raises:
        PackError: the system's own cannot be read.
    """
    fstab = Fstab.read(layout.system.tree, reader)
    left_out = "/" if layout.image.volatile_root else None
    wanted = [mount for volume in layout.volumes if (mount := _mount(volume)) and mount.mount_point != left_out]
    mounts = [mount for mount in wanted if not fstab.has(mount.mount_point)]
    if mounts:
        yield fstab.with_mounts(mounts)


def _mount(volume: Volume) -> Mount | None:
    partition, uuid = volume.partition, volume.file_system_uuid
    if partition.file_system == "swap":
        return Mount(mount_point=NOWHERE, uuid=uuid, type="swap", options=partition.mount_options or ("sw",))
    if not partition.mount_point or not uuid:
        return None
    kind = "vfat" if partition.file_system in FAT else partition.file_system
    options, check = _usual(kind, partition.mount_point)
    return Mount(
        mount_point=partition.mount_point,
        uuid=uuid,
        type=kind,
        options=partition.mount_options or options,
        check=check,
    )


def _usual(kind: str, mount_point: str) -> tuple[tuple[str, ...], int]:
    """The options that a file system has if nobody says others, and when it is checked."""
    if kind == "vfat":
        return ("umask=0077",), 0
    if mount_point != "/":
        return ("defaults",), 2
    return ("errors=remount-ro",) if kind.startswith("ext") else ("defaults",), 1

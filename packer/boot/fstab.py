"""/etc/fstab: the partitions of the disk that the system shall mount (fstab(5)).

What the system says itself of a mount point stays. A volatile root has no line: it is mounted when /etc/fstab is read,
and what it lies on must stay as it is.
"""

from collections.abc import Iterator

from formats.boot import Layout, Volume
from formats.image import FAT
from layers.entry import Data, Entry, File
from layers.reader import Reader
from packer.operating_system.mounts import line
from packer.tables.mounts import NOWHERE, Mount

_PATH = b"etc/fstab"


def entries(layout: Layout, reader: Reader) -> Iterator[Entry]:
    """The file, if there is anything to add to it.

    Raises:
        PackError: the system's own cannot be read.
    """
    tree = layout.system.tree
    path = tree.real(_PATH)
    present = tree.follow(path)
    before = reader.read(present.content).decode(errors="surrogateescape") if isinstance(present, File) else ""
    rows = (row.partition("#")[0].split() for row in before.splitlines())
    taken = {fields[1] for fields in rows if len(fields) > 1} - {NOWHERE}
    if layout.image.volatile_root:
        taken.add("/")
    mounts = [mount for volume in layout.volumes if (mount := _mount(volume)) and mount.mount_point not in taken]
    if mounts:
        separator = "" if not before or before.endswith("\n") else "\n"
        text = before + separator + "".join(map(line, mounts))
        yield File(path, Data(text.encode(errors="surrogateescape")))


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

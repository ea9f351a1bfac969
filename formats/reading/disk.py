"""Disks, ISO 9660 and squashfs images: what they are, and which file systems are in them.

    file --container--> disk --partition table--> partitions --> file systems

An ISO 9660 image is a file system and may have a partition table, because it leaves the first 32 KiB to others. It, or
the file system of a disk without a table, is partition 0: the whole disk.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from formats.partition import MBR_CODE, gpt, mbr
from formats.reading.container import RAW, open_container
from formats.reading.filesystem import FileSystem, open_file_system
from formats.reading.partition import TableEntry, read_table
from formats.reading.source import FileSource, Part, Source, pieces
from layers.digest import Digest

ISO9660 = "iso9660"
SQUASHFS = "squashfs"

_WHOLE = 0
_LARGEST_CODE = 16 << 20


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, and what is in it.

    Attributes:
        entry: as the table has it; its number is 0 if it is the whole disk.
        file_system: as blkid calls it; empty if it has none that is known.
        label: of the file system.
        uuid: of the file system.
        digest: of its bytes, if it has no file system and is small: code that a firmware loads.
    """

    entry: TableEntry
    file_system: str = ""
    label: str = ""
    uuid: str = ""
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"partition {self.entry.number}" if self.entry.number else "the whole disk"


@dataclass(frozen=True, slots=True)
class StoredDisk:
    """A disk.

    Attributes:
        container: `raw`, `qcow2`, `vdi` or `vhd`.
        size: bytes of the disk.
        table: `gpt`, `mbr`, or empty.
        uuid: of the table.
        partitions: by number.
        notes: what is odd.
        boot_code: digest of what is before the first partition, the table left out; none if that is zeros.
    """

    container: str
    size: int
    table: str
    uuid: str
    partitions: tuple[Partition, ...]
    notes: tuple[str, ...]
    boot_code: Digest | None = None

    @property
    def whole(self) -> str:
        """The file system that is the whole disk, as blkid calls it; empty if none is."""
        return next((part.file_system for part in self.partitions if part.entry.number == _WHOLE), "")


@dataclass(frozen=True, slots=True)
class OpenVolume:
    """A partition whose bytes can be read.

    Attributes:
        partition: which it is.
        source: its bytes.
        file_system: in it, if it is known.
    """

    partition: Partition
    source: Source
    file_system: FileSystem | None


@dataclass(frozen=True, slots=True)
class OpenDisk:
    """A disk whose bytes can be read.

    Attributes:
        stored: which it is.
        volumes: its partitions, by number.
    """

    stored: StoredDisk
    source: Source
    volumes: tuple[OpenVolume, ...]


def open_disk(path: str, name: str) -> StoredDisk | None:
    """What a disk is; None if a file is none. See `opened`."""
    with opened(path, name) as found:
        if not found:
            return None
        partitions = tuple(_with_digest(volume) for volume in found.volumes)
        return replace(found.stored, partitions=partitions, boot_code=_boot_code(found.stored, found.source))


def _with_digest(volume: OpenVolume) -> Partition:
    if volume.file_system or volume.source.size > _LARGEST_CODE:
        return volume.partition
    digest = Digest.of_stream(pieces(volume.source, 0, volume.source.size))
    return replace(volume.partition, digest=digest)


def _boot_code(disk: StoredDisk, source: Source) -> Digest | None:
    """The code in the MBR, and behind the table."""
    if not disk.table:
        return None
    after = {"gpt": gpt.FIRST_USABLE, "mbr": mbr.FIRST_USABLE}[disk.table]
    first = min((partition.entry.offset for partition in disk.partitions), default=after)
    behind = max(0, min(first, source.size, _LARGEST_CODE) - after)
    code = b"".join((source.read(0, MBR_CODE), source.read(after, behind) if behind else b""))
    return Digest.of(code) if any(code) else None


@contextlib.contextmanager
def opened(path: str, name: str) -> Iterator[OpenDisk | None]:
    """A disk that can be read; None if a file is none.

    Args:
        path: of the file.
        name: of it, for messages.

    Raises:
        ArtefactError: it is damaged.
        OSError: it cannot be read.
    """
    with FileSource(path, name) as file:
        container, disk = open_container(file)
        whole = open_file_system(disk)
        table = None if whole and whole.kind == SQUASHFS else read_table(disk)  # its data are where a table would be
        is_iso9660 = whole is not None and whole.kind == ISO9660
        volumes, notes = [], list(table.notes if table else ())
        if whole and (is_iso9660 or not table):
            volumes.append(_volume(TableEntry(_WHOLE, 0, disk.size), disk, whole))
        for entry in table.partitions if table else ():
            part = Part(disk, entry.offset, entry.size, f"partition {entry.number} of {name}")
            if part.size < entry.size:
                notes.append(f"partition {entry.number} ends {entry.size - part.size} bytes after the disk")
            known = open_file_system(part)
            # It is in its own table, so that others keep away from it.
            volumes.append(_volume(entry, part, None if is_iso9660 and known and known.kind == ISO9660 else known))
        if not volumes and container == RAW and not table:
            yield None
            return
        notes += [
            f"{volume.partition}: {note}"
            for volume in volumes
            for note in (volume.file_system.notes if volume.file_system else ())
        ]
        kind, uuid = (table.kind, table.uuid) if table else ("", "")
        stored = StoredDisk(
            container, disk.size, kind, uuid, tuple(volume.partition for volume in volumes), tuple(notes)
        )
        yield OpenDisk(stored, disk, tuple(volumes))


def _volume(entry: TableEntry, source: Source, known: FileSystem | None) -> OpenVolume:
    partition = Partition(entry, known.kind, known.label, known.uuid) if known else Partition(entry)
    return OpenVolume(partition, source, known)

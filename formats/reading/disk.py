"""Disks and ISO 9660 images: what they are, and which file systems are in them.

    file --container--> disk --partition table--> partitions --> file systems

An ISO 9660 image is a file system and may have a partition table, because it leaves the first 32 KiB to others. It, or
the file system of a disk without a table, is partition 0: the whole disk.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from formats.reading.container import RAW, open_container
from formats.reading.filesystem import FileSystem, open_file_system
from formats.reading.partition import TableEntry, read_table
from formats.reading.source import FileSource, Part, Source

ISO9660 = "iso9660"

_WHOLE = 0


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, and what is in it.

    Attributes:
        entry: as the table has it; its number is 0 if it is the whole disk.
        file_system: as blkid calls it; empty if it has none that is known.
        label: of the file system.
        uuid: of the file system.
    """

    entry: TableEntry
    file_system: str = ""
    label: str = ""
    uuid: str = ""

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
    """

    container: str
    size: int
    table: str
    uuid: str
    partitions: tuple[Partition, ...]
    notes: tuple[str, ...]

    @property
    def is_iso9660(self) -> bool:
        """Whether it is an ISO 9660 image."""
        return any(part.entry.number == _WHOLE and part.file_system == ISO9660 for part in self.partitions)


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
    volumes: tuple[OpenVolume, ...]


def open_disk(path: str, name: str) -> StoredDisk | None:
    """What a disk is; None if a file is none. See `opened`."""
    with opened(path, name) as found:
        return found.stored if found else None


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
        whole, table = open_file_system(disk), read_table(disk)
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
        yield OpenDisk(stored, tuple(volumes))


def _volume(entry: TableEntry, source: Source, known: FileSystem | None) -> OpenVolume:
    partition = Partition(entry, known.kind, known.label, known.uuid) if known else Partition(entry)
    return OpenVolume(partition, source, known)

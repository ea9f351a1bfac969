"""FAT12, FAT16 and FAT32, read: see `formats.filesystem.fat` for the layouts.

FAT has no owners and permissions: all is root's, folders are 0755 and files 0644. Of a name, the long one counts, as
far as it belongs to the entry after it; a short one without is shown as it stands there, in code page 437, with the two
bits by which Windows NT says that it is in lower case. The first of the FATs is read.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace

from formats.filesystem.fat.names import BASE, LAST, LONG, LONG_ATTRIBUTES, SHORT_BYTES, checksum
from formats.filesystem.fat.structures import (
    BOOT_16,
    BOOT_32,
    DIRECTORY,
    ENTRY,
    EXTENDED_SIGNATURE,
    NO_LABEL,
    SIGNATURE,
    VOLUME_LABEL,
)
from formats.reading.filesystem import Object
from formats.reading.source import Cached, Source, damaged, pieces
from layers.entry import FILE, FOLDER
from layers.tar_reader import Kind

_SECTORS = (512, 1024, 2048, 4096)
_CLUSTERS = tuple(1 << bits for bits in range(8))  # sectors
_MEDIA = (0xF0, *range(0xF8, 0x100))
_MOST_12, _MOST_16 = 4084, 65524  # clusters: section "FAT Type Determination"
_FIRST_CLUSTER = 2
_LONG_MASK = 0x3F
_DELETED, _DELETED_LETTER = 0xE5, 0x05
_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10
_MOST_TRIED = 512  # entries of the root; the label is the first one
_LARGEST_FOLDER = 2 << 20  # section "FAT Directory Structure"


def open_volume(volume: Source) -> "Fat | None":
    """See `formats.reading.filesystem`. FAT has no magic: a boot sector counts that makes sense."""
    if volume.size < BOOT_32.size:
        return None
    data = volume.read(0, BOOT_32.size)
    boot = BOOT_32.unpack(data)
    makes_sense = (
        boot.signature == SIGNATURE
        and (boot.jump[0] == 0xE9 or (boot.jump[0] == 0xEB and boot.jump[2] == 0x90))
        and boot.sector in _SECTORS
        and boot.cluster in _CLUSTERS
        and boot.media in _MEDIA
        and boot.reserved
        and boot.fats in (1, 2)
        and (boot.fat_sectors_16 or boot.fat_sectors_32)
        and (boot.sectors_16 or boot.sectors_32)
    )
    return Fat(volume, data) if makes_sense else None


class Fat:
    """A volume; see `formats.reading.filesystem.FileSystem`.

    Args:
        volume: where it is.
        data: its boot sector.
    """

    kind = "vfat"
    notes = ()

    def __init__(self, volume: Source, data: bytes) -> None:
        self._volume, self._structures = volume, Cached(volume)
        boot = BOOT_32.unpack(data)
        sectors = boot.sectors_16 or boot.sectors_32
        fat_sectors = boot.fat_sectors_16 or boot.fat_sectors_32
        if sectors * boot.sector > volume.size:
            raise damaged(volume, f"its boot sector says {sectors * boot.sector} bytes, and there are {volume.size}")
        self._fat: int = boot.reserved * boot.sector
        self._cluster: int = boot.cluster * boot.sector
        self._root_offset: int = self._fat + boot.fats * fat_sectors * boot.sector
        self._root_size: int = boot.root_entries * ENTRY.size
        self._data = self._root_offset + -(-self._root_size // boot.sector) * boot.sector
        self._clusters = (sectors * boot.sector - self._data) // self._cluster
        self._bits = 12 if self._clusters <= _MOST_12 else 16 if self._clusters <= _MOST_16 else 32
        if self._clusters < 1 or fat_sectors * boot.sector * 8 < (self._clusters + _FIRST_CLUSTER) * self._bits:
            raise damaged(volume, f"its boot sector says {self._clusters} clusters, and its FATs have less")
        self._root_cluster: int = 0 if boot.fat_sectors_16 else boot.root_cluster
        extended = boot if self._root_cluster else BOOT_16.unpack(data)
        has_more = extended.boot_signature == EXTENDED_SIGNATURE
        self._folders: dict[int, int] = {}  # which of them a cluster belongs to
        self.uuid = f"{extended.serial >> 16:04X}-{extended.serial & 0xFFFF:04X}" if has_more else ""
        self.label = self._label() or (_label(extended.label) if has_more else "")

    def root(self) -> Object:
        """See `formats.reading.filesystem.FileSystem`."""
        return Object(Kind.DIRECTORY, FOLDER, self._root_size, self._root_cluster, self._root_cluster)

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """See `formats.reading.filesystem.FileSystem`."""
        long = _LongName()
        for data in self._entries(folder.place):
            entry = ENTRY.unpack(data)
            if entry.attributes & LONG_ATTRIBUTES == LONG_ATTRIBUTES:
                long.add(data)
            elif entry.attributes & VOLUME_LABEL or entry.name[0] == _DELETED:
                long = _LongName()
            else:
                name = long.text(entry.name) or _short(entry)
                long = _LongName()
                if name not in (".", ".."):
                    yield name.encode(errors="surrogateescape"), self._object(entry, name)

    def content(self, file: Object) -> Iterator[bytes]:
        """See `formats.reading.filesystem.FileSystem`."""
        left = file.size
        for offset, size in self._runs(file.place, -(-left // self._cluster)):
            yield from pieces(self._volume, offset, min(size, left))
            left -= min(size, left)

    def _object(self, entry: SimpleNamespace, name: str) -> Object:
        cluster = entry.cluster | (entry.cluster_hi << 16 if self._bits == 32 else 0)
        if not entry.attributes & DIRECTORY:
            return Object(Kind.FILE, FILE, entry.size, None, cluster, mtime=_time(entry))
        if not cluster:
            raise damaged(self._volume, f"the folder {name!r} has no clusters")
        return Object(Kind.DIRECTORY, FOLDER, 0, cluster, cluster, mtime=_time(entry))

    def _entries(self, cluster: int) -> Iterator[bytes]:
        """What stands in a folder, up to its end."""
        runs = iter(((self._root_offset, self._root_size),))
        if cluster:
            runs = self._runs(cluster, _LARGEST_FOLDER // self._cluster + 1, to_end=True)
        for offset, size in runs:
            for start in range(offset, offset + size, ENTRY.size):
                data = self._structures.read(start, ENTRY.size)
                if not data[0]:
                    return
                yield data

    def _runs(self, cluster: int, most: int, *, to_end: bool = False) -> Iterator[tuple[int, int]]:
        """Where clusters of a chain are, as (offset, size), those in one that follow each other.

        Args:
            cluster: the first one.
            most: how many are wanted.
            to_end: fewer are right, too, and more are wrong.
        """
        if not to_end and most > self._clusters:
            raise damaged(self._volume, f"the file that begins with cluster {cluster} is larger than the volume")
        first, count, number = cluster, 0, cluster
        for _ in range(most):
            if not _FIRST_CLUSTER <= number < self._clusters + _FIRST_CLUSTER:
                if to_end and self._is_end(number):
                    break
                raise damaged(self._volume, f"the chain of cluster {cluster} leads to cluster {number}")
            if to_end and self._folders.setdefault(number, cluster) != cluster:
                raise damaged(self._volume, f"cluster {number} belongs to two folders")
            if number != first + count:
                yield self._place(first, count)
                first, count = number, 0
            count += 1
            number = self._next(number)
        else:
            if to_end:
                raise damaged(self._volume, f"the chain of cluster {cluster} has no end")
        if count:
            yield self._place(first, count)

    def _place(self, first: int, count: int) -> tuple[int, int]:
        return self._data + (first - _FIRST_CLUSTER) * self._cluster, count * self._cluster

    def _next(self, cluster: int) -> int:
        place = cluster * self._bits // 8
        value = int.from_bytes(self._structures.read(self._fat + place, 4 if self._bits == 32 else 2), "little")
        if self._bits == 12:
            return value >> 4 if cluster % 2 else value & 0xFFF
        return value & 0x0FFFFFFF if self._bits == 32 else value

    def _is_end(self, number: int) -> bool:
        return number >= (0x0FFFFFF8 if self._bits == 32 else (1 << self._bits) - 8)

    def _label(self) -> str:
        """Of the root: the entry of its own that the label has there."""
        for data in islice(self._entries(self._root_cluster), _MOST_TRIED):
            entry = ENTRY.unpack(data)
            is_label = entry.attributes & LONG_ATTRIBUTES == VOLUME_LABEL
            if is_label and entry.name[0] != _DELETED:
                return _label(entry.name)
        return ""


class _LongName:
    """A long name, as its entries come: the last part first."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._expected = 0
        self._checksum = -1

    def add(self, data: bytes) -> None:
        part = LONG.unpack(data)
        if part.order & LAST:
            self._parts, self._expected, self._checksum = [], part.order & _LONG_MASK, part.checksum
        if not self._expected or part.order & _LONG_MASK != self._expected or part.checksum != self._checksum:
            self._expected, self._checksum = 0, -1
            return
        self._parts.append(part.first + part.second + part.third)
        self._expected -= 1

    def text(self, short: bytes) -> str:
        """The name, if it is whole and belongs to that short name."""
        if self._expected or self._checksum != checksum(short):
            return ""
        text = b"".join(reversed(self._parts)).decode("utf-16-le", "replace")
        return text.partition("\0")[0]


def _short(entry: SimpleNamespace) -> str:
    name = bytes((_DELETED,)) + entry.name[1:] if entry.name[0] == _DELETED_LETTER else entry.name
    base, extension = (part.decode("cp437").rstrip(" ") for part in (name[:BASE], name[BASE:SHORT_BYTES]))
    base = base.lower() if entry.case & _LOWER_BASE else base
    extension = extension.lower() if entry.case & _LOWER_EXTENSION else extension
    return f"{base}.{extension}" if extension else base


def _label(field: bytes) -> str:
    return "" if field == NO_LABEL else field.decode("cp437").strip()


def _time(entry: SimpleNamespace) -> int:
    date, time = entry.written_date, entry.written_time
    try:
        moment = datetime(
            1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F, time >> 11, time >> 5 & 0x3F, time % 32 * 2, tzinfo=UTC
        )
    except ValueError:  # some programs write no time, and that is no date
        return 0
    return int(moment.timestamp())

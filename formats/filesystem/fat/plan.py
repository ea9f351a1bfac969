"""The plan of a FAT volume, and its bytes in the order of their offsets."""

import os
import struct
from bisect import bisect_left
from collections.abc import Iterator

from formats.filesystem import Through, Volume
from formats.filesystem.contents import Extent, Placed, file_pieces
from formats.filesystem.fat import structures
from formats.filesystem.fat.geometry import COPIES, ENTRY_BYTES, SECTOR, Shape
from formats.filesystem.fat.nodes import Folder, Nodes
from formats.filesystem.pieces import Bytes, Piece
from layers.entry import File
from layers.reader import Reader

_FIRST_CLUSTER = 2
_CHUNK = 64 << 10  # entries of the FAT that are made at once
_END = 0x0FFFFFFF  # of a file; FAT12 and FAT16 have its lower bits


class FatPlan:
    """Where everything in a volume goes.

    Args:
        nodes: of the tree.
        volume: what it is told of itself.
        shape: of the volume.
        sectors: of the volume.
        clusters: of the volume, enough for the nodes.
    """

    def __init__(self, nodes: Nodes, volume: Volume, shape: Shape, sectors: int, clusters: int) -> None:
        self._nodes = nodes
        self._volume = volume
        self._shape = shape
        self._sectors = sectors
        self._clusters = clusters
        self._fat_sectors = shape.fat_sectors(clusters)
        self._root = (shape.reserved_sectors + COPIES * self._fat_sectors) * SECTOR
        self._data = self._root + shape.root_sectors * SECTOR
        self._times = structures.times(volume.epoch)
        self._label = volume.label.encode().ljust(11)
        self._first: dict[bytes, int] = {}
        self._ends: list[int] = []  # the last cluster of each folder and file
        self._free = _FIRST_CLUSTER
        self._allocate()

    @property
    def size(self) -> int:
        """Bytes of the volume."""
        return self._sectors * SECTOR

    def pieces(self, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """See `formats.filesystem.Plan`."""
        yield from self._boot_sectors()
        for copy in range(COPIES):
            yield from self._fat((self._shape.reserved_sectors + copy * self._fat_sectors) * SECTOR)
        for folder in self._nodes.folders:
            yield Bytes(self._offset(self._first[folder.path]), self._entries(folder))
        yield from file_pieces(self._nodes.tree, self._place, self._shape.cluster_bytes, reader, through)

    def _allocate(self) -> None:
        root, *folders = self._nodes.folders
        self._take(root.path, root.bytes if self._shape.bits == 32 else 0)
        for folder in folders:
            self._take(folder.path, folder.bytes)
        for path, (content, _) in self._nodes.files.items():
            self._take(path, content.size)

    def _take(self, path: bytes, size: int) -> None:
        count = -(-size // self._shape.cluster_bytes)
        self._first[path] = self._free if count else 0
        self._free += count
        if count:
            self._ends.append(self._free - 1)

    def _offset(self, cluster: int) -> int:
        """Of a cluster in the volume; of none, that of the root folder."""
        return self._data + (cluster - _FIRST_CLUSTER) * self._shape.cluster_bytes if cluster else self._root

    def _place(self, file: File) -> Placed:
        content, ranges = self._nodes.files[file.path]
        offset = self._offset(self._first[file.path])
        return content, [Extent(offset + start, start, end) for start, end in ranges]

    def _boot_sectors(self) -> Iterator[Bytes]:
        if self._shape.bits != 32:
            yield Bytes(0, self._boot_sector())
            return
        data = self._boot_sector() + self._info()
        yield Bytes(0, data)
        yield Bytes(structures.BACKUP_SECTOR * SECTOR, data)

    def _boot_sector(self) -> bytes:
        shape, is_fat32 = self._shape, self._shape.bits == 32
        boot = structures.BOOT_32 if is_fat32 else structures.BOOT_16
        short = not is_fat32 and self._sectors < 1 << 16
        values: dict[str, int | bytes] = {
            "jump": bytes((0xEB, boot.offset("code") - 2, 0x90)), "oem": structures.OEM_NAME, "sector": SECTOR,
            "cluster": shape.cluster, "reserved": shape.reserved_sectors, "fats": COPIES, "media": structures.MEDIA,
            "root_entries": shape.root_sectors * SECTOR // ENTRY_BYTES, "sectors_per_track": 63, "heads": 255,
            "sectors_16": self._sectors if short else 0, "sectors_32": 0 if short else self._sectors,
            "drive": structures.FIXED_DRIVE, "boot_signature": structures.EXTENDED_SIGNATURE,
            "serial": int.from_bytes(self._volume.identifier("fat volume id").bytes[:4]),
            "label": self._label if self._volume.label else structures.NO_LABEL, "type": b"FAT%-5d" % shape.bits,
            "code": structures.BOOT_CODE, "signature": structures.SIGNATURE,
        }  # fmt: skip
        if is_fat32:
            root = self._first[b""]
            values |= {"fat_sectors_32": self._fat_sectors, "root_cluster": root}
            values |= {"info_sector": structures.INFO_SECTOR, "backup_sector": structures.BACKUP_SECTOR}
        else:
            values["fat_sectors_16"] = self._fat_sectors
        return boot.pack(**values)

    def _info(self) -> bytes:
        free = self._clusters + _FIRST_CLUSTER - self._free
        # The first that may be free; past the end, there is none, and programs begin at the start.
        return structures.INFO.pack(
            lead=b"RRaA", magic=b"rrAa", free=free, next=self._free if free else 0xFFFFFFFF, trail=b"\0\0\x55\xaa"
        )

    def _fat(self, offset: int) -> Iterator[Bytes]:
        """One FAT, as far as it is used."""
        end = _END & (1 << self._shape.bits) - 1
        head = [end & ~0xFF | structures.MEDIA, end]  # the second: the volume is clean
        if self._shape.bits == 12:
            yield Bytes(offset, _packed_12(head + self._numbers(_FIRST_CLUSTER, self._free, end)))
            return
        for start in range(0, self._free, _CHUNK):
            stop = min(start + _CHUNK, self._free)
            numbers = self._numbers(max(start, _FIRST_CLUSTER), stop, end)
            numbers = numbers if start else head + numbers
            form = f"<{len(numbers)}{'I' if self._shape.bits == 32 else 'H'}"
            yield Bytes(offset + start * self._shape.bits // 8, struct.pack(form, *numbers))

    def _numbers(self, start: int, stop: int, end: int) -> list[int]:
        """For clusters of this range, which cluster comes next."""
        numbers = list(range(start + 1, stop + 1))
        for last in self._ends[bisect_left(self._ends, start) : bisect_left(self._ends, stop)]:
            numbers[last - start] = end
        return numbers

    def _entries(self, folder: Folder) -> bytes:
        parts = []
        if folder.path:
            above = self._first[parent] if (parent := os.path.dirname(folder.path)) else 0
            parts.append(self._entry(b".".ljust(11), structures.DIRECTORY, self._first[folder.path]))
            parts.append(self._entry(b"..".ljust(11), structures.DIRECTORY, above))
        elif self._volume.label:
            parts.append(self._entry(self._label, structures.VOLUME_LABEL, 0))
        for child in folder.children:
            attributes = structures.DIRECTORY if child.size is None else structures.ARCHIVE
            parts += [child.long, self._entry(child.short, attributes, self._first[child.path], child.size or 0)]
        return b"".join(parts)

    def _entry(self, name: bytes, attributes: int, cluster: int, size: int = 0) -> bytes:
        return structures.ENTRY.pack(
            name=name,
            attributes=attributes,
            cluster=cluster & 0xFFFF,
            cluster_hi=cluster >> 16,
            size=size,
            **self._times,
        )


def _packed_12(numbers: list[int]) -> bytes:
    """Two numbers in three bytes."""
    pairs = zip(numbers[::2], [*numbers[1::2], 0], strict=False)
    return b"".join((first | second << 12).to_bytes(3, "little") for first, second in pairs)

"""How a FAT volume is divided: which FAT, clusters of which size, and how many.

What decides between FAT12, FAT16 and FAT32 is the number of clusters, and nothing else (Microsoft's FAT32 File System
Specification 1.03, section "FAT Type Determination"). What is tried first is what mkfs.fat takes: FAT32 from 512 MiB
on, with clusters as Microsoft's format has them; below, the FAT that has enough clusters of 2 KiB, or of twice as much.
If the tree does not fit, others are tried.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

SECTOR = 512
ENTRY_BYTES = 32  # of a folder
COPIES = 2  # of the FAT
LARGEST_CLUSTER = 64  # sectors: 32 KiB, the most that everybody reads

_MIB_SECTORS = (1 << 20) // SECTOR
_LARGE = 512 * _MIB_SECTORS  # from where on FAT32 is preferred
_USUAL_FAT32 = ((259, 1), (8 << 10, 8), (16 << 10, 16), (32 << 10, 32))  # up to so many MiB, so many sectors
_ROOT_ENTRIES = 512  # of FAT12 and FAT16, at least
_MOST_ROOT_ENTRIES = 0xFFFF
_MOST_SECTORS = (1 << 32) - 1

#: How many clusters there may be: mkfs.fat's limits, which stay away from those where programs disagree.
_CLUSTERS = {12: (1, 4084), 16: (4087, 65524), 32: (65529, 0x0FFFFFF4)}

_SMALL_SHAPES = [(bits, cluster) for cluster in (4, 8, 16, 32, 64, 2, 1) for bits in (12, 16)]
_LARGE_SHAPES = [(32, cluster) for cluster in (8, 16, 32, 64, 4, 2, 1)]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of FAT with clusters of one size. All its parts begin at whole clusters, so that files can share blocks.

    Attributes:
        bits: of a cluster's number: 12, 16 or 32.
        cluster: sectors.
        entries: that the root folder must have room for; it is none of the clusters of FAT12 and FAT16.
    """

    bits: int
    cluster: int
    entries: int

    @property
    def cluster_bytes(self) -> int:
        """Bytes of a cluster."""
        return self.cluster * SECTOR

    @property
    def reserved_sectors(self) -> int:
        """Before the first FAT."""
        return self._whole(32 if self.bits == 32 else 1)

    @property
    def root_sectors(self) -> int:
        """Of the root folder, where it is none of the clusters."""
        if self.bits == 32:
            return 0
        return self._whole(-(-max(self.entries, _ROOT_ENTRIES) * ENTRY_BYTES // SECTOR))

    def fat_sectors(self, clusters: int) -> int:
        """Of each FAT, for so many clusters: two more have a number, but no place."""
        return self._whole(-(-(clusters + 2) * self.bits // (8 * SECTOR)))

    def sectors(self, clusters: int) -> int:
        """Of a volume with so many clusters."""
        before = self.reserved_sectors + COPIES * self.fat_sectors(clusters) + self.root_sectors
        return before + clusters * self.cluster

    def clusters(self, sectors: int) -> int:
        """How many a volume has; none if that is not for this shape."""
        count = bisect_right(range(sectors // self.cluster + 1), sectors, key=self.sectors) - 1
        least, most = _CLUSTERS[self.bits]
        return count if least <= count <= most and sectors <= _MOST_SECTORS else 0

    def least_sectors(self, clusters: int) -> int | None:
        """The least that have so many clusters; None if that is not for this shape."""
        least, most = _CLUSTERS[self.bits]
        root = self.root_sectors * SECTOR // ENTRY_BYTES
        sectors = self.sectors(max(clusters, least))
        return sectors if clusters <= most and root <= _MOST_ROOT_ENTRIES and sectors <= _MOST_SECTORS else None

    def _whole(self, sectors: int) -> int:
        return -(-sectors // self.cluster) * self.cluster


def shapes(sectors: int, bits: int | None, cluster: int | None, entries: int) -> Iterator[Shape]:
    """All shapes, the best for a volume of so many sectors first.

    Args:
        sectors: of the volume.
        bits: of the FAT, if it matters.
        cluster: sectors of a cluster, if it matters.
        entries: of the root folder.
    """
    usual = (32, next((size for limit, size in _USUAL_FAT32 if sectors // _MIB_SECTORS <= limit), LARGEST_CLUSTER))
    large = [usual, *(shape for shape in _LARGE_SHAPES if shape != usual)]
    for one, size in large + _SMALL_SHAPES if sectors >= _LARGE else _SMALL_SHAPES + large:
        if bits in (None, one) and cluster in (None, size):
            yield Shape(one, size, entries)

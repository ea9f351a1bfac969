"""FAT12, FAT16 and FAT32: the file systems of firmware, with long names.

FAT has no owners, permissions and links. Owners and permissions of entries are left out; what would be another thing
without them (links, devices, setuid bits, extended attributes) is refused. Times are UTC, in steps of two seconds, from
1980 to 2107: an epoch before or after that is the first or the last of them.

`geometry` divides a volume, `names` and `nodes` are about what is in folders, `structures` shows what it looks like on
disk, and `plan` brings all of it into one stream.
"""

from dataclasses import dataclass

from formats.filesystem import TooSmallError, Volume
from formats.filesystem.fat import names
from formats.filesystem.fat.geometry import ENTRY_BYTES, SECTOR, Shape, shapes
from formats.filesystem.fat.nodes import Nodes, survey
from formats.filesystem.fat.plan import FatPlan
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree

_CLUSTER_SIZES = tuple(SECTOR << power for power in range(7))


@dataclass(frozen=True, slots=True)
class Fat:
    """A FAT file system with its options.

    Attributes:
        volume: what it is told of itself; its label has at most 11 characters, and FAT keeps 4 bytes of its UUID.
        bits: 12, 16 or 32; None: as `geometry` says.
        cluster_size: bytes, a power of two from 512 to 32768; None: as `geometry` says.
    """

    volume: Volume
    bits: int | None = None
    cluster_size: int | None = None

    def prepare(self, tree: Tree, reader: Reader) -> "PreparedFat":
        """See `formats.filesystem.FileSystem`.

        Raises:
            EntryError: FAT cannot hold something in the tree.
            InputError: FAT cannot have the label, or the options.
        """
        label = self.volume.label
        if problem := names.label_problem(label):
            raise InputError(f"the label {label!r} {problem}")
        if self.bits not in (None, 12, 16, 32):
            raise InputError(f"there is no FAT{self.bits}", hint="There are FAT12, FAT16 and FAT32.")
        if self.cluster_size not in (None, *_CLUSTER_SIZES):
            sizes = ", ".join(map(str, _CLUSTER_SIZES))
            raise InputError(f"FAT has no clusters of {self.cluster_size} bytes", hint=f"Take one of {sizes}.")
        return PreparedFat(self, survey(tree, label, reader))


class PreparedFat:
    """A tree that was looked at.

    Args:
        options: of the file system.
        nodes: of the tree.
    """

    def __init__(self, options: Fat, nodes: Nodes) -> None:
        self._options = options
        self._nodes = nodes

    def minimum_size(self) -> int:
        """The least bytes that hold it, with nothing left free.

        Raises:
            InputError: no volume of this kind is large enough.
        """
        return self._least(0)

    def plan(self, size: int) -> FatPlan:
        """Decide where everything goes.

        Args:
            size: of the volume in bytes.

        Raises:
            TooSmallError: that is not enough.
            InputError: it is more than such a volume can have.
        """
        sectors = size // SECTOR
        for shape in self._shapes(sectors):
            clusters = shape.clusters(sectors)
            least = shape.least_sectors(self._needed(shape))
            if clusters and least is not None and least <= sectors:
                if (rest := sectors - shape.sectors(clusters)) >= shape.cluster:
                    sectors -= rest  # with one cluster more, the FATs would be longer; who reads it must not count it
                return FatPlan(self._nodes, self._options.volume, shape, sectors, clusters)
        raise TooSmallError(size, self._least(sectors))

    def _least(self, more_than: int) -> int:
        """The least bytes that are enough, of those with more than so many sectors."""
        found = [shape.least_sectors(self._needed(shape)) for shape in self._shapes(0)]
        least = [sectors for sectors in found if sectors is not None and sectors > more_than]
        if least:
            return min(least) * SECTOR
        kind = "FAT" if self._options.bits is None else f"FAT{self._options.bits}"
        clusters = f" with clusters of {self._options.cluster_size} bytes" if self._options.cluster_size else ""
        raise InputError(
            f"no {kind} volume{clusters} has that size" if more_than else f"no {kind} volume{clusters} holds all of it",
            hint="FAT32 has volumes of up to 2 TiB; with less bits or smaller clusters, there is less.",
        )

    def _shapes(self, sectors: int) -> list[Shape]:
        cluster = self._options.cluster_size // SECTOR if self._options.cluster_size else None
        entries = self._nodes.folders[0].bytes // ENTRY_BYTES
        return list(shapes(sectors, self._options.bits, cluster, entries))

    def _needed(self, shape: Shape) -> int:
        return self._nodes.clusters(shape.cluster_bytes, root=shape.bits == 32)

"""qcow2, version 3: QEMU's disks, whose clusters may be compressed.

    cluster 0   1           then, as they come                            at the end
    +--------+----------+---------+-----+----------+---------+-----+----+----------------+-----------+
    | header | L1 table | cluster | ... | L2 table | cluster | ... | L2 | refcount table | refcount  |
    |        |          | of disk |     | for them | of disk |     |    |                | blocks    |
    +--------+----------+---------+-----+----------+---------+-----+----+----------------+-----------+

The L1 table has the place of an L2 table, and that the places of clusters: 512 MiB of the disk for an L2 table of one
cluster of 64 KiB. Zero means zeros. Each cluster of the file has a count of those who use it, 16 bits wide. A
compressed cluster begins at any byte and is said to end with a sector of 512; it uses each cluster of the file that it
touches, and several share one. What compression would not make smaller is stored as it is.

docs/interop/qcow2.txt of QEMU is the specification; numbers are big-endian.
"""

import struct
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from formats.container import VirtualDisk
from formats.container.blocks import whole_blocks, write_blocks
from formats.container.nonzero import GRAIN, nonzero
from formats.filesystem.pieces import Piece
from formats.partition import SECTOR
from formats.structure import Structure
from layers.codec import Codec
from layers.compress import Zstd, codec, deflate
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader

HEADER = Structure(
    ">",
    """
    magic:4s version:I backing_offset:Q backing_size:I cluster_bits:I size:Q encryption:I l1_entries:I l1_offset:Q
    refcount_offset:Q refcount_clusters:I snapshots:I snapshots_offset:Q incompatible:Q compatible:Q autoclear:Q
    refcount_order:I header_size:I compression:B padding:7s
    """,
)
_EXTENSION = Structure(">", "type:I size:I")
_FEATURE = Structure(">", "kind:B bit:B name:46s")
ENTRY = Structure(">", "value:Q")
_FEATURE_NAMES = 0x6803F857
COMPRESSION_TYPE = 3  # number of the incompatible feature that it is another than zlib
_REFCOUNT_ORDER = 4  # 16 bits
_REFCOUNT_BYTES = 2

_COPIED = 1 << 63  # exactly one user: the cluster may be overwritten
COMPRESSED = 1 << 62

_WINDOW = 12  # of zlib, as a power of two: QEMU decompresses with 4 KiB


def _zlib(cluster: memoryview, level: int) -> bytes:
    return deflate(cluster, level, window=_WINDOW)


def _zstd(cluster: memoryview, level: int) -> bytes:
    return Zstd(level).compress(cluster)


#: What compresses a cluster, and the codec of `layers.compress` that does the same.
_CODECS = {"zlib": (_zlib, "gzip"), "zstd": (_zstd, "zstd")}

CLUSTER_SIZES = tuple(1 << bits for bits in range(9, 22))
LARGEST_L1 = 32 << 20  # QEMU's QCOW_MAX_L1_SIZE
_BATCH = 1 << 20  # bytes of the disk that are compressed at a time


@dataclass(frozen=True, slots=True)
class Qcow2:
    """A qcow2 file with its options.

    Attributes:
        codec_name: `zlib`, which every version of QEMU reads, or `zstd`, for QEMU 5.1 and later; empty: not compressed.
        level: as `layers.compress` has it.
        cluster_size: bytes, a power of two from 512 to 2 MiB.
    """

    codec_name: str = ""
    level: int = 3
    cluster_size: int = 64 << 10

    suffix: ClassVar[str] = ".qcow2"

    @property
    def summary(self) -> str:
        """See `formats.container.Container`."""
        return f"a disk for QEMU, compressed with {self.codec_name}" if self.codec_name else "a disk for QEMU"

    @property
    def compression(self) -> str:
        """See `formats.container.Container`."""
        if not self.codec_name:
            return ""
        _, same = self._codec()
        return f"{self.codec_name} level {self.level}, {same.library}"

    def write(
        self, disk: VirtualDisk, pieces: Iterable[Piece], output: PendingFile, reader: Reader, pipeline: Pipeline
    ) -> None:
        """See `formats.container.Container`."""
        self._check(disk)
        file = _File(output, self.cluster_size, disk.sectors * SECTOR)
        if self.codec_name:
            self._compress(pieces, file, reader, pipeline)
        else:
            write_blocks(pieces, self.cluster_size, file.add_plain, output, reader)
        file.close(is_zstd=self.codec_name == "zstd")

    def _check(self, disk: VirtualDisk) -> None:
        if self.codec_name:
            self._codec()
        if self.cluster_size not in CLUSTER_SIZES:
            sizes = ", ".join(map(str, CLUSTER_SIZES))
            raise InputError(f"qcow2 has no clusters of {self.cluster_size} bytes", hint=f"Take one of {sizes}.")
        most = LARGEST_L1 // ENTRY.size * (self.cluster_size // ENTRY.size) * self.cluster_size
        if disk.size > most:
            raise InputError(
                f"a qcow2 with clusters of {self.cluster_size} bytes has at most {most} bytes, and the disk {disk.size}"
            )

    def _codec(self) -> tuple[Callable[[memoryview], bytes], Codec]:
        """What compresses a cluster, and the codec that does the same to a stream."""
        if self.codec_name not in _CODECS:
            raise InputError(f"qcow2 has no compression {self.codec_name!r}", hint="It has zlib and zstd.")
        compress, same = _CODECS[self.codec_name]
        return partial(compress, level=self.level), codec(same, self.level)

    def _compress(self, pieces: Iterable[Piece], file: "_File", reader: Reader, pipeline: Pipeline) -> None:
        compress, _ = self._codec()
        work = partial(_compressed, compress, self.cluster_size)
        batch = max(_BATCH, self.cluster_size)
        for number, block in whole_blocks(nonzero(pieces, reader, min(GRAIN, self.cluster_size)), batch, reader):
            pipeline.submit(work, block, partial(file.add_all, number * (batch // self.cluster_size)))
        pipeline.drain()


Stored = bytes | memoryview | None
"""A cluster as it goes into the file: compressed if it is shorter than a cluster, none if it is zeros."""


def _compressed(compress: Callable[[memoryview], bytes], cluster: int, batch: bytearray) -> list[Stored]:
    """What becomes of some clusters: a pure function, called from many threads."""
    view, zeros, stored = memoryview(batch), bytes(cluster), list[Stored]()
    for start in range(0, len(batch), cluster):
        if batch.startswith(zeros, start):
            stored.append(None)
        else:
            data = view[start : start + cluster]
            shorter = compress(data)
            stored.append(shorter if len(shorter) < cluster else data)
    return stored


class _File:
    """A qcow2 file that grows: clusters are added in the order in which they are on the disk.

    Args:
        output: takes it.
        cluster: bytes of a cluster.
        size: of the disk in bytes.
    """

    def __init__(self, output: PendingFile, cluster: int, size: int) -> None:
        self._output = output
        self._cluster = cluster
        self._size = size
        self._entries = cluster // ENTRY.size  # of an L2 table
        self._l1 = bytearray(-(-size // (cluster * self._entries)) * ENTRY.size)
        self._l2 = bytearray(cluster)
        self._l2_number = -1
        self._users = array("H")  # of each cluster of the file
        self._free = 0  # where the next compressed cluster goes, if there is room
        self._allocate(1 + -(-len(self._l1) // cluster))

    def add_plain(self, number: int) -> int:
        """Find a place for a cluster of the disk that is not compressed."""
        place = self._allocate(1)
        self._map(number, place | _COPIED)
        return place

    def add_all(self, first: int, clusters: list[Stored]) -> None:
        """Write clusters, of which the first one has that number."""
        for number, data in enumerate(clusters, first):
            if data is None:
                continue
            place = self._add_compressed(number, len(data)) if len(data) < self._cluster else self.add_plain(number)
            self._output.overwrite(place, data)

    def close(self, *, is_zstd: bool) -> None:
        """Write what is known only now."""
        self._end_l2()
        refcounts = self._write_refcounts()
        self._output.overwrite(self._cluster, self._l1)
        extensions = _feature_names() if is_zstd else b""
        header = HEADER.pack(
            magic=b"QFI\xfb", version=3, cluster_bits=self._cluster.bit_length() - 1, size=self._size,
            l1_entries=len(self._l1) // ENTRY.size, l1_offset=self._cluster, header_size=HEADER.size,
            incompatible=is_zstd << COMPRESSION_TYPE, compression=is_zstd, refcount_order=_REFCOUNT_ORDER, **refcounts,
        )  # fmt: skip
        self._output.overwrite(0, header + extensions)
        self._output.extend(len(self._users) * self._cluster)

    def _allocate(self, clusters: int) -> int:
        """Clusters at the end of the file, each with one user."""
        place = len(self._users) * self._cluster
        self._users.extend([1] * clusters)
        return place

    def _add_compressed(self, number: int, size: int) -> int:
        """Find a place for a compressed cluster: after the last one, if what was used since then leaves the room."""
        end = len(self._users) * self._cluster
        rest = -self._free % self._cluster
        if size > rest and self._free + rest != end:
            self._free, rest = end, 0
        place, self._free = self._free, self._free + size
        last_sector = (self._free - 1) // SECTOR
        self._users.extend([0] * -(-(self._free - end) // self._cluster))
        for user in range(place // self._cluster, last_sector * SECTOR // self._cluster + 1):
            self._users[user] += 1
        sectors_shift = 62 - (self._cluster.bit_length() - 1 - 8)
        self._map(number, place | last_sector - place // SECTOR << sectors_shift | COMPRESSED)
        return place

    def _map(self, number: int, value: int) -> None:
        table, index = divmod(number, self._entries)
        if table != self._l2_number:
            self._end_l2()
            self._l2_number = table
        self._l2[index * ENTRY.size : (index + 1) * ENTRY.size] = ENTRY.pack(value=value)

    def _end_l2(self) -> None:
        if self._l2_number < 0:
            return
        place = self._allocate(1)
        self._output.overwrite(place, self._l2)
        start = self._l2_number * ENTRY.size
        self._l1[start : start + ENTRY.size] = ENTRY.pack(value=place | _COPIED)
        self._l2 = bytearray(self._cluster)

    def _write_refcounts(self) -> dict[str, int | bytes]:
        """Write the refcounts, with those of their own clusters; what the header says of them."""
        per_block = self._cluster // _REFCOUNT_BYTES
        tables = blocks = 0
        while blocks * per_block < len(self._users) + tables + blocks:
            blocks += 1
            tables = -(-blocks * ENTRY.size // self._cluster)
        table = self._allocate(tables)
        first = self._allocate(blocks)
        places = (first + number * self._cluster for number in range(blocks))
        self._output.overwrite(table, b"".join(ENTRY.pack(value=place) for place in places))
        for number in range(blocks):
            users = self._users[number * per_block : (number + 1) * per_block]
            self._output.overwrite(first + number * self._cluster, struct.pack(f">{len(users)}H", *users))
        return {"refcount_offset": table, "refcount_clusters": tables}


def _feature_names() -> bytes:
    """What versions of QEMU call the feature that do not know it; without any that are not used."""
    feature = _FEATURE.pack(bit=COMPRESSION_TYPE, name=b"compression type")
    return _EXTENSION.pack(type=_FEATURE_NAMES, size=len(feature)) + feature

"""qcow2, versions 2 and 3, read: see `formats.container.qcow2` for the layout.

Internal snapshots are passed over. A disk that is encrypted, or some of which is in other files, is refused.
"""

import io
import zlib
from functools import lru_cache

import zstandard

from formats.container.qcow2 import CLUSTER_SIZES, COMPRESSED, COMPRESSION_TYPE, ENTRY, HEADER, LARGEST_L1
from formats.partition import SECTOR
from formats.reading.artefact import ArtefactError
from formats.reading.container import Blocks, incomplete
from formats.reading.source import Cached, Source, damaged

_MAGIC = b"QFI\xfb"
_SECOND, _THIRD = 2, 3
_DIRTY = 1 << 0  # incompatible features: the counts of users are wrong, which no reader minds
_CORRUPT = 1 << 1
_EXTERNAL_DATA = 1 << 2
_ZSTD = 1
_ZEROS = 1 << 0  # of an entry of an L2 table, from version 3 on
_PLACE = (1 << 56) - SECTOR  # bits 9 to 55
_KEPT = 8 << 20  # bytes of decompressed clusters
_MOST_WINDOW = 16 << 20


def open_disk(file: Source) -> Source | None:
    """See `formats.reading.container`."""
    if file.size < SECTOR or file.read(0, 4) != _MAGIC:
        return None
    return _Qcow2(file)


class _Qcow2(Blocks):
    def __init__(self, file: Source) -> None:
        head = HEADER.unpack(file.read(0, HEADER.size))
        features = head.incompatible if head.version >= _THIRD else 0
        if (
            head.version not in (_SECOND, _THIRD)
            or head.cluster_bits > 21
            or 1 << head.cluster_bits not in CLUSTER_SIZES
        ):
            raise damaged(file, f"a qcow2 of version {head.version} with clusters of 2^{head.cluster_bits} bytes")
        if head.backing_offset or features & _EXTERNAL_DATA:
            raise incomplete(file, "a qcow2 that lies over another disk")
        if head.encryption:
            raise ArtefactError(f"{file.title} is an encrypted qcow2")
        if features & ~(_DIRTY | _CORRUPT | 1 << COMPRESSION_TYPE):
            raise ArtefactError(f"{file.title} is a qcow2 with features that nobody here knows: {features:#x}")
        cluster = 1 << head.cluster_bits
        super().__init__(file, head.size, cluster)
        self._entries = cluster // ENTRY.size
        if head.l1_entries * ENTRY.size > LARGEST_L1 or head.l1_entries * self._entries * cluster < head.size:
            raise damaged(file, f"an L1 table of {head.l1_entries} entries for {head.size} bytes")
        self._l1_offset = head.l1_offset
        self._has_zeros = head.version >= _THIRD
        self._is_zstd = features >> COMPRESSION_TYPE & 1 and head.compression == _ZSTD
        self._sectors_shift = 62 - (head.cluster_bits - 8)
        self._tables = Cached(file)
        self._decompressed = lru_cache(max(1, _KEPT // cluster))(self._decompress)

    def _read_block(self, number: int, start: int, size: int) -> bytes:
        entry = self._entry(number)
        if entry & COMPRESSED:
            cluster: bytes = self._decompressed(entry)
            return cluster[start : start + size]
        place = entry & _PLACE
        if not place or (self._has_zeros and entry & _ZEROS):
            return bytes(size)
        # A file may end within its last cluster.
        there = max(0, min(size, self._file.size - place - start))
        return self._file.read(place + start, there) + bytes(size - there)

    def _entry(self, number: int) -> int:
        """What the L2 table says of a cluster."""
        table, index = divmod(number, self._entries)
        l2 = self._number(self._l1_offset + table * ENTRY.size) & _PLACE
        return self._number(l2 + index * ENTRY.size) if l2 else 0

    def _number(self, offset: int) -> int:
        return int.from_bytes(self._tables.read(offset, ENTRY.size))

    def _decompress(self, entry: int) -> bytes:
        place = entry & (1 << self._sectors_shift) - 1
        sectors = entry >> self._sectors_shift & (1 << 62 - self._sectors_shift) - 1
        end = min(place // SECTOR * SECTOR + (sectors + 1) * SECTOR, self._file.size)
        data = self._file.read(place, end - place)
        try:
            found = self._unzstd(data) if self._is_zstd else zlib.decompressobj(-15).decompress(data, self._block)
        except (zlib.error, zstandard.ZstdError) as error:
            raise damaged(self._file, f"the compressed cluster at byte {place}: {error}") from error
        if len(found) != self._block:
            raise damaged(self._file, f"the compressed cluster at byte {place} has {len(found)} bytes")
        return found

    def _unzstd(self, data: bytes) -> bytes:
        decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW)
        with decoder.stream_reader(io.BytesIO(data)) as stream:
            found: bytes = stream.read(self._block)
            return found

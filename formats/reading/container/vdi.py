"""VDI, read: see `formats.container.vdi` for the layout. Fixed ones have the same map as dynamic ones."""

from formats.container.vdi import DYNAMIC, HEADER, PREHEADER, SIGNATURE
from formats.reading.container import Blocks, incomplete
from formats.reading.source import Cached, Source, damaged

_MAJOR_VERSION = 1
_FIXED = 2
_NUMBER = 4  # bytes
_FIRST_FREE = 0xFFFFFFFE  # never written; one more: zeros
_BLOCKS = range(1 << 12, (1 << 28) + 1)


def open_disk(file: Source) -> Source | None:
    """See `formats.reading.container`."""
    if file.size < PREHEADER.size + HEADER.size:
        return None
    preheader = PREHEADER.unpack(file.read(0, PREHEADER.size))
    if preheader.signature != SIGNATURE:
        return None
    if preheader.version >> 16 != _MAJOR_VERSION:
        raise damaged(file, f"a VDI of version {preheader.version >> 16}")
    return _Vdi(file)


class _Vdi(Blocks):
    def __init__(self, file: Source) -> None:
        head = HEADER.unpack(file.read(PREHEADER.size, HEADER.size))
        if head.type not in (DYNAMIC, _FIXED):
            raise incomplete(file, "a VDI that lies over another disk")
        if head.block_size not in _BLOCKS or head.blocks * head.block_size < head.disk_size:
            raise damaged(file, f"{head.blocks} blocks of {head.block_size} bytes for {head.disk_size} bytes")
        super().__init__(file, head.disk_size, head.block_size)
        self._map_offset: int = head.map_offset
        self._data_offset: int = head.data_offset
        self._extra: int = head.block_extra
        self._map = Cached(file)

    def _place(self, number: int) -> int | None:
        found = int.from_bytes(self._map.read(self._map_offset + number * _NUMBER, _NUMBER), "little")
        if found >= _FIRST_FREE:
            return None
        return self._data_offset + found * (self._block + self._extra) + self._extra

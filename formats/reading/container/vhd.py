"""VHD, read: see `formats.container.vhd` for the layout.

Of a fixed one, only the end says what it is. The footer at the end counts; its copy at the beginning is for repairs.
"""

from formats.container.vhd import DYNAMIC, FIXED, FOOTER, HEADER
from formats.partition import SECTOR
from formats.reading.container import Blocks, incomplete
from formats.reading.source import Cached, Part, Source, damaged
from formats.structure import Structure

_COOKIE, _HEADER_COOKIE = b"conectix", b"cxsparse"
_NUMBER = 4  # bytes
_NOWHERE = (1 << 32) - 1
_BLOCKS = tuple(1 << bits for bits in range(12, 29))


def open_disk(file: Source) -> Source | None:
    """See `formats.reading.container`."""
    if file.size < FOOTER.size:
        return None
    data = file.read(file.size - FOOTER.size, FOOTER.size)
    if not data.startswith(_COOKIE):
        if file.read(0, len(_COOKIE)) == _COOKIE:
            raise damaged(file, "a VHD without its end")
        return None
    _check(file, FOOTER, data, "footer")
    footer = FOOTER.unpack(data)
    if footer.type == FIXED:
        if footer.current_size > file.size - FOOTER.size:
            raise damaged(file, f"a VHD of {footer.current_size} bytes in a file of {file.size}")
        return Part(file, 0, footer.current_size, f"the disk in {file.title}")
    if footer.type != DYNAMIC:
        raise incomplete(file, "a VHD that lies over another disk")
    return _Dynamic(file, footer.current_size, footer.data_offset)


class _Dynamic(Blocks):
    def __init__(self, file: Source, size: int, header_offset: int) -> None:
        data = file.read(header_offset, HEADER.size)
        header = HEADER.unpack(data)
        if header.cookie != _HEADER_COOKIE:
            raise damaged(file, f"no header of a VHD at byte {header_offset}")
        _check(file, HEADER, data, "header")
        if header.block_size not in _BLOCKS or header.entries * header.block_size < size:
            raise damaged(file, f"{header.entries} blocks of {header.block_size} bytes for {size} bytes")
        super().__init__(file, size, header.block_size)
        self._table_offset = header.table_offset
        self._bitmap = -(-header.block_size // SECTOR // 8 // SECTOR) * SECTOR
        self._table = Cached(file)

    def _place(self, number: int) -> int | None:
        sector = int.from_bytes(self._table.read(self._table_offset + number * _NUMBER, _NUMBER))
        return None if sector == _NOWHERE else sector * SECTOR + self._bitmap


def _check(file: Source, structure: Structure, data: bytes, what: str) -> None:
    """The checksum is the one's complement of the sum of all bytes but its own."""
    fields = structure.unpack(data)
    start = structure.offset("checksum")
    if ~(sum(data) - sum(data[start : start + _NUMBER])) & 0xFFFFFFFF != fields.checksum:
        raise damaged(file, f"the {what} of a VHD has a wrong checksum")

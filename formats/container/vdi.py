"""VDI: VirtualBox's disks, with a map of blocks of 1 MiB.

    0           72           472       512                     whole MiB
    +-----------+------------+---------+-----------------+-----+-----------+-----------+-----
    | preheader | header 1.1 | zero    | map of blocks   |     | block 0   | block 1   |
    | 72        | 400        |         | 4 bytes each    |     | in the    | 1 MiB     | ...
    +-----------+------------+---------+-----------------+-----+ file -----+-----------+-----

The map has for each block of the disk its number in the file, or all ones if it is not there. VirtualBox's
src/VBox/Storage/VDICore.h is the specification: `VDIPREHEADER`, `VDIHEADER1PLUS`. Numbers are little-endian, and so are
UUIDs. The geometry is zeros, which leaves it to VirtualBox.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from formats.container import VirtualDisk
from formats.container.blocks import BlockMap, write_blocks
from formats.filesystem.pieces import Piece
from formats.identifiers import derived_uuid
from formats.partition import SECTOR
from formats.structure import Structure
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader

BLOCK = 1 << 20
PREHEADER = Structure("<", "text:64s signature:I version:I")
HEADER = Structure(
    "<",
    """
    header_size:I type:I flags:I comment:256s map_offset:I data_offset:I cylinders:I heads:I sectors:I sector_size:I
    unused:I disk_size:Q block_size:I block_extra:I blocks:I allocated:I uuid:16s modification:16s link:16s
    parent_modification:16s lchs_cylinders:I lchs_heads:I lchs_sectors:I lchs_sector_size:I
    """,
)
_TEXT = b"<<< ocipack Disk Image >>>\n"  # for people
SIGNATURE = 0xBEDA107F
_VERSION = 0x0001_0001
DYNAMIC = 1
_MAP_OFFSET = SECTOR
_MOST_BLOCKS = 0x3FFFFFFF  # QEMU's VDI_BLOCKS_IN_IMAGE_MAX: so that the map has less than 4 GiB


@dataclass(frozen=True, slots=True)
class Vdi:
    """A dynamic VDI."""

    summary: ClassVar[str] = "a disk for VirtualBox"
    suffix: ClassVar[str] = ".vdi"
    compression: ClassVar[str] = ""

    def write(
        self,
        disk: VirtualDisk,
        pieces: Iterable[Piece],
        output: PendingFile,
        reader: Reader,
        pipeline: Pipeline,  # noqa: ARG002  # of the protocol
    ) -> None:
        """See `formats.container.Container`."""
        blocks = -(-disk.size // BLOCK)
        if blocks > _MOST_BLOCKS:
            raise InputError(f"a VDI has at most {_MOST_BLOCKS * BLOCK} bytes, and the disk has {disk.size}")
        file = _File(output, blocks)
        write_blocks(pieces, BLOCK, file.allocate, output, reader)
        file.close(disk)


class _File:
    def __init__(self, output: PendingFile, blocks: int) -> None:
        map_size = blocks * 4
        self._output = output
        self._map = BlockMap(output, _MAP_OFFSET, map_size, "<")
        self._data_offset = -(-(_MAP_OFFSET + map_size) // BLOCK) * BLOCK  # as VirtualBox has it
        self._blocks = blocks
        self._allocated = 0

    def allocate(self, block: int) -> int:
        """See `formats.container.blocks.Allocate`."""
        self._map.set(block, self._allocated)
        self._allocated += 1
        return self._data_offset + (self._allocated - 1) * BLOCK

    def close(self, disk: VirtualDisk) -> None:
        self._map.close()
        preheader = PREHEADER.pack(text=_TEXT, signature=SIGNATURE, version=_VERSION)
        header = HEADER.pack(
            header_size=HEADER.size, type=DYNAMIC, map_offset=_MAP_OFFSET, data_offset=self._data_offset,
            sector_size=SECTOR, disk_size=disk.sectors * SECTOR, block_size=BLOCK, blocks=self._blocks,
            allocated=self._allocated, uuid=derived_uuid(disk.identity, "vdi image").bytes_le,
            modification=derived_uuid(disk.identity, "vdi modification").bytes_le,
        )  # fmt: skip
        self._output.overwrite(0, preheader + header)
        self._output.extend(self._data_offset + self._allocated * BLOCK)

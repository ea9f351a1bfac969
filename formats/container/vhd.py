"""VHD: disks of Hyper-V and Azure, which QEMU calls `vpc`; with a map of blocks of 2 MiB, or as they are.

    fixed      +----------------------------------------------------+--------+
               | the disk                                           | footer |
               +----------------------------------------------------+--------+
    dynamic    0        512       1536                              last 512 bytes
               +--------+---------+------------+--------+-----------+-- ... -+--------+
               | footer | header  | map of     | bitmap | block     |        | footer |
               | again  | 1024    | blocks     | 512    | 2 MiB     |        |        |
               +--------+---------+------------+--------+-----------+-- ... -+--------+

"Virtual Hard Disk Image Format Specification", Microsoft, version 1.0 of October 2006: sections "Hard Disk Footer
Format", "Dynamic Disk Header Format", "Block Allocation Table and Data Blocks", and the appendix "CHS Calculation".
Numbers are big-endian. The map has the sector at which a block's bitmap begins; all ones are none.

The size is in the footer twice, as bytes and as cylinders, heads and sectors; and few sizes can be said as these. Then
they say a little less, as the appendix has it, and the bytes are right: the disk is as large as it was asked to be, a
size of whole MiB, which Azure insists on, stays one, and the same disk is in every container. Virtual PC went by the
geometry. QEMU does so, too, unless the creator is one that it knows, so this is Hyper-V's name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from formats.container import VirtualDisk
from formats.container.blocks import BlockMap, write_blocks
from formats.container.nonzero import nonzero
from formats.filesystem.pieces import Piece, write_pieces
from formats.identifiers import derived_uuid
from formats.partition import SECTOR
from formats.structure import Structure
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader

BLOCK = 2 << 20
_MOST_BYTES = 2040 << 30
FOOTER = Structure(
    ">",
    """
    cookie:8s features:I version:I data_offset:Q time:I creator:4s creator_version:I creator_system:4s original_size:Q
    current_size:Q cylinders:H heads:B sectors:B type:I checksum:I uuid:16s saved_state:B reserved:427s
    """,
)
HEADER = Structure(
    ">",
    """
    cookie:8s data_offset:Q table_offset:Q version:I entries:I block_size:I checksum:I parent:16s parent_time:I
    reserved:I parent_name:512s locators:192s unused:256s
    """,
)
_NO_FEATURES = 2  # a bit that is always set
_VERSION = 0x0001_0000
_NOWHERE = (1 << 64) - 1
_HYPER_V, _WINDOWS = b"win ", b"Wi2k"
_HYPER_V_VERSION = 0x000A_0000  # of Windows 10
FIXED, DYNAMIC = 2, 3
_EPOCH = 946684800  # 2000-01-01
_LATEST = (1 << 32) - 1

_HEADER_OFFSET = FOOTER.size
_TABLE_OFFSET = _HEADER_OFFSET + HEADER.size
_BITMAP = b"\xff" * SECTOR  # all sectors of a block are in the file


@dataclass(frozen=True, slots=True)
class Vhd:
    """A VHD with its options.

    Attributes:
        fixed: all of the disk is in the file, as Azure wants it; otherwise blocks of zeros are not.
    """

    fixed: bool = False

    suffix: ClassVar[str] = ".vhd"
    compression: ClassVar[str] = ""

    @property
    def summary(self) -> str:
        """See `formats.container.Container`."""
        return "a disk for Azure: a VHD of fixed size" if self.fixed else "a disk for Hyper-V: a VHD"

    def write(
        self,
        disk: VirtualDisk,
        pieces: Iterable[Piece],
        output: PendingFile,
        reader: Reader,
        pipeline: Pipeline,  # noqa: ARG002  # of the protocol
    ) -> None:
        """See `formats.container.Container`."""
        if disk.size > _MOST_BYTES:
            raise InputError(
                f"a VHD has at most {_MOST_BYTES} bytes (2040 GiB), and the disk has {disk.size}",
                hint="The containers raw, qcow2 and vdi have room for it.",
            )
        if self.fixed:
            size = disk.sectors * SECTOR
            write_pieces(nonzero(pieces, reader), output, 0, size, reader)
            output.overwrite(size, _footer(disk, FIXED, _NOWHERE))
        else:
            file = _File(output, disk)
            write_blocks(pieces, BLOCK, file.allocate, output, reader)
            file.close(disk)


class _File:
    """A dynamic VHD."""

    def __init__(self, output: PendingFile, disk: VirtualDisk) -> None:
        self._entries = -(-disk.size // BLOCK)
        table_size = -(-self._entries * 4 // SECTOR) * SECTOR
        self._output = output
        self._table = BlockMap(output, _TABLE_OFFSET, table_size, ">")
        self._end = _TABLE_OFFSET + table_size

    def allocate(self, block: int) -> int:
        """See `formats.container.blocks.Allocate`."""
        self._table.set(block, self._end // SECTOR)
        self._output.overwrite(self._end, _BITMAP)
        self._end += len(_BITMAP) + BLOCK
        return self._end - BLOCK

    def close(self, disk: VirtualDisk) -> None:
        self._table.close()
        footer = _footer(disk, DYNAMIC, _HEADER_OFFSET)
        header = _with_checksum(
            HEADER, cookie=b"cxsparse", data_offset=_NOWHERE, table_offset=_TABLE_OFFSET, version=_VERSION,
            entries=self._entries, block_size=BLOCK,
        )  # fmt: skip
        self._output.overwrite(0, footer + header)
        self._output.overwrite(self._end, footer)


def _footer(disk: VirtualDisk, kind: int, data_offset: int) -> bytes:
    size = disk.sectors * SECTOR
    cylinders, heads, sectors = geometry(disk.sectors)
    return _with_checksum(
        FOOTER, cookie=b"conectix", features=_NO_FEATURES, version=_VERSION, data_offset=data_offset,
        time=min(max(disk.epoch - _EPOCH, 0), _LATEST), creator=_HYPER_V, creator_version=_HYPER_V_VERSION,
        creator_system=_WINDOWS, original_size=size, current_size=size, cylinders=cylinders, heads=heads,
        sectors=sectors, type=kind, uuid=derived_uuid(disk.identity, "vhd").bytes,
    )  # fmt: skip


def _with_checksum(structure: Structure, **values: int | bytes) -> bytes:
    """The one's complement of the sum of all bytes, without the checksum's."""
    checksum = ~sum(structure.pack(**values)) & 0xFFFFFFFF
    return structure.pack(**values, checksum=checksum)


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors a track of a disk: appendix "CHS Calculation".

    Args:
        sectors: of the disk; from 65535 * 16 * 255 (127.5 GiB) on, the geometry is the largest that there is.
    """
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    tracks = sectors // 17
    heads = max(4, (tracks + 1023) // 1024)
    if tracks < heads * 1024 and heads <= 16:
        return tracks // heads, heads, 17
    tracks = sectors // 31
    if tracks < 16 * 1024:
        return tracks // 16, 16, 31
    return sectors // 63 // 16, 16, 63

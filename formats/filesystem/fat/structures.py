"""Structures of FAT on disk: Microsoft's FAT32 File System Specification 1.03.

    sector 0           reserved                                             clusters from number 2 on
    +-------------+----+-----------------+----------+-----------+-----------+------------------------------
    | boot sector | of FAT32: 1 info,    | FAT      | FAT again | root, but | folders, then files,
    |             | 6 and 7 copies       |          |           | of FAT32  | each in one piece
    +-------------+----+-----------------+----------+-----------+-----------+------------------------------

The FAT has the number of the next cluster for each cluster; 0 is a free one. All numbers are little-endian.
"""

from datetime import UTC, datetime

from formats.structure import Structure

MEDIA = 0xF8  # a fixed disk
SIGNATURE = b"\x55\xaa"
INFO_SECTOR = 1
BACKUP_SECTOR = 6
OEM_NAME = b"OCIPACK "
NO_LABEL = b"NO NAME    "
#: `int 18h`, with which a BIOS goes on to the next disk, for who boots from it.
BOOT_CODE = b"\xcd\x18\xeb\xfe"

#: BIOS parameter block, section "Boot Sector and BPB", as far as all FATs have it.
_COMMON = """
    jump:3s oem:8s sector:H cluster:B reserved:H fats:B root_entries:H sectors_16:H media:B fat_sectors_16:H
    sectors_per_track:H heads:H hidden:I sectors_32:I
"""
_EXTENDED = "drive:B unused:B boot_signature:B serial:I label:11s type:8s"
BOOT_16 = Structure("<", f"{_COMMON} {_EXTENDED} code:448s signature:2s")
BOOT_32 = Structure(
    "<",
    f"""{_COMMON} fat_sectors_32:I mirroring:H version:H root_cluster:I info_sector:H backup_sector:H reserved_32:12s
    {_EXTENDED} code:420s signature:2s""",
)
EXTENDED_SIGNATURE = 0x29
FIXED_DRIVE = 0x80

#: Section "FSInfo Sector Structure and Backup Boot Sector".
INFO = Structure("<", "lead:4s unused:480s magic:4s free:I next:I unused_too:12s trail:4s")

#: Section "FAT Directory Structure". `cluster_hi` is the number's upper half.
ENTRY = Structure(
    "<",
    """
    name:11s attributes:B case:B created_hundredths:B created_time:H created_date:H accessed_date:H cluster_hi:H
    written_time:H written_date:H cluster:H size:I
    """,
)
VOLUME_LABEL = 0x08
DIRECTORY = 0x10
ARCHIVE = 0x20

_FIRST = datetime(1980, 1, 1, tzinfo=UTC).timestamp()
_LAST = datetime(2107, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def times(epoch: int) -> dict[str, int | bytes]:
    """The fields of an entry that are times, of the nearest second that FAT knows."""
    moment = datetime.fromtimestamp(min(max(epoch, _FIRST), _LAST), UTC)
    date = moment.year - 1980 << 9 | moment.month << 5 | moment.day
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    return {
        "created_hundredths": moment.second % 2 * 100, "created_time": time, "created_date": date,
        "accessed_date": date, "written_time": time, "written_date": date,
    }  # fmt: skip

"""Structures of ISO 9660 on disk: ECMA-119, 4th edition, each with its section.

    block 0           16        17       18         19     ...      ...           ...
    +----------------+---------+--------+----------+------+--------+-------------+-------+----------+---------+-------
    | system area:   | primary | boot   | the last | MD5  | path   | directories | MD5   | boot     | MD5 of  | files
    | MBR and GPT if | volume  | record | of these | of   | tables | with what   | of    | catalog, | files,  |
    | it is a disk,  | descrip-| if it  | descrip- | all  | for    | their names | all   | boot     | and of  |
    | too            | tor     | boots  | tors     | this | others | did not     | this  | images   | all this|
    +----------------+---------+--------+----------+------+--------+-------------+-------+----------+---------+-------

Blocks have 2048 bytes. Most numbers stand there twice, little-endian first and then big-endian (7.2.3, 7.3.3).
"""

from datetime import UTC, datetime

from formats.structure import Structure

BLOCK = 2048
SYSTEM_BLOCKS = 16
LARGEST_EXTENT = (1 << 32) - BLOCK  # bytes: whole blocks, so that the next extent can follow
MOST_BLOCKS = (1 << 32) - 1

STANDARD = b"CD001"
BOOT_RECORD, PRIMARY, TERMINATOR = 0, 1, 255  # 8.1.1

#: 8.4. Fields of two byte orders are made by `both16` and `both32`.
DESCRIPTOR = Structure(
    "<",
    """
    type:B standard:5s version:B unused:B system:32s label:32s unused_2:8s blocks:8s unused_3:32s
    set_size:4s sequence:4s block_size:4s path_table_size:8s path_table:I optional_table:I path_table_big:4s
    optional_table_big:4s root:34s set:128s publisher:128s preparer:128s application:128s
    copyright:37s abstract:37s bibliography:37s created:17s modified:17s expires:17s effective:17s
    structure_version:B unused_4:B
    """,
)
LABEL_BYTES = 32

# 9.1
RECORD_HEAD = 33  # bytes before the identifier
LONGEST_RECORD = 254  # its length is even, and has a byte
DIRECTORY = 0x02  # 9.1.6
MORE_EXTENTS = 0x80
ITSELF, ABOVE = b"\0", b"\1"  # 6.8.2.2

MOST_FOLDERS = (1 << 16) - 1  # whose number the path table can say: 9.4.4

ONE = (1).to_bytes(2, "little") + (1).to_bytes(2, "big")

_FIRST_YEAR, _LAST_YEAR = 1900, 2155  # of times in records


def both16(value: int) -> bytes:
    """A number of 16 bits in both orders: 7.2.3."""
    return value.to_bytes(2, "little") + value.to_bytes(2, "big")


def both32(value: int) -> bytes:
    """A number of 32 bits in both orders: 7.3.3."""
    return value.to_bytes(4, "little") + value.to_bytes(4, "big")


def blocks(size: int) -> int:
    """That so many bytes take."""
    return -(-size // BLOCK)


def short_time(epoch: int) -> bytes:
    """Seconds since 1970 as records have them: 9.1.5, in UTC, the nearest year that there is."""
    first = int(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    last = int(datetime(_LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    moment = datetime.fromtimestamp(min(max(epoch, first), last), UTC)
    date = (moment.year - _FIRST_YEAR, moment.month, moment.day)
    return bytes((*date, moment.hour, moment.minute, moment.second, 0))

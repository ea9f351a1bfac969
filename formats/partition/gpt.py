"""The GUID partition table: 128 partitions on a disk of any size, and a copy of the table at its end.

    sector 0        1        2              34                            -33              -1
    +--------------+--------+--------------+-----------------------------+----------------+--------+
    | protective   | header | entries      | partitions                  | entries again  | header |
    | or hybrid MBR|        | 128 x 128 B  |                             |                | again  |
    +--------------+--------+--------------+-----------------------------+----------------+--------+

UEFI 2.10, section 5.3; the protective MBR is in section 5.2.3. A hybrid MBR has the partitions that ask for it as well,
for systems that do not know GPTs; its first entry protects what is before them. No specification knows it.
"""

import zlib
from collections.abc import Iterator, Sequence
from uuid import UUID

from formats.filesystem.pieces import Bytes
from formats.identifiers import derived_uuid
from formats.partition import MBR_CODE, SECTOR, Disk, Partition, check, mbr
from formats.structure import Structure
from layers.errors import InputError

MOST_PARTITIONS = 128
LONGEST_NAME = 36  # UTF-16 code units
LEGACY_BOOT = 1 << 2  # attribute: a BIOS may boot from it

HEADER = Structure(
    "<",
    """
    signature:8s revision:I size:I checksum:I reserved:I here:Q other:Q first_usable:Q last_usable:Q
    disk:16s entries:Q count:I entry_size:I entries_checksum:I
    """,
)
ENTRY = Structure("<", "type:16s unique:16s first:Q last:Q attributes:Q name:72s")
_REVISION = 0x10000
_TABLE_SECTORS = MOST_PARTITIONS * ENTRY.size // SECTOR
_BEFORE = 2 + _TABLE_SECTORS  # sectors: MBR, header, entries
_AFTER = 1 + _TABLE_SECTORS  # sectors: entries, header
PROTECTIVE = 0xEE
_BEYOND = bytes.fromhex("ffffff")  # CHS of what CHS cannot say, in a protective MBR
_LARGEST = (1 << 32) - 1
_MOST_HYBRID = mbr.MOST_PARTITIONS - 1

FIRST_USABLE = _BEFORE * SECTOR

#: Bytes at the end of a disk that no partition has.
AFTER_LAST = _AFTER * SECTOR


def pieces(disk: Disk) -> Iterator[Bytes]:
    """The table and its copy, without the boot code.

    Args:
        disk: its partitions have the numbers 1 to 128.

    Raises:
        InputError: the partitions do not fit into a GPT, or not to each other.
    """
    check(disk, FIRST_USABLE, disk.size - AFTER_LAST)
    uuids = [_uuid(disk, number) for number in range(len(disk.partitions))]
    _check(disk.partitions, uuids)
    table = b"".join(map(_entry, disk.partitions, uuids)).ljust(_TABLE_SECTORS * SECTOR, b"\0")
    last = disk.size // SECTOR - 1
    yield Bytes(MBR_CODE, _mbr(disk))
    yield Bytes(SECTOR, _header(disk, 1, last, 2, table) + table)
    yield Bytes((last - _TABLE_SECTORS) * SECTOR, table + _header(disk, last, 1, last - _TABLE_SECTORS, table))


def _uuid(disk: Disk, number: int) -> UUID:
    return disk.partitions[number].uuid or derived_uuid(disk.identity, f"gpt partition {number + 1}")


def _check(partitions: Sequence[Partition], uuids: Sequence[UUID]) -> None:
    problems = []
    if len(partitions) > MOST_PARTITIONS:
        problems.append(f"a GPT has room for {MOST_PARTITIONS} partitions, and there are {len(partitions)}")
    seen: dict[UUID, str] = {}
    for partition, uuid in zip(partitions, uuids, strict=True):
        if uuid in seen:
            problems.append(f"the partitions {seen[uuid]!r} and {partition.name!r} have the same UUID {uuid}")
        seen[uuid] = partition.name
        if len(_utf16(partition.name)) > 2 * LONGEST_NAME or "\0" in partition.name:
            problems.append(f"the name {partition.name!r} does not fit into {LONGEST_NAME} characters of UTF-16")
    if problems:
        raise InputError("; ".join(problems))


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-le", "surrogatepass")


def _entry(partition: Partition, uuid: UUID) -> bytes:
    return ENTRY.pack(
        type=partition.type.guid.bytes_le, unique=uuid.bytes_le, first=partition.first_sector,
        last=partition.first_sector + partition.sectors - 1, attributes=LEGACY_BOOT if partition.bootable else 0,
        name=_utf16(partition.name),
    )  # fmt: skip


def _header(disk: Disk, here: int, other: int, entries: int, table: bytes) -> bytes:
    uuid = disk.uuid or derived_uuid(disk.identity, "gpt disk")
    values: dict[str, int | bytes] = {
        "signature": b"EFI PART", "revision": _REVISION, "size": HEADER.size, "here": here, "other": other,
        "first_usable": _BEFORE, "last_usable": max(here, other) - _AFTER, "disk": uuid.bytes_le,
        "entries": entries, "count": MOST_PARTITIONS, "entry_size": ENTRY.size, "entries_checksum": zlib.crc32(table),
    }  # fmt: skip
    checksum = zlib.crc32(HEADER.pack(**values))
    return HEADER.pack(**values, checksum=checksum).ljust(SECTOR, b"\0")


def _mbr(disk: Disk) -> bytes:
    """Protective, with the whole disk in one entry; or hybrid, with what is before the first of its partitions."""
    shared = [partition for partition in disk.partitions if partition.hybrid]
    if not shared:
        return mbr.record(0, [_protective(disk.size // SECTOR, mbr.ACTIVE if disk.pmbr_boot else 0)])
    first = min(partition.first_sector for partition in shared)
    # Before the others, where GRUB looks for it.
    return mbr.record(mbr.signature(disk), [_protective(first), *mbr.entries(shared, _MOST_HYBRID)])


def _protective(end: int, status: int = 0) -> bytes:
    """An entry that hides all from the second sector up to this one."""
    return mbr.ENTRY.pack(
        status=status,
        first_chs=mbr.chs(1),
        type=PROTECTIVE,
        last_chs=mbr.chs(end - 1, _BEYOND),
        first=1,
        sectors=min(end - 1, _LARGEST),
    )

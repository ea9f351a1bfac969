"""Partition tables, read: see `formats.partition` for the layouts; and logical partitions, which we never write.

An extended partition has a chain of records like the MBR: the first entry of each is a logical partition, counted from
that record on; the second leads to the next record, counted from the beginning of the extended partition.

Of a GPT all checksums are compared. If the one at the beginning is damaged, the copy at the end is read, and a note
says so.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from formats.partition import MBR_CODE, SECTOR, gpt, mbr
from formats.reading.source import Cached, Source, damaged

_SIGNATURE = b"EFI PART"
_SECTORS = (512, 4096)  # a GPT counts in those of the disk that it was made on
_LARGEST_TABLE = 1 << 20  # bytes of entries
_EXTENDED = (0x05, 0x0F, 0x85)
_MOST_PARTITIONS = 256  # DISK_MAX_PARTS of Linux
_FIRST_LOGICAL = 5
_MOST_LOGICAL = 128


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A partition, as its table has it.

    Attributes:
        number: from 1, as Linux counts.
        offset: its first byte.
        size: bytes.
        type: a GUID, or `0x83`.
        label: of a GPT.
        uuid: of a GPT; in an MBR `SIGNATURE-NUMBER`, as Linux has it.
        bootable: whether a BIOS shall boot from it.
    """

    number: int
    offset: int
    size: int
    type: str = ""
    label: str = ""
    uuid: str = ""
    bootable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A partition table.

    Attributes:
        kind: `gpt` or `mbr`.
        uuid: of the disk; of an MBR, its signature.
        partitions: by number.
        notes: what is odd.
    """

    kind: str
    uuid: str
    partitions: tuple[TableEntry, ...]
    notes: tuple[str, ...] = ()


def read_table(disk: Source) -> Table | None:
    """The partition table of a disk, if there is one.

    Raises:
        ArtefactError: it is damaged.
    """
    if disk.size < SECTOR:
        return None
    disk = Cached(disk)
    record = mbr.RECORD.unpack(disk.read(MBR_CODE, mbr.RECORD.size))
    entries = _entries(record.entries)
    used = [entry for entry in entries if entry.type]
    if record.magic != mbr.MAGIC or not used or any(entry.status not in (0, mbr.ACTIVE) for entry in entries):
        return None
    if any(entry.type == gpt.PROTECTIVE for entry in entries):
        return _gpt(disk)
    found = sorted(_mbr(disk, record.signature, entries), key=lambda entry: entry.number)
    return Table("mbr", f"{record.signature:08x}", tuple(found))


def _entries(data: bytes) -> list[Any]:
    return [mbr.ENTRY.unpack(data[start:]) for start in range(0, len(data), mbr.ENTRY.size)]


def _mbr(disk: Source, signature: int, entries: list[Any]) -> Iterator[TableEntry]:
    logical = _FIRST_LOGICAL
    for number, entry in enumerate(entries, 1):
        if not entry.type:
            continue
        yield _of_mbr(signature, number, entry, 0)
        if entry.type in _EXTENDED:
            for start, inner in _logical(disk, entry):
                yield _of_mbr(signature, logical, inner, start)
                logical += 1


def _of_mbr(signature: int, number: int, entry: Any, start: int) -> TableEntry:
    return TableEntry(
        number, (start + entry.first) * SECTOR, entry.sectors * SECTOR, f"{entry.type:#04x}", "",
        f"{signature:08x}-{number:02x}", entry.status == mbr.ACTIVE,
    )  # fmt: skip


def _logical(disk: Source, extended: Any) -> Iterator[tuple[int, Any]]:
    """The logical partitions, each with the sector from which it counts."""
    place = 0
    for _ in range(_MOST_LOGICAL):
        sector = extended.first + place
        record = mbr.RECORD.unpack(disk.read(sector * SECTOR + MBR_CODE, mbr.RECORD.size))
        if record.magic != mbr.MAGIC:
            raise damaged(disk, f"there is no table of a logical partition at sector {sector}")
        inner, following = _entries(record.entries)[:2]
        if inner.type:
            yield sector, inner
        if following.type not in _EXTENDED:
            return
        if not place < following.first < extended.sectors:
            break
        place = following.first
    raise damaged(disk, "the chain of logical partitions leads nowhere")


def _gpt(disk: Source) -> Table:
    problems: list[str] = []
    for sector in _SECTORS:
        for where, number in (("table", 1), ("copy of the table", disk.size // sector - 1)):
            offset = number * sector
            if disk.size < offset + sector or disk.read(offset, len(_SIGNATURE)) != _SIGNATURE:
                continue
            table, problem = _gpt_at(disk, sector, number, problems)
            if table:
                return table
            problems.append(f"the {where} at byte {offset} {problem}")
    raise damaged(disk, "; ".join(problems) or "its MBR stands for a GPT, and there is none")


def _gpt_at(disk: Source, sector: int, number: int, problems: list[str]) -> tuple[Table | None, str]:
    """The table of a header, or what is wrong with it."""
    data = disk.read(number * sector, sector)
    head = gpt.HEADER.unpack(data)
    if not gpt.HEADER.size <= head.size <= sector:
        return None, f"has a header of {head.size} bytes"
    at = gpt.HEADER.offset("checksum")
    if zlib.crc32(data[:at] + bytes(4) + data[at + 4 : head.size]) != head.checksum:
        return None, "has a header with a wrong checksum"
    size = head.count * head.entry_size
    if head.here != number or head.entry_size < gpt.ENTRY.size or size > _LARGEST_TABLE:
        return None, f"has a header of sector {head.here} with {head.count} entries of {head.entry_size} bytes"
    if head.entries * sector + size > disk.size:
        return None, "has entries after the end of the disk"
    entries = disk.read(head.entries * sector, size)
    if zlib.crc32(entries) != head.entries_checksum:
        return None, "has entries with a wrong checksum"
    found = tuple(_of_gpt(entries, head.entry_size, sector))
    if len(found) > _MOST_PARTITIONS:
        return None, f"has {len(found)} partitions"
    notes = tuple(f"{problem}; a copy was read" for problem in problems)
    return Table("gpt", str(UUID(bytes_le=head.disk)), found, notes), ""


def _of_gpt(entries: bytes, entry_size: int, sector: int) -> Iterator[TableEntry]:
    for number, start in enumerate(range(0, len(entries), entry_size), 1):
        entry = gpt.ENTRY.unpack(entries[start : start + gpt.ENTRY.size])
        if any(entry.type):
            size = max(0, entry.last + 1 - entry.first)
            yield TableEntry(
                number, entry.first * sector, size * sector, str(UUID(bytes_le=entry.type)),
                entry.name.decode("utf-16-le", "surrogatepass").partition("\0")[0], str(UUID(bytes_le=entry.unique)),
                bool(entry.attributes & gpt.LEGACY_BOOT),
            )  # fmt: skip

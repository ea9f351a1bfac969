"""The master boot record: at most four partitions, in the first sector of a disk of at most 2 TiB.

    0          440         446                                  510
    +----------+-----------+--------+--------+--------+--------+-------+
    | code     | signature | entry  | entry  | entry  | entry  | 55 aa |
    | (not     | of disk,  | 16     | 16     | 16     | 16     |       |
    | ours)    | 4, zero 2 | bytes  | bytes  | bytes  | bytes  |       |
    +----------+-----------+--------+--------+--------+--------+-------+

Addresses are sectors (LBA), and once more as cylinder, head and sector (CHS) of a disk with 255 heads and 63 sectors,
which is what BIOSes assume. UEFI 2.10, section 5.2.1. There are no logical partitions: who needs more than four takes
a GPT.
"""

from collections.abc import Iterator, Sequence

from formats.filesystem.pieces import Bytes
from formats.identifiers import derived
from formats.partition import MBR_CODE, SECTOR, Disk, Partition, check, title
from formats.structure import Structure
from layers.errors import InputError

MOST_PARTITIONS = 4
ACTIVE = 0x80
FIRST_USABLE = SECTOR

_HEADS, _SECTORS, _CYLINDERS = 255, 63, 1024
_BEYOND = bytes.fromhex("feffff")  # CHS of what CHS cannot say
_LARGEST = (1 << 32) - 1  # sectors

RECORD = Structure("<", "signature:I reserved:H entries:64s magic:2s")
ENTRY = Structure("<", "status:B first_chs:3s type:B last_chs:3s first:I sectors:I")
MAGIC = b"\x55\xaa"


def pieces(disk: Disk) -> Iterator[Bytes]:
    """The table, without the boot code before it.

    Args:
        disk: its partitions have the numbers 1 to 4.

    Raises:
        InputError: the partitions do not fit into an MBR, or not to each other.
    """
    check(disk, FIRST_USABLE, disk.size)
    yield Bytes(MBR_CODE, record(signature(disk), entries(disk.partitions)))


def signature(disk: Disk) -> int:
    """The number by which Windows and `root=PARTUUID=` know the disk; never zero, which means none."""
    return int.from_bytes(derived(disk.identity, "mbr signature", 4), "little") or 1


def record(number: int, table: list[bytes]) -> bytes:
    """What comes after the code.

    Args:
        number: the disk's signature.
        table: at most four entries.
    """
    return RECORD.pack(signature=number, entries=b"".join(table), magic=MAGIC)


def entries(partitions: Sequence[Partition], most: int = MOST_PARTITIONS) -> list[bytes]:
    """An entry for each partition.

    Args:
        partitions: in the order of their entries.
        most: how many there is room for.

    Raises:
        InputError: with all that is wrong.
    """
    problems = [
        f"{title(partition.name, number)} {problem}"
        for number, partition in enumerate(partitions, 1)
        for problem in _problems(partition)
    ]
    if len(partitions) > most:
        problems.append(f"an MBR has room for {most} partitions, and there are {len(partitions)}")
    active = [repr(partition.name) for partition in partitions if partition.bootable]
    if len(active) > 1:
        problems.append(f"one partition of an MBR can be bootable, and {', '.join(active)} are")
    if problems:
        raise InputError("; ".join(problems), hint="A GPT has room for 128 partitions of any type and size.")
    return [_entry(partition) for partition in partitions]


def _problems(partition: Partition) -> Iterator[str]:
    if partition.type.mbr is None:
        yield "has a type that an MBR does not know"
    if partition.end // SECTOR > _LARGEST:
        yield "ends beyond 2 TiB, where an MBR does not reach"


def _entry(partition: Partition) -> bytes:
    last = partition.first_sector + partition.sectors - 1
    return ENTRY.pack(
        status=ACTIVE if partition.bootable else 0, first_chs=chs(partition.first_sector), type=partition.type.mbr or 0,
        last_chs=chs(last), first=partition.first_sector, sectors=partition.sectors,
    )  # fmt: skip


def chs(sector: int, beyond: bytes = _BEYOND) -> bytes:
    """Head, sector (from 1 on, with the upper bits of the cylinder) and cylinder of a sector.

    Args:
        sector: LBA.
        beyond: what to say from cylinder 1024 on.
    """
    cylinder, rest = divmod(sector, _HEADS * _SECTORS)
    if cylinder >= _CYLINDERS:
        return beyond
    head, place = divmod(rest, _SECTORS)
    return bytes((head, place + 1 | cylinder >> 2 & 0xC0, cylinder & 0xFF))

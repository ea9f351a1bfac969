r"""Variables of UEFI firmware, as it keeps them in flash memory: which file of which partition it starts.

It is the file that OVMF has as `OVMF_VARS_4M.fd`, and QEMU as its second flash memory, with two variables in it:
`Boot0000`, an entry of the boot menu, and `BootOrder`, which has this one alone.

    0       +---------------------------+
            | firmware volume header 72 |  PI 1.7, volume 3, 3.2.1; a sum of its numbers of 2 bytes is 0
    72      | store header           28 |  EDK II, MdeModulePkg/Include/Guid/VariableFormat.h
    100     | variable                  |  header 60, name (UTF-16 with a NUL), data; ones to a multiple of 4
            | ...                       |
            | ones                      |
    41000   +---------------------------+
            | working area           32 |  its header; of writes that a loss of power does not damage
            | ones                      |  (EDK II, MdeModulePkg/Include/Guid/SystemNvDataGuid.h)
    84000   +---------------------------+

An entry (UEFI 2.10, 3.1.3) has attributes 4, the length of its path 2, its title (UTF-16 with a NUL) and its path: a
partition by its number, place, size and GUID (10.3.5.1), a file (10.3.5.4), and an end (10.3.1).
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from formats.partition import Partition
from formats.structure import Structure
from layers.errors import InputError

_SIZE = 0x84000
_WORKING = 0x41000
_SPARE = 0x42000
_BLOCK = 0x1000
_STORE_SIZE = 0x40000
_ALIGNMENT = 4
_ERASED = b"\xff"

_VOLUME = Structure(
    "<", "zeros:16s guid:16s length:Q signature:4s attributes:I header:H checksum:H extension:H reserved:B revision:B"
    " blocks:I block:I end:Q",
)  # fmt: skip
_STORE = Structure("<", "guid:16s size:I format:B state:B reserved:H more:I")
_WORK = Structure("<", "guid:16s checksum:I state:B reserved:3s size:Q")
_VARIABLE = Structure(
    "<", "start:H state:B reserved:B attributes:I count:Q time:16s key:I name_size:I data_size:I vendor:16s"
)  # fmt: skip
_ENTRY = Structure("<", "attributes:I path_size:H")
_PARTITION = Structure("<", "type:B subtype:B length:H number:I start:Q size:Q signature:16s format:B kind:B")
_NODE = Structure("<", "type:B subtype:B length:H")

_NV_DATA = UUID("fff12b8d-7696-4c8b-a985-2747075b4f50")
_AUTHENTICATED = UUID("aaf32c78-947b-439a-a180-2e144ec37792")
_WORK_GUID = UUID("9e58292b-7c68-497d-a0ce-6500fd9f1b95")
_GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_ATTRIBUTES = 0x0004FEFF  # read, written and locked in all ways; erased bytes are ones
_FORMATTED, _HEALTHY = 0x5A, 0xFE
_START, _ADDED = 0x55AA, 0x3F
_KEPT = 0x7  # not lost without power, for boot loaders, for systems
_ACTIVE = 1
_MEDIA, _HARD_DISK, _FILE, _END = 4, 1, 4, b"\x7f\xff\x04\0"
_BY_GUID = 2


@dataclass(frozen=True, slots=True)
class BootEntry:
    r"""What firmware starts.

    Attributes:
        title: in its menu.
        partition: number of the EFI system partition.
        file: path in that, with `\` between names.
    """

    title: str
    partition: int
    file: str


Variables = Callable[[Sequence[Partition]], bytes]


def boot_variables(entry: BootEntry) -> Variables:
    """What makes the variables with this entry, when it is known where partitions are."""

    def made(partitions: Sequence[Partition]) -> bytes:
        return flash_memory({"Boot0000": _boot(entry, partitions[entry.partition - 1]), "BootOrder": bytes(2)})

    return made


def flash_memory(variables: dict[str, bytes]) -> bytes:
    """Flash memory with global variables.

    Args:
        variables: their values by name.

    Raises:
        InputError: there is no room for them.
    """
    store = _STORE_SIZE - _VOLUME.size
    body = b"".join(map(_variable, variables, variables.values()))
    if _STORE.size + len(body) > store:
        raise InputError(f"UEFI firmware has no room for variables of {len(body)} bytes")
    head = _STORE.pack(guid=_AUTHENTICATED.bytes_le, size=store, format=_FORMATTED, state=_HEALTHY)
    front = _volume_header() + head + body
    return b"".join((_filled(front, _WORKING), _filled(_working_header(), _SIZE - _WORKING)))


def _filled(data: bytes, size: int) -> bytes:
    return data + _ERASED * (size - len(data))


def _volume_header() -> bytes:
    def header(checksum: int) -> bytes:
        return _VOLUME.pack(
            guid=_NV_DATA.bytes_le,
            length=_SIZE,
            signature=b"_FVH",
            attributes=_ATTRIBUTES,
            header=_VOLUME.size,
            checksum=checksum,
            revision=2,
            blocks=_SIZE // _BLOCK,
            block=_BLOCK,
        )

    plain = header(0)
    return header(-sum(int.from_bytes(plain[at : at + 2], "little") for at in range(0, len(plain), 2)) & 0xFFFF)


def _working_header() -> bytes:
    """Its checksum is of a header in which the checksum and the state are erased."""

    def header(checksum: int, state: int) -> bytes:
        size, reserved = _SPARE - _WORKING - _WORK.size, _ERASED * 3
        return _WORK.pack(guid=_WORK_GUID.bytes_le, checksum=checksum, state=state, reserved=reserved, size=size)

    return header(zlib.crc32(header(0xFFFFFFFF, 0xFF)), _HEALTHY)


def _variable(name: str, data: bytes) -> bytes:
    text = _text(name)
    header = _VARIABLE.pack(
        start=_START,
        state=_ADDED,
        attributes=_KEPT,
        name_size=len(text),
        data_size=len(data),
        vendor=_GLOBAL.bytes_le,
    )
    found = header + text + data
    return found + _ERASED * (-len(found) % _ALIGNMENT)


def _text(text: str) -> bytes:
    return text.encode("utf-16-le") + bytes(2)


def _boot(entry: BootEntry, partition: Partition) -> bytes:
    if partition.uuid is None:
        raise InputError(
            "variables of UEFI firmware need a partition with a GUID", hint="Take a GPT for this disk, not an MBR."
        )
    file = _text(entry.file)
    path = b"".join((
        _PARTITION.pack(
            type=_MEDIA,
            subtype=_HARD_DISK,
            length=_PARTITION.size,
            number=entry.partition,
            start=partition.first_sector,
            size=partition.sectors,
            signature=partition.uuid.bytes_le,
            format=_BY_GUID,
            kind=_BY_GUID,
        ),
        _NODE.pack(type=_MEDIA, subtype=_FILE, length=_NODE.size + len(file)),
        file,
        _END,
    ))  # fmt: skip
    return _ENTRY.pack(attributes=_ACTIVE, path_size=len(path)) + _text(entry.title) + path

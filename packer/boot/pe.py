r"""Programs for UEFI firmware: PE images, of which every section is at the same place in the file and in memory.

    0       MS-DOS header and stub     128   the offset of what follows at 0x3c
    80      "PE\0\0"                      4
            COFF header                 20   processor, number of sections, a time, flags
            optional header     224 or 240   of 32 or 64 bits: sizes, entry, alignment, "EFI application", 16
                                             directories, of which the one for relocations (5) is used
            section headers      40 a piece
    1000    sections                         each whole pages
            .reloc                           the last one

    .reloc  block: a page's address 4, bytes of the block 4, then 2 bytes each: a type 4 bits, an offset in the page 12
            bits; type 0 says nothing, and fills up the block to a multiple of 8, the last one to that of a page

Microsoft's PE Format, "File Headers", "Optional Header" and "The .reloc Section"; UEFI 2.10, 2.1.1. Addresses count
from the image's begin: firmware adds to each field of .reloc where it has put the image.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from formats.structure import Structure

PAGE: Final = 4096

#: Flags of sections: code or data, in memory, readable, and more.
CODE, DATA = 0x60000020, 0xC0000040

_RELOCATIONS = 0x42000040  # data that is readable, and not needed later
_FIXED_TIME = 1_420_070_400  # 2015-01-01, as grub-mkimage has it
_FLAGS = {32: 0x30E, 64: 0x20E}  # executable; no line numbers, symbols and debugging information; 32 bits
_MAGIC = {32: 0x10B, 64: 0x20B}
_ADDRESS_TYPES = {32: 3, 64: 10}  # HIGHLOW and DIR64
_APPLICATION = 10
_STACK = 0x10000
_DIRECTORIES = 16
_RELOCATION_DIRECTORY = 5
_BLOCK_ALIGNMENT = 8

_DOS = Structure("<", "magic:2s last:H pages:H relocations:H header:H least:H most:H ss:H sp:H sum:H ip:H cs:H table:H"
                 " reserved:34s next:I")  # fmt: skip
#: What MS-DOS runs: print what follows, end with 1.
_STUB = bytes.fromhex("0e1fba0e00b409cd21b8014ccd21") + b"This program cannot be run in DOS mode.\r\r\n$"
_DOS_SIZE = 128

_COFF = Structure("<", "magic:4s machine:H sections:H time:I symbols:I symbol_number:I optional:H flags:H")
_SECTION = Structure(
    "<", "name:8s size:I address:I file_size:I file_offset:I relocations:I lines:I numbers:I characteristics:I"
)
_DIRECTORY = struct.Struct("<II")
_BLOCK = struct.Struct("<II")


def _optional(base: str, word: str) -> Structure:
    return Structure(
        "<", f"magic:H linker:H code:I data:I uninitialized:I entry:I code_base:I {base}"
        " section_alignment:I file_alignment:I versions:16s image:I headers:I checksum:I subsystem:H flags:H"
        f" stack:{word} stack_commit:{word} heap:{word} heap_commit:{word} loader:I directories:I",
    )  # fmt: skip


_OPTIONAL = {32: _optional("data_base:I base:I", "I"), 64: _optional("base:Q", "Q")}


@dataclass(frozen=True, slots=True)
class PeSection:
    """A section.

    Attributes:
        name: at most 8 bytes.
        content: whole pages.
        characteristics: flags.
    """

    name: bytes
    content: bytes
    characteristics: int


def pe_image(sections: Sequence[PeSection], *, machine: int, bits: int, entry: int, addresses: Sequence[int]) -> bytes:
    """A program.

    Args:
        sections: the first one is code, and begins at `PAGE`.
        machine: the processor, as COFF has it.
        bits: of its addresses, 32 or 64.
        entry: the address where it begins.
        addresses: of fields with an address in them, in order.
    """
    table = PeSection(b".reloc", relocation_table(addresses, _ADDRESS_TYPES[bits]), _RELOCATIONS)
    rows, place = [], PAGE
    for section in (*sections, table):
        rows.append((section, place))
        place += len(section.content)
    headers = [
        _dos_header(),
        _COFF.pack(
            magic=b"PE\0\0",
            machine=machine,
            sections=len(rows),
            time=_FIXED_TIME,
            optional=_OPTIONAL[bits].size + _DIRECTORIES * _DIRECTORY.size,
            flags=_FLAGS[bits],
        ),
        _optional_header(sections, bits, entry, place),
        _directories(rows[-1][1], len(table.content)),
        *(_section_header(section, at) for section, at in rows),
    ]
    return b"".join((b"".join(headers).ljust(PAGE, b"\0"), *(section.content for section, _ in rows)))


def relocation_table(addresses: Sequence[int], kind: int) -> bytes:
    """What is in .reloc: whole pages.

    Args:
        addresses: of fields, in order.
        kind: of the fields.
    """
    table = bytearray()
    blocks = [(page, list(fields)) for page, fields in groupby(addresses, lambda address: address // PAGE * PAGE)]
    for number, (page, fields) in enumerate(blocks, 1):
        words = struct.pack(f"<{len(fields)}H", *(kind << 12 | field - page for field in fields))
        alignment = PAGE if number == len(blocks) else _BLOCK_ALIGNMENT
        size = _BLOCK.size + len(words)
        size += -(len(table) + size) % alignment
        table += _BLOCK.pack(page, size) + words.ljust(size - _BLOCK.size, b"\0")
    return bytes(table)


def _dos_header() -> bytes:
    header = _DOS.pack(magic=b"MZ", last=0x90, pages=3, header=4, most=0xFFFF, sp=0xB8, table=0x40, next=_DOS_SIZE)
    return (header + _STUB).ljust(_DOS_SIZE, b"\0")


def _optional_header(sections: Sequence[PeSection], bits: int, entry: int, size: int) -> bytes:
    code, *data = (len(section.content) for section in sections)
    return _OPTIONAL[bits].pack(
        magic=_MAGIC[bits],
        code=code,
        data=sum(data),
        entry=entry,
        code_base=PAGE,
        section_alignment=PAGE,
        file_alignment=PAGE,
        image=size,
        headers=PAGE,
        subsystem=_APPLICATION,
        stack=_STACK,
        stack_commit=_STACK,
        heap=_STACK,
        heap_commit=_STACK,
        directories=_DIRECTORIES,
        **({"data_base": PAGE + code} if bits == 32 else {}),
    )


def _directories(place: int, size: int) -> bytes:
    rows = [(0, 0)] * _DIRECTORIES
    rows[_RELOCATION_DIRECTORY] = (place, size)
    return b"".join(_DIRECTORY.pack(*row) for row in rows)


def _section_header(section: PeSection, place: int) -> bytes:
    size = len(section.content)
    return _SECTION.pack(
        name=section.name,
        size=size,
        address=place,
        file_size=size,
        file_offset=place,
        characteristics=section.characteristics,
    )

"""Relocatable ELF files: code and data that nobody has given addresses yet, as GRUB's kernel and modules are.

    0   header, 52 or 64 bytes      magic 7f "ELF", class, order of bytes, ...; where the section headers are
        sections                    code and data; symbols; relocations, each table for one other section
        section headers             type, flags, place, size, the sections that belong to it, alignment

    symbol        name (an offset in a section), its section, its offset in that
    relocation    an offset in the section, a symbol, how a field there depends on its address; with a number that is
                  added (RELA), or with that in the field itself (REL)

System V ABI, chapter 4; both classes, with the low byte first. A file is taken if all that its headers say is in it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from formats.structure import Structure
from packer.boot.elf import ElfError

SYMBOLS, RELA, NO_BITS, REL = 2, 4, 8, 9  # types of sections: SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL
ALLOCATED, EXECUTED = 2, 4  # flags of sections: SHF_ALLOC, SHF_EXECINSTR

_IDENT: Final = 16
_RELOCATABLE = 1  # ET_REL
_LOW_FIRST = 1
_RESERVED = 0xFF00  # SHN_LORESERVE: numbers from here on are no sections
_BITS = {1: 32, 2: 64}


def _header(word: str) -> Structure:
    return Structure(
        "<", f"type:H machine:H version:I entry:{word} segments:{word} sections:{word} flags:I"
        " size:H segment_size:H segment_number:H section_size:H section_number:H names:H",
    )  # fmt: skip


def _section_header(word: str) -> Structure:
    fields = "name:I type:I flags:{0} address:{0} offset:{0} size:{0} link:I info:I alignment:{0} each:{0}"
    return Structure("<", fields.format(word))


_HEADERS = {32: _header("I"), 64: _header("Q")}
_SECTIONS = {32: _section_header("I"), 64: _section_header("Q")}
_SYMBOLS = {
    32: Structure("<", "name:I value:I size:I info:B other:B section:H"),
    64: Structure("<", "name:I info:B other:B section:H value:Q size:Q"),
}
# Offset, symbol and type, what is added; how many bits of the second are the type.
_RELOCATIONS = {
    (32, REL): (struct.Struct("<II"), 8),
    (32, RELA): (struct.Struct("<IIi"), 8),
    (64, REL): (struct.Struct("<QQ"), 32),
    (64, RELA): (struct.Struct("<QQq"), 32),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A section.

    Attributes:
        type, flags, link, info: as in its header.
        content: its bytes in the file.
        size: in memory.
        alignment: what its address is a multiple of.
    """

    type: int
    flags: int
    link: int
    info: int
    content: bytes
    size: int
    alignment: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol.

    Attributes:
        name: of it.
        section: the number of its section; 0 or one that is none, for a symbol that is elsewhere.
        value: its offset in that.
    """

    name: bytes
    section: int
    value: int


@dataclass(frozen=True, slots=True)
class Relocation:
    """A field that depends on an address.

    Attributes:
        offset: of the field in its section.
        symbol: the number of a symbol.
        type: how it depends on the address; what the numbers mean differs between processors.
        added: to the address; None: what is in the field.
    """

    offset: int
    symbol: int
    type: int
    added: int | None


@dataclass(frozen=True, slots=True)
class ElfObject:
    """A relocatable ELF file.

    Attributes:
        origin: what it is, for messages.
        machine: the processor, `e_machine`.
        bits: of its addresses, 32 or 64.
        sections: by their numbers.
    """

    origin: str
    machine: int
    bits: int
    sections: Sequence[Section]

    def symbols(self) -> list[Symbol]:
        """All symbols, by their numbers.

        Raises:
            ElfError: there are none, or no whole ones.
        """
        section = next((section for section in self.sections if section.type == SYMBOLS), None)
        if section is None or section.link >= len(self.sections):
            raise ElfError(f"{self.origin} has no symbols with names")
        texts, form = self.sections[section.link].content, _SYMBOLS[self.bits]
        rows = (form.unpack(section.content[at : at + form.size]) for at in self._places(section, form.size))
        return [Symbol(texts[row.name : texts.find(b"\0", row.name)], row.section, row.value) for row in rows]

    def relocations(self, section: Section) -> list[Relocation]:
        """Those in a section that has some.

        Raises:
            ElfError: the last one is not whole.
        """
        form, type_bits = _RELOCATIONS[self.bits, section.type]
        rows = (form.unpack_from(section.content, at) for at in self._places(section, form.size))
        return [
            Relocation(offset, info >> type_bits, info & ((1 << type_bits) - 1), added[0] if added else None)
            for offset, info, *added in rows
        ]

    def _places(self, section: Section, each: int) -> range:
        if len(section.content) % each:
            raise ElfError(f"{self.origin} has a table of {len(section.content)} bytes, with {each} a line")
        return range(0, len(section.content), each)


def read_object(data: bytes, origin: str) -> ElfObject:
    """Read a file.

    Args:
        data: all of it.
        origin: what it is, for messages.

    Raises:
        ElfError: it is no such file, or not a whole one.
    """
    try:
        return _read(data, origin)
    except (ElfError, struct.error) as error:
        raise ElfError(f"{origin} is no relocatable ELF file, or not a whole one: {error}") from error


def _read(data: bytes, origin: str) -> ElfObject:
    bits = _BITS.get(data[4]) if len(data) > _IDENT else None
    if data[:4] != b"\x7fELF" or bits is None or data[5] != _LOW_FIRST:
        raise ElfError("it does not begin like one")
    header, form = _HEADERS[bits].unpack(data[_IDENT:]), _SECTIONS[bits]
    if header.type != _RELOCATABLE or header.section_size != form.size:
        raise ElfError("it has another type")
    end = header.sections + header.section_number * form.size
    if not 0 < header.section_number < _RESERVED or end > len(data):
        raise ElfError(f"it has {len(data)} bytes, and section headers up to {end}")
    sections = [_parsed(data, form, at) for at in range(header.sections, end, form.size)]
    # Tables that lie over each other would be much longer to read than the file is.
    if sum(len(section.content) for section in sections) > len(data):
        raise ElfError("its sections overlap")
    return ElfObject(origin, header.machine, bits, sections)


def _parsed(data: bytes, form: Structure, at: int) -> Section:
    row = form.unpack(data[at : at + form.size])
    if row.type in (0, NO_BITS):
        content = b""
    elif row.offset + row.size > len(data):
        raise ElfError(f"it has {len(data)} bytes, and a section up to {row.offset + row.size}")
    else:
        content = data[row.offset : row.offset + row.size]
    return Section(row.type, row.flags, row.link, row.info, content, row.size, row.alignment)

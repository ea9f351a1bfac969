"""ELF files, as far as boot files are read: their sections by name, and what of them is loaded.

    0   header, 52 or 64 bytes      magic 7f "ELF", class, order of bytes, ...; where both tables are
        program headers             what is loaded, and where to
        sections
        section headers             name (an offset in one of the sections), type, place, size, ...

System V ABI, chapters 4 and 5; both classes and both orders of bytes. Only headers and what is asked for are read.
"""

import struct
from dataclasses import dataclass, replace

from layers.entry import Content, Data
from layers.errors import PackError
from layers.reader import Reader

_IDENT = 16
_CLASS_32, _CLASS_64 = 1, 2
_ORDERS = {1: "<", 2: ">"}
_LOADED = 1  # PT_LOAD
_EMPTY = 8  # SHT_NOBITS: it has a size, and no bytes in the file

# After the ident: type, machine, version, entry, program headers, section headers, flags, size of this header; then
# size and number of program headers, size and number of section headers, the section with their names.
_HEADERS = {_CLASS_32: "HHIIIIIHHHHHH", _CLASS_64: "HHIQQQIHHHHHH"}
# name, type, flags, address, offset, size
_SECTIONS = {_CLASS_32: "IIIIII", _CLASS_64: "IIQQQQ"}
# In this order: type, offset, bytes in the file.
_SEGMENTS = {_CLASS_32: "II8xI", _CLASS_64: "I4xQ16xQ"}


class ElfError(PackError):
    """A file that should be ELF, and is not, or not whole."""


def part(content: Content, start: int, size: int) -> Content:
    """A range of a content.

    Raises:
        ElfError: the content ends before that.
    """
    if start + size > content.size:
        raise ElfError(f"there are {content.size} bytes where {start + size} should be")
    if isinstance(content, Data):
        return Data(content.data[start : start + size])
    return replace(content, offset=content.offset + start, size=size)


@dataclass(frozen=True, slots=True)
class Elf:
    """An ELF file.

    Attributes:
        sections: by name; those without bytes in the file are left out.
        loaded: what of the file is loaded, in its order.
    """

    sections: dict[str, Content]
    loaded: tuple[Content, ...]


def read_elf(content: Content, reader: Reader, origin: str) -> Elf:
    """Read the headers.

    Args:
        content: the file.
        reader: reads it.
        origin: what it is, for messages.

    Raises:
        ElfError: it is no such file.
        PackError: it cannot be read.
    """
    try:
        return _read(content, reader)
    except (ElfError, struct.error) as error:
        raise ElfError(f"{origin} is no ELF file, or not a whole one: {error}") from error


def _read(content: Content, reader: Reader) -> Elf:
    ident = reader.read(part(content, 0, _IDENT))
    if ident[:4] != b"\x7fELF" or ident[4] not in _HEADERS or ident[5] not in _ORDERS:
        raise ElfError("it does not begin like one")
    bits, order = ident[4], _ORDERS[ident[5]]

    def table(form: str, place: int, each: int, number: int) -> list[tuple[int, ...]]:
        rows = reader.read(part(content, place, each * number))
        return [struct.unpack_from(order + form, rows, each * rank) for rank in range(number)]

    form = order + _HEADERS[bits]
    header = struct.unpack(form, reader.read(part(content, _IDENT, struct.calcsize(form))))
    segments_at, sections_at, segment_size, segments, section_size, sections, names = (*header[4:6], *header[8:13])
    loaded = [row for row in table(_SEGMENTS[bits], segments_at, segment_size, segments) if row[0] == _LOADED]
    rows = table(_SECTIONS[bits], sections_at, section_size, sections)
    if rows and names >= len(rows):
        raise ElfError("its sections have no names")
    texts = reader.read(part(content, *rows[names][4:6])) if rows else b""
    found = {
        texts[row[0] : texts.find(b"\0", row[0])].decode("latin-1"): part(content, *row[4:6])
        for row in rows
        if row[1] not in (0, _EMPTY)
    }
    return Elf(found, tuple(part(content, offset, size) for _, offset, size in loaded))

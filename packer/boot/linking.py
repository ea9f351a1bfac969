"""Linking: the sections of a relocatable ELF file get addresses, and fields that depend on them their values.

    start   code        sections that are executed, in the order of the file
            data        the other ones that are in memory; those without bytes in the file last

Both begin at a multiple of a page, and zeros fill them up to one; each section begins at a multiple of what it wants.
So grub-mkimage places them. How a field depends on addresses is in the processor's supplement of the System V ABI:
x86-64 4.4, i386 4.4, ELF for the Arm 64-bit architecture 5.7. There S is the address of the symbol, A what is added, P
the place of the field.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from packer.boot.elf import ElfError
from packer.boot.elf_object import ALLOCATED, EXECUTED, NO_BITS, REL, RELA, ElfObject, Relocation, Section, Symbol

X86_64, I386, AARCH64 = 62, 3, 183  # e_machine

_ENTRY = b"_start"
_LARGEST = 16 << 20  # bytes in memory; GRUB's kernel has 128 KiB
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Field:
    """A field that depends on an address.

    Attributes:
        size: bytes of it.
        value: of S + A, P and what is there, makes what goes there.
        is_address: whether it has to change when all is moved to another place.
    """

    size: int
    value: Callable[[int, int, int], int]
    is_address: bool = False


def _signed(value: int, bits: int) -> int:
    """A number as so many bits hold it."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise OverflowError
    return value & ((1 << bits) - 1)


def _relative(size: int) -> Field:
    return Field(size, lambda target, place, _: _signed(target - place, 8 * size))


def _address(size: int) -> Field:
    return Field(size, lambda target, _, __: target & ((1 << (8 * size)) - 1), is_address=True)


def _branch(target: int, place: int, code: int) -> int:
    """B and BL: 26 bits, in instructions."""
    return code & ~0x3FFFFFF | _signed((target - place) >> 2, 26)


def _page(target: int, place: int, code: int) -> int:
    """ADRP: 21 bits, in pages; the lower two of them are in bits 29 and 30, the others from bit 5."""
    pages = _signed(target // _PAGE - place // _PAGE, 21)
    return code & ~0x60FFFFE0 | (pages & 3) << 29 | pages >> 2 << 5


def _in_page(shift: int) -> Callable[[int, int, int], int]:
    """ADD, LDR and STR: 12 bits from bit 10, in units of what is loaded."""
    return lambda target, _, code: code & ~0x3FFC00 | (target % _PAGE >> shift) << 10


_NOTHING = Field(0, lambda *_: 0)

#: Processor -> type -> field.
_FIELDS = {
    X86_64: {0: _NOTHING, 1: _address(8), 2: _relative(4), 4: _relative(4), 24: _relative(8)},
    I386: {0: _NOTHING, 1: _address(4), 2: _relative(4), 4: _relative(4)},
    AARCH64: {
        0: _NOTHING,
        257: _address(8),
        275: Field(4, _page),
        277: Field(4, _in_page(0)),
        282: Field(4, _branch),
        283: Field(4, _branch),
        286: Field(4, _in_page(3)),
    },
}


@dataclass(frozen=True, slots=True)
class Linked:
    """What has addresses.

    Attributes:
        code, data: whole pages.
        entry: the address of `_start`.
        addresses: of the fields with an address in them, in order.
    """

    code: bytes
    data: bytes
    entry: int
    addresses: tuple[int, ...]


def link(program: ElfObject, start: int, page: int) -> Linked:
    """Give addresses.

    Args:
        program: what has none yet.
        start: the first address.
        page: bytes of a page.

    Raises:
        ElfError: it cannot be linked, or asks for more memory than a boot loader.
    """
    places, boundary, end = _places(program, start, page)
    memory = bytearray(end - start)
    for number, place in places.items():
        content = program.sections[number].content
        memory[place - start : place - start + len(content)] = content
    symbols = program.symbols()
    targets = [_target(symbol, places) for symbol in symbols]
    entry = next((target for symbol, target in zip(symbols, targets, strict=True) if symbol.name == _ENTRY), None)
    if entry is None or not start <= entry < boundary:
        raise ElfError(f"{program.origin} has no symbol {_ENTRY.decode()} in its code")
    addresses = sorted(_filled(program, places, targets, memory, start))
    return Linked(bytes(memory[: boundary - start]), bytes(memory[boundary - start :]), entry, tuple(addresses))


def _places(program: ElfObject, start: int, page: int) -> tuple[dict[int, int], int, int]:
    """The addresses of sections by their numbers, and where code and data end."""
    places: dict[int, int] = {}

    def put(chosen: Callable[[Section], bool], at: int) -> int:
        for number, section in enumerate(program.sections):
            if section.flags & ALLOCATED and chosen(section):
                places[number] = at = _aligned(at, max(section.alignment, 1))
                at += section.size
                if at > start + _LARGEST:
                    raise ElfError(f"{program.origin} wants more than {_LARGEST} bytes of memory")
        return at

    code = _aligned(put(lambda section: bool(section.flags & EXECUTED), start), page)
    data = put(lambda section: not section.flags & EXECUTED and section.type != NO_BITS, code)
    data = put(lambda section: not section.flags & EXECUTED and section.type == NO_BITS, data)
    return places, code, _aligned(data, page)


def _aligned(number: int, alignment: int) -> int:
    return -(-number // alignment) * alignment


def _target(symbol: Symbol, places: dict[int, int]) -> int | None:
    """The address of a symbol; None if it is in no section that has one."""
    return places[symbol.section] + symbol.value if symbol.section in places else None


def _filled(
    program: ElfObject, places: dict[int, int], targets: list[int | None], memory: bytearray, start: int
) -> Iterator[int]:
    """Fill in all fields; the addresses of those that hold addresses."""
    fields = _FIELDS[program.machine]
    for table in program.sections:
        if table.type not in (REL, RELA) or table.info not in places:
            continue
        size, base = len(program.sections[table.info].content), places[table.info]
        for each in program.relocations(table):
            field = fields.get(each.type)
            target = targets[each.symbol] if each.symbol < len(targets) else None
            place = base + each.offset
            if field is None or target is None or each.offset + field.size > size:
                raise _unusable(program, each)
            where = slice(place - start, place - start + field.size)
            try:
                memory[where] = _value(field, target, each.added, place, bytes(memory[where]))
            except OverflowError as error:
                raise _unusable(program, each) from error
            if field.is_address:
                yield place


def _value(field: Field, target: int, added: int | None, place: int, there: bytes) -> bytes:
    """What goes into a field."""
    if added is None:
        added = int.from_bytes(there, "little", signed=True)
    return field.value(target + added, place, int.from_bytes(there, "little")).to_bytes(field.size, "little")


def _unusable(program: ElfObject, found: Relocation) -> ElfError:
    what = f"type {found.type} at {found.offset:#x}, symbol {found.symbol}"
    return ElfError(f"{program.origin} has a relocation that cannot be done: {what}")

import re
import struct
import subprocess
from pathlib import Path

import pytest

from packer.boot.elf import ElfError
from packer.boot.elf_object import RELA, read_object
from tests.support.assembled import assembled

SOURCE = ".text\n.globl _start\n_start: call there\n.data\nthere: .quad _start + 5\n.bss\n.skip 100\n"
HEADER, LINE = 64, 64
SECTIONS_AT, NUMBER = 0x28, 0x3C


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return assembled(tmp_path, SOURCE)


def test_sections_are_those_of_readelf(data: bytes, tmp_path: Path) -> None:
    found = read_object(data, "it")
    said = subprocess.run(["readelf", "-SW", tmp_path / "object"], check=True, capture_output=True, text=True).stdout
    sizes = [int(size, 16) for size in re.findall(r"^  \[ *[1-9]\d*\] \S+ +\S+ +\w+ \w+ (\w+) ", said, re.MULTILINE)]
    assert sizes == [section.size for section in found.sections[1:]]
    assert (found.machine, found.bits) == (62, 64)


def test_symbols_and_relocations(data: bytes) -> None:
    found = read_object(data, "it")
    symbols = found.symbols()
    assert {symbol.name: symbol.value for symbol in symbols if symbol.name} == {b"_start": 0, b"there": 0}
    tables = [found.relocations(section) for section in found.sections if section.type == RELA]
    (call,), (address,) = tables
    assert (call.offset, call.added) == (1, -4)
    assert (address.offset, address.type, address.added, symbols[address.symbol].name) == (0, 1, 5, b"_start")


def changed(data: bytes, place: int, form: str, value: int) -> bytes:
    found = bytearray(data)
    struct.pack_into(form, found, place, value)
    return bytes(found)


def test_what_is_no_whole_file_is_refused(data: bytes) -> None:
    table = struct.unpack_from("<Q", data, SECTIONS_AT)[0]
    for broken, complaint in (
        (b"", "it does not begin like one"),
        (data[:17], "requires"),
        (data[:-1], "section headers up to"),
        (changed(data, 4, "<B", 3), "it does not begin like one"),
        (changed(data, 5, "<B", 2), "it does not begin like one"),
        (changed(data, 16, "<H", 2), "another type"),
        (changed(data, SECTIONS_AT, "<Q", 1 << 63), "section headers up to"),
        (changed(data, NUMBER, "<H", 0), "section headers up to"),
        (changed(data, NUMBER, "<H", 0xFFFF), "section headers up to"),
        (changed(data, table + LINE + 0x18, "<Q", 1 << 62), "a section up to"),
        (changed(data, table + LINE + 0x20, "<Q", 1 << 62), "a section up to"),
        (changed(changed(data, table + LINE + 0x18, "<Q", 0), table + LINE + 0x20, "<Q", len(data)), "overlap"),
    ):
        with pytest.raises(ElfError, match=f"it is no relocatable ELF file, or not a whole one: .*{complaint}"):
            read_object(broken, "it")


def test_tables_are_whole_lines(data: bytes) -> None:
    found = read_object(data, "it")
    number = next(number for number, section in enumerate(found.sections) if section.type == RELA)
    table = struct.unpack_from("<Q", data, SECTIONS_AT)[0]
    found = read_object(changed(data, table + number * LINE + 0x20, "<Q", 23), "it")
    with pytest.raises(ElfError, match="it has a table of 23 bytes, with 24 a line"):
        found.relocations(found.sections[number])
    number = next(number for number, section in enumerate(found.sections) if section.type == 2)
    for field, value in ((0x28, 99), (4, 1)):
        with pytest.raises(ElfError, match="it has no symbols with names"):
            read_object(changed(data, table + number * LINE + field, "<I", value), "it").symbols()

import struct
import subprocess
from pathlib import Path

import pytest

from layers.entry import Content, Data, Slice
from layers.reader import Reader
from packer.boot.elf import ElfError, part, read_elf

PROGRAM = Path("/bin/busybox")


@pytest.fixture
def program() -> Slice:
    return Slice(str(PROGRAM), 0, PROGRAM.stat().st_size)


def test_sections_are_those_of_readelf(program: Slice) -> None:
    with Reader() as reader:
        found = read_elf(program, reader, "busybox").sections
    said = subprocess.run(["readelf", "-SW", PROGRAM], capture_output=True, text=True, check=True).stdout
    rows = [line[7:].split() for line in said.splitlines() if "PROGBITS" in line or "NOTE " in line or "STRTAB" in line]
    expected = {row[0]: (int(row[3], 16), int(row[4], 16)) for row in rows}
    places = {name: (each.offset, each.size) for name, each in found.items() if isinstance(each, Slice)}
    assert len(expected) > 10
    assert expected.items() <= places.items()
    assert ".bss" not in places


def test_what_is_loaded_is_in_order(program: Slice) -> None:
    with Reader() as reader:
        loaded = read_elf(program, reader, "busybox").loaded
    assert [each.offset for each in loaded if isinstance(each, Slice)] == sorted({each.offset for each in loaded})  # type: ignore[union-attr]


def header(**changes: int) -> bytes:
    """The header of a file of 64 bits without anything in it."""
    fields = {"type": 1, "machine": 62, "version": 1, "entry": 0, "segments_at": 0, "sections_at": 0, "flags": 0}
    fields |= {"size": 64, "segment_size": 56, "segments": 0, "section_size": 64, "sections": 0, "names": 0, **changes}
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", *fields.values())


def test_a_file_without_sections_has_none() -> None:
    with Reader() as reader:
        assert read_elf(Data(header()), reader, "it").sections == {}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "there are 0 bytes where 16 should be"),
        (b"#!/bin/sh\n" + bytes(100), "it does not begin like one"),
        (b"\x7fELF\x03\x01" + bytes(100), "it does not begin like one"),
        (header()[:60], "there are 60 bytes where 64 should be"),
        (header(sections=1, sections_at=100), "there are 64 bytes where 164 should be"),
        (header(sections=1, sections_at=0, names=7), "its sections have no names"),
        (header(segments=1, segments_at=1 << 60), "should be"),
        (header(sections=2, sections_at=0, section_size=1), "is no ELF file"),
    ],
)
def test_what_is_no_elf_file_is_refused(data: bytes, complaint: str) -> None:
    with Reader() as reader, pytest.raises(ElfError, match=complaint):
        read_elf(Data(data), reader, "it")


@pytest.mark.parametrize("content", [Data(b"0123456789"), Slice("/x", 5, 10)])
def test_a_part_stays_in_its_content(content: Content) -> None:
    assert part(content, 2, 8).size == 8
    with pytest.raises(ElfError):
        part(content, 2, 9)

import struct
import subprocess
from pathlib import Path

import pytest

from packer.boot.pe import CODE, DATA, PAGE, PeSection, pe_image, relocation_table


@pytest.mark.parametrize(
    ("machine", "bits", "name", "kind"),
    [(0x8664, 64, "pei-x86-64", "DIR64"), (0x14C, 32, "pei-i386", "HIGHLOW")],
    ids=["x86-64", "i386"],
)
def test_objdump_reads_it(machine: int, bits: int, name: str, kind: str, tmp_path: Path) -> None:
    sections = (PeSection(b".text", b"\xc3" * 2 * PAGE, CODE), PeSection(b"mods", b"m" * PAGE, DATA))
    addresses = (0x1010, 0x1FFC, 0x2000, 0x3ABC)
    image = pe_image(sections, machine=machine, bits=bits, entry=0x1234, addresses=addresses)
    path = tmp_path / "image"
    path.write_bytes(image)
    said = subprocess.run(["objdump", "-x", path], check=True, capture_output=True, text=True).stdout
    assert f"file format {name}" in said
    words = [line.split() for line in said.splitlines()]
    heads = {line[0]: line[1] for line in words if len(line) > 1}
    assert int(heads["AddressOfEntryPoint"], 16) == 0x1234
    assert int(heads["SizeOfImage"], 16) == len(image) == 5 * PAGE
    assert "(EFI application)" in said
    rows = {line[1]: [int(each, 16) for each in line[2:6]] for line in words if len(line) == 7 and line[0].isdigit()}
    assert rows == {
        ".text": [2 * PAGE, 0x1000, 0x1000, 0x1000],
        "mods": [PAGE, 0x3000, 0x3000, 0x3000],
        ".reloc": [PAGE, 0x4000, 0x4000, 0x4000],
    }
    assert [int(line[4].strip("[]"), 16) for line in words if line[:1] == ["reloc"] and line[-1] == kind] == [
        *addresses
    ]
    assert image[0x1000:0x4000] == b"\xc3" * 0x2000 + b"m" * 0x1000


def test_blocks_of_relocations_are_filled() -> None:
    table = relocation_table([0x1000, 0x1008, 0x1010, 0x3FF8], 10)
    assert len(table) == PAGE
    assert table[:16] == struct.pack("<II4H", 0x1000, 16, 0xA000, 0xA008, 0xA010, 0)
    assert table[16:26] == struct.pack("<IIH", 0x3000, PAGE - 16, 0xAFF8)
    assert not any(table[26:])
    assert len(relocation_table(range(0x1000, 0x1000 + 2 * 4092, 2), 10)) == 3 * PAGE
    assert relocation_table([], 10) == b""

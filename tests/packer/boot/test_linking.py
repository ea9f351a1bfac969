"""Linking, against ld."""

import re
import subprocess
from pathlib import Path

import pytest

from packer.boot.elf import ElfError
from packer.boot.elf_object import read_object
from packer.boot.linking import Linked, link
from tests.support.assembled import assembled, by_ld

START, PAGE = 0x1000, 0x1000

#: The assembler puts .text, .data and .bss first.
SCRIPT = """\
SECTIONS {
    . = 0x1000;
    .text : { *(.text) } .text.more : { *(.text.more) }
    . = ALIGN(0x1000);
    .data : { *(.data) } .rodata : { *(.rodata) } .bss : { *(.bss) }
}
"""

OF_64 = """\
        .text
        nop
        .globl _start
_start: call further
        lea data+5(%rip), %rax
        movabs $data+3, %rax
        .quad further - .
        .data
        .byte 1
        .balign 8
data:   .quad data, further - 7, room + 4000
        .section .text.more, "ax"
        .balign 16
further: ret
        .section .rodata, "a"
        .balign 64
        .quad _start
        .bss
        .balign 32
room:   .skip 5000
"""

OF_32 = """\
        .text
        nop
        .globl _start
_start: call further
        mov $data+3, %eax
        .long further - ., _start - 100
        .data
        .byte 1
data:   .long data, further - 7, room + 4000
        .section .text.more, "ax"
        .balign 16
further: ret
        .section .rodata, "a"
        .balign 64
        .long _start
        .bss
room:   .skip 5000
"""


def linked(data: bytes) -> Linked:
    return link(read_object(data, "it"), START, PAGE)


@pytest.mark.parametrize(
    ("source", "bits", "address"), [(OF_64, 64, "R_X86_64_64"), (OF_32, 32, "R_386_32")], ids=["x86-64", "i386"]
)
def test_it_is_what_ld_makes(source: str, bits: int, address: str, tmp_path: Path) -> None:
    found = linked(assembled(tmp_path, source, bits))
    assert (len(found.code) % PAGE, len(found.data) % PAGE) == (0, 0)
    expected = by_ld(tmp_path, SCRIPT, bits)
    memory = found.code + found.data
    assert memory == expected.ljust(len(memory), b"\0")
    assert found.entry == START + 1
    rows = subprocess.run(["readelf", "-rW", tmp_path / "object"], check=True, capture_output=True, text=True).stdout
    assert len(found.addresses) == len(re.findall(rf"{address}\s", rows))
    for place in found.addresses:
        there = int.from_bytes(memory[place - START : place - START + bits // 8], "little")
        assert START - 200 < there < START + len(memory)


HEAD = ".text\n.globl _start\n_start: nop\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (".text\n.globl other\nother: nop\n", "it has no symbol _start in its code"),
        (".text\nnop\n.data\n.globl _start\n_start: .byte 1\n", "it has no symbol _start in its code"),
        (HEAD + ".quad elsewhere\n", "relocation that cannot be done: type 1 at 0x1, symbol"),
        (HEAD + ".long _start\n", "relocation that cannot be done: type 10 at 0x1"),
        (HEAD + ".long _start - . + 0x7fffffff, 0\n.section .x,\"aw\"\n.long _start - . - 0x7ffffff0", "type 2 at 0x0"),
        (HEAD + f".bss\n.skip {17 << 20}\n", "wants more than 16777216 bytes of memory"),
        (HEAD + ".bss\n.p2align 25\n.skip 1\n", "wants more than 16777216 bytes of memory"),
    ],
    ids=["no entry", "entry in data", "no symbol", "unknown", "too far", "too large", "too far apart"],
)  # fmt: skip
def test_what_cannot_be_linked_is_refused(source: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ElfError, match=complaint):
        linked(assembled(tmp_path, source))

"""GRUB as a program for UEFI firmware, made of the files of its package; nothing is executed.

    +-----------+
    | headers   |  `packer.boot.pe`
    | .text     |  code of kernel.img
    | .data     |  its data, with zeros for what it has no bytes of
    | mods      |  list of modules, `packer.boot.grub_files`, which GRUB finds by the name of this section
    | .reloc    |  where in the first two are addresses
    +-----------+

kernel.img is a relocatable ELF file here, which `packer.boot.linking` links. GRUB 2.06 to 2.12; grub-mkimage makes the
same bytes. Not here is arm-efi: its branches are in Thumb code.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from layers.errors import PackError
from packer.boot import linking
from packer.boot.elf_object import read_object
from packer.boot.grub_files import GrubFiles
from packer.boot.linking import link
from packer.boot.pe import CODE, DATA, PAGE, PeSection, pe_image


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor.

    Attributes:
        elf, pe: its numbers in both formats.
        bits: of its addresses.
    """

    elf: int
    pe: int
    bits: int


#: GRUB's name for a processor with UEFI -> the processor.
PROCESSORS = {
    "x86_64-efi": Processor(linking.X86_64, 0x8664, 64),
    "i386-efi": Processor(linking.I386, 0x14C, 32),
    "arm64-efi": Processor(linking.AARCH64, 0xAA64, 64),
}


def efi_image(files: GrubFiles, name: str, modules: Iterable[str], config: str, prefix: str) -> bytes:
    """The program.

    Args:
        files: GRUB's.
        name: of the processor, one of `PROCESSORS`.
        modules: names of modules; what they need is added.
        config: commands that are run first.
        prefix: the folder with grub.cfg and the modules that are not here; empty: none.

    Raises:
        InputError: a file is missing.
        PackError: a file is not what it should be.
    """
    processor = PROCESSORS[name]
    kernel = read_object(files.read("kernel.img"), "GRUB's kernel.img")
    if (kernel.machine, kernel.bits) != (processor.elf, processor.bits):
        raise PackError(f"GRUB's kernel.img is not for {name}")
    linked = link(kernel, PAGE, PAGE)
    listed = files.module_list(modules, config, prefix, processor.elf, processor.bits)
    sections = [
        PeSection(b".text", linked.code, CODE),
        PeSection(b".data", linked.data, DATA),
        PeSection(b"mods", listed + bytes(-len(listed) % PAGE), DATA),
    ]
    return pe_image(sections, machine=processor.pe, bits=processor.bits, entry=linked.entry, addresses=linked.addresses)

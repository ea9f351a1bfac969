"""Object files for x86, by the assembler of binutils, and what its linker makes of them."""

import subprocess
from pathlib import Path

#: Bits -> how binutils call the format.
_FORMATS = {32: "elf_i386", 64: "elf_x86_64"}


def assembled(folder: Path, source: str, bits: int = 64) -> bytes:
    """An object file.

    Args:
        folder: for files.
        source: what the assembler takes.
        bits: of addresses.
    """
    (folder / "source.s").write_text(source)
    subprocess.run(["as", f"--{bits}", "-o", folder / "object", folder / "source.s"], check=True)
    return (folder / "object").read_bytes()


def by_ld(folder: Path, script: str, bits: int = 64) -> bytes:
    """The memory of what `assembled` has made, from the first byte that has a section.

    Args:
        folder: that of `assembled`.
        script: of the linker.
        bits: of addresses.
    """
    (folder / "script").write_text(script)
    program, memory = folder / "program", folder / "memory"
    subprocess.run(
        ["ld", "-m", _FORMATS[bits], "-T", folder / "script", "-e", "_start", "-o", program, folder / "object"],
        check=True,
    )
    flags = ["--set-section-flags", ".bss=alloc,load,contents", "--gap-fill", "0"]
    subprocess.run(["objcopy", "-O", "binary", *flags, program, memory], check=True)
    return memory.read_bytes()

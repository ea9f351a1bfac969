"""Small root file systems for WSL, made of bytes."""

import struct

from layers.entry import PROGRAM, Data, Entry, File, Meta, Symlink


def elf(machine: int = 62, bits: int = 2) -> bytes:
    """The beginning of an ELF file."""
    return b"\x7fELF" + bytes((bits, 1, 1)) + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


def icon(images: int = 1) -> bytes:
    """An .ico file of PNG images."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(16)
    start = 6 + 16 * images
    headers = [struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(png), start + n * len(png)) for n in range(images)]
    return struct.pack("<HHH", 0, 1, images) + b"".join(headers) + png * images


PROFILE = b'{"profiles": [{"fontWeight": "bold"}], "schemes": []}'

#: What any root has that WSL can run.
ROOT: tuple[Entry, ...] = (
    File(b"etc/passwd", Data(b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n")),
    File(b"etc/shadow", Data(b"root:*:1:0:99999:7:::\ndaemon:!:1::::::\n"), Meta(0o640, 0, 42)),
    File(b"usr/bin/dash", Data(elf()), PROGRAM),
    File(b"usr/bin/mount", Data(elf()), Meta(0o4755)),
    Symlink(b"bin", b"usr/bin"),
    Symlink(b"usr/bin/sh", b"dash"),
)

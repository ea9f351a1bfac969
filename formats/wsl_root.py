"""A root file system as WSL looks at it: its two files of settings, accounts, programs, units."""

import configparser
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from layers.entry import Data, Entry, File, Slice, Symlink
from layers.number import LAST_ID, whole_number
from layers.reader import Reader
from layers.tree import Tree

DISTRIBUTION_CONF = "/etc/wsl-distribution.conf"
WSL_CONF = "/etc/wsl.conf"

_LARGEST_TEXT = 1 << 20
_ELF_64 = b"\x7fELF\x02\x01\x01"  # magic, 64 bits, little endian, version 1: elf(5)
_MACHINE = slice(18, 20)


@dataclass(frozen=True, slots=True)
class Root:
    """What the rules look at.

    Attributes:
        tree: the entries.
        reader: reads their contents.
        machine: the processor's number in ELF files: elf(5), e_machine.
    """

    tree: Tree
    reader: Reader
    machine: int

    def file(self, path: str) -> Entry | None:
        """The entry at an absolute path, links followed."""
        return self.tree.follow(path.strip("/").encode())

    def lines(self, path: str) -> list[str]:
        """The lines of a text; none of a file that is missing, or too large for one."""
        file = self.file(path)
        if not isinstance(file, File) or file.content.size > _LARGEST_TEXT:
            return []
        return self.reader.read(file.content).decode(errors="replace").splitlines()

    def settings(self, path: str) -> dict[str, str] | None:
        """Values by `section.key`, in lower case; nothing of a file that is missing, or of another form."""
        if not isinstance(self.file(path), File):
            return None
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string("\n".join(self.lines(path)))
        except configparser.Error:
            return None
        return {f"{name}.{key}".lower(): parser[name][key] for name in parser.sections() for key in parser[name]}

    def setting(self, key: str) -> str | None:
        """A value of /etc/wsl-distribution.conf."""
        return (self.settings(DISTRIBUTION_CONF) or {}).get(key)

    def accounts(self) -> Iterator[tuple[str, int]]:
        """(name, number) of every line of /etc/passwd that has them."""
        for line in self.lines("/etc/passwd"):
            fields = line.split(":")
            number = whole_number(fields[2], LAST_ID) if len(fields) > 2 else None
            if number is not None:
                yield fields[0], number

    def is_program(self, file: File) -> bool:
        """Whether a file is an ELF file for the processor."""
        content = file.content
        size = min(content.size, _MACHINE.stop)
        head = content.data[:size] if isinstance(content, Data) else self.reader.read(_beginning(content, size))
        return head.startswith(_ELF_64) and head[_MACHINE] == self.machine.to_bytes(2, "little")

    def top_entries(self) -> Iterator[Entry]:
        """What is right below `/` and `/boot`."""
        return (entry for entry in self.tree if entry.path.removeprefix(b"boot/").count(b"/") == 0)

    def is_masked(self, kind: bytes, unit: bytes) -> bool:
        """Whether a unit of `system` or `user` is masked: systemd.unit(5)."""
        entry = self.tree.get(b"etc/systemd/" + kind + b"/" + unit)
        return isinstance(entry, Symlink) and entry.target == b"/dev/null"


def _beginning(content: Slice, size: int) -> Slice:
    return Slice(content.path, content.offset, size, state=content.state)


_ICON_HEADER = struct.Struct("<HHH")  # reserved, type, images
_ICON_IMAGE = struct.Struct("<BBBBHHII")  # width, height, colours, reserved, planes, bits, bytes, offset
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\x28\0\0\0")  # a PNG file, or a BITMAPINFOHEADER


def is_icon(data: bytes) -> bool:
    """Whether a file is in the format .ico: a list of images, each of them within the file, as PNG or bitmap."""
    if len(data) < _ICON_HEADER.size:
        return False
    reserved, kind, images = _ICON_HEADER.unpack_from(data)
    if (reserved, kind) != (0, 1) or not images or len(data) < _ICON_HEADER.size + images * _ICON_IMAGE.size:
        return False
    for number in range(images):
        *_, size, offset = _ICON_IMAGE.unpack_from(data, _ICON_HEADER.size + number * _ICON_IMAGE.size)
        if not size or offset + size > len(data) or not data.startswith(_IMAGES, offset):
            return False
    return True


def is_profile(data: bytes) -> bool:
    """Whether a file is a fragment of Windows Terminal's settings: an object, with lists of profiles and schemes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(
        isinstance(value.get(key, []), list) and all(isinstance(below, dict) for below in value.get(key, []))
        for key in ("profiles", "schemes")
    )

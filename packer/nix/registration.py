"""Registration files: what a store says about items, without its database.

`nix-store --dump-db` and nixpkgs' closureInfo write them, `nix-store --load-db` reads them. References graphs, the
input of Guix's `register-closure` (guix/build/store-copy.scm), have the same form without hash and size
(nix: src/libstore/store-api.cc, `decodeValidPathInfo` and `makeValidityRegistration`). Lines, an item after another:

    PATH
    HASH           SHA-256 of the NAR: base 16 or 32, with or without `sha256:`, or SRI     only in registrations
    SIZE           bytes of the NAR                                                         only in registrations
    DERIVER        or empty
    NUMBER
    REFERENCE      as many as the number says
"""

import os
import re
import stat
from typing import BinaryIO

from layers.errors import InputError
from layers.output import said
from packer.nix.layout import Layout
from packer.nix.valid_path import RegistrationError, ValidPath, checked, shown

_LARGEST = 256 << 20  # bytes: that of a million items
_LONGEST_LINE = 4096
_NUMBER = re.compile(r"[0-9]{1,18}")


def read_registration(file: str, layout: Layout) -> dict[str, ValidPath]:
    """What a file says: path -> the item.

    Args:
        file: its path.
        layout: of the store that it is about.

    Raises:
        InputError: it cannot be read.
        RegistrationError: it is damaged, or about something else.
    """
    try:
        with open(file, "rb", opener=_opener) as lines:
            status = os.fstat(lines.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{file} is not a file")
            if status.st_size > _LARGEST:
                raise InputError(f"{file}: {status.st_size} bytes where at most {_LARGEST} were expected")
            return _Parser(lines, file, layout).items()
    except OSError as error:
        raise InputError(f"{file}: {said(error)}", hint="A relative path starts at the folder of os.toml.") from error


def _opener(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits for somebody who writes.
    return os.open(path, flags | os.O_NONBLOCK)


class _Parser:
    def __init__(self, lines: BinaryIO, origin: str, layout: Layout) -> None:
        self._lines = lines
        self._origin = origin
        self._layout = layout
        self._number = 0

    def items(self) -> dict[str, ValidPath]:
        found: dict[str, ValidPath] = {}
        while path := self._line(last=True):
            if path in found:
                raise RegistrationError(self._origin, path, "it is there twice")
            found[path] = self._item(path)
        return found

    def _item(self, path: str) -> ValidPath:
        row: dict[str, object] = {"path": path}
        second = self._line()
        if second and not second.startswith("/"):
            row["hash"] = second if ":" in second or "-" in second else f"sha256:{second}"
            row["narSize"] = self._count("its size")
            second = self._line()
        row["deriver"] = second
        references = [self._line() for _ in range(self._count("the number of its references"))]
        return checked(self._layout, self._origin, row, references)

    def _count(self, what: str) -> int:
        text = self._line()
        if not _NUMBER.fullmatch(text):
            raise self._wrong(f"{what} is {shown(text)}")
        return int(text)

    def _line(self, *, last: bool = False) -> str:
        """The next line; empty, if that is allowed, at the end."""
        line = self._lines.readline(_LONGEST_LINE)
        self._number += 1
        if line.endswith(b"\n"):
            text = line[:-1].decode("ascii", "backslashreplace")
            if last and not text:
                raise self._wrong("it is empty, where the path of an item should be")
            return text
        if line or not last:
            raise self._wrong("the file ends here" if len(line) < _LONGEST_LINE else "it is too long")
        return ""

    def _wrong(self, what: str) -> RegistrationError:
        hint = "It should be what `nix-store --dump-db`, closureInfo or a references graph has."
        return RegistrationError(self._origin, f"line {self._number}", what, hint=hint)

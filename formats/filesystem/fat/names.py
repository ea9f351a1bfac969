"""Names in FAT: each file has a short one, of 8 and 3 characters, and most have a long one beside it.

A long name stands in entries of its own before the file's, the last part first, 13 UTF-16 code units in each. Programs
that know them never show the short name, which then is only there to be unique: the beginning of the long one, `~` and
a number. Microsoft's FAT32 File System Specification 1.03, sections "Long Directory Entries" and "Name Limits and
Character Sets".
"""

from formats.structure import Structure

SHORT_BYTES = 11
LONGEST = 255  # UTF-16 code units

BASE, _EXTENSION = 8, 3
_SHORT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%'-_@~`!(){}^#&")
_FORBIDDEN = frozenset('"*/:<>?\\|') | {chr(code) for code in (*range(32), 127)}
_FORBIDDEN_IN_LABELS = _FORBIDDEN | frozenset("+,.;=[]")
_MOST_DIGITS = 6

LONG = Structure("<", "order:B first:10s attributes:B type:B checksum:B second:12s cluster:H third:4s")
LONG_ATTRIBUTES = 0x0F
LAST = 0x40
_UNITS = 13


def problem(name: bytes) -> str:
    """Why FAT cannot have a name; empty if it can."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "has a name that is not UTF-8"
    if found := sorted(set(text) & _FORBIDDEN):
        return f"has {found[0]!r} in its name"
    if any(ord(character) > 0xFFFF for character in text):
        return "has a character in its name that UCS-2 does not have"
    if text.endswith((".", " ")):
        return "has a name that ends with a dot or a space"
    return f"has a name of more than {LONGEST} characters" if len(text) > LONGEST else ""


def label_problem(label: str) -> str:
    """Why FAT cannot have a label; empty if it can."""
    if not label.isascii() or set(label) & _FORBIDDEN_IN_LABELS or label != label.strip():
        return "has characters that FAT does not allow"
    return f"has {len(label)} characters, and FAT room for {SHORT_BYTES}" if len(label) > SHORT_BYTES else ""


def folded(name: str) -> str:
    """The name as FAT compares it: case does not matter."""
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in name)


class ShortNames:
    """The short names of one folder: unique, and the same whenever the names are the same.

    Args:
        names: all names in the folder, in order.
    """

    def __init__(self, names: list[str]) -> None:
        exact = {name: short for name in names if (short := _exact(name))}
        self._used = set(exact.values())
        self._next: dict[tuple[str, str, int], int] = {}
        self._names = exact | {name: self._alias(name) for name in names if name not in exact}

    def short(self, name: str) -> bytes:
        """The short name of a name, in 11 bytes."""
        return self._names[name]

    def long(self, name: str) -> bytes:
        """The entries of the long name; none if the short one says it all."""
        short = self._names[name]
        return b"" if _joined(short) == name else _long_entries(name, short)

    def _alias(self, name: str) -> bytes:
        base, extension = _parts(name)
        for digits in range(1, _MOST_DIGITS + 1):
            stem = base[: BASE - 1 - digits]
            key = stem, extension, digits
            for number in range(self._next.get(key, 10 ** (digits - 1)), 10**digits):
                self._next[key] = number + 1
                short = _padded(f"{stem}~{number}", extension)
                if short not in self._used:
                    self._used.add(short)
                    return short
        raise AssertionError("a folder has fewer entries than there are numbers")


def _exact(name: str) -> bytes | None:
    """The short name that differs from the name in case at most."""
    upper = name.upper() if name.isascii() else ""
    base, dot, extension = upper.partition(".")
    fits = 0 < len(base) <= BASE and bool(extension) == bool(dot) and len(extension) <= _EXTENSION
    return _padded(base, extension) if fits and _SHORT_CHARACTERS.issuperset(base + extension) else None


def _parts(name: str) -> tuple[str, str]:
    """Base and extension of an alias: what short names may have, `_` for the rest."""
    base, _, extension = name.lstrip(". ").rpartition(".")
    if not base:
        base, extension = extension, ""
    return _allowed(base)[:BASE], _allowed(extension)[:_EXTENSION]


def _allowed(text: str) -> str:
    upper = (character.upper() for character in text if character not in " .")
    return "".join(character if character in _SHORT_CHARACTERS else "_" for character in upper)


def _padded(base: str, extension: str) -> bytes:
    return f"{base:<{BASE}}{extension:<{_EXTENSION}}".encode("ascii")


def _joined(short: bytes) -> str:
    base, extension = short[:BASE].rstrip().decode(), short[BASE:].rstrip().decode()
    return f"{base}.{extension}" if extension else base


def _long_entries(name: str, short: bytes) -> bytes:
    units = name.encode("utf-16-le")
    count = -(-len(name) // _UNITS)
    if len(name) % _UNITS:
        units = (units + b"\0\0").ljust(count * _UNITS * 2, b"\xff")
    return b"".join(
        LONG.pack(
            order=number + 1 | (LAST if number == count - 1 else 0), attributes=LONG_ATTRIBUTES,
            checksum=checksum(short),
            first=units[number * 26 :][:10], second=units[number * 26 + 10 :][:12], third=units[number * 26 + 22 :][:4],
        )
        for number in reversed(range(count))
    )  # fmt: skip


def checksum(short: bytes) -> int:
    """Of a short name, by which entries of a long one say that they belong to it."""
    value = 0
    for byte in short:
        value = ((value & 1) << 7) + (value >> 1) + byte & 0xFF
    return value

"""Identifiers: the names that systems without Rock Ridge see, 8 and 3 characters of capitals, digits and `_`.

ECMA-119, 7.5 and 7.6, in the narrow form of level 1 that all systems read. What a name has besides is `_`; of names
that become the same, all but the first get numbers. Rock Ridge has the names themselves.
"""

from collections.abc import Iterable

_BASE, _EXTENSION = 8, 3
_ALLOWED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_TRANSLATION = bytes(code if code in _ALLOWED else ord("_") for code in bytes(range(256)).upper())
_VERSION = b";1"


class Identifiers:
    """The identifiers of one folder: unique, and the same whenever the names come in the same order."""

    def __init__(self) -> None:
        self._used: set[tuple[bytes, bytes]] = set()
        self._next: dict[tuple[bytes, bytes, int], int] = {}

    def of_folder(self, name: bytes) -> bytes:
        """The identifier of a folder in it."""
        return self._unique(name.translate(_TRANSLATION)[:_BASE], b"")[0]

    def of_file(self, name: bytes) -> bytes:
        """The identifier of anything else in it."""
        base, _, extension = name.rpartition(b".")
        if not base:
            base, extension = extension, b""
        found = self._unique(base.translate(_TRANSLATION)[:_BASE], extension.translate(_TRANSLATION)[:_EXTENSION])
        return b".".join(found) + _VERSION

    def _unique(self, base: bytes, extension: bytes) -> tuple[bytes, bytes]:
        found = (base, extension)
        if found in self._used:
            found = next(one for one in self._numbered(base, extension) if one not in self._used)
        self._used.add(found)
        return found

    def _numbered(self, base: bytes, extension: bytes) -> Iterable[tuple[bytes, bytes]]:
        """In place of the base's end, numbers that nobody with such a beginning has tried."""
        for digits in range(1, _BASE):
            stem = base[: _BASE - digits]
            key = stem, extension, digits
            for number in range(self._next.get(key, 10 ** (digits - 1)), 10**digits):
                self._next[key] = number + 1
                yield stem + b"%d" % number, extension

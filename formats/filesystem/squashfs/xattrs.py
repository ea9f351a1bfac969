"""Extended attributes: sets of them, each there once, however many objects have it."""

from collections.abc import Iterator

from formats.filesystem.squashfs.compressors import Compressor
from formats.filesystem.squashfs.metadata import Metadata
from formats.filesystem.squashfs.structures import (
    NOTHING,
    NOWHERE,
    PREFIXES,
    REFERENCE,
    WORD,
    XATTR_NAME,
    XATTR_SET,
    XATTR_TABLE,
)
from layers.entry import Meta
from layers.errors import EntryError

_LONGEST_NAME = 255  # XATTR_NAME_MAX
_LONGEST_VALUE = 1 << 16  # XATTR_SIZE_MAX

#: Access control lists. Linux has no number for them in squashfs.
ACCESS_LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")

_Pair = tuple[int, bytes, bytes]  # prefix, rest of the name, value


class Xattrs:
    """The sets of attributes of a volume."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[_Pair, ...], int] = {}

    def number(self, meta: Meta) -> int:
        """The number of the set that an object has; `NOTHING` if it has none. Access control lists are passed over.

        Raises:
            EntryError: with the rest of a sentence: squashfs cannot hold an attribute.
        """
        if not meta.xattrs:
            return NOTHING
        pairs = tuple(_pair(name, value) for name, value in meta.xattrs if name not in ACCESS_LISTS)
        return self._numbers.setdefault(pairs, len(self._numbers)) if pairs else NOTHING

    def table(self, start: int, compress: Compressor) -> tuple[bytes, int]:
        """The table, and where the superblock says that it is.

        Args:
            start: where it goes.
            compress: a block of it.
        """
        if not self._numbers:
            return b"", NOWHERE
        pairs, sets = Metadata(compress), Metadata(compress)
        for each in self._numbers:
            size = sum(len(PREFIXES[prefix] + rest) + 1 + len(value) for prefix, rest, value in each)
            sets.append(XATTR_SET.pack(pairs.append(b"".join(_rows(each))), len(each), size))
        below, above = pairs.close(), sets.close()
        first = start + len(below)
        head = XATTR_TABLE.pack(start, len(self._numbers), 0)
        places = b"".join(REFERENCE.pack(first + place) for place in sets.starts)
        return b"".join((below, above, head, places)), first + len(above)


def _pair(name: bytes, value: bytes) -> _Pair:
    for number, prefix in enumerate(PREFIXES):
        rest = name.removeprefix(prefix)
        if rest and rest != name:
            if len(name) > _LONGEST_NAME or b"\0" in rest:
                raise EntryError(f"{name!r} is no name of an extended attribute")
            if len(value) > _LONGEST_VALUE:
                raise EntryError(f"{name!r} has {len(value)} bytes: Linux reads up to {_LONGEST_VALUE}")
            return number, rest, value
    raise EntryError(f"squashfs has no extended attributes like {name!r}")


def _rows(pairs: tuple[_Pair, ...]) -> Iterator[bytes]:
    for prefix, rest, value in pairs:
        yield XATTR_NAME.pack(prefix, len(rest)) + rest + WORD.pack(len(value)) + value

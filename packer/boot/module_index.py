"""Indexes of kernel modules, as kmod reads them: names, and wildcards for names, to what stands for them.

A trie, with numbers of 4 bytes, the highest first:

    0   magic b007f457, version 00020001, the root: where it is, and in the highest bits what it has
        node    prefix      characters with a NUL, if it has one                                           (bit 31)
                children    first and last character, then for each of that range the child, or 0          (bit 29)
                values      their number, then for each its priority and its text with a NUL               (bit 30)

A child's place says what the child has. The root has no prefix. Where nodes are is free: here, and in kmod before 34,
a node comes after those below it, and since then before them. kmod, libkmod/libkmod-index.c and tools/depmod.c.
"""

from collections.abc import Iterable
from itertools import groupby
from os.path import commonprefix

from formats.structure import Structure

_HEADER = Structure(">", "magic:I version:I root:I")
_MAGIC, _VERSION = 0xB007F457, 0x00020001
_PREFIX, _VALUES, _CHILDREN = 1 << 31, 1 << 30, 1 << 29


def index(rows: Iterable[tuple[str, str, int]]) -> bytes:
    """An index.

    Args:
        rows: name, value and priority; of one name, the lowest priority comes first, and of equal ones the last row.
    """
    table: dict[str, list[tuple[int, str]]] = {}
    for name, value, priority in rows:
        table.setdefault(name, []).insert(0, (priority, value))
    found = [(name, sorted(values, key=lambda row: row[0])) for name, values in sorted(table.items())]
    out = bytearray(_HEADER.size)
    root = _node(out, found, 0) if found else 0
    out[: _HEADER.size] = _HEADER.pack(magic=_MAGIC, version=_VERSION, root=root)
    return bytes(out)


def _node(out: bytearray, rows: list[tuple[str, list[tuple[int, str]]]], depth: int) -> int:
    """Write the node of names that have their first `depth` characters in common; its place, and what it has."""
    prefix = commonprefix([rows[0][0], rows[-1][0]]) if depth else ""  # noqa: RUF071  # they are no paths
    values = rows[0][1] if rows[0][0] == prefix else []
    below = groupby(rows[bool(values) :], key=lambda row: row[0][len(prefix)])
    children = {ord(first): _node(out, list(group), len(prefix) + 1) for first, group in below}
    place = len(out)
    if len(prefix) > depth:
        place |= _PREFIX
        out += prefix[depth:].encode("latin-1") + b"\0"
    if children:
        place |= _CHILDREN
        first, last = min(children), max(children)
        out += bytes((first, last))
        out += b"".join(children.get(character, 0).to_bytes(4) for character in range(first, last + 1))
    if values:
        place |= _VALUES
        out += len(values).to_bytes(4)
        out += b"".join(priority.to_bytes(4) + value.encode("latin-1") + b"\0" for priority, value in values)
    return place

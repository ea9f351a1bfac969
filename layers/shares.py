"""A tree in shares: parts of it that are in one piece each, for workers that do the same with a part each."""

from bisect import bisect_left
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from layers.entry import Entry, File, tree_order
from layers.tree import Unit

_ENTRY = 16 << 10  # what an entry costs besides its content, in bytes that are hashed and copied in that time


@dataclass(frozen=True, slots=True)
class Share:
    """One of several parts of a tree.

    Attributes:
        number: of this one, from 0 on.
        count: how many there are.
        start: `tree_order` of its first path.
        end: `tree_order` of the first path after it; None: it is the last part.
    """

    number: int = 0
    count: int = 1
    start: bytes = b""
    end: bytes | None = None

    def has(self, path: bytes) -> bool:
        """Whether a path is in this part."""
        order = tree_order(path)
        return self.start <= order and (self.end is None or order < self.end)

    def of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of a whole tree's entries, in `tree_order`, that are in this part."""
        start = bisect_left(entries, self.start, key=_order)
        return entries[start : None if self.end is None else bisect_left(entries, self.end, key=_order)]


#: All of a tree.
WHOLE = Share()


def cut(units: Sequence[Unit], sizes: Mapping[bytes, int], whole: Container[bytes], count: int) -> list[list[Unit]]:
    """Parts that cost about the same, in the order of the tree: at most `count`; none is empty, unless all is.

    Args:
        units: of the tree.
        sizes: bytes of what nobody has looked into, by path.
        whole: paths of what is not to be cut, with all that is below.
        count: how many parts there may be.
    """
    weights = [_ENTRY + (_size(entry) if entry else sizes[path]) for path, entry in units]
    parts: list[list[Unit]] = [[]]
    total, done, uncut = sum(weights), 0, b""
    for unit, weight in zip(units, weights, strict=True):
        path = unit[0]
        is_inside = uncut and path.startswith(uncut)
        if done * count >= total * len(parts) and not is_inside:
            parts.append([])
        if path in whole:
            uncut = path + b"/"
        parts[-1].append(unit)
        done += weight
    return parts


def shares(units: Sequence[Unit], whole: Container[bytes], count: int) -> list[Share]:
    """The same as ranges of paths, `count` of them, of which the last may be empty.

    Args:
        units: of a tree that somebody has looked into.
        whole: as above.
        count: how many shares there are.
    """
    starts = [tree_order(part[0][0]) if part else b"" for part in cut(units, {}, whole, count)]
    starts = [b"", *starts[1:], *([_AFTER_ALL] * (count - len(starts)))]
    ends = [*starts[1:], None]
    return [Share(number, count, *bounds) for number, bounds in enumerate(zip(starts, ends, strict=True))]


_AFTER_ALL = b"\xff" * 256  # no name of a file is as long


def _order(entry: Entry) -> bytes:
    return tree_order(entry.path)


def _size(entry: Entry) -> int:
    return entry.content.size if isinstance(entry, File) else 0

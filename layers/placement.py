"""Placement: where an item's paths land in the image (the "transformations" of `guix pack` and docker.scm).

A rule rewrites a prefix: `lib` to `usr/lib` moves `lib/x` to `usr/lib/x`. Link targets of hard links move with
their files; symbolic links keep their targets, because many of them name an absolute path in a store.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from layers.entry import Directory, Entry, Hardlink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Placement:
    """Prefix rewriting; the longest prefix that fits wins, and only one rule is applied to a path.

    Attributes:
        rules: (old, new) prefixes as entries have paths; an empty `new` is the root.

    Raises:
        ValueError: an `old` is the root, which is no prefix of names.
    """

    rules: tuple[tuple[bytes, bytes], ...] = ()
    _first: frozenset[bytes] = field(init=False, repr=False, compare=False)
    _longest: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not all(old for old, _ in self.rules):
            raise ValueError("a rule of a placement rewrites the root")
        object.__setattr__(self, "_first", frozenset(old.partition(b"/")[0] for old, _ in self.rules))
        object.__setattr__(self, "_longest", tuple(sorted(self.rules, key=lambda rule: (-len(rule[0]), rule))))

    def path(self, path: bytes) -> bytes:
        """Where a path lands."""
        if path.partition(b"/")[0] not in self._first:
            return path
        for old, new in self._longest:
            if path == old:
                return new
            if path.startswith(old + b"/"):
                return (new + path[len(old) :]).lstrip(b"/")
        return path

    def entries(self, entries: "Iterable[Entry]") -> "Iterator[Entry]":
        """The entries where they land.

        Something at a prefix itself that is no folder stays where it is: in a package that ships the link
        `lib -> usr/lib`, that link is what the rule stands for.
        """
        if not self.rules:
            yield from entries
            return
        for entry in entries:
            path = self.path(entry.path)
            if path == entry.path and not isinstance(entry, Hardlink):
                yield entry
            elif isinstance(entry, Hardlink):
                yield Hardlink(path, self.path(entry.target))
            elif isinstance(entry, Directory) or not self._is_prefix(entry.path):
                yield replace(entry, path=path)
            else:
                yield entry

    def _is_prefix(self, path: bytes) -> bool:
        return any(path == old for old, _ in self.rules)

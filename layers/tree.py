"""Trees: entries in order, with their parents, and at most one of them at a path.

A tree is what a root file system is made of. It is merged from parts (the entries of an item, or of the
customization), and merging is where parts that want different things at one path are found out.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Generic, TypeVar

from layers.entry import Directory, Entry, File, Hardlink, Symlink, parents, tree_order
from layers.errors import ConflictError, EntryError

Owner = TypeVar("Owner")

_MOST_LINKS = 40  # as Linux: path_resolution(7)

Unread = Mapping[bytes, Callable[[], Iterable[Entry]]]
"""Path of an entry at which nobody has looked yet -> what reads it, and all that is below it."""

Unit = tuple[bytes, Entry | None]
"""An entry of a tree with its path; or the path of one at which nobody has looked, for all that is there and below."""


class Tree:
    """A root file system, without its root: entries by path.

    Items of some stores keep to folders of their own. Such a folder is read when somebody looks into it, or goes
    through the whole tree: where nothing changed, nobody lists a store.

    Args:
        entries: not copied, and not to be changed afterwards.
        unread: what else there is, apart from each other, each in `tree_order`. The folders above are among the
            entries; hard links are not among what is read.
    """

    def __init__(self, entries: Mapping[bytes, Entry], unread: Unread | None = None) -> None:
        self._unread = dict(unread or {})
        self._read: dict[bytes, Entry] = dict(entries) if unread else {}
        self._known: Mapping[bytes, Entry] = self._read if unread else entries
        self._sorted: list[Entry] | None = None  # every tree is gone through several times
        self._names: dict[bytes, list[bytes]] | None = None  # folder -> what is in it

    def __iter__(self) -> Iterator[Entry]:
        """All entries in `tree_order`: parents first, and the first name of a file before its hard links."""
        if self._unread:
            return self.spread(self.units())
        if self._sorted is None:
            self._sorted = [self._known[path] for path in sorted(self._known, key=tree_order)]
        return iter(self._sorted)

    def units(self) -> list[Unit]:
        """All entries in `tree_order`, without reading any."""
        if not self._unread:
            return [(entry.path, entry) for entry in self]
        return [(path, self._known.get(path)) for path in sorted([*self._known, *self._unread], key=tree_order)]

    def spread(self, units: Iterable[Unit]) -> Iterator[Entry]:
        """The entries of units of this tree.

        Args:
            units: as the tree has them now: one that somebody has looked into since is none any more.

        Raises:
            KeyError: somebody has looked into one of them.
        """
        unread = dict(self._unread)
        return chain.from_iterable((entry,) if entry else unread[path]() for path, entry in units)

    def __len__(self) -> int:
        return len(self._all())

    def __bool__(self) -> bool:
        return bool(self._known or self._unread)

    def __contains__(self, path: bytes) -> bool:
        return self.get(path) is not None

    def get(self, path: bytes) -> Entry | None:
        """The entry at exactly this path; symbolic links are not followed."""
        for folder in (path, *parents(path)) if self._unread else ():
            self._look_into(folder)
        return self._known.get(path)

    def by_path(self) -> dict[bytes, Entry]:
        """A copy of the mapping, in no particular order."""
        return dict(self._all())

    def below(self, folder: bytes) -> Iterator[Entry]:
        """What is below a folder, sorted; below the root, `b""`, is everything."""
        prefix = folder + b"/" if folder else b""
        self.get(folder)
        for unread in [path for path in self._unread if path.startswith(prefix)]:
            self._look_into(unread)
        found = sorted((path for path in self._known if path.startswith(prefix)), key=tree_order)
        yield from (self._known[path] for path in found)

    def names(self, folder: bytes) -> list[bytes]:
        """Names of what is in a folder itself, sorted; none if it is no folder. Links are not followed."""
        self.get(folder)
        if self._names is None:
            self._names = {}
            self._note(self._names, [*self._known, *self._unread])
        return sorted(self._names.get(folder, ()))

    def overlaid(self, upper: Iterable[Entry]) -> "Tree":
        """The tree with entries laid over it; see `overlay`."""
        upper = list(upper)
        for entry in upper:
            self.get(entry.path)  # and so it is read
        return Tree(_overlaid(self._known, upper), self._unread)

    def _look_into(self, folder: bytes) -> None:
        if folder in self._unread:
            read = {entry.path: entry for entry in self._unread[folder]()}
            self._read.update(read)
            del self._unread[folder]
            if self._names is not None:
                self._note(self._names, read.keys() - {folder})

    @staticmethod
    def _note(names: dict[bytes, list[bytes]], paths: Iterable[bytes]) -> None:
        for path in paths:
            folder, _, name = path.rpartition(b"/")
            names.setdefault(folder, []).append(name)

    def _all(self) -> Mapping[bytes, Entry]:
        for folder in list(self._unread):
            self._look_into(folder)
        return self._known

    def real(self, path: bytes) -> bytes:
        """The path with the symbolic links among its parents followed, its last name left alone.

        Raises:
            EntryError: the links lead in a circle.
        """
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        done: list[bytes] = []
        links = 0
        while names:
            name = names.pop(0)
            if name == b"..":
                del done[-1:]
                continue
            done.append(name)
            entry = self.get(b"/".join(done)) if names else None
            if isinstance(entry, Symlink):
                links += 1
                if links > _MOST_LINKS:
                    raise EntryError(f"/{os.fsdecode(path)}: its symbolic links lead in a circle")
                done = [] if entry.target.startswith(b"/") else done[:-1]
                names = [part for part in entry.target.split(b"/") if part not in (b"", b".")] + names
        return b"/".join(done)

    def follow(self, path: bytes) -> Entry | None:
        """The entry at a path as a program would find it: every symbolic link and hard link followed.

        Raises:
            EntryError: the links lead in a circle.
        """
        path = self.real(path)
        for _ in range(_MOST_LINKS):
            entry = self.get(path)
            if isinstance(entry, Hardlink):
                path = entry.target
            elif isinstance(entry, Symlink):
                path = self.real(os.path.join(os.path.dirname(path), entry.target).lstrip(b"/"))
            else:
                return entry
        raise EntryError(f"/{os.fsdecode(path)}: its symbolic links lead in a circle")


@dataclass(frozen=True, slots=True)
class Part(Generic[Owner]):
    """Entries of one owner: an item, or the customization."""

    owner: Owner
    entries: Iterable[Entry]


@dataclass(frozen=True, slots=True)
class Merged(Generic[Owner]):
    """What came of merging parts.

    Attributes:
        tree: the entries that won.
        omitted: owner -> paths of its entries that another owner's replaced.
        settled: folders that several owners have with different metadata, as the first of them has it.
    """

    tree: Tree
    omitted: Mapping[Owner, frozenset[bytes]]
    settled: tuple[Directory, ...]


def merge(
    parts: Iterable[Part[Owner]], replaces: Callable[[Owner, Owner], bool] = lambda _new, _old: False
) -> Merged[Owner]:
    """Merge parts into a tree.

    Folders that several parts have are one folder, with the metadata of the first part that has it. Anything
    else at one path twice is a conflict, unless one owner replaces the other.

    Args:
        parts: in the order in which they would be unpacked.
        replaces: whether the first owner's entries may replace the second's.

    Raises:
        ConflictError: names every path that two owners want, all at once.
        EntryError: an entry lies below something that is no folder, or a hard link's file is missing.
    """
    merger = _Merger(replaces)
    for part in parts:
        merger.add(part)
    return merger.merged()


def side_by_side(unread: Unread) -> Tree | None:
    """The tree of entries that are apart from each other; None if one of them is below another.

    Args:
        unread: as `Tree` has it.
    """
    paths = sorted(unread, key=tree_order)
    if any(below.startswith(path + b"/") for path, below in pairwise(paths)):
        return None
    above = {parent: Directory(parent) for path in paths for parent in parents(path)}
    return Tree(above, unread)


class _Merger(Generic[Owner]):
    def __init__(self, replaces: Callable[[Owner, Owner], bool]) -> None:
        self._replaces = replaces
        self._entries: dict[bytes, Entry] = {}
        self._owners: dict[bytes, Owner] = {}
        self._omitted: dict[Owner, set[bytes]] = {}
        self._settled: set[bytes] = set()
        self._conflicts: list[str] = []

    def add(self, part: Part[Owner]) -> None:
        entries, owners, owner = self._entries, self._owners, part.owner
        for entry in part.entries:
            path = entry.path
            if not path:
                continue  # the root: every artefact has one already
            present = entries.get(path)
            if present is None:
                entries[path] = entry
                owners[path] = owner
            elif isinstance(entry, Directory) and isinstance(present, Directory):
                if entry.meta != present.meta:
                    self._settled.add(path)
            else:
                self._decide(entry, owner)

    def _decide(self, entry: Entry, owner: Owner) -> None:
        path = entry.path
        holder = self._owners[path]
        if self._replaces(owner, holder):
            self._omitted.setdefault(holder, set()).add(path)
            self._entries[path] = entry
            self._owners[path] = owner
        elif self._replaces(holder, owner):
            self._omitted.setdefault(owner, set()).add(path)
        else:
            self._conflicts.append(f"/{os.fsdecode(path)} is in {holder} and in {owner}")

    def merged(self) -> Merged[Owner]:
        if self._conflicts:
            raise ConflictError(
                "two items want different things at one path:\n  " + "\n  ".join(sorted(self._conflicts)),
                hint="Leave one of the items out.",
            )
        self._refuse_split_links()
        entries = rooted_hardlinks(self._entries)
        add_parents(entries)
        return Merged(
            Tree(entries),
            {owner: frozenset(paths) for owner, paths in self._omitted.items()},
            tuple(
                settled
                for path in sorted(self._settled, key=tree_order)
                if isinstance(settled := entries[path], Directory)
            ),
        )

    def _refuse_split_links(self) -> None:
        for path, entry in self._entries.items():
            if isinstance(entry, Hardlink) and self._owners.get(entry.target) != self._owners[path]:
                raise EntryError(
                    f"{self._owners[path]}: /{os.fsdecode(path)} is a hard link to"
                    f" /{os.fsdecode(entry.target)}, which another item replaces or which does not exist"
                )


def without(entries: Iterable[Entry], paths: Collection[bytes]) -> Iterator[Entry]:
    """Entries without some of them: of a file whose first name goes, the first one that stays is the file.

    Args:
        entries: of one item.
        paths: of those that go.

    Raises:
        EntryError: a hard link's file is not there.
    """
    entries = list(entries)
    named = {entry.path: entry for entry in entries if isinstance(entry, File | Hardlink)}
    heirs: dict[bytes, bytes] = {}
    for entry in entries:
        if entry.path in paths:
            continue
        if not isinstance(entry, Hardlink):
            yield entry
            continue
        file = _linked_file(named, entry)
        first = heirs.setdefault(file.path, entry.path) if file.path in paths else file.path
        yield replace(file, path=first) if first == entry.path else Hardlink(entry.path, first)


def rooted_hardlinks(entries: Mapping[bytes, Entry]) -> dict[bytes, Entry]:
    """Entries in which the first name of a file, in the order of paths, is the file; all others link to it.

    Raises:
        EntryError: a hard link's file is not there.
    """
    names: dict[bytes, list[bytes]] = {}
    rooted = dict(entries)
    for path, entry in entries.items():
        if isinstance(entry, Hardlink):
            names.setdefault(_linked_file(entries, entry).path, [_linked_file(entries, entry).path]).append(path)
    for original, linked in names.items():
        file, (first, *others) = entries[original], sorted(linked, key=tree_order)
        rooted[first] = replace(file, path=first)
        rooted.update((path, Hardlink(path, first)) for path in others)
    return rooted


def _linked_file(entries: Mapping[bytes, Entry], link: Hardlink) -> File:
    target: Entry | None = link
    for _ in range(_MOST_LINKS):
        if not isinstance(target, Hardlink):
            break
        target = entries.get(target.target)
    if not isinstance(target, File):
        raise EntryError(
            f"/{os.fsdecode(link.path)} is a hard link to /{os.fsdecode(link.target)},"
            " which is not a file of the same item"
        )
    return target


def add_parents(entries: dict[bytes, Entry], known: Tree | None = None) -> None:
    """Add the folders that are missing above entries: as `known` has them, else 0755 and root's.

    Raises:
        EntryError: an entry lies below something that is no folder.
    """
    complete = {b""}  # folders that are there with all that are above them
    for path in list(entries):
        folder = path[: max(path.rfind(b"/"), 0)]
        if folder in complete:
            continue
        for parent in parents(path):
            above = entries.get(parent)
            if above is None:
                above = known.get(parent) if known is not None else None
                entries[parent] = above = above or Directory(parent)
                if isinstance(above, Directory):
                    continue
            if not isinstance(above, Directory):
                raise EntryError(f"/{os.fsdecode(path)} lies below /{os.fsdecode(parent)}, which is not a folder")
            break
        complete.add(folder)


def overlay(tree: Tree, upper: Iterable[Entry]) -> Tree:
    """The tree with entries laid over it, as a layer lies over lower layers.

    Args:
        tree: what lies below; it stays as it is.
        upper: entries without hard links; their parents are in one of both.

    Raises:
        ConflictError: a folder would take the place of something else, or the other way round.
    """
    return tree.overlaid(upper)


def _overlaid(below: Mapping[bytes, Entry], upper: Iterable[Entry]) -> dict[bytes, Entry]:
    entries = dict(below)
    names: dict[bytes, list[bytes]] = {}
    for entry in entries.values():
        if isinstance(entry, Hardlink):
            names.setdefault(entry.target, []).append(entry.path)
    for entry in upper:
        present = entries.get(entry.path)
        if present is not None and isinstance(present, Directory) != isinstance(entry, Directory):
            raise ConflictError(f"/{os.fsdecode(entry.path)} would be both a folder and something else")
        # Its other names keep the old file; those that were laid over before are files of their own by now.
        others = [
            name for name in sorted(names.pop(entry.path, ()), key=tree_order) if isinstance(entries[name], Hardlink)
        ]
        if isinstance(present, File) and others:
            first, *others = others
            entries[first] = replace(present, path=first)
            entries.update((path, Hardlink(path, first)) for path in others)
            names[first] = others
        entries[entry.path] = entry
    return entries

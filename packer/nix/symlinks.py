"""Links to what the roots of a store have, each at a path of the image: `symlinks` of os.toml.

    only one root has it              a link to it
    several have it, as a folder      a folder of links to what is in theirs, by the same rule for each name
    several have it, as a file        a link to the first one's

So do profiles come about: `builtin:buildenv` of Nix (src/libstore/builtins/buildenv.cc), buildEnv and symlinkJoin of
nixpkgs, `union-build` of Guix (guix/build/union.scm). A folder that is a link is merged as the folder that it leads
to, a link that leads nowhere in the store counts as a file, and what leads to one and the same place is no overlap.

A path where the image has a folder anyway is always a folder of links: `/`, what lies above other links, and where the
store makes something. With `/` these are also the folders of `roots.base`: accounts are added to what roots have in
/etc, and docker, which lays its own /etc over one that is a link, leaves it as it is.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.entry import Directory, Entry, Symlink, parents
from layers.errors import EntryError, InputError
from layers.tree import Tree
from packer.nix.layout import GUIX, NIX
from packer.plain import plain

_STORES = tuple(os.fsencode(layout.store.strip("/")) for layout in (NIX, GUIX))
_MOST_MADE = 1_000_000  # links that lead into each other can stand for any number of paths
_MOST_SHOWN = 10

#: What describes an item to package managers, at its top.
_OF_ITEMS = frozenset({b"manifest.json", b"manifest.nix", b"nix-support", b"propagated-build-inputs"})


class SymlinkError(InputError):
    """A link of os.toml that would lead nowhere, or to what cannot be merged."""


def links(
    symlinks: Mapping[str, str],
    roots: Sequence[str],
    tree: Tree,
    made: Sequence[Entry],
    base: Sequence[Entry],
    warn: Callable[[str], None],
) -> Iterator[Entry]:
    """What os.toml wants links to.

    Only items that a target leads to, and those that have what another root has as well, are looked into.

    Args:
        symlinks: absolute path in the image -> path in the roots.
        roots: paths of items.
        tree: the items' merged entries.
        made: what the store makes; nothing in a root takes its place.
        base: what the image gets where nothing else is.
        warn: is told which files of later roots have no link.

    Raises:
        SymlinkError: no root has it, it is a folder in one root and a file in another, or it would change the store.
        PackError: an item cannot be read.
    """
    wanted = {_inner(path): target for path, target in sorted(symlinks.items())}
    anyway = {b"", *_folders(made), *(parent for path in wanted for parent in parents(path))}
    taken = wanted.keys() | {entry.path for entry in made if not isinstance(entry, Directory)}
    linker = _Linker(tree, taken)
    for path, target in wanted.items():
        sources = linker.sources([_inner(os.path.normpath(f"{root}/{target}")) for root in roots], target)
        if not sources:
            raise _leads_nowhere(path, f"{roots[0]}/{target}", len(roots))
        yield from linker.entries(path, sources, frozenset(anyway if path else {*anyway, *_folders(base)}))
    if linker.hidden:
        warn(_told(linker.hidden))


@dataclass(frozen=True, slots=True)
class _Place:
    """A path of the image.

    Attributes:
        path: relative to its root.
        sources: where roots have it, in their order.
        above: folders of the store that are merged above it -> where in the image.
    """

    path: bytes
    sources: tuple[bytes, ...]
    above: Mapping[tuple[bytes, ...], bytes]


class _Linker:
    """Makes links.

    Args:
        tree: the items' merged entries.
        taken: paths of the image at which something else is; links of their own among them.
    """

    def __init__(self, tree: Tree, taken: Iterable[bytes]) -> None:
        self._tree = tree
        self._taken = frozenset(taken)
        self._made = 0
        self.hidden: list[tuple[bytes, bytes, bytes]] = []  # path, whose file is linked, whose is not

    def sources(self, places: Iterable[bytes], target: str) -> tuple[bytes, ...]:
        """Those of the places that lead to something."""
        found = {place: entry for place in places if (entry := self._leads_to(place))}
        folders = tuple(place for place, entry in found.items() if isinstance(entry, Directory))
        return folders if folders and target == "." else tuple(found)  # a root that is a file has nothing to merge

    def entries(self, link: bytes, sources: tuple[bytes, ...], folders: frozenset[bytes]) -> Iterator[Entry]:
        """A link, or a folder of links.

        Args:
            link: its path.
            sources: where roots have it, in their order.
            folders: paths that are to be folders.

        Raises:
            SymlinkError: sources are of different kinds, would be in a store, or are too many.
        """
        waiting = [_Place(link, sources, {})]
        while waiting:
            place = waiting.pop()
            self._check(link, place)
            is_folder = place.path in folders
            merged = self._merged(place, link, is_folder)
            if merged is None:
                yield Symlink(place.path, b"/" + place.sources[0])
            elif merged in place.above and not is_folder:  # `X11 -> .` in both: it would never end
                yield Symlink(place.path, b"/" + place.above[merged])
            else:
                if not is_folder:  # else whoever makes it says what it is
                    yield Directory(place.path)
                waiting += reversed(self._inside(place, merged))

    def _merged(self, place: _Place, link: bytes, is_folder: bool) -> tuple[bytes, ...] | None:
        """The folders to merge; none for a link to the first source."""
        if len(place.sources) == 1 and not is_folder:
            return None
        found: dict[bytes, tuple[bytes, bool]] = {}
        for source in place.sources:
            entry = self._leads_to(source)
            found.setdefault(entry.path if entry else source, (source, isinstance(entry, Directory)))
        folders = [folder for folder, (_, leads_to_folder) in found.items() if leads_to_folder]
        if len(folders) < len(found) and (folders or is_folder):
            raise _mixed(link, place.path, list(found.values()))
        if folders:
            return tuple(folders) if is_folder or len(folders) > 1 else None
        first, *others = (source for source, _ in found.values())
        if place.path != link:  # of a link to a file os.toml says nothing else
            self.hidden += [(place.path, first, other) for other in others]
        return None

    def _inside(self, place: _Place, folders: tuple[bytes, ...]) -> list[_Place]:
        """What is in merged folders, by name."""
        names: dict[bytes, list[bytes]] = {}
        for folder in folders:
            for name in self._tree.names(folder):
                if not _is_left_out(folder, name):
                    names.setdefault(name, []).append(folder + b"/" + name)
        above = {**place.above, folders: place.path}
        prefix = place.path + b"/" if place.path else b""
        return [
            _Place(prefix + name, tuple(sources), above)
            for name, sources in sorted(names.items())
            if prefix + name not in self._taken
        ]

    def _leads_to(self, path: bytes) -> Entry | None:
        entry = self._tree.get(path)
        if entry and not isinstance(entry, Symlink):  # most are none, and following costs a look at each parent
            return entry
        try:
            return self._tree.follow(path)
        except EntryError:  # in a circle
            return None

    def _check(self, link: bytes, place: _Place) -> None:
        self._made += 1
        if place.path in _STORES:
            raise SymlinkError(
                f"store.symlinks: {_shown(link)} would put what is in {_shown(place.sources[0])} into"
                f" {_shown(place.path)}, where nothing but items can be",
                hint="Link other folders of the roots, each by its name.",
            )
        if self._made > _MOST_MADE:
            raise SymlinkError(f"store.symlinks: {_shown(link)} would be more than {_MOST_MADE} links")


def _folders(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Where folders have to be for entries."""
    for entry in entries:
        yield from parents(entry.path)
        if isinstance(entry, Directory):
            yield entry.path


def _is_left_out(folder: bytes, name: bytes) -> bool:
    """Whether it says something of one package alone; as buildenv.cc, but for its `log`, which may be a program."""
    if name in _OF_ITEMS:
        return os.path.dirname(folder) in _STORES
    return name == b"perllocal.pod" or (name == b"dir" and os.path.basename(folder) == b"info")


def _leads_nowhere(path: bytes, where: str, roots: int) -> SymlinkError:
    nor = ", nor does it in the other roots" if roots > 1 else ""
    return SymlinkError(
        f"store.symlinks: {_shown(path)} would lead to {os.path.normpath(where)}, which does not exist{nor}",
        hint="Links lead to what one or several of store.roots have.",
    )


def _mixed(link: bytes, path: bytes, sources: Sequence[tuple[bytes, bool]]) -> SymlinkError:
    kinds = [f"{'a folder' if is_folder else 'a file'} in {_shown(source)}" for source, is_folder in sources]
    if len({is_folder for _, is_folder in sources}) == 1:
        kinds.append("a folder of the image")
    return SymlinkError(
        f"store.symlinks: {_shown(link)} cannot be merged: {_shown(path)} would be {' and '.join(kinds)}",
        hint="Leave one of the roots out, or link folders in which they agree, each by its name.",
    )


def _told(hidden: Sequence[tuple[bytes, bytes, bytes]]) -> str:
    lines = [f"{_shown(path)} is {_shown(first)}, not {_shown(other)}" for path, first, other in hidden[:_MOST_SHOWN]]
    more = [f"and {len(hidden) - _MOST_SHOWN} more"] if len(hidden) > _MOST_SHOWN else []
    return "\n  ".join(["several roots have these files, and the first one's are linked:", *lines, *more])


def _inner(path: str) -> bytes:
    return os.fsencode(path.strip("/"))


def _shown(path: bytes) -> str:
    return plain(f"/{os.fsdecode(path)}")  # a name with a newline in it cannot pass for a message

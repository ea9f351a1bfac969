"""The root of a store alone: its items merged, and on top of them what the store makes for a system of these items."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from layers.entry import Directory, Entry
from layers.errors import ConflictError
from layers.item import Closure
from layers.tree import Part, Tree, add_parents, merge, overlay
from packer.supply import OpenStore, Supply, naming


@dataclass(frozen=True, slots=True)
class StoreRoot:
    """A root file system of one store.

    Attributes:
        store: which one.
        parts: item's path -> its entries where they land.
        omitted: item's path -> placed paths of the entries that another item replaces.
        made: path -> what the store makes; it wins over what items have.
        stated: paths of all that an item has or the store makes; other folders only lie above these.
        items: what the items have.
        by_path: all of it.
    """

    store: OpenStore
    parts: Mapping[str, tuple[Entry, ...]]
    omitted: Mapping[str, frozenset[bytes]]
    made: Mapping[bytes, Entry]
    stated: frozenset[bytes]
    items: Tree
    by_path: Mapping[bytes, Entry]

    def holder(self, path: bytes) -> str:
        """Who has the entry at a path, for people."""
        if path in self.made:
            return f"that {self.store} makes"
        for item, entries in self.parts.items():
            if path not in self.omitted.get(item, ()) and any(entry.path == path for entry in entries):
                return f"of {item} in {self.store}"
        return f"above something of {self.store}"


def store_root(supply: Supply, closure: Closure) -> StoreRoot:
    """The root of a store.

    Args:
        supply: the store and its items.
        closure: the items of all stores: those of one kind are in one database.

    Raises:
        PackError: items conflict, or what the store makes cannot be made.
    """
    parts = {item.path: tuple(item.placed_entries()) for item in supply.closure}
    merged = merge((Part(item, parts[item.path]) for item in supply.closure), lambda new, old: new.replaces(old))
    omitted = {item.path: paths for item, paths in merged.omitted.items()}
    with naming(supply.store.key):
        system = list(supply.store.store.system_entries(closure, merged.tree, omitted))
    made = placed(merged.tree, [*merged.settled, *system])
    stated = {entry.path for entries in parts.values() for entry in entries}
    entries = overlay(merged.tree, made.values()).by_path()
    add_parents(entries)
    return StoreRoot(supply.store, parts, omitted, made, frozenset(stated | made.keys()), merged.tree, entries)


def placed(tree: Tree, entries: Iterable[Entry]) -> dict[bytes, Entry]:
    """Entries at their real places: `bin/x` is `usr/bin/x` where `bin` is a link; the last one wins.

    Raises:
        ConflictError: one of them would be both a folder and something else.
    """
    found: dict[bytes, Entry] = {}
    for entry in entries:
        path = tree.real(entry.path)
        before = found.get(path)
        if before is not None and isinstance(before, Directory) != isinstance(entry, Directory):
            raise ConflictError(f"/{path.decode(errors='replace')} would be both a folder and something else")
        found[path] = replace(entry, path=path)
    return found

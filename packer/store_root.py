"""The root of a store alone: its items merged, and on top of them what the store makes for a system of these items."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from layers.entry import Directory, Entry
from layers.errors import ConflictError
from layers.item import Closure, StoreItem, apart
from layers.tree import Merged, Part, Tree, add_parents, merge, overlay
from packer.stores import BaseStore
from packer.supply import OpenStore, Supply


class Parts(Mapping[str, tuple[Entry, ...]]):
    """Item's path -> its entries where they land; read when somebody asks, and once.

    Args:
        items: whose entries these are.
    """

    def __init__(self, items: Iterable[StoreItem]) -> None:
        self._items = {item.path: item for item in items}
        self._read: dict[str, tuple[Entry, ...]] = {}

    def __getitem__(self, path: str) -> tuple[Entry, ...]:
        if path not in self._read:
            self._read[path] = tuple(self._items[path].placed_entries())
        return self._read[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True)
class StoreRoot:
    """A root file system of one store.

    Attributes:
        supply: which one, and its items.
        parts: item's path -> its entries where they land; of items of other stores, too.
        omitted: item's path -> placed paths of the entries that another item replaces.
        made: path -> what the store makes; it wins over what items have.
        items: what the items have.
    """

    supply: Supply
    parts: Mapping[str, tuple[Entry, ...]]
    omitted: Mapping[str, frozenset[bytes]]
    made: Mapping[bytes, Entry]
    items: Tree

    def states(self, path: bytes) -> bool:
        """Whether an item has it or the store makes it; other folders only lie above what these have."""
        return path in self.made or (path in self.items and path in self._of_items)

    @cached_property
    def by_path(self) -> Mapping[bytes, Entry]:
        """All of it."""
        entries = overlay(self.items, self.made.values()).by_path()
        add_parents(entries)
        return entries

    @cached_property
    def _of_items(self) -> frozenset[bytes]:
        return frozenset(entry.path for item in self.supply.closure for entry in self.parts[item.path])

    @property
    def store(self) -> OpenStore:
        """Which one."""
        return self.supply.store

    def holder(self, path: bytes) -> str:
        """Who has the entry at a path, for people."""
        if path in self.made:
            return f"that {self.store} makes"
        for item in self.supply.closure:
            gone = self.omitted.get(item.path, ())
            if path not in gone and any(entry.path == path for entry in self.parts[item.path]):
                return f"of {item.path} in {self.store}"
        return f"above something of {self.store}"


def store_root(supply: Supply, closure: Closure, parts: Parts) -> StoreRoot:
    """The root of a store.

    Args:
        supply: the store and its items.
        closure: the items of all stores: those of one kind are in one database.
        parts: what these items have.

    Raises:
        PackError: items conflict, or what the store makes cannot be made.
    """
    store = supply.store.store
    merged = store.merged() if isinstance(store, BaseStore) else _merged(supply.closure, parts)
    omitted = {item.path: paths for item, paths in merged.omitted.items()}
    with supply.store.naming():
        system = list(store.system_entries(closure, merged.tree, omitted))
    made = placed(merged.tree, [*merged.settled, *system])
    return StoreRoot(supply, parts, omitted, made, merged.tree)


def _merged(closure: Closure, parts: Parts) -> Merged[StoreItem]:
    """Items that keep to a folder of their own side by side; others merged."""
    tree = apart(closure, parts)
    if tree is not None:
        return Merged(tree, {}, ())
    return merge((Part(item, parts[item.path]) for item in closure), lambda new, old: new.replaces(old))


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

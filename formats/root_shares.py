"""The root file system in shares: what several processes write side by side, each a part of it that is in one piece."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from formats.system import System
from layers.entry import Entry, File, Meta
from layers.item import NarItem
from layers.reader import Reader
from layers.shares import cut
from layers.tree import Tree, Unit, overlay
from layers.verify import verified


@dataclass(frozen=True, slots=True)
class RootShare:
    """A part of a root.

    Attributes:
        tree: the whole root.
        units: what is in this part, in `tree_order`.
        hashed: the items that are in it as their store has hashed them, by where they land; each of them whole.
    """

    tree: Tree
    units: Sequence[Unit]
    hashed: Mapping[bytes, NarItem]

    def entries(self, reader: Reader | None) -> Iterator[Entry]:
        """The entries of the part.

        Args:
            reader: reads their contents, each before the next entry is asked for; None: nobody reads them.

        Raises:
            CorruptError: an item is not what its store has hashed.
        """
        entries = self.tree.spread(self.units)
        return verified(entries, reader, self.hashed) if reader and self.hashed else entries

    def meta_of(self, path: bytes) -> Meta | None:
        """Metadata of a file of the root, which may be in another part."""
        entry = self.tree.get(path)
        return entry.meta if isinstance(entry, File) else None


def shares(
    system: System, count: int, upper: Sequence[Entry] = (), reader: Reader | None = None, *, verify: bool
) -> list[RootShare]:
    """The root in shares of about equal size, in `tree_order`.

    Args:
        system: whose root it is.
        count: how many shares at most.
        upper: entries that are laid over the root's, with their parents.
        reader: reads the contents of items that something is laid over, which are compared now.
        verify: whether items are compared with what their store has hashed.

    Raises:
        CorruptError: as `System.hashed_items`.
    """
    tree = overlay(system.tree, upper) if upper else system.tree
    hashed = system.hashed_items([entry.path for entry in upper], reader) if verify and reader else {}
    sizes = {item.placed_path: item.nar_size for item in system.closure if isinstance(item, NarItem)}
    parts = cut(tree.units(), sizes, hashed, count)
    found = [{path: hashed[path] for path, _ in units if path in hashed} for units in parts]
    found[-1] |= {path: item for path, item in hashed.items() if not any(path in share for share in found)}
    return [RootShare(tree, units, items) for units, items in zip(parts, found, strict=True)]

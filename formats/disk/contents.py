"""What is in each partition of a disk: the root file system, divided at the mount points.

The folder where a partition is mounted stays in the partition above it, with its owner and permissions, which the root
folder of the partition has as well. A hard link cannot lead into another partition: what it names is there once more.

Items are compared with their NAR hashes in the pass that copies them, in whatever partition they are. Where that cannot
be, because something is laid over an item or a partition is mounted in it, they are read once more.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.boot import Installed
from formats.disk.naming import title
from formats.filesystem import Through
from formats.image import Image, Partition
from formats.system import System
from layers.entry import FOLDER, Directory, Entry, Hardlink, Meta, parents, tree_order
from layers.errors import InputError
from layers.item import NarItem
from layers.reader import Reader
from layers.shares import WHOLE, Share, shares
from layers.tree import Tree, add_parents, overlay
from layers.verify import verified

_EMPTY = Tree({})


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a partition.

    Attributes:
        tree: what is in its root folder.
        root: owner and permissions of that.
        items: those that are compared with their hashes on the way, by where they are in the tree.
    """

    tree: Tree = _EMPTY
    root: Meta = FOLDER
    items: Mapping[bytes, NarItem] | None = None

    def shares(self, count: int) -> list[Share]:
        """The tree in so many shares, of which the last may be empty; items are whole in one of them."""
        return shares(self.tree.units(), self.items or {}, count)

    def through(self, reader: Reader, share: Share = WHOLE) -> Through:
        """What the entries of a share of the tree have to pass.

        Args:
            reader: reads the contents of these entries.
            share: of the tree.
        """
        items = {path: item for path, item in (self.items or {}).items() if share.has(path)}
        return (lambda entries: verified(entries, reader, items)) if items else iter


def contents(image: Image, system: System, installed: Installed, reader: Reader, *, verify: bool) -> list[Content]:
    """What is in the partitions, in the order of their numbers.

    Args:
        image: whose partitions they are.
        system: what is packed.
        installed: what is added so that the disk starts.
        reader: reads the contents of items that are compared now.
        verify: whether items are compared with what their store has hashed.

    Raises:
        InputError: two partitions are mounted at one place, or one at a place that is no folder.
        CorruptError: an item that is compared now is not what its store has hashed.
    """
    mounts = _mounts(image.partitions, system.tree)
    tree, touched = _whole(image, system, installed.entries, mounts)
    touched += _handed_over(image, system, list(mounts))
    if image.shared_store:
        touched = list(installed.loaded)  # of items that are not on the disk themselves
    hashed = system.hashed_items(touched, reader) if verify else {}
    by_mount = _split(tree, list(mounts))
    return [_content(partition, system, tree, by_mount, hashed) for partition in image.partitions]


def _handed_over(image: Image, system: System, mounts: Sequence[bytes]) -> list[bytes]:
    """Where items are that initializers get: nobody knows what becomes of them."""
    given = {_key(each, system.tree) for each in image.partitions if each.initializer and each.mount_point}
    places = [item.placed_path for item in _nar_items(system)] if given else []
    holder = _Holder(mounts)
    return [place for place in places if holder.of(place) in given]


def _content(
    partition: Partition,
    system: System,
    tree: Tree,
    by_mount: Mapping[bytes, Mapping[bytes, Entry]],
    hashed: Mapping[bytes, NarItem],
) -> Content:
    content = Content()
    if partition.mount_point:
        content = _mounted(_key(partition, system.tree), by_mount, tree, hashed)
    if partition.initializer:
        return Content(partition.initializer.fill(content.tree), content.root)
    return content


def _mounted(
    mount: bytes, by_mount: Mapping[bytes, Mapping[bytes, Entry]], tree: Tree, hashed: Mapping[bytes, NarItem]
) -> Content:
    folder = tree.get(mount)
    start = len(mount) + 1 if mount else 0
    holder = _Holder(list(by_mount))
    items = {place[start:]: item for place, item in hashed.items() if holder.of(place) == mount and place in tree}
    root = folder.meta if isinstance(folder, Directory) else FOLDER
    return Content(Tree(by_mount[mount]), root, items)


def _nar_items(system: System) -> Iterator[NarItem]:
    return (item for item in system.closure if isinstance(item, NarItem))


def _key(partition: Partition, tree: Tree) -> bytes:
    """Where a partition is mounted, as trees have paths, with the symbolic links on the way followed."""
    below = os.fsencode(partition.mount_point.strip("/")) + b"/something"
    return os.path.dirname(tree.real(below))


def _mounts(partitions: Sequence[Partition], tree: Tree) -> dict[bytes, str]:
    """The mount points, with who is mounted there, for people."""
    found: dict[bytes, str] = {}
    problems = []
    for number, partition in enumerate(partitions, 1):
        if not partition.mount_point:
            continue
        mount, name = _key(partition, tree), title(partition, number)
        if mount in found:
            problems.append(f"{found[mount]} and {name} are both mounted at /{os.fsdecode(mount)}")
        elif mount and not isinstance(tree.get(mount), Directory | None):
            problems.append(f"{name} is mounted at /{os.fsdecode(mount)}, which is no folder")
        found.setdefault(mount, name)
    if problems:
        raise InputError("; ".join(problems))
    return found


def _whole(image: Image, system: System, added: Iterable[Entry], mounts: Iterable[bytes]) -> tuple[Tree, list[bytes]]:
    """The whole root with what is added to it, and the paths of that."""
    tree = _without_items(system) if image.shared_store else system.tree
    upper: dict[bytes, Entry] = {}
    for entry in added:
        path = tree.real(entry.path)
        upper[path] = replace(entry, path=path)
    touched = [*upper, *mounts]
    for mount in mounts:
        if mount and mount not in tree:
            upper.setdefault(mount, Directory(mount))
    add_parents(upper, tree)
    return overlay(tree, [upper[path] for path in sorted(upper, key=tree_order)]) if upper else tree, touched


def _without_items(system: System) -> Tree:
    """The root without what is in the store, which somebody else mounts there."""
    places = {item.placed_path for item in _nar_items(system)}
    if len(places) < len(system.closure):
        raise InputError("a store can be shared if it is Nix's or Guix's: packages of others are all over the root")
    entries = system.tree.by_path()
    return Tree(
        {
            path: entry
            for path, entry in entries.items()
            if path not in places and not any(above in places for above in parents(path))
        }
    )


class _Holder:
    """Finds the mount point that something is below."""

    def __init__(self, mounts: Sequence[bytes]) -> None:
        self._prefixes = [(mount + b"/", mount) for mount in sorted(mounts, key=len, reverse=True) if mount]
        self._rest = b"" if b"" in mounts else None

    def of(self, path: bytes) -> bytes | None:
        for prefix, mount in self._prefixes:
            if path.startswith(prefix):
                return mount
        return self._rest


def _split(tree: Tree, mounts: Sequence[bytes]) -> dict[bytes, Mapping[bytes, Entry]]:
    """The entries below each mount point, with paths from there on; what is below none is left out."""
    entries = tree.by_path()
    if mounts == [b""]:
        return {b"": entries}
    holder = _Holder(mounts)
    parts: dict[bytes, dict[bytes, Entry]] = {mount: {} for mount in mounts}
    for path, entry in entries.items():
        mount = holder.of(path)
        if mount is not None:
            parts[mount][path] = entry
    return {mount: _from(mount, part, entries) for mount, part in parts.items()}


def _from(mount: bytes, part: dict[bytes, Entry], entries: Mapping[bytes, Entry]) -> Mapping[bytes, Entry]:
    """Entries with paths that begin at a mount point, and with no hard link to what is not there."""
    outside: dict[bytes, list[Hardlink]] = {}
    for entry in part.values():
        if isinstance(entry, Hardlink) and entry.target not in part:
            outside.setdefault(entry.target, []).append(entry)
    for target, links in outside.items():
        first, *others = sorted((link.path for link in links), key=tree_order)
        file = entries[target]
        part[first] = replace(file, path=first)
        part.update((path, Hardlink(path, first)) for path in others)
    start = len(mount) + 1 if mount else 0
    return {path[start:]: _moved(entry, start) for path, entry in part.items()} if start else part


def _moved(entry: Entry, start: int) -> Entry:
    if isinstance(entry, Hardlink):
        return Hardlink(entry.path[start:], entry.target[start:])
    return replace(entry, path=entry.path[start:])

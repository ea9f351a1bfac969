"""The items of an artefact, and which of them owns a path.

What ocipack has written about its layers says it all. Where nobody has written anything, dpkg's database and the names
in a Nix or Guix store tell.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.reading.artefact import StoredLayer
from formats.reading.merged import MergedTree, Placed
from layers.digest import Digest
from layers.entry import Symlink
from layers.errors import PackError
from layers.tar_reader import Kind
from layers.tree import Tree
from packer.debian.control import stanzas
from packer.nix.item import name_and_version
from packer.nix.layout import GUIX, NIX

DPKG_STATUS = b"var/lib/dpkg/status"
_DPKG_INFO = b"var/lib/dpkg/info/"
_LIST = b".list"
_INSTALLED = re.compile(r"\S+\s+\S+\s+(?:installed|unpacked|half-configured|triggers-awaited|triggers-pending)")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of an artefact.

    Attributes:
        path: unique in the artefact: `bash_5.2.15-2_amd64`, `/nix/store/HASH-NAME`.
        name: what people call it.
        version: of the package; may be empty.
        size: bytes of its files.
        identity: equal identities have equal entries; none if nobody says.
        layer: its place, the lowest is 0; none if it is not in one alone.
    """

    path: str
    name: str
    version: str
    size: int
    identity: Digest | None
    layer: int | None

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Items:
    """The items of an artefact.

    Attributes:
        all: by path, sorted.
        owners: path of an entry -> item; paths that no item owns, or several, are not there.
    """

    all: Mapping[str, Item]
    owners: Mapping[bytes, Item]


def is_database(path: bytes) -> bool:
    """Whether the content of a path says which items there are."""
    return path == DPKG_STATUS or (path.startswith(_DPKG_INFO) and path.endswith(_LIST))


def find_items(layers: Sequence[StoredLayer], tree: MergedTree) -> Items:
    """The items of an artefact, and what they own.

    Raises:
        PackError: dpkg's database is damaged.
    """
    found = {item.path: item for item in written_items(layers)}
    packages = _dpkg_packages(tree)
    for item in (*packages.values(), *_store_items(tree)):
        found.setdefault(item.path, item)
    owned = dict(_owned_by_layer(layers, tree, found))
    owned.update(_owned_by_dpkg(tree, {name: found[item.path] for name, item in packages.items()}))
    owned.update(_owned_in_stores(tree, found))
    sizes = _sizes(tree, owned)
    sized = {path: item if item.identity else replace(item, size=sizes[path]) for path, item in sorted(found.items())}
    return Items(sized, {path: sized[item.path] for path, item in owned.items()})


def written_items(layers: Sequence[StoredLayer]) -> Iterator[Item]:
    """The items that an image's documents name."""
    for rank, layer in enumerate(layers):
        for item in layer.items or ():
            yield Item(item.path, item.name, item.version, item.size, item.identity, rank)


def _sizes(tree: MergedTree, owned: Mapping[bytes, Item]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for path, item in owned.items():
        node = tree.nodes[path].node
        sizes[item.path] += 0 if node.same_as else node.size
    return sizes


def _owned_by_layer(
    layers: Sequence[StoredLayer], tree: MergedTree, items: Mapping[str, Item]
) -> Iterator[tuple[bytes, Item]]:
    """A layer of one item has nothing but that item's entries."""
    alone = {
        rank: items[layer.items[0].path]
        for rank, layer in enumerate(layers)
        if len(layer.items or ()) == 1 and layer.items
    }
    for path, placed in tree.nodes.items():
        if placed.layer in alone:
            yield path, alone[placed.layer]


def _data(tree: MergedTree, path: bytes) -> bytes:
    placed = tree.nodes.get(path)
    return (placed.node.data if placed else None) or b""


def _dpkg_packages(tree: MergedTree) -> dict[str, Item]:
    """Packages by the name that their files in dpkg's database have."""
    found = {}
    text = _data(tree, DPKG_STATUS).decode(errors="surrogateescape")
    for fields in stanzas(text, os.fsdecode(DPKG_STATUS)):
        name, version, architecture = (fields.get(key, "") for key in ("package", "version", "architecture"))
        if not name or not _INSTALLED.fullmatch(fields.get("status", "")):
            continue
        known = f"{name}:{architecture}" if fields.get("multi-arch") == "same" else name
        found[known] = Item(f"{name}_{version}_{architecture}", name, version, 0, None, None)
    return found


def _owned_by_dpkg(tree: MergedTree, packages: Mapping[str, Item]) -> Iterator[tuple[bytes, Item]]:
    """What dpkg's lists say, and its files about a package; folders that several packages have are nobody's."""
    real = _RealPaths(tree)
    owners: dict[bytes, Item] = {}
    shared: set[bytes] = set()
    for name, item in packages.items():
        for line in _data(tree, _DPKG_INFO + os.fsencode(name) + _LIST).split(b"\n"):
            placed = tree.nodes.get(real.of(line.strip(b"/"))) if line.startswith(b"/") else None
            if not placed:
                continue
            path = placed.node.path
            if placed.node.kind is Kind.DIRECTORY and owners.setdefault(path, item) is not item:
                shared.add(path)
            owners[path] = item
    yield from ((path, item) for path, item in owners.items() if path not in shared)
    for path in tree.nodes:
        if path.startswith(_DPKG_INFO):
            name = os.fsdecode(path[len(_DPKG_INFO) :]).rpartition(".")[0]
            if name in packages:
                yield path, packages[name]


class _RealPaths:
    """Paths with the symbolic links among their parents followed: packages have `/bin/sh` for `/usr/bin/sh`."""

    def __init__(self, tree: MergedTree) -> None:
        links = (placed.node for placed in tree.nodes.values() if placed.node.kind is Kind.SYMLINK)
        self._links = Tree({node.path: Symlink(node.path, node.target) for node in links})
        self._known: dict[bytes, bytes] = {}

    def of(self, path: bytes) -> bytes:
        folder, slash, name = path.rpartition(b"/")
        if not slash:
            return path
        if folder not in self._known:
            try:
                # `real` leaves the last name alone: one more name after the folder.
                self._known[folder] = self._links.real(folder + b"/.x").removesuffix(b".x")
            except PackError:  # a circle
                self._known[folder] = folder + b"/"
        return self._known[folder] + name


def _store_items(tree: MergedTree) -> Iterator[Item]:
    for layout in (NIX, GUIX):
        depth = layout.store.count("/")
        prefix = layout.store[1:].encode() + b"/"
        for path in tree.nodes:
            if path.startswith(prefix) and path.count(b"/") == depth and layout.is_item(f"/{os.fsdecode(path)}"):
                name, version = name_and_version(os.fsdecode(path))
                yield Item(f"/{os.fsdecode(path)}", name, version, 0, None, None)


def _owned_in_stores(tree: MergedTree, items: Mapping[str, Item]) -> Iterator[tuple[bytes, Item]]:
    for path in tree.nodes:
        if path.startswith((b"nix/store/", b"gnu/store/")):
            item = items.get("/" + os.fsdecode(b"/".join(path.split(b"/", 3)[:3])))
            if item:
                yield path, item


def owner_name(placed: Placed, items: Items, layers: Sequence[StoredLayer]) -> str:
    """Who put an entry there: an item, the customization, or whatever made the layer."""
    item = items.owners.get(placed.node.path)
    if item:
        return str(item)
    if not layers:  # of a disk
        return "no item"
    layer = layers[placed.layer]
    if layer.items:
        return " or ".join(str(each) for each in layer.items[:3]) + (" or another" if len(layer.items) > 3 else "")
    return layer.comment or layer.created_by or "no item"

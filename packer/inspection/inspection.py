"""An artefact that was read: its tree, its items, its users, and what of it deserves a look."""

import os
from collections.abc import Iterator, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

from formats.reading.artefact import ArtefactError, StoredArtefact, StoredLayer, reading
from formats.reading.listing import Budget, Listing, Node, list_layer
from formats.reading.merged import MergedTree, merge
from formats.reading.mounts import list_disk
from formats.reading.open import open_artefact
from layers.digest import Digest
from layers.tar_reader import Kind
from packer.inspection.accounts import PASSWD, SHADOW, User, users
from packer.inspection.items import Items, find_items, is_database

_RELEASES = (b"usr/lib/os-release", b"etc/os-release")
_WSL = b"etc/wsl-distribution.conf"
_CAPABILITY = b"security.capability"
_DEVICES = {Kind.CHARACTER: "character device", Kind.BLOCK: "block device"}
_SETUID, _SETGID, _STICKY, _WORLD_WRITABLE = 0o4000, 0o2000, 0o1000, 0o002


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer that was read.

    Attributes:
        stored: where it is, and what documents say.
        digest: of the blob.
        diff_id: of the tar.
        compression: as `layers.decompress` calls it.
        tar_size: bytes of the tar.
        entries: how many there are.
        file_size: bytes of its files.
    """

    stored: StoredLayer
    digest: Digest
    diff_id: Digest
    compression: str
    tar_size: int
    entries: int
    file_size: int


@dataclass(frozen=True)
class Inspection:
    """What an artefact holds.

    Attributes:
        artefact: where it is stored.
        kind: `docker`, `oci`, `tarball`, `wsl2`, `disk`, `iso9660` or `squashfs`.
        layers: lowest first; a disk has none.
        tree: what a runtime sees; its layers are a disk's partitions.
        items: which there are, and what they own.
        users: of passwd(5).
        system: what os-release calls it, or empty.
        mounts: where a disk's partitions are in the tree; None for those that are nowhere.
        oddities: of what was read.
    """

    artefact: StoredArtefact
    kind: str
    layers: tuple[LayerFacts, ...]
    tree: MergedTree
    items: Items
    users: tuple[User, ...]
    system: str
    mounts: tuple[bytes | None, ...] = ()
    oddities: tuple[str, ...] = ()

    @cached_property
    def file_size(self) -> int:
        """Bytes of all files that a runtime sees; a file of several names counts once."""
        return sum(placed.node.size for placed in self.tree.nodes.values() if not placed.node.same_as)

    def special(self) -> Iterator[tuple[str, Node]]:
        """Entries that deserve a look, each with why."""
        for placed in self.tree:
            for why in _reasons(placed.node):
                yield why, placed.node

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know."""
        return (*self.artefact.notes, *self.oddities, *self.tree.notes)


def _reasons(node: Node) -> Iterator[str]:
    mode = node.meta.mode
    if node.kind in _DEVICES:
        yield _DEVICES[node.kind]
    if node.kind is Kind.FILE:
        if mode & _SETUID:
            yield "setuid"
        if mode & _SETGID:
            yield "setgid"
        if any(name == _CAPABILITY for name, _ in node.meta.xattrs):
            yield "capabilities"
    if mode & _WORLD_WRITABLE and (node.kind is Kind.FILE or (node.kind is Kind.DIRECTORY and not mode & _STICKY)):
        yield "world-writable"


def inspect(
    path: str, executor: Executor, choice: str = "", known: MutableMapping[Digest, Listing] | None = None
) -> Inspection:
    """Read an artefact.

    Args:
        path: of a file or folder.
        executor: hashes beside reading.
        choice: which of several images.
        known: layers that were read before, by digest; those of this artefact are added.

    Raises:
        ArtefactError: it is none, or is damaged.
    """
    artefact = open_artefact(path, choice)
    with reading(path):
        if artefact.disk:
            found = list_disk(path, _is_kept, Budget())
            return _inspection(artefact, (), found.tree, found.mounts, found.notes)
        listings = _listings(artefact, executor, {} if known is None else known)
        whiteouts = any(layer.whiteouts for layer in artefact.layers)
        tree = merge(listings, whiteouts=whiteouts, origin=path)
        if not artefact.image:
            _refuse_packed_image(tree, artefact)
        return _inspection(artefact, tuple(_facts(*pair) for pair in zip(artefact.layers, listings, strict=True)), tree)


def _inspection(
    artefact: StoredArtefact,
    layers: tuple[LayerFacts, ...],
    tree: MergedTree,
    mounts: tuple[bytes | None, ...] = (),
    oddities: tuple[str, ...] = (),
) -> Inspection:
    """What the files of a tree mean."""
    return Inspection(
        artefact,
        "wsl2" if artefact.kind == "tarball" and _WSL in tree.nodes else artefact.kind,
        layers,
        tree,
        find_items(artefact.layers, tree),
        users(_data(tree, PASSWD), _data(tree, SHADOW)),
        _system(tree),
        mounts,
        oddities,
    )


def _listings(artefact: StoredArtefact, executor: Executor, known: MutableMapping[Digest, Listing]) -> list[Listing]:
    budget, listings = Budget(), []
    for layer in artefact.layers:
        listing = known.get(layer.digest) if layer.digest else None
        if listing is None or layer.diff_id not in (None, listing.diff_id):
            listing = list_layer(layer, _is_kept, executor, budget)
            known[listing.digest] = listing
        listings.append(listing)
    return listings


def _is_kept(path: bytes) -> bool:
    return path in (PASSWD, SHADOW, *_RELEASES) or is_database(path)


def _refuse_packed_image(tree: MergedTree, artefact: StoredArtefact) -> None:
    """An image archive that is compressed as a whole would have to be read twice."""
    if artefact.form != "none" and (b"oci-layout" in tree.nodes or b"manifest.json" in tree.nodes):
        raise ArtefactError(
            f"{artefact.path} is an image archive that is compressed as a whole",
            hint=f"Undo {artefact.form}'s compression first.",
        )


def _facts(stored: StoredLayer, listing: Listing) -> LayerFacts:
    return LayerFacts(
        stored,
        listing.digest,
        listing.diff_id,
        listing.compression,
        listing.size,
        len(listing.nodes),
        sum(node.size for node in listing.nodes),
    )


def _data(tree: MergedTree, path: bytes) -> bytes:
    placed = tree.nodes.get(path)
    return (placed.node.data if placed else None) or b""


def _system(tree: MergedTree) -> str:
    """PRETTY_NAME of os-release(5)."""
    for path in _RELEASES:
        for line in os.fsdecode(_data(tree, path)).split("\n"):
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip("\"'")
    return ""

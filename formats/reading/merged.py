"""Layers laid over each other, as a runtime does it (image-spec, layer.md): metadata only.

    .wh.NAME         takes NAME of lower layers away
    .wh..wh..opq     takes away all that lower layers have in its folder
    .wh..wh.*        bookkeeping of aufs, means nothing

Cost is linear in what the layers have: a folder's contents are taken away one by one, each of them once.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from formats.reading.artefact import ArtefactError
from formats.reading.listing import Listing, Node
from layers.entry import FOLDER, tree_order
from layers.tar_reader import Kind

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_AUFS = b".wh..wh."


@dataclass(frozen=True, slots=True)
class Placed:
    """A node, and the layer that it comes from.

    Attributes:
        node: never a hard link.
        layer: its place, the lowest is 0.
    """

    node: Node
    layer: int


@dataclass(frozen=True, slots=True)
class MergedTree:
    """What a runtime sees.

    Attributes:
        nodes: by path, without the root.
        hidden: bytes of files that upper layers replace or take away.
        notes: what is odd about the layers.
    """

    nodes: dict[bytes, Placed]
    hidden: int
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[Placed]:
        """All of them, in `tree_order`."""
        for path in sorted(self.nodes, key=tree_order):
            yield self.nodes[path]


def merge(layers: Sequence[Listing], *, whiteouts: bool, origin: str) -> MergedTree:
    """Lay layers over each other.

    Args:
        layers: lowest first.
        whiteouts: whether names that begin with `.wh.` mean something.
        origin: of the layers, for messages.

    Raises:
        ArtefactError: a hard link's file is missing.
    """
    merger = Merger(origin)
    for rank, layer in enumerate(layers):
        merger.add(rank, layer.nodes, whiteouts=whiteouts)
    return merger.tree()


def _settled(nodes: dict[bytes, Placed]) -> dict[bytes, Placed]:
    """Hard links whose file was replaced by an upper layer are files of their own."""
    for path, placed in nodes.items():
        node = placed.node
        if node.same_as:
            other = nodes.get(node.same_as)
            if not other or other.node.digest != node.digest or other.layer != placed.layer:
                nodes[path] = replace(placed, node=replace(node, same_as=b""))
    return nodes


class Merger:
    """Layers on their way to a tree.

    Args:
        origin: of the layers, for messages.
    """

    def __init__(self, origin: str) -> None:
        self._nodes: dict[bytes, Placed] = {}
        self._hidden = 0
        self._origin = origin
        self._children: dict[bytes, set[bytes]] = defaultdict(set)
        self._oddities: dict[str, list[str]] = defaultdict(list)

    def tree(self) -> MergedTree:
        """What a runtime sees, when all layers are there."""
        return MergedTree(_settled(self._nodes), self._hidden, tuple(self._told()))

    def add(self, rank: int, nodes: Sequence[Node], *, whiteouts: bool) -> None:
        """Lay a layer over those that are there.

        Args:
            rank: its place, the lowest is 0.
            nodes: that it has.
            whiteouts: whether names that begin with `.wh.` mean something.

        Raises:
            ArtefactError: a hard link's file is missing.
        """
        upper = nodes
        if whiteouts:
            upper = [node for node in nodes if not self._is_whiteout(node)]
            if len(upper) != len(nodes):  # they are about lower layers only, wherever they stand in this one
                for node in nodes:
                    self._white_out(node)
        for node in upper:
            if node.path:
                self._place(rank, node)

    def cover(self, folder: bytes) -> None:
        """Hide all that is in a folder, because something is mounted there."""
        for path in list(self._children[folder]):
            self._remove(path)

    def _told(self) -> Iterator[str]:
        for what, paths in self._oddities.items():
            more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield f"{paths[0]} {what}{more}"

    def _is_whiteout(self, node: Node) -> bool:
        return node.path.rpartition(b"/")[2].startswith(_WHITEOUT)

    def _white_out(self, node: Node) -> None:
        folder, slash, name = node.path.rpartition(b"/")
        if name == _OPAQUE:
            self.cover(folder)
        elif name.startswith(_WHITEOUT) and not name.startswith(_AUFS):
            self._remove(folder + slash + name[len(_WHITEOUT) :])

    def _place(self, rank: int, node: Node) -> None:
        if node.kind is Kind.HARDLINK:
            node = self._linked(node)
        path = node.path
        self._make_room(rank, path)
        present = self._nodes.get(path)
        if present:
            both_folders = present.node.kind is node.kind is Kind.DIRECTORY
            if present.layer == rank and not both_folders:
                self._oddities["is in one layer twice; the last one counts"].append(_shown(path))
            if present.node.kind is not Kind.DIRECTORY:
                self._hidden += _bytes(present.node)
            elif not both_folders:
                self._remove(path)
        self._nodes[path] = Placed(node, rank)
        self._children[path.rpartition(b"/")[0]].add(path)

    def _linked(self, link: Node) -> Node:
        found = self._nodes.get(link.same_as)
        if not found or found.node.kind is Kind.DIRECTORY:
            raise ArtefactError(
                f"{self._origin}: {_shown(link.path)} is a hard link to what is no earlier file, {_shown(link.same_as)}"
            )
        file = found.node
        return replace(file, path=link.path, same_as=file.same_as or file.path)

    def _make_room(self, rank: int, path: bytes) -> None:
        """See that there are folders above a path."""
        missing: list[bytes] = []
        above = path.rpartition(b"/")[0]
        while above:
            present = self._nodes.get(above)
            if present and present.node.kind is Kind.DIRECTORY:
                break
            if present:
                what = "is no folder, and something lies below it; programs differ in what they make of that"
                self._oddities[what].append(_shown(above))
                self._remove(above)
            missing.append(above)
            above = above.rpartition(b"/")[0]
        for folder in reversed(missing):
            self._nodes[folder] = Placed(Node(folder, Kind.DIRECTORY, FOLDER), rank)
            self._children[folder.rpartition(b"/")[0]].add(folder)

    def _remove(self, path: bytes) -> None:
        """Take away what is at a path and below it."""
        if path not in self._nodes:
            return
        self._children[path.rpartition(b"/")[0]].discard(path)
        doomed = [path]
        while doomed:
            gone = doomed.pop()
            self._hidden += _bytes(self._nodes.pop(gone).node)
            doomed += self._children.pop(gone, ())


def _bytes(node: Node) -> int:
    """Bytes of a file, counted at its first name."""
    return 0 if node.same_as else node.size


def _shown(path: bytes) -> str:
    return "/" + os.fsdecode(path)

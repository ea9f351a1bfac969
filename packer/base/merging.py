"""The layers of a base laid over each other: what a container of it would see, and what of a layer it would not."""

from collections.abc import Callable, Iterator, Sequence

from formats.reading.listing import Node
from formats.reading.merged import MergedTree, Merger
from layers.base import BaseLayer
from layers.entry import Entry, Hardlink, Slice, tree_order
from layers.item import StoreItem
from layers.tree import Merged, Tree
from packer.base.layer_cache import LayerContents, entry_of


def merged(
    layers: Sequence[tuple[BaseLayer, LayerContents]], origin: str, warn: Callable[[str], object]
) -> Merged[StoreItem]:
    """The tree of a base.

    Args:
        layers: lowest first.
        origin: the base, for messages.
        warn: is told what is odd about them.

    Raises:
        ArtefactError: a hard link's file is missing.
    """
    merger = Merger(origin)
    for rank, (_, contents) in enumerate(layers):
        merger.add(rank, contents.nodes, whiteouts=True)
    tree = merger.tree()
    for note in tree.notes:
        warn(f"{origin}: {note}")
    seen: list[set[bytes]] = [set() for _ in layers]
    for path, placed in tree.nodes.items():
        seen[placed.layer].add(path)
    omitted: dict[StoreItem, frozenset[bytes]] = {
        item: _omitted(contents.nodes, there) for (item, contents), there in zip(layers, seen, strict=True)
    }
    return Merged(Tree({entry.path: entry for entry in _entries(tree)}), omitted, ())


def _omitted(nodes: Sequence[Node], there: set[bytes]) -> frozenset[bytes]:
    """What of a layer upper layers replace or take away, and whiteouts themselves."""
    return frozenset(node.path for node in nodes if node.path and node.path not in there)


def _entries(tree: MergedTree) -> Iterator[Entry]:
    """The entries of a tree, in `tree_order`: names of one content are one file, the first of them."""
    first: dict[Slice, bytes] = {}
    for path in sorted(tree.nodes, key=tree_order):
        node = tree.nodes[path].node
        original = first.setdefault(node.content, path) if node.content else path
        yield entry_of(node) if original == path else Hardlink(path, original)

"""Store items and their closures.

An **item** is one package's files, content-addressed, with references to other items. A **closure** is the items
that are reachable from some roots. Stores make them; everything else only reads them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import ClassVar, Protocol

from layers.digest import Digest
from layers.entry import Entry
from layers.errors import PackError
from layers.placement import Placement
from layers.tree import Tree, side_by_side, without


class ClosureError(PackError):
    """A set of items that is no closure."""


class Contents(Protocol):
    """Where an item's entries come from."""

    def entries(self) -> Iterator[Entry]:
        """The item's entries as its store has them, before placement; may be asked for more than once.

        Raises:
            PackError: they cannot be read, or are no valid entries.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StoreItem:
    """One package's files. Stores subclass it to carry what their database needs.

    Attributes:
        path: its name in the store, unique in a closure: `/nix/store/HASH-NAME`, `bash_5.2.15-2_amd64`.
        name: what people call it: `bash`.
        version: of the package; may be empty.
        identity: equal identities have equal entries, on every machine and for ever.
        size: bytes of its files that are packed; what layering strategies weigh.
        references: paths of the items that it needs, itself left out, sorted.
        contents: its entries.
        placement: where its paths land in an image.
        source: name of the source package that it is built from; items of one source change together. Empty for none.
        left_out: where entries would land that it has, and that are not packed.
    """

    #: Whether an item is another one as soon as something that it needs is: its path names all that it was built with.
    CHANGES_WITH_REFERENCES: ClassVar[bool] = False

    path: str
    name: str
    version: str
    identity: Digest
    size: int
    references: tuple[str, ...]
    contents: Contents
    placement: Placement = field(default=Placement(), kw_only=True)
    source: str = field(default="", kw_only=True)
    left_out: frozenset[bytes] = field(default=frozenset(), kw_only=True)

    @property
    def packed_identity(self) -> Digest:
        """What its entries in an image are known by: equal ones have equal entries, which `identity` alone cannot say.

        It is the identity itself where nothing is left out.
        """
        if not self.left_out:
            return self.identity
        return Digest.of("\n".join([str(self.identity), *sorted(path.hex() for path in self.left_out)]).encode())

    def placed_entries(self) -> Iterator[Entry]:
        """The item's entries where they land, without those that are left out.

        Raises:
            PackError: as `Contents.entries`.
        """
        return without(self.all_entries(), self.left_out) if self.left_out else self.all_entries()

    def all_entries(self) -> Iterator[Entry]:
        """The item's entries where they land, or would.

        Raises:
            PackError: as `Contents.entries`.
        """
        return self.placement.entries(self.contents.entries())

    def replaces(self, other: "StoreItem") -> bool:  # noqa: ARG002  # most stores' items never overlap
        """Whether a file of this item may take the place of one of the other item's."""
        return False

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True, slots=True, eq=False)
class NarItem(StoreItem):
    """An item of a Nix or Guix store: its `path` is `/nix/store/HASH-NAME` or the like.

    Its `identity` is a digest of that path and of the NAR hash: a NAR does not have the path.

    Attributes:
        nar_hash: digest of its NAR.
        nar_size: bytes of its NAR.
        deriver: path of the derivation that built it, or empty.
        signatures: `KEY:BASE64`, sorted.
        content_address: `fixed:…` or `text:…` for items that are named by their contents, or empty.
        ultimate: whether it was built by the store that it comes from.
        self_reference: whether its files name its own path, which `references` leaves out and databases keep.
    """

    CHANGES_WITH_REFERENCES: ClassVar[bool] = True

    nar_hash: Digest
    nar_size: int
    deriver: str
    signatures: tuple[str, ...]
    content_address: str
    ultimate: bool
    self_reference: bool = False

    @property
    def placed_path(self) -> bytes:
        """Where it lands: all of its entries are there, or below; none of them is a hard link."""
        return self.placement.path(os.fsencode(self.path.strip("/")))


def apart(items: Iterable[StoreItem], parts: Mapping[str, Sequence[Entry]]) -> Tree | None:
    """The tree of items that keep to folders of their own, each of which is listed when somebody looks into it.

    Args:
        items: of one closure.
        parts: item's path -> its entries where they land.

    Returns:
        None if any of the items is of another kind.
    """
    unread: dict[bytes, Callable[[], Sequence[Entry]]] = {}
    for item in items:
        if not isinstance(item, NarItem) or item.placement.rules:
            return None
        unread[item.placed_path] = partial(parts.__getitem__, item.path)
    return side_by_side(unread)


class Closure:
    """Items in topological order: what an item needs comes before it.

    Items that need each other in a circle (Debian has them) stand together, sorted by path. The order depends on
    the items alone, not on the order in which they were given.

    Raises:
        ClosureError: two items have one path, or a reference leads out of the closure.
    """

    def __init__(self, items: Iterable[StoreItem], roots: Iterable[str] = ()) -> None:
        given = sorted(items, key=lambda item: item.path)
        self._by_path = {item.path: item for item in given}
        if len(self._by_path) != len(given):
            raise ClosureError("two items of the closure have the same path")
        missing = sorted(
            f"{item.path} refers to {reference}"
            for item in given
            for reference in item.references
            if reference not in self._by_path
        )
        if missing:
            raise ClosureError("the closure is not complete: " + "; ".join(missing[:10]))
        self.items = tuple(self._by_path[path] for path in _topological(self._by_path))
        self.roots = tuple(sorted(set(roots)))

    def __iter__(self) -> Iterator[StoreItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, path: str) -> StoreItem:
        return self._by_path[path]

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    @cached_property
    def referrers(self) -> Mapping[str, tuple[str, ...]]:
        """Path -> paths of the items that refer to it, sorted."""
        found: dict[str, list[str]] = {path: [] for path in self._by_path}
        for path in sorted(self._by_path):
            for reference in self._by_path[path].references:
                found[reference].append(path)
        return {path: tuple(paths) for path, paths in found.items()}


def _topological(items: Mapping[str, StoreItem]) -> list[str]:
    """Tarjan's strongly connected components, without recursion; they come out leaves first."""
    order: list[str] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    for start in items:
        if start in index:
            continue
        work = [(start, iter(items[start].references))]
        index[start] = low[start] = len(index)
        stack.append(start)
        waiting.add(start)
        while work:
            path, references = work[-1]
            for reference in references:
                if reference not in index:
                    index[reference] = low[reference] = len(index)
                    stack.append(reference)
                    waiting.add(reference)
                    work.append((reference, iter(items[reference].references)))
                    break
                if reference in waiting:
                    low[path] = min(low[path], index[reference])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[path])
                if low[path] == index[path]:
                    component = [stack.pop()]
                    while component[-1] != path:
                        component.append(stack.pop())
                    waiting.difference_update(component)
                    order += sorted(component)
    return order

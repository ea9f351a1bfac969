"""The system: what every format is given.

A closure is copied and registered once, into a system; formats only read it. Layered formats take the items by group
and the customization on top; disks and tarballs take the merged tree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from formats.platform import Platform
from formats.repository import ImageName
from layers.digest import Digest
from layers.entry import Entry, parents
from layers.item import Closure, NarItem, StoreItem, apart
from layers.reader import Reader
from layers.tar import TarWriter
from layers.tree import Part, Tree, merge, overlay
from layers.verify import verified


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """How a runtime finds out whether the program still works (docker's image specification 1.2, `Healthcheck`).

    Attributes:
        test: `CMD` and a program with its arguments, `CMD-SHELL` and a text for the shell, or `NONE`.
        interval, timeout, start_period, start_interval: in nanoseconds; 0 is the runtime's own.
        retries: checks in a row that fail; 0 is the runtime's own.
    """

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """What a container runtime does with the system (image-spec, config.md, `config`); `healthcheck` is docker's."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """The image that the system's image stands on, and whose layers are the lowest items of its closure.

    Attributes:
        name: what registries call it, in full; empty if it came from none.
        digest: of its manifest; none if it had none.
        history: of its configuration (image-spec, config.md); as many of it as there are layers are not empty.
        run: how it is run as a container.
    """

    name: str
    digest: Digest | None
    history: tuple[Mapping[str, Any], ...]
    run: RunConfiguration


@dataclass(frozen=True, slots=True)
class Boot:
    """How a machine starts the system.

    Attributes:
        init: path of the first program; empty for the kernel's own choice.
        kernel_arguments: what the boot loader tells the kernel, in this order.
    """

    init: str = ""
    kernel_arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """A root file system and how it is run.

    Attributes:
        name: what people call it.
        version: of the whole; may be empty.
        platform: the processor that it is for.
        epoch: the time of everything in it, in seconds since 1970.
        closure: the items.
        parts: item's path -> its entries where they land; read once, because an item may be 10,000 files on a disk.
        omitted: item's path -> placed paths of the entries that another item replaces.
        tree: the whole root file system.
        customization: entries that belong to no item, with their parents, sorted; they win over the items'.
        boot: how a machine starts it.
        run: how it is run as a container.
        annotations: what is known about the whole, by OCI's keys (image-spec, annotations.md).
        created: when an image of it was made, in seconds since 1970; None for the time of everything in it.
        called: what an image of it is called, if not by its name and version.
        base: the image that an image of it stands on; none if it stands for itself.
    """

    name: str
    version: str
    platform: Platform
    epoch: int
    closure: Closure
    parts: Mapping[str, Sequence[Entry]]
    omitted: Mapping[str, frozenset[bytes]]
    tree: Tree
    customization: tuple[Entry, ...]
    boot: Boot = field(default_factory=Boot)
    run: RunConfiguration = field(default_factory=RunConfiguration)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: int | None = None
    called: ImageName = field(default_factory=ImageName)
    base: Base | None = None

    @property
    def image_name(self) -> ImageName:
        """What an image of it is called."""
        return self.called.whole(self.name, self.version)

    def item_entries(self, item: StoreItem) -> Iterator[Entry]:
        """An item's entries where they land, without those that another item replaces."""
        gone = self.omitted.get(item.path, frozenset())
        return (entry for entry in self.parts[item.path] if entry.path not in gone)

    def group_tree(self, items: Iterable[StoreItem]) -> Tree:
        """The tree of some items alone: what their layer holds."""
        items = list(items)
        tree = apart(items, self.parts)
        return merge(Part(item, self.item_entries(item)) for item in items).tree if tree is None else tree

    def group_entries(self, items: Sequence[StoreItem], reader: Reader | None, *, verify: bool) -> Iterator[Entry]:
        """The entries of some items alone, in `tree_order`.

        Args:
            items: of the closure.
            reader: reads their contents, each before the next entry is asked for; None: nobody reads them.
            verify: whether what is read is compared with the items' NAR hashes.

        Raises:
            CorruptError: an item is not what its store has hashed.
        """
        tree = self.group_tree(items)
        hashed = {item.placed_path: item for item in items if isinstance(item, NarItem)}
        return verified(tree, reader, hashed) if reader and verify and hashed else iter(tree)

    def root_entries(self, reader: Reader, upper: Sequence[Entry] = (), *, verify: bool) -> Iterator[Entry]:
        """The entries of the whole root, in `tree_order`.

        Args:
            reader: reads their contents, each before the next entry is asked for.
            upper: entries that are laid over the root's, with their parents.
            verify: as in `group_entries`.

        Raises:
            CorruptError: an item is not what its store has hashed.
        """
        tree = overlay(self.tree, upper) if upper else self.tree
        hashed = self.hashed_items([entry.path for entry in upper], reader) if verify else {}
        return verified(tree, reader, hashed) if hashed else iter(tree)

    def hashed_items(self, touched: Iterable[bytes], reader: Reader) -> dict[bytes, NarItem]:
        """The items that the root has as their store has hashed them, by where they land.

        Those that something is laid over are compared now.

        Args:
            touched: paths at which something is laid over the root, or where it ends.
            reader: reads the contents of items that are compared now.

        Raises:
            CorruptError: an item is not what its store has hashed.
        """
        hashed = {item.placed_path: item for item in self.closure if isinstance(item, NarItem)}
        for touched_path in (*(entry.path for entry in self.customization), *touched):
            for path in (touched_path, *parents(touched_path)):
                if item := hashed.pop(path, None):
                    self._verify(item, reader)
        return hashed

    def _verify(self, item: NarItem, reader: Reader) -> None:
        """Compare an item that something is laid over: the root does not have it as its store has hashed it."""
        writer = TarWriter(lambda _: None, self.epoch, reader)
        writer.add_all(self.group_entries([item], reader, verify=True))

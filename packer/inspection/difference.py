"""How two artefacts differ: entries, items, configuration, layers; and which item is the cause.

Times are not compared: they are nothing that an image has of its own, and differ in every build of other tools.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from formats.reading.artefact import StoredArtefact, StoredImage
from formats.reading.disk import StoredDisk
from formats.reading.listing import Node
from formats.reading.merged import Placed
from layers.entry import tree_order
from packer.inspection.inspection import Inspection, LayerFacts
from packer.inspection.items import Item, owner_name

#: What is compared of an entry, by the name that people are told.
_ATTRIBUTES: Mapping[str, Any] = {
    "type": lambda node: node.kind,
    "mode": lambda node: node.meta.mode,
    "uid": lambda node: node.meta.uid,
    "gid": lambda node: node.meta.gid,
    "xattrs": lambda node: node.meta.xattrs,
    "size": lambda node: node.size,
    "content": lambda node: node.digest,
    "target": lambda node: node.target,
    "device": lambda node: node.device,
    "hard link": lambda node: node.same_as,
}


@dataclass(frozen=True, slots=True)
class EntryChange:
    """An entry that is not in both artefacts, or not the same.

    Attributes:
        path: where it is.
        before: in the first artefact; none if it is new.
        after: in the second one; none if it is gone.
        attributes: names of what differs, if it is in both.
        cause: the item that owns it, or who else has put it there.
    """

    path: bytes
    before: Node | None
    after: Node | None
    attributes: tuple[str, ...]
    cause: str

    @property
    def bytes(self) -> int:
        """Bytes that the second artefact has, and the first one has not."""
        moved = not self.before or "content" in self.attributes
        return self.after.size if self.after and moved and not self.after.same_as else 0


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item that is not in both artefacts, or not the same.

    Attributes:
        before: in the first artefact; none if it is new.
        after: in the second one; none if it is gone.
    """

    before: Item | None
    after: Item | None

    @property
    def name(self) -> str:
        """What people call it."""
        item = self.after or self.before
        return item.name if item else ""

    @property
    def order(self) -> tuple[str, str, str]:
        """Sort key: by name; two items of one name and version differ in their paths."""
        return self.name, self.before.path if self.before else "", self.after.path if self.after else ""


@dataclass(frozen=True, slots=True)
class Difference:
    """How two artefacts differ.

    Attributes:
        entries: that differ, in `tree_order`.
        items: that differ, by name.
        configuration: key -> what the first and the second image or disk have; compared if both are images, or disks.
        layers: of the second image that the first one has not, by their blobs; compared if both are images.
        layers_gone: how many of the first image the second one has not.
        causes: bytes of new and changed contents by cause, most first.
    """

    entries: tuple[EntryChange, ...]
    items: tuple[ItemChange, ...]
    configuration: Mapping[str, tuple[object, object]]
    layers: tuple[LayerFacts, ...]
    layers_gone: int
    causes: Mapping[str, int]

    @property
    def pull_size(self) -> int:
        """Bytes that a registry sends to somebody who has the first image."""
        return sum({layer.digest: layer.stored.blob.size for layer in self.layers}.values())

    def __bool__(self) -> bool:
        return bool(self.entries or self.items or self.configuration or self.layers or self.layers_gone)


def compare(before: Inspection, after: Inspection) -> Difference:
    """Compare two artefacts."""
    entries = tuple(_entries(before, after))
    causes: Counter[str] = Counter()
    for change in entries:
        causes[change.cause] += change.bytes
    both = before.artefact.image is not None and after.artefact.image is not None
    return Difference(
        entries,
        item_changes(before.items.all, after.items.all),
        _configuration_changes(before.artefact, after.artefact),
        tuple(_missing(after.layers, before.layers)) if both else (),
        sum(1 for _ in _missing(before.layers, after.layers)) if both else 0,
        dict(sorted(causes.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _entries(before: Inspection, after: Inspection) -> Iterator[EntryChange]:
    old, new = before.tree.nodes, after.tree.nodes
    differing = [path for path in old.keys() | new.keys() if _differ(old.get(path), new.get(path))]
    for path in sorted(differing, key=tree_order):
        first, second = old.get(path), new.get(path)
        one, other = (placed.node if placed else None for placed in (first, second))
        names = tuple(name for name, of in _ATTRIBUTES.items() if of(one) != of(other)) if one and other else ()
        yield EntryChange(path, one, other, names, _cause(before, first, after, second))


def _differ(first: Placed | None, second: Placed | None) -> bool:
    if not first or not second:
        return True
    one, other = first.node, second.node
    return one is not other and any(of(one) != of(other) for of in _ATTRIBUTES.values())


def _cause(before: Inspection, first: Placed | None, after: Inspection, second: Placed | None) -> str:
    of, placed = (after, second) if second else (before, first)
    return owner_name(placed, of.items, of.artefact.layers) if placed else ""


def item_changes(before: Mapping[str, Item], after: Mapping[str, Item]) -> tuple[ItemChange, ...]:
    """The items that differ, by name; both by path."""
    return tuple(sorted(_items(before, after), key=lambda change: change.order))


def _items(before: Mapping[str, Item], after: Mapping[str, Item]) -> Iterator[ItemChange]:
    """Items of one path are one item; of the rest, those of one name, in the order of their paths."""
    for path in before.keys() & after.keys():
        one, other = before[path], after[path]
        if one.identity and other.identity and one.identity != other.identity:
            yield ItemChange(one, other)
    old = _by_name(before[path] for path in before.keys() - after.keys())
    new = _by_name(after[path] for path in after.keys() - before.keys())
    for name in old.keys() | new.keys():
        ones, others = old.get(name, []), new.get(name, [])
        common = min(len(ones), len(others))
        yield from (ItemChange(*pair) for pair in zip(ones, others, strict=False))
        yield from (ItemChange(one, None) for one in ones[common:])
        yield from (ItemChange(None, other) for other in others[common:])


def _by_name(items: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.path):
        found[item.name].append(item)
    return found


def _configuration_changes(before: StoredArtefact, after: StoredArtefact) -> dict[str, tuple[object, object]]:
    if before.image and after.image:
        return configuration_changes(before.image, after.image)
    if before.disk and after.disk:
        return _changes(_disk_facts(before.disk), _disk_facts(after.disk))
    return {}


def _disk_facts(disk: StoredDisk) -> dict[str, object]:
    """How a disk is divided; identifiers of its parts are others whenever something in them is."""
    facts: dict[str, object] = {"size": disk.size, "table": disk.table}
    if disk.boot_code:
        facts["boot-code"] = str(disk.boot_code)
    for partition in disk.partitions:
        entry = partition.entry
        parts = {
            "offset": entry.offset, "size": entry.size, "type": entry.type, "label": entry.label,
            "bootable": entry.bootable, "file-system": partition.file_system, "file-system-label": partition.label,
            "digest": str(partition.digest) if partition.digest else "",
        }  # fmt: skip
        facts |= {f"{partition} {name}": value for name, value in parts.items() if value}
    return facts


def configuration_changes(before: StoredImage | None, after: StoredImage | None) -> dict[str, tuple[object, object]]:
    """How differently two images are run: key -> what the first and the second one have."""
    return _changes(_facts(before), _facts(after))


def _changes(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    keys = sorted(one.keys() | other.keys())
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _facts(image: StoredImage | None) -> dict[str, object]:
    """How an image is run, and where; what is empty is as good as what is not there."""
    config = image.config.get("config") if image else None
    facts = {"platform": image.platform if image else "", **(config if isinstance(config, dict) else {})}
    return {key: value for key, value in facts.items() if value}


def _missing(layers: Iterable[LayerFacts], among: Iterable[LayerFacts]) -> Iterator[LayerFacts]:
    known = {layer.digest for layer in among}
    return (layer for layer in layers if layer.digest not in known)

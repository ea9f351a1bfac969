"""Which items a layer holds and why, written down so that it is known without the layer.

    manifest, annotation of the layer's descriptor   "ocipack.items": "[ITEM, …]"
    configuration, entry of the layer's history      "ocipack.items":  [ITEM, …]
                                                     "comment":        "NAME VERSION, … (REASON)"

    ITEM = [NAME, VERSION, PATH, SIZE, IDENTITY, SOURCE, [PLACE, …]]

Twice, because registries serve the manifest, and docker keeps only the configuration. SIZE is in bytes, IDENTITY is a
SHA-256 in hexadecimal: equal identities have equal entries in an image. SOURCE is what the item was built from. Each
PLACE is that of an item that it needs, counted from 0 over all layers, the lowest first.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from layers.digest import Digest, is_hex
from layers.errors import PackError
from layers.item import StoreItem

#: Key of the annotation and of the history.
KEY = "ocipack.items"

# Registries and containers/image take documents of 4 MiB; 15,000 items need less than this.
_MOST_BYTES = 3 << 20

#: An item as JSON has it.
Row = list[str | int | list[int]]


class LayerItemsError(PackError):
    """A list of items that nobody here has written."""


@dataclass(frozen=True, slots=True)
class LayerItem:
    """An item of a layer.

    Attributes:
        name, version, path, size, identity, source: those of `layers.item.StoreItem`.
        references: places of the items that it needs, among those of all layers; other people's may lead nowhere.
    """

    name: str
    version: str
    path: str
    size: int
    identity: Digest
    source: str = ""
    references: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


def rows(groups: Sequence[Sequence[StoreItem]]) -> list[list[Row]] | None:
    """The items of all layers, a list each; none if they are too many for a manifest."""
    places = {item.path: place for place, item in enumerate(item for items in groups for item in items)}
    found = [[_row(item, places) for item in items] for items in groups]
    return found if sum(len(annotation(each)) for each in found) <= _MOST_BYTES else None


def _row(item: StoreItem, places: Mapping[str, int]) -> Row:
    needed = sorted(places[path] for path in item.references)
    return [item.name, item.version, item.path, item.size, item.packed_identity.hex, item.source, needed]


def comment(items: Iterable[StoreItem], reason: str) -> str:
    """What the history says of a layer."""
    return f"{title(items)} ({reason})"


def title(items: Iterable[StoreItem | LayerItem]) -> str:
    """What people call a layer of some items."""
    return ", ".join(map(str, items))


def parse_reason(text: str, items: Iterable[LayerItem]) -> str:
    """Why the items of a layer are together, of the history's comment; empty if it does not say."""
    start, end = f"{title(items)} (", ")"
    return text[len(start) : -len(end)] if text.startswith(start) and text.endswith(end) else ""


def annotation(items: Sequence[Row]) -> str:
    """The value of the annotation."""
    return json.dumps(items, separators=(",", ":"), ensure_ascii=False)


def parse_annotation(text: str, origin: str) -> tuple[LayerItem, ...]:
    """The items of an annotation.

    Raises:
        LayerItemsError: it is no such list.
    """
    try:
        return parse_rows(json.loads(text), origin)
    except (ValueError, RecursionError):
        raise LayerItemsError(f"{origin}: {KEY} is no list of items") from None


def parse_rows(value: object, origin: str) -> tuple[LayerItem, ...]:
    """The items of a history's entry.

    Raises:
        LayerItemsError: it is no such list.
    """
    if not isinstance(value, list):
        raise LayerItemsError(f"{origin}: {KEY} is no list of items")
    return tuple(_item(row, origin) for row in value)


def _item(row: object, origin: str) -> LayerItem:
    match row:
        case [
            str() as name,
            str() as version,
            str() as path,
            int() as size,
            str() as identity,
            str() as source,
            [*needed],
        ]:
            numbers = [number for number in (size, *needed) if type(number) is int and number >= 0]
            if len(numbers) == 1 + len(needed) and is_hex(identity):
                digest = Digest.parse(f"sha256:{identity}")
                return LayerItem(name, version, path, size, digest, source, tuple(numbers[1:]))
    raise LayerItemsError(f"{origin}: {KEY} has an item that is none")

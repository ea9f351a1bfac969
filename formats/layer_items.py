"""Which items a layer holds, written down so that it is known without the layer.

    manifest, annotation of the layer's descriptor   "ocipack.items": "[[NAME, VERSION, PATH, SIZE, IDENTITY], …]"
    configuration, entry of the layer's history      "ocipack.items":  [[NAME, VERSION, PATH, SIZE, IDENTITY], …]

Twice, because registries serve the manifest, and docker keeps only the configuration. SIZE is in bytes, IDENTITY is a
SHA-256 in hexadecimal: equal identities have equal entries.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from layers.digest import Digest
from layers.errors import PackError
from layers.item import StoreItem

#: Key of the annotation and of the history.
KEY = "ocipack.items"

# Registries and containers/image take documents of 4 MiB; 20,000 items need less than this.
_MOST_BYTES = 3 << 20

#: An item as JSON has it.
Row = list[str | int]


class LayerItemsError(PackError):
    """A list of items that nobody here has written."""


@dataclass(frozen=True, slots=True)
class LayerItem:
    """An item of a layer; the attributes are those of `layers.item.StoreItem`."""

    name: str
    version: str
    path: str
    size: int
    identity: Digest

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


def rows(groups: Sequence[Iterable[StoreItem]]) -> list[list[Row]] | None:
    """The items of some layers, a list each; none if they are too many for a manifest."""
    found: list[list[Row]] = [
        [[item.name, item.version, item.path, item.size, item.identity.hex] for item in items] for items in groups
    ]
    return found if sum(len(annotation(each)) for each in found) <= _MOST_BYTES else None


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
        case [str() as name, str() as version, str() as path, int() as size, str() as identity]:
            return LayerItem(name, version, path, size, Digest.parse(f"sha256:{identity}"))
    raise LayerItemsError(f"{origin}: {KEY} has an item that is none")

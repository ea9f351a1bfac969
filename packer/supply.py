"""Supplies: the stores of one image, open, and what each of them gives.

`[store]` declares one, `[[store]]` several. What they give is apart from each other: an item refers to items of its own
store, and no two of them have the same item.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from layers.errors import ConflictError, PackError
from layers.item import Closure
from packer.stores import Store, StoreContext, store_module

_KEY = re.compile(r"(?<![\w./-])store\.(?=[a-z])")
_MOST_SHOWN = 10


class OverlapError(ConflictError):
    """Two stores that give the same item, or different things at one path."""

    def __init__(self, message: str, overlaps: Sequence[str], hint: str) -> None:
        lines = sorted(overlaps)
        more = [f"and {len(lines) - _MOST_SHOWN} more"] if len(lines) > _MOST_SHOWN else []
        super().__init__("\n  ".join([f"{message}:", *lines[:_MOST_SHOWN], *more]), hint=hint)


@contextlib.contextmanager
def naming(key: str, file: str) -> Iterator[None]:
    """Have errors in the block call a store's keys what os.toml calls them: `store.roots` is `store[1].roots`.

    Args:
        key: the store's table.
        file: where os.toml is; an error about a key begins with it, as all mistakes of os.toml do.
    """
    try:
        yield
    except PackError as error:
        message = str(error.args[0])
        where = f"{file}: " if _KEY.match(message) else ""
        error.args = (where + _KEY.sub(f"{key}.", message), *error.args[1:])
        error.hint = _KEY.sub(f"{key}.", error.hint)
        raise


@dataclass(frozen=True, slots=True)
class OpenStore:
    """A store, and what os.toml calls it.

    Attributes:
        key: its table: `store`, or one of several: `store[1]`.
        type: as os.toml has it.
        store: the store itself.
        place: in os.toml.
        file: where that is, for messages.
    """

    key: str
    type: str
    store: Store
    place: int = 0
    file: str = "os.toml"

    def __str__(self) -> str:
        return f"{self.key} ({self.type})"

    def supply(self) -> "Supply":
        """The store with what it gives.

        Raises:
            PackError: as `Store.closure`.
        """
        with self.naming():
            return Supply(self, self.store.closure())

    def naming(self) -> contextlib.AbstractContextManager[None]:
        """Have errors in the block name the store's keys as os.toml does."""
        return naming(self.key, self.file)


def open_store(key: str, options: Any, context: StoreContext, place: int, file: str) -> OpenStore:
    """Open the store of a table of os.toml.

    Args:
        key: the table: `store`, or one of several: `store[1]`.
        options: its record.
        context: what the store may use.
        place: of the table in os.toml.
        file: where that is, for messages.

    Raises:
        PackError: as the `open_store` of its module.
    """
    with naming(key, file):
        return OpenStore(key, options.type, store_module(options.type).open_store(options, context), place, file)


@dataclass(frozen=True, slots=True)
class Supply:
    """A store and its items.

    Attributes:
        store: where they come from.
        closure: the items; they refer to each other alone.
    """

    store: OpenStore
    closure: Closure


def joined(supplies: Sequence[Supply]) -> Closure:
    """The items of all stores.

    Raises:
        OverlapError: two stores have the same item.
    """
    givers: dict[str, OpenStore] = {}
    overlaps = []
    for supply in supplies:
        for item in supply.closure:
            giver = givers.setdefault(item.path, supply.store)
            if giver is not supply.store:
                overlaps.append(f"{item.path} is in {giver} and in {supply.store}")
    if overlaps:
        hint = "Take an item, and all that it needs, from one store."
        raise OverlapError("two stores give the same item", overlaps, hint)
    return Closure(
        (item for supply in supplies for item in supply.closure),
        (root for supply in supplies for root in supply.closure.roots),
    )

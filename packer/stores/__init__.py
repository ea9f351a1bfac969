"""Stores: where items come from. One store a file; the file's name, with `-` for `_`, is the `type` of `[store]`.

A store module has

    Options                    a record of what `[store]` takes, checked by packer.config; its LOCKED names the fields
                               that say which items are wanted: if one changes, os.lock has to be made anew; its
                               ONCE, if it has one, why an image has no second store of this type; its FIRST, why no
                               other store comes before it; its ONE_PLATFORM, why it cannot be for several
    open_store(options, context) -> Store
    kept(cache)                if it keeps something in the cache, what that is (`layers.cache.Keeper`)

and nothing else needs to know about it.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from formats.platform import Platform
from layers.cache import CacheFolder, Kept
from layers.entry import Entry
from layers.errors import InputError
from layers.item import Closure, StoreItem
from layers.progress import Progress
from layers.tree import Merged, Tree
from packer.accounts import Ids
from packer.document import Location

if TYPE_CHECKING:
    from formats.system import Base
    from packer.lock import LockedItem
    from packer.subject import AccessOf


@dataclass(frozen=True, slots=True)
class StoreContext:
    """What a store may use.

    Attributes:
        platform: the processor that the items are for.
        cache: an existing folder that only this user can write, for all stores.
        folder: the folder of os.toml: relative paths start there.
        epoch: the time of everything in the image, in seconds since 1970.
        refresh: fetch lists of packages again, even when there are some from before.
        environment: variables that programs and connections may see: PATH, proxies, certificates.
        progress: is told what is done.
        locked: the items to have, when os.lock says so; who does not look at them is compared with them.
        ids: the numbers that accounts keep, as os.lock has them.
        access: says how registries are reached; None if none can be.
    """

    platform: Platform
    cache: str
    folder: str
    epoch: int
    refresh: bool
    environment: Mapping[str, str]
    progress: Progress
    locked: "tuple[LockedItem, ...] | None" = None
    ids: Ids = field(default_factory=Ids)
    access: "AccessOf | None" = None


class Store(Protocol):
    """Where items come from."""

    def closure(self) -> Closure:
        """The items that os.toml asks for, with all that they need.

        Raises:
            InputError: something that was asked for does not exist.
            PackError: the store cannot be read, reached or trusted.
        """
        ...

    def system_entries(self, closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]]) -> Iterable[Entry]:
        """What belongs to no item though a system of these items needs it: their database, accounts, links.

        Args:
            closure: the items of the image, other stores' among them: a database is one for all items of its kind.
            tree: the merged entries of this store's items.
            omitted: item's path -> placed paths of its entries that another item replaces.

        Raises:
            PackError: an item's file cannot be read.
        """
        ...

    def base_entries(self) -> Iterable[Entry]:
        """What a root is to have if nothing else makes it, no other store either."""
        ...


@runtime_checkable
class BaseStore(Store, Protocol):
    """A store whose items are the layers of an image, that other images stand on."""

    @property
    def base(self) -> "Base | None":
        """The image, once `closure` was asked for."""
        ...

    def merged(self) -> Merged[StoreItem]:
        """The layers of the closure laid over each other.

        Raises:
            PackError: they are no layers.
        """
        ...


@runtime_checkable
class RefusingOptions(Protocol):
    """Options of a store that see by themselves whether it has what they ask for."""

    def refusals(self, folder: str) -> Iterator[tuple[Location, InputError]]:
        """What is not there, and the keys that ask for it.

        Args:
            folder: of os.toml, absolute.
        """
        ...


class StoreModule(Protocol):
    """A module of this package."""

    Options: type[Any]

    def open_store(self, options: Any, context: StoreContext) -> Store:
        """The store that the options describe; nothing is fetched yet."""
        ...


@runtime_checkable
class KeepingModule(Protocol):
    """A module of this package whose store keeps something in the cache."""

    def kept(self, cache: CacheFolder, /) -> Iterator[Kept]:
        """See `layers.cache.Keeper`."""
        ...


#: The types of store that there are, sorted.
NAMES = tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def store_module(name: str) -> StoreModule:
    """The module of a type of store, which is one of `NAMES`."""
    module = name.replace("-", "_")
    return cast("StoreModule", importlib.import_module(f"{__name__}.{module}"))

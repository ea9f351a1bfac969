"""os.lock: which items a declaration came to, so that it comes to the same ones everywhere and later; docs/os-lock.md.

It is JSON, because programs read and write it and people review it: an item's keys stand on lines of their own, items
are sorted, and nothing else is in the file that could change. It names no mirror: an item is what its digest says.

    what `ocipack lock` was asked for --digest--> "declaration"       compared before anything is read
    what the store gave               ----------> "items"             compared with what a store gives later; Debian's
                                                                      packages are fetched by it
    numbers that accounts got         ----------> "users", "groups"   kept, whatever is packed later
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats.reading.documents import strict_json
from layers.digest import Digest
from layers.errors import InputError, PackError
from layers.item import Closure, NarItem, StoreItem
from layers.progress import Progress
from packer import sentences, stores
from packer.accounts import NAME, Ids
from packer.forms import Choice, Form, OneOrMore
from packer.mistakes import ConfigError, Mistake
from packer.record import Record, failure, kebab, keys, mistake, settings

if TYPE_CHECKING:
    from packer.declaration import Declaration

_FORMAT = 1
_MOST_BYTES = 16 << 20  # 50,000 items
_MOST_SHOWN = 10
_DEFAULTS = {"store": 0, "platform": "", "version": "", "architecture": ""}  # values that are left out

_AGAIN = "`ocipack lock` makes it anew."

_TEXT = r"[^\x00-\x1f\x7f\ud800-\udfff]"


_Number = Annotated[int, Field(ge=0, lt=(1 << 32) - 1)]  # 2³² - 1 means "no change": chown(2)
_Numbers = Mapping[Annotated[str, Form(NAME, "a name of a user or group")], _Number]


class LockError(InputError):
    """A lock that was made for another declaration."""


class LockedItemsError(PackError):
    """A store that gives something else than what was locked."""


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class LockedItem(Record):
    """One item.

    Attributes:
        store: place of its store in os.toml.
        platform: that it is for, of several; empty if there is one.
        name: what people call it.
        version: of the package; may be empty.
        architecture: Debian's; empty for all other stores.
        path: Debian's: in the archive, below the mirror's address; else the item's in its store.
        size: bytes: of the .deb, of the NAR, of a folder's files.
        sha256: in hexadecimal: of the .deb, of the NAR, of all that is packed of a folder.
    """

    store: Annotated[int, Field(ge=0)] = 0
    platform: Annotated[str, Form("(?:[a-z0-9_]{1,20}-linux)?", "a platform")] = ""
    name: Annotated[str, Form(f"{_TEXT}{{1,300}}", "a name")]
    version: Annotated[str, Form(f"{_TEXT}{{0,300}}", "a version")] = ""
    architecture: Annotated[str, Form("(?:[a-z0-9][a-z0-9-]{0,30})?", "an architecture of Debian")] = ""
    path: Annotated[str, Form(f"{_TEXT}{{1,4096}}", "a path")]
    size: Annotated[int, Field(ge=0, lt=1 << 63)]
    sha256: Annotated[str, Form("[0-9a-f]{64}", "a SHA-256 digest in lower case")]

    @property
    def key(self) -> str:
        """The path that the item has in a closure."""
        return f"{self.name}_{self.version}_{self.architecture}" if self.architecture else self.path


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Lock(Record):
    """What is in os.lock.

    Attributes:
        version: of the format.
        store: types of the stores, in the order of os.toml.
        declaration: digest of what os.toml asks the stores for.
        items: sorted by store and name.
        users: the numbers that users got, by name.
        groups: the numbers that groups got, by name.
    """

    version: Annotated[int, Field(ge=_FORMAT, le=_FORMAT)]
    store: Annotated[tuple[Annotated[str, Choice("store", {name: name for name in stores.NAMES})], ...], OneOrMore()]
    declaration: Annotated[str, Form("sha256:[0-9a-f]{64}", "a digest of the form sha256:…")]
    items: tuple[LockedItem, ...]
    users: _Numbers = Field(default_factory=dict)
    groups: _Numbers = Field(default_factory=dict)

    @property
    def ids(self) -> Ids:
        """The numbers that accounts keep."""
        return Ids(self.users, self.groups)

    def items_of(self, place: int, platform: str = "") -> tuple[LockedItem, ...]:
        """The items of the store at a place in os.toml, for a platform."""
        return tuple(item for item in self.of_platform(platform) if item.store == place)

    def of_platform(self, platform: str) -> Iterator[LockedItem]:
        """The items for a platform; all of them if there is one."""
        return (item for item in self.items if item.platform in ("", platform))

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """No item twice, no item of a store that is not there."""
        places: dict[tuple[object, ...], int] = {}
        items, of = table.get("items"), table.get("store")
        for place, item in enumerate(items if isinstance(items, tuple) else ()):
            known = item if isinstance(item, Mapping) else {}
            store = known.get("store", 0)
            if type(store) is int and store >= (len(of) if isinstance(of, tuple) else 1):
                yield failure(mistake(f"there is no store {store}"), "items", place, "store")
            names = ("name", "version", "architecture") if known.get("architecture") else ("path",)
            key = tuple(repr(known.get(name)) for name in ("platform", *names))
            if known and key in places:
                yield failure(mistake(f"is items[{places[key]}] already"), "items", place)
            places.setdefault(key, place)


@runtime_checkable
class LockingStore(Protocol):
    """A store that knows better than its closure what to lock."""

    def locked_items(self) -> Iterable[LockedItem]:
        """What the items are that os.toml asks for.

        Raises:
            PackError: as `Store.closure`.
        """
        ...


def read(path: str) -> Lock | None:
    """The lock of a file; None if there is none.

    Raises:
        ConfigError: it cannot be read, or is no lock.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from error
    return parse(data, path)


def read_before(path: str, progress: Progress) -> Lock | None:
    """The lock that is replaced; one that cannot be used counts as none.

    Args:
        path: of the file.
        progress: is warned if there is one that cannot be used.
    """
    try:
        return read(path)
    except ConfigError as error:
        progress.warn(f"{error}\nAccounts get new numbers.")
        return None


def parse(data: bytes, origin: str) -> Lock:
    """The lock that some bytes are.

    Args:
        data: the bytes.
        origin: their file, for messages.

    Raises:
        ConfigError: they have mistakes.
    """
    if len(data) > _MOST_BYTES:
        raise _refusal(origin, f"is larger than {_MOST_BYTES >> 20} MiB")
    try:
        values = _frozen(strict_json(data))
    except RecursionError:
        raise _refusal(origin, "is nested too deep") from None
    except ValueError as error:
        raise _refusal(origin, f"is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise _refusal(origin, "is no table")
    version = values.get("version")
    if type(version) is int and version != _FORMAT:
        raise ConfigError(origin, (Mistake("version", f"is {version}, and this ocipack knows {_FORMAT}", _AGAIN),))
    try:
        lock: Lock = TypeAdapter(Lock).validate_python(values)
    except ValidationError as error:
        raise ConfigError(origin, sentences.mistakes(error, values)) from None
    return lock


def text(lock: Lock) -> bytes:
    """The bytes of a lock."""
    items = [
        {key: value for key in keys(LockedItem) if (value := getattr(item, key)) != _DEFAULTS.get(key)}
        for item in sorted(lock.items, key=lambda item: (item.platform, item.store, item.name, item.key))
    ]
    types = lock.store if len(lock.store) > 1 else lock.store[0]
    document: dict[str, Any] = {
        "version": lock.version,
        "store": types,
        "declaration": lock.declaration,
        "items": items,
    }
    document |= {kind: dict(sorted(ids.items())) for kind in ("users", "groups") if (ids := getattr(lock, kind))}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def made(declaration: "Declaration", items: Iterable[LockedItem], ids: Ids) -> Lock:
    """The lock of a declaration.

    Args:
        declaration: os.toml.
        items: what its stores came to, each with the place of its store, and with its platform if there are several.
        ids: the numbers that accounts got.
    """
    return Lock(
        version=_FORMAT,
        store=_types(declaration),
        declaration=str(asked(declaration)),
        items=tuple(items),
        users=ids.users,
        groups=ids.groups,
    )


def asked(declaration: "Declaration") -> Digest:
    """What is equal if two declarations ask their stores for the same items."""
    asked = [_asked(options) for options in declaration.store]
    platforms = (
        {"platform": declaration.platform} if declaration.platform else {"platforms": sorted(declaration.platforms)}
    )
    facts = {**platforms, **(asked[0] if len(asked) == 1 else {"stores": asked})}
    return Digest.of(json.dumps(facts, sort_keys=True).encode())


def _asked(options: Any) -> dict[str, Any]:
    """The options in `LOCKED`."""
    facts: dict[str, Any] = {"type": options.type}
    for name in (*options.LOCKED, *(["platforms"] if options.platforms else [])):
        value = getattr(options, name)
        if value != ():  # asks for nothing: locks from before there was such a key stay good
            facts[kebab(name)] = sorted(set(value)) if isinstance(value, tuple) else value
    return facts


def _types(declaration: "Declaration") -> tuple[str, ...]:
    return tuple(options.type for options in declaration.store)


def locked_items(closure: Closure) -> list[LockedItem]:
    """The items of a closure that are named by their paths."""
    return [
        LockedItem(
            name=item.name,
            version=item.version,
            path=item.path,
            size=item.nar_size if isinstance(item, NarItem) else item.size,
            sha256=_digest(item).hex,
        )
        for item in closure
    ]


def require(lock: Lock, declaration: "Declaration", origin: str) -> None:
    """See that a lock is a declaration's.

    Raises:
        LockError: os.toml asks for something else by now.
    """
    if lock.store != _types(declaration) or lock.declaration != str(asked(declaration)):
        raise LockError(f"{origin} was made for something else than what is asked for now", hint=_AGAIN)


def compare(lock: Lock, closure: Closure, origin: str, platform: str = "") -> None:
    """See that a closure is what was locked for a platform.

    Raises:
        LockedItemsError: it is not; names the items.
    """
    wanted = {item.key: item.sha256 for item in lock.of_platform(platform)}
    given = {item.path: _digest(item).hex for item in closure}
    differing = [f"{key} is not in the store's closure" for key in sorted(wanted.keys() - given.keys())]
    differing += [f"{key} is not locked" for key in sorted(given.keys() - wanted.keys())]
    differing += [
        f"{key} is {given[key][:12]}…, and {wanted[key][:12]}… is locked"
        for key in sorted(wanted.keys() & given.keys())
        if wanted[key] != given[key]
    ]
    if differing:
        more = [f"and {len(differing) - _MOST_SHOWN} more"] if len(differing) > _MOST_SHOWN else []
        lines = "\n  ".join([*differing[:_MOST_SHOWN], *more])
        raise LockedItemsError(f"the store gives something else than what {origin} has:\n  {lines}", hint=_AGAIN)


def _digest(item: StoreItem) -> Digest:
    return item.nar_hash if isinstance(item, NarItem) else item.identity


def _refusal(origin: str, message: str) -> ConfigError:
    return ConfigError(origin, (Mistake("", message, _AGAIN.rstrip(".")),))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _frozen(below) for name, below in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

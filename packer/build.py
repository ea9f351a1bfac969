"""The pipeline: os.toml -> closure -> system -> plan -> artefacts.

    declaration --store--> closure --assemble--> system --strategy--> plan --format--> artefact

The closure is read and the system assembled once, however many artefacts come out of it.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from formats.format import Artefact, Order, format_module
from formats.repository import repository_name, tag
from formats.system import System
from layers.blob import BlobCache, Workshop
from layers.codec import Codec
from layers.digest import Digest
from layers.errors import PackError
from layers.item import Closure
from layers.output import make_cache
from layers.plan import LayerPlan, plan
from layers.progress import Progress
from layers.strategies import strategy
from packer import lock
from packer.accounts import Ids
from packer.assemble import assemble, made_ids
from packer.declaration import Declaration
from packer.lock import Lock, LockedItem
from packer.skipped import ScriptedStore, Skipped
from packer.stores import StoreContext
from packer.supply import OpenStore, Supply, joined, naming, open_store


class DifferenceError(PackError):
    """Two builds of one declaration gave different bytes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change the bytes of an artefact, and the epoch, which does.

    Attributes:
        folder: of os.toml: relative sources start there.
        cache: a folder of this user; made when it is missing.
        epoch: the time of everything that is made, in seconds since 1970.
        jobs: how many chunks are compressed at a time.
        refresh: fetch lists of packages again.
        verify: compare items with what their store has hashed.
        environment: variables that programs and connections may see: PATH, proxies, certificates.
        progress: is told what is done.
        lock: the items that a store has to give, and the numbers that accounts keep.
        lock_file: where the lock is, for messages.
        file: where os.toml is, for messages.
    """

    folder: str
    cache: str
    epoch: int
    jobs: int
    refresh: bool
    verify: bool
    environment: Mapping[str, str]
    progress: Progress
    lock: Lock | None = None
    lock_file: str = ""
    file: str = "os.toml"


@dataclass(frozen=True, slots=True)
class Production:
    """A system, and how its layers are planned and compressed.

    Attributes:
        system: all of it.
        plan: which items share a layer.
        codec: what compresses layers.
        skipped: what scripts of packages would have done besides.
    """

    system: System
    plan: LayerPlan
    codec: Codec
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """An artefact to be made.

    Attributes:
        format: its name.
        path: where it goes.
        options: what the format's table of os.toml says.
    """

    format: str
    path: str
    options: Any = None


def produce(declaration: Declaration, settings: Settings) -> Production:
    """Read the closure, assemble the system, plan its layers.

    Raises:
        InputError: os.toml asks for something that does not exist, or that is not locked.
        PackError: a store cannot be read, does not have what is locked, or items conflict.
    """
    if settings.lock:
        lock.require(settings.lock, declaration, settings.lock_file)
    make_cache(settings.cache)
    supplies = [store.supply() for store in _stores(declaration, settings, settings.lock)]
    closure = joined(supplies)
    if settings.lock:
        lock.compare(settings.lock, closure, settings.lock_file)
    system = _system(declaration, supplies, closure, settings)
    layers = declaration.layers
    planned = plan(closure, strategy(layers.strategy), layers.max_layers)
    stores = [supply.store.store for supply in supplies]
    skipped = tuple(left for store in stores if isinstance(store, ScriptedStore) for left in store.skipped)
    return Production(system, planned, layers.compression.made(), skipped)


def pin(declaration: Declaration, settings: Settings) -> Lock:
    """Ask the stores what os.toml comes to; of what is locked, only the numbers of accounts are kept.

    Raises:
        InputError: os.toml asks for something that does not exist.
        PackError: a store cannot be read, or items conflict.
    """
    make_cache(settings.cache)
    supplies = [store.supply() for store in _stores(declaration, settings, None)]
    items = [_locked_items(supply) for supply in supplies]
    ids = made_ids(_system(declaration, supplies, joined(supplies), settings))
    return lock.made(declaration, items, ids.or_before(_ids(settings)))


def build(production: Production, outputs: Sequence[Output], settings: Settings) -> list[Artefact]:
    """Make artefacts.

    Args:
        production: of what.
        outputs: which of them.
        settings: with what.

    Raises:
        PackError: a content cannot be read, or an output cannot be written.
    """
    with open_workshop(production, settings) as workshop:
        return [
            format_module(output.format).write(
                Order(production.system, production.plan, workshop, output.path, output.options)
            )
            for output in outputs
        ]


@contextlib.contextmanager
def open_workshop(production: Production, settings: Settings) -> Iterator[Workshop]:
    """What the layers of a production are made with.

    Raises:
        OutputError: the cache cannot be made.
    """
    blobs = BlobCache(settings.cache)
    with ThreadPoolExecutor(settings.jobs) as executor:
        yield Workshop(
            blobs,
            production.codec,
            settings.epoch,
            executor,
            settings.jobs,
            settings.progress,
            verify=settings.verify,
        )


def check(production: Production, outputs: Sequence[Output], settings: Settings) -> list[Artefact]:
    """Make artefacts, make them again without the cache, and compare.

    Raises:
        DifferenceError: names the files that differ; the first artefacts are there to be looked at.
        PackError: as `build`.
    """
    first = build(production, outputs, settings)
    with tempfile.TemporaryDirectory(prefix="check-", dir=settings.cache) as folder:
        again = [
            replace(output, path=os.path.join(folder, str(rank), os.path.basename(output.path)))
            for rank, output in enumerate(outputs)
        ]
        for output in again:
            os.mkdir(os.path.dirname(output.path))
        build(production, again, replace(settings, cache=os.path.join(folder, "cache")))
        differing = [
            output.path
            for output, second in zip(outputs, again, strict=True)
            if _fingerprint(output.path) != _fingerprint(second.path)
        ]
    if differing:
        raise DifferenceError(
            "a second build gave different bytes: " + ", ".join(differing),
            hint="diffoscope tells what differs; is an item changed by somebody while it is packed?",
        )
    return first


def outputs(declaration: Declaration, formats: Iterable[str], settings: Settings, folder: str) -> list[Output]:
    """The artefacts of some formats, where they go when nothing else is said: NAME-VERSION.FORMAT in a folder.

    Raises:
        InputError: a file that a format's table names cannot be used.
    """
    name = repository_name(declaration.name).replace("/", "-")
    stem = f"{name}-{tag(declaration.version)}" if declaration.version else name
    made = []
    for kind in formats:
        options = declaration.format_options(kind, settings.folder)
        made.append(Output(kind, os.path.join(folder, format_module(kind).default_output(stem, options)), options))
    return made


def _ids(settings: Settings) -> Ids:
    return settings.lock.ids if settings.lock else Ids()


def _system(declaration: Declaration, supplies: Sequence[Supply], closure: Closure, settings: Settings) -> System:
    return assemble(
        declaration,
        supplies,
        closure,
        epoch=settings.epoch,
        folder=settings.folder,
        file=settings.file,
        ids=_ids(settings),
    )


def _locked_items(supply: Supply) -> list[LockedItem]:
    store = supply.store.store
    if not isinstance(store, lock.LockingStore):
        return lock.locked_items(supply.closure)
    with naming(supply.store.key):
        return list(store.locked_items())


def _stores(declaration: Declaration, settings: Settings, locked: Lock | None) -> list[OpenStore]:
    """The stores that os.toml declares, each bound to what is locked of it."""
    count = len(declaration.store)
    return [
        open_store(
            f"store[{place}]" if count > 1 else "store",
            options,
            _context(declaration, settings, locked.items_of(place) if locked else None),
        )
        for place, options in enumerate(declaration.store)
    ]


def _context(declaration: Declaration, settings: Settings, locked: tuple[LockedItem, ...] | None) -> StoreContext:
    return StoreContext(
        platform=declaration.target_platform,
        cache=settings.cache,
        folder=settings.folder,
        epoch=settings.epoch,
        refresh=settings.refresh,
        environment=settings.environment,
        progress=settings.progress,
        locked=locked,
        ids=_ids(settings),
    )


def _fingerprint(path: str) -> list[tuple[str, Digest]]:
    """Names and digests of a file, or of all files of a folder."""
    if os.path.isfile(path):
        return [("", _digest(path))]
    return sorted(
        (os.path.relpath(os.path.join(folder, name), path), _digest(os.path.join(folder, name)))
        for folder, _, names in os.walk(path)
        for name in names
    )


def _digest(path: str) -> Digest:
    with open(path, "rb") as file:
        return Digest.of_stream(iter(lambda: file.read(1 << 20), b""))

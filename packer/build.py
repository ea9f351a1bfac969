"""The pipeline: os.toml -> closure -> system -> plan -> artefacts.

    declaration --store--> closure --assemble--> system --strategy--> plan --format--> artefact

The closure is read and the system assembled once for each platform, however many artefacts come out of it.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from formats.format import INDEXED, Artefact, Order, format_module, paths, require_outputs, write
from formats.platform import Platform
from formats.repository import ImageName, file_name
from formats.system import System
from layers.blob import BlobCache, Workshop
from layers.codec import Codec
from layers.digest import Digest
from layers.errors import InputError, PackError
from layers.item import Closure
from layers.output import make_cache
from layers.plan import LayerPlan, plan
from layers.progress import Progress
from layers.strategies import strategy
from packer import container, image_types, lock, post_build, runtimes
from packer.accounts import Ids
from packer.assemble import assemble, made_ids
from packer.declaration import Declaration
from packer.lock import Lock, LockedItem
from packer.skipped import ScriptedStore, Skipped
from packer.stores import StoreContext
from packer.supply import Supply, joined, open_store

if TYPE_CHECKING:
    from packer.previous import Previous
    from packer.subject import AccessOf


class DifferenceError(PackError):
    """Two builds of one declaration gave different bytes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change the bytes of an artefact, and the epoch, which does.

    Attributes:
        folder: of os.toml: relative sources start there.
        cache: a folder of this user; made when it is missing.
        epoch: the time of everything that is made, in seconds since 1970.
        jobs: how many chunks are compressed at a time, and how many processes there are at most.
        refresh: fetch lists of packages again.
        verify: compare items with what their store has hashed.
        environment: variables that programs and connections may see: PATH, proxies, certificates.
        progress: is told what is done.
        lock: the items that a store has to give, and the numbers that accounts keep.
        lock_file: where the lock is, for messages.
        file: where os.toml is, for messages.
        previous: the image whose layers are kept; it changes the bytes of an artefact, too.
        called: what images are called, if not what os.toml says; archives and layouts name them, images do not.
        access: says how registries are reached; None if none can be.
        runtime: that artefacts are for, of `packer.runtimes`; empty for any.
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
    previous: "Previous | None" = None
    called: ImageName = field(default_factory=ImageName)
    access: "AccessOf | None" = None
    runtime: str = ""

    @property
    def ids(self) -> Ids:
        """The numbers that accounts keep."""
        return self.lock.ids if self.lock else Ids()


@dataclass(frozen=True, slots=True)
class Production:
    """The system of a platform, and how its layers are planned and compressed.

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
        type: name of its type.
        path: where it goes.
        options: what the format's table of os.toml says.
        platform: name of the one that it is for; empty: for all that there are.
        format: name of the format; empty: the type's.
        post_build: a program and its arguments, that gets the artefact when it is there.
    """

    type: str
    path: str
    options: Any = None
    platform: str = ""
    format: str = ""
    post_build: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All that is written: the artefact, and what comes beside it."""
        return paths(self.format or self.type, self.path, self.options)

    def require_places(self) -> None:
        """See that all of them can be written, before anything is made.

        Raises:
            InputError: the artefact cannot go to standard output.
            OutputError: a folder is missing or takes nothing, or what is there already is not to be replaced.
        """
        require_outputs(self.format or self.type, self.path, self.options)


def produce(declaration: Declaration, settings: Settings) -> list[Production]:
    """For each platform: read the closure, assemble the system, plan its layers.

    Raises:
        InputError: os.toml asks for something that does not exist, is not locked, or that a runtime would not run.
        PackError: a store cannot be read, does not have what is locked, or items conflict.
    """
    if settings.lock:
        lock.require(settings.lock, declaration, settings.lock_file)
    make_cache(settings.cache)
    return [_production(declaration, platform, settings) for platform in declaration.target_platforms]


def _production(declaration: Declaration, platform: Platform, settings: Settings) -> Production:
    supplies = _supplies(declaration, platform, settings, settings.lock)
    closure = joined(supplies)
    if settings.lock:
        lock.compare(settings.lock, closure, settings.lock_file, platform.name)
    if settings.runtime:
        runtimes.require_base(settings.runtime, closure)
    system = replace(_system(declaration, platform, supplies, closure, settings), called=settings.called)
    for finding in container.findings(system):
        settings.progress.warn(finding)
    layers, previous = declaration.layers, settings.previous
    chosen = previous.strategy(platform, settings.progress) if previous else strategy(layers.strategy)
    planned = plan(closure, chosen, layers.max_layers)
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
    items: list[LockedItem] = []
    ids = settings.ids
    for platform in declaration.target_platforms:  # an account has one number on all of them
        supplies = _supplies(declaration, platform, settings, None)
        for supply in supplies:
            named = "" if declaration.platform else platform.name
            items += (replace(item, store=supply.store.place, platform=named) for item in _locked_items(supply))
        system = _system(declaration, platform, supplies, joined(supplies), settings, ids)
        ids = made_ids(system).or_before(ids)
    return lock.made(declaration, items, ids)


def build(productions: Sequence[Production], outputs: Sequence[Output], settings: Settings) -> list[Artefact]:
    """Make artefacts.

    Args:
        productions: of what: one for each platform.
        outputs: which of them.
        settings: with what.

    Raises:
        PackError: a content cannot be read, or an output cannot be written.
    """
    made = _made(productions, outputs, settings)
    _hand_over(outputs, settings)
    return made


def _made(productions: Sequence[Production], outputs: Sequence[Output], settings: Settings) -> list[Artefact]:
    made = []
    for output in outputs:
        with open_workshop(productions, settings) as workshop:  # one each: beside threads there can be no processes
            orders = list(_orders(productions, output, workshop, settings.cache))
            made.append(write(output.format or output.type, orders))
    return made


def _hand_over(outputs: Sequence[Output], settings: Settings) -> None:
    """Give artefacts to the programs that want them."""
    for output in outputs:
        if output.post_build:
            post_build.run(output.post_build, output.path, settings.folder, settings.environment)


def _orders(productions: Sequence[Production], output: Output, workshop: Workshop, cache: str) -> Iterator[Order]:
    for production in productions:
        if output.platform in ("", production.system.platform.name):
            yield Order(production.system, production.plan, workshop, output.path, output.options, cache)


@contextlib.contextmanager
def open_workshop(productions: Sequence[Production], settings: Settings) -> Iterator[Workshop]:
    """What the layers of productions are made with.

    Raises:
        OutputError: the cache cannot be made.
    """
    blobs = BlobCache(settings.cache)
    with ThreadPoolExecutor(settings.jobs) as executor:
        yield Workshop(
            blobs,
            productions[0].codec,  # os.toml has one for all platforms
            settings.epoch,
            executor,
            settings.jobs,
            settings.progress,
            verify=settings.verify,
        )


def check(productions: Sequence[Production], outputs: Sequence[Output], settings: Settings) -> list[Artefact]:
    """Make artefacts, make them again without the cache, and compare.

    Raises:
        DifferenceError: names the files that differ; the first artefacts are there to be looked at.
        PackError: as `build`.
    """
    first = _made(productions, outputs, settings)
    with tempfile.TemporaryDirectory(prefix="check-", dir=settings.cache) as folder:
        again = [
            replace(output, path=os.path.join(folder, str(rank), os.path.basename(output.path)))
            for rank, output in enumerate(outputs)
        ]
        for output in again:
            os.mkdir(os.path.dirname(output.path))
        # With another number of processes, which must not matter.
        jobs = 1 if settings.jobs > 1 else 2
        _made(productions, again, replace(settings, cache=os.path.join(folder, "cache"), jobs=jobs))
        differing = [
            path
            for output, second in zip(outputs, again, strict=True)
            for path, other in zip(output.paths, second.paths, strict=True)
            if _fingerprint(path) != _fingerprint(other)
        ]
    if differing:
        raise DifferenceError(
            "a second build gave different bytes: " + ", ".join(differing),
            hint="diffoscope tells what differs; is an item changed by somebody while it is packed?",
        )
    _hand_over(outputs, settings)
    return first


def outputs(declaration: Declaration, types: Iterable[str], settings: Settings, folder: str) -> list[Output]:
    """The artefacts of some types, where they go when nothing else is said: NAME-VERSION.FORMAT in a folder.

    Those of images are named as the images are. Of formats that cannot hold several platforms there is one for each:
    NAME-VERSION-PLATFORM.FORMAT.

    Raises:
        InputError: there is no such type, a file that its table names cannot be used, or two types would be in one
            file.
    """
    made = []
    for kind in map(declaration.kind, types):
        options = image_types.options(declaration, kind.name, settings.folder)
        after = image_types.post_build(declaration, kind.name)
        is_image = kind.format in INDEXED
        stem = _stem(declaration, settings.called if is_image else ImageName())
        in_one = is_image or len(declaration.target_platforms) == 1
        for platform in [""] if in_one else declaration.platforms:
            whose = f"{stem}-{platform}" if platform else stem
            own = f"{whose}-{kind.name}" if kind.name != kind.base.name and kind.format != "disk" else whose
            path = os.path.join(folder, format_module(kind.format).default_output(own, options))
            made.append(Output(kind.name, path, options, platform, kind.format, after))
    _check_paths(made)
    return made


def _stem(declaration: Declaration, called: ImageName) -> str:
    named = called.whole(declaration.name, declaration.version)
    name = file_name(named.repository)
    return f"{name}-{named.tag}" if declaration.version or called.tag else name


def _check_paths(outputs: Iterable[Output]) -> None:
    """Refuse two types that would write one file: the second would replace what the first has made."""
    writers: dict[str, str] = {}
    for output in outputs:
        for path in output.paths:
            if path in writers:
                raise InputError(
                    f"{writers[path]} and {output.type} would both be written to {path}",
                    hint="Give one of the types another name, or make one at a time, with --output.",
                )
            writers[path] = output.type


def _system(
    declaration: Declaration,
    platform: Platform,
    supplies: Sequence[Supply],
    closure: Closure,
    settings: Settings,
    ids: Ids | None = None,
) -> System:
    return assemble(
        declaration,
        platform,
        supplies,
        closure,
        epoch=settings.epoch,
        folder=settings.folder,
        file=settings.file,
        ids=ids or settings.ids,
    )


def _locked_items(supply: Supply) -> list[LockedItem]:
    store = supply.store.store
    if not isinstance(store, lock.LockingStore):
        return lock.locked_items(supply.closure)
    with supply.store.naming():
        return list(store.locked_items())


def _supplies(declaration: Declaration, platform: Platform, settings: Settings, locked: Lock | None) -> list[Supply]:
    """What the stores of a platform give, each bound to what is locked of it."""
    several = len(declaration.store) > 1
    stores = [
        open_store(
            f"store[{place}]" if several else "store",
            options,
            _context(platform, settings, locked.items_of(place, platform.name) if locked else None),
            place,
            settings.file,
        )
        for place, options in declaration.stores_of(platform)
    ]
    return [store.supply() for store in stores]


def _context(platform: Platform, settings: Settings, locked: tuple[LockedItem, ...] | None) -> StoreContext:
    return StoreContext(
        platform=platform,
        cache=settings.cache,
        folder=settings.folder,
        epoch=settings.epoch,
        refresh=settings.refresh,
        environment=settings.environment,
        progress=settings.progress,
        locked=locked,
        ids=settings.ids,
        access=settings.access,
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
    with open(path, "rb", buffering=0) as file:
        return Digest.of_file(file)

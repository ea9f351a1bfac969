"""The Debian store: packages and all that they need, from the host's sources, another suite of them, or a mirror."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers.cache import CacheFolder, Kept
from layers.entry import Entry
from layers.errors import InputError
from layers.item import Closure
from layers.output import make_cache
from layers.tree import Tree
from packer import forms
from packer.debian import apt, deb, root
from packer.debian.apt import Apt
from packer.debian.apt_error import GoneError
from packer.debian.deb import Package, PackageCache
from packer.debian.glob import Glob, GlobError
from packer.debian.package import items
from packer.debian.path_rules import PathRules, filtered
from packer.debian.pool import Download, Pool, downloads, lock
from packer.debian.sources import SNAPSHOT_PLACEHOLDER, Host, Sources
from packer.document import quoted
from packer.fetch import Fetcher
from packer.lock import LockedItem
from packer.record import Record, failure, mistake, settings
from packer.skipped import Skipped
from packer.stores import StoreContext

_DEFAULT_COMPONENTS = ("main",)
_FOLDER = "debian"  # of the cache
_APT = "apt"
_FETCHERS = 4  # connections to mirrors
_IMPORTERS = 2  # decoders take memory: 65 MiB each at worst

_Found = TypeVar("_Found")

_PACKAGE = r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[0-9A-Za-z.+~:-]+|/[A-Za-z0-9][A-Za-z0-9._~-]*)?"
_SUITE = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_MIRROR = r"[a-z][a-z0-9+.-]*:[^\s\[\]]+"
_PATHS = r"[/*](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?"
_LONGEST_PATHS = 1000  # bytes: dpkg reads lines of 1023
_POCKET = r"[a-z0-9][a-z0-9-]*"
_SNAPSHOT = r"[0-9]{8}T[0-9]{6}Z"


def _form(pattern: str, meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is not {meaning}")
        return value

    return AfterValidator(check)


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern})$"})


_PackageName = Annotated[
    str,
    _form(_PACKAGE, "a package: NAME, NAME=VERSION or NAME/SUITE, in lower case"),
    _schema(_PACKAGE),
]
_SuiteName = Annotated[str, _form(f"({_SUITE})?", "the name of a suite"), _schema(f"({_SUITE})?")]
_Component = Annotated[str, _form(_SUITE, "the name of a component"), _schema(_SUITE)]
_Pocket = Annotated[str, _form(_POCKET, "a pocket, as updates or security"), _schema(_POCKET)]
_MirrorUrl = Annotated[str, _form(f"({_MIRROR})?", "an address like http://HOST/debian"), _schema(f"({_MIRROR})?")]
_Time = Annotated[str, _form(f"({_SNAPSHOT})?", "a snapshot's time like 20250520T000000Z"), _schema(f"({_SNAPSHOT})?")]


def _check_pattern(text: str) -> None:
    if len(text.encode()) > _LONGEST_PATHS:
        raise mistake(f"{quoted(text)} is longer than {_LONGEST_PATHS} bytes")
    try:
        Glob.parse(text)
    except GlobError as error:
        raise mistake(f"{quoted(text)}: {error.args[0]}", hint=error.hint.removesuffix(".")) from None


_PathPattern = Annotated[
    str,
    forms.Form(
        _PATHS, "a pattern of paths: one line with '/' or '*' first, and no space at the end", check=_check_pattern
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(Record):
    """Packages of Debian and its relatives with all that they depend on, from archives whose signature apt checks.

    `path-exclude` and `path-include` are dpkg's options of these names: the image goes without what they leave out, and
    dpkg in the image leaves it out of what it installs later. `*` in a pattern stands for any text, `/` included, `?`
    for one byte, `[a-z]` for one of some: what is in a folder is `/usr/share/doc/*`. Packages count as whole: dpkg's
    database has all their files, and `dpkg --verify` calls those missing that were left out. The same packages are
    locked, whatever these keys say.
    """

    EXAMPLE: ClassVar[str] = """\
[store]
type = "debian"
packages = ["nginx-light", "ca-certificates"]
suite = "trixie"
path-exclude = ["/usr/share/doc/*", "/usr/share/man/*"]
path-include = ["/usr/share/doc/*/copyright"]
"""
    ONCE: ClassVar[str] = "dpkg has one database"
    LOCKED: ClassVar[tuple[str, ...]] = (
        "packages", "suite", "pockets", "components", "snapshot", "recommends", "essential"
    )  # fmt: skip

    packages: Annotated[
        tuple[_PackageName, ...],
        Field(min_length=1, description="Packages to have, as NAME, NAME=VERSION or NAME/SUITE."),
    ]
    suite: Annotated[
        _SuiteName,
        Field(description="Suite to take them from. Without mirror: in place of the host's own, with its pockets."),
    ] = ""
    pockets: Annotated[
        tuple[_Pocket, ...],
        Field(
            description="Pockets of the suite that the mirror has and that are read too, by the end of their names:"
            " `updates` for SUITE-updates, `security` for SUITE-security. Only with mirror."
        ),
    ] = ()
    components: Annotated[
        tuple[_Component, ...],
        Field(min_length=1, description="Components of the suite; only with suite."),
    ] = _DEFAULT_COMPONENTS
    mirror: Annotated[
        _MirrorUrl,
        Field(
            description="Address of an archive, the only one to use; needs suite. May contain @SNAPSHOTID@."
            " Default: the host's sources."
        ),
    ] = ""
    snapshot: Annotated[
        _Time, Field(description="Takes the place of @SNAPSHOTID@ in mirror: a time like 20250520T000000Z.")
    ] = ""
    signed_by: Annotated[
        str,
        forms.HOST_FILE,
        Field(
            description="Keyring that the archive is signed with, relative to os.toml's folder."
            " Default: what the host's sources say, or with mirror the host's keyrings of Debian's and Ubuntu's"
            " archives."
        ),
    ] = ""
    recommends: Annotated[bool, Field(description="Whether recommended packages are taken too.")] = False
    essential: Annotated[
        bool,
        Field(
            description="Whether the packages that the archive marks as essential are taken too. No package names those"
            " that it needs: a system that boots, or in which apt or dpkg installs more, cannot do without; the image"
            " of a single program can."
        ),
    ] = False
    path_exclude: Annotated[
        tuple[_PathPattern, ...],
        Field(description="Patterns of paths that are left out of all packages, as `dpkg --path-exclude` does."),
    ] = ()
    path_include: Annotated[
        tuple[_PathPattern, ...],
        Field(
            description="Patterns of paths that are not left out even so. Folders and links that may lead to some stay,"
            " too."
        ),
    ] = ()

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """What says which archive goes together."""
        mirror, suite, snapshot = (str(table.get(key, "")) for key in ("mirror", "suite", "snapshot"))
        placeholder = SNAPSHOT_PLACEHOLDER
        if snapshot and placeholder not in mirror:
            message = f"has no place to go to: mirror has no {placeholder}"
            hint = f"set mirror to an archive of snapshots, like http://HOST/archive/debian/{placeholder}"
            yield failure(mistake(message, hint=hint), "snapshot")
        if placeholder in mirror and not snapshot:
            yield failure(mistake(f"has {placeholder}, but there is no snapshot to go there"), "mirror")
        if mirror and not suite:
            yield failure(mistake("needs a suite", hint="name a suite of that archive"), "mirror")
        if table.get("pockets") and not mirror:
            hint = "the host's sources name their pockets themselves"
            yield failure(mistake("needs a mirror", hint=hint), "pockets")
        if table.get("components", _DEFAULT_COMPONENTS) != _DEFAULT_COMPONENTS and not suite:
            hint = "the host's sources name their components themselves"
            yield failure(mistake("needs a suite", hint=hint), "components")
        if table.get("path-include") and not table.get("path-exclude"):
            yield failure(mistake("says what path-exclude is not to leave out, and there is none"), "path-include")


def open_store(options: Options, context: StoreContext) -> "DebianStore":
    """The store that the options describe; nothing is fetched yet.

    Raises:
        InputError: no such keyring, or a host without sources.
    """
    return DebianStore(options, context, sources(options, context.folder, Host()))


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """See `layers.cache.Keeper`."""
    folder = cache.below(_FOLDER)
    yield from apt.kept(folder.below(_APT))
    yield from deb.kept(folder)


def sources(options: Options, folder: str, host: Host) -> Sources:
    """The sources that the options describe.

    Raises:
        InputError: as `open_store`.
    """
    keyring = os.path.join(folder, options.signed_by) if options.signed_by else ""
    if options.mirror:
        suites = (options.suite, *(f"{options.suite}-{pocket}" for pocket in options.pockets))
        return host.mirror(options.mirror, suites, options.components, keyring=keyring, snapshot=options.snapshot)
    if options.suite:
        return host.suite(options.suite, options.components, keyring)
    return host.sources(keyring)


class DebianStore:
    """Packages of Debian archives.

    Args:
        options: what is wanted.
        context: what may be used.
        sources: where to look for it.
    """

    def __init__(self, options: Options, context: StoreContext, sources: Sources) -> None:
        self._options = options
        self._progress = context.progress
        self._refresh = context.refresh
        self._folder = os.path.join(context.cache, _FOLDER)
        self._cache = PackageCache(self._folder)
        self._locked = context.locked
        self._ids = context.ids
        self._resolved: tuple[Download, ...] = ()
        self._skipped: Sequence[Skipped] = ()
        self._rules = PathRules.parse(options.path_exclude, options.path_include)
        self._idle_rules: Sequence[str] = ()
        self._pool = Pool(sources.addresses, Fetcher(context.environment))
        self._apt = Apt(os.path.join(self._folder, _APT), sources, context.platform.debian, context.environment)

    def closure(self) -> Closure:
        """The packages with all that they need; the lists of packages are fetched when there are none yet.

        When packages are locked, it is these, fetched from wherever they are, without apt and its lists.

        Raises:
            LockedPackageError: what is locked cannot be a package.
            InputError: new lists are asked for, though packages are locked.
            PoolError: no archive has a locked package.
            UnknownPackageError: a package does not exist.
            AptError: apt cannot get what is wanted, or does not trust it.
            DebError: a package is damaged.
            OutputError: the cache cannot be written.
        """
        if self._locked is not None and self._refresh:
            raise InputError(
                "--refresh asks for new lists, but os.lock says which packages to take",
                hint="`ocipack lock --refresh` locks those of new lists.",
            )
        with self._ready():
            if self._locked is None:
                packages = self._current(lambda: self._packages(self._resolve()))
            else:
                packages = self._packages(downloads(self._locked))
        filtered_items = filtered(items(packages), self._rules)
        found, self._idle_rules = filtered_items.items, filtered_items.idle
        names = {package.partition("=")[0].partition("/")[0] for package in self._options.packages}
        return Closure(found, (item.path for item in found if item.name in names))

    def system_entries(self, closure: Closure, tree: Tree, omitted: Mapping[str, frozenset[bytes]]) -> Iterable[Entry]:
        """What the packages' maintainer scripts would have made, dpkg's database, and what dpkg is to leave out.

        Raises:
            PackError: a file of a package cannot be read.
        """
        base = root.base(closure, tree, omitted, self._ids)
        self._skipped = base.skipped
        unknown = {f"{skipped.package}.{skipped.script}" for skipped in base.skipped if not skipped.is_reviewed}
        if unknown:
            what = "maintainer scripts do" if len(unknown) > 1 else "maintainer script does"
            self._progress.warn(f"what {len(unknown)} {what} may be missing: `ocipack plan -v` lists it")
        for idle in self._idle_rules:
            self._progress.warn(idle)
        return (*base.entries, *self._rules.entries(tree))

    @property
    def skipped(self) -> Sequence[Skipped]:
        """See `packer.skipped.ScriptedStore`."""
        return self._skipped

    def base_entries(self) -> Iterable[Entry]:
        """Nothing: the packages' scripts make all of it."""
        return ()

    def locked_items(self) -> Iterable[LockedItem]:
        """The packages that os.toml stands for now: those of the closure, if that was asked for before.

        Raises:
            UnknownPackageError: a package does not exist.
            AptError: apt cannot get what is wanted, or does not trust it.
            PoolError: apt does not tell where a package is.
        """
        with self._ready():
            return lock(self._resolved or self._current(self._resolve))

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        make_cache(self._folder)
        with self._apt.locked():
            yield

    def _current(self, work: Callable[[], _Found]) -> _Found:
        """Do what needs lists, once more with new ones if those from before are too old for it."""
        fresh = self._refresh or not self._apt.has_lists
        if fresh:
            self._update()
        try:
            return work()
        except GoneError:
            if fresh:
                raise
            self._update()
            return work()

    def _resolve(self) -> tuple[Download, ...]:
        self._resolved = self._apt.resolve(
            self._options.packages, recommends=self._options.recommends, essential=self._options.essential
        )
        return self._resolved

    def _update(self) -> None:
        self._progress.begin("lists of packages", 0)
        self._apt.update()
        self._progress.end()

    def _packages(self, wanted: Sequence[Download]) -> list[Package]:
        found = {download: self._cache.find(download.digest) for download in wanted}
        missing = [download for download, package in found.items() if package is None]
        made = dict(zip(missing, self._fetch(missing), strict=True)) if missing else {}
        return [package or made[download] for download, package in found.items()]

    def _fetch(self, missing: Sequence[Download]) -> list[Package]:
        if self._locked is None:
            self._apt.download(missing, self._progress)
        else:
            self._download(missing)
        self._progress.begin("packages", sum(download.size for download in missing))
        with ThreadPoolExecutor(_IMPORTERS) as executor:
            futures = [executor.submit(self._keep, download) for download in missing]
            try:
                return [self._done(download, future.result) for download, future in zip(missing, futures, strict=True)]
            finally:
                executor.shutdown(cancel_futures=True)
                self._progress.end()

    def _download(self, missing: Sequence[Download]) -> None:
        self._progress.begin("download", sum(download.size for download in missing))
        with ThreadPoolExecutor(_FETCHERS) as executor:
            futures = [executor.submit(self._pool.fetch, download, self._apt.work) for download in missing]
            try:
                for download, future in zip(missing, futures, strict=True):
                    self._done(download, future.result)
            except BaseException:
                self._pool.fetcher.stop()
                raise
            finally:
                executor.shutdown(cancel_futures=True)
                self._progress.end()

    def _keep(self, download: Download) -> Package:
        deb = os.path.join(self._apt.work, download.file)
        return self._cache.keep(deb, download.digest, self._apt.work)

    def _done(self, download: Download, result: Callable[[], _Found]) -> _Found:
        found = result()
        self._progress.advance(download.name, download.size)
        return found

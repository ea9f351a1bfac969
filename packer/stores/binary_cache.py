"""The binary cache: items that Nix built elsewhere, on a machine that has no Nix."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from layers.cache import CacheFolder, Kept
from layers.entry import Entry
from layers.errors import PackError
from layers.item import Closure, NarItem
from layers.tree import Tree
from packer.fetch import Fetcher
from packer.forms import Form
from packer.nix import binary_cache, nar_cache, roots
from packer.nix.binary_cache import BinaryCache
from packer.nix.item import nar_item
from packer.nix.layout import NIX
from packer.nix.local_store import Profile, Symlinks, misplaced_symlinks
from packer.nix.nar_cache import KeptNar, NarCache, NarContents
from packer.nix.narinfo import STORE, NarInfo
from packer.nix.signature import Keyring, PublicKeyError, parse_key
from packer.record import Record, refusal, settings
from packer.stores import StoreContext

_NARS, _NARINFOS = "nar", "narinfo"  # folders of the cache
_ASKING = 8  # threads: narinfos are small, and each takes a round trip
_FETCHING = 4  # threads: a decoder takes up to 65 MiB
_MOST_ITEMS = 100_000  # the largest closures of people have 10,000


def _check_key(text: str) -> None:
    try:
        parse_key(text)
    except PublicKeyError as error:
        raise refusal(error) from None


_Url = Annotated[
    str,
    Form(r"(?:file:///|https?://[^/\s?#])[^\s?#]*", "an address like https://HOST or file:///FOLDER"),
]
_StorePath = Annotated[
    str,
    Form(
        rf"{STORE}/[0-9a-df-np-sv-z]{{32}}-[0-9A-Za-z+?=_-][0-9A-Za-z+?=._-]{{0,210}}",
        f"the path of an item: {STORE}/HASH-NAME",
    ),
]
_Key = Annotated[str, Form(r"[^\s:]+:[0-9A-Za-z+/]+={0,2}", "a public key: NAME:BASE64", check=_check_key)]

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(Record):
    """Items of a binary cache of Nix with all that they need; this machine needs no Nix."""

    EXAMPLE: ClassVar[str] = """\
[store]
type = "binary-cache"
url = "file:///srv/cache"
roots = ["/nix/store/ixcwh8rx7hqcnmp4vm19rjfvz7hkhhzq-hello-2.12"]
trusted-public-keys = ["cache.example-1:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="]
"""
    LOCKED: ClassVar[tuple[str, ...]] = ("roots",)
    ONE_PLATFORM: ClassVar[str] = "its roots were built for one"

    url: Annotated[_Url, Field(description="Address of the cache: where nix-cache-info is below.")]
    roots: Annotated[
        tuple[_StorePath, ...],
        Field(min_length=1, description="Items to have, as /nix/store/HASH-NAME. The first one is the system."),
    ]
    trusted_public_keys: Annotated[
        tuple[_Key, ...],
        Field(
            description="Keys whose signatures are believed, as NAME:BASE64."
            " Without any, items must be named by their content."
        ),
    ] = ()
    register: Annotated[bool, Field(description="Whether the image has Nix's database, for the Nix in it.")] = True
    profile: Profile = "system"
    symlinks: Symlinks = Field(default_factory=dict)

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Links have places where they can be."""
        return misplaced_symlinks(table.get("symlinks"))


def open_store(options: Options, context: StoreContext) -> "BinaryCacheStore":
    """The store that the options describe; nothing is fetched yet."""
    return BinaryCacheStore(options, context)


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """See `layers.cache.Keeper`."""
    yield from binary_cache.kept(cache.below(_NARINFOS))
    yield from nar_cache.kept(cache.below(_NARS))


class BinaryCacheStore:
    """Items of a binary cache.

    Args:
        options: what is wanted.
        context: what may be used.
    """

    def __init__(self, options: Options, context: StoreContext) -> None:
        self._options = options
        self._context = context

    def closure(self) -> Closure:
        """The roots and all that they refer to; what was fetched before is not asked for again.

        Raises:
            UnknownItemError: the cache does not have one of the roots.
            UntrustedError: nothing proves that an item is what the cache says.
            PackError: the cache cannot be reached, or sent something that is damaged.
        """
        context = self._context
        fetcher = Fetcher(context.environment)
        cache = BinaryCache(
            self._options.url.rstrip("/"),
            fetcher,
            Keyring(self._options.trusted_public_keys),
            NarCache(os.path.join(context.cache, _NARS)),
            os.path.join(context.cache, _NARINFOS),
            context.refresh,
        )
        infos = self._infos(cache)
        nars = self._nars(cache, infos)
        items = (_item(info, nars[path]) for path, info in sorted(infos.items()))
        return Closure(items, self._options.roots)

    def system_entries(
        self,
        closure: Closure,
        tree: Tree,
        omitted: Mapping[str, frozenset[bytes]],  # noqa: ARG002  # items of a store never overlap
    ) -> Iterable[Entry]:
        """The store's folder, its database, and the roots.

        Raises:
            SymlinkError: links cannot be made.
            PackError: a derivation cannot be read.
        """
        named = tuple(dict.fromkeys(self._options.roots))
        context = self._context
        return roots.entries(NIX, closure, named, tree, self._options, context.epoch, context.progress.warn)

    def base_entries(self) -> Iterable[Entry]:
        """Accounts and folders: items bring none."""
        return roots.base(NIX)

    def _infos(self, cache: BinaryCache) -> dict[str, NarInfo]:
        """What is said about each item, followed from the roots."""
        infos: dict[str, NarInfo] = {}
        checked = False
        wanted = sorted(set(self._options.roots))
        self._context.progress.begin("narinfos", 0)
        with _threads(_ASKING, cache.fetcher) as executor:
            while wanted:
                kept = {path: info for path in wanted if (info := cache.kept_info(path))}
                missing = [path for path in wanted if path not in kept]
                if missing and not checked:
                    cache.check()
                    checked = True
                infos |= kept | _all(executor, cache.info, missing)
                if len(infos) > _MOST_ITEMS:
                    raise PackError(f"{self._options.url}: the closure has more than {_MOST_ITEMS} items")
                wanted = sorted({path for new in wanted for path in infos[new].references} - infos.keys())
        self._context.progress.end()
        return infos

    def _nars(self, cache: BinaryCache, infos: Mapping[str, NarInfo]) -> dict[str, KeptNar]:
        nars = self._kept(cache, infos)
        if len(nars) < len(infos):
            with cache.nars.locked():
                nars = self._kept(cache, infos)  # another run may have fetched some of them in the meantime
                nars |= self._fetch(cache, {path: info for path, info in infos.items() if path not in nars})
        for path, nar in nars.items():
            cache.prove(infos[path], nar)
        return nars

    def _kept(self, cache: BinaryCache, infos: Mapping[str, NarInfo]) -> dict[str, KeptNar]:
        return {path: nar for path, info in infos.items() if (nar := cache.kept_nar(info))}

    def _fetch(self, cache: BinaryCache, missing: Mapping[str, NarInfo]) -> dict[str, KeptNar]:
        progress = self._context.progress
        unique = {(info.nar_hash, info.nar_size): info for info in missing.values()}  # equal items are fetched once
        progress.begin("items", sum(info.nar_size for info in unique.values()))
        with _threads(_FETCHING, cache.fetcher) as executor:
            fetched = _all(
                executor, cache.nar, unique.values(), lambda info: progress.advance(info.path, info.nar_size)
            )
        progress.end()
        return {path: fetched[unique[info.nar_hash, info.nar_size]] for path, info in missing.items()}


def _item(info: NarInfo, nar: KeptNar) -> NarItem:
    contents = NarContents(os.fsencode(info.path.strip("/")), nar)
    return nar_item(info.valid_path, contents, info.nar_hash, info.nar_size)


@contextmanager
def _threads(count: int, fetcher: Fetcher) -> Iterator[Executor]:
    """Threads that stop fetching soon when one of them, or whoever uses them, fails."""
    with ThreadPoolExecutor(count) as executor:
        try:
            yield executor
        except BaseException:
            fetcher.stop()
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _all(
    executor: Executor,
    work: Callable[[_Given], _Found],
    given: Iterable[_Given],
    done: Callable[[_Given], object] = lambda _: None,
) -> dict[_Given, _Found]:
    futures = {one: executor.submit(work, one) for one in given}
    found = {}
    for one, future in futures.items():
        found[one] = future.result()
        done(one)
    return found

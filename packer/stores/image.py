"""The image store: the layers of another image, on which this one stands."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from formats.reading.artefact import ArtefactError, StoredLayer
from formats.system import Base
from layers.cache import CacheFolder, Kept
from layers.entry import Entry
from layers.errors import InputError
from layers.item import Closure, StoreItem
from layers.tree import Merged, Tree
from packer.base import configuration, layer_cache, source
from packer.base.layer_cache import KeptLayer, LayerCache, LayerContents
from packer.base.merging import merged
from packer.base.source import BaseImage, Remote, local_image, registry_image
from packer.forms import Form, HostKind, HostPath
from packer.record import Record, refusal, settings
from packer.registry.answer import RegistryError
from packer.registry.reference import Reference
from packer.stores import StoreContext

if TYPE_CHECKING:
    from layers.base import BaseLayer

SCHEME = "docker://"

_FOLDER = "base"  # of the cache
_READERS = 4  # layers at a time, each of which a registry sends


def _check_reference(text: str) -> None:
    if text.startswith(SCHEME):
        try:
            Reference.parse(text)
        except InputError as error:
            raise refusal(error) from None


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(Record):
    """The image that images stand on, as with FROM in a Dockerfile; its layers are kept byte for byte.

    A registry and a machine that have the base move nothing of it. It is the root file system that other stores and
    `[os]` add to, and it comes first: `[os]` sees its accounts, shells and links, and what it changes is in the layer
    on top. Tarballs, WSL distributions and disks have what a container would see.

    `[container]` says what is to be different from the base: variables, labels, ports and volumes are added, all else
    replaces what the base has: `cmd = []` takes the base's away, and so does a new `entrypoint`. The base's layers
    count for `max-layers`, and no strategy touches them.
    """

    EXAMPLE: ClassVar[str] = """\
[[store]]
type = "image"
image = "docker://debian:12"

[[store]]
type = "folder"
path = "app"
"""
    ONCE: ClassVar[str] = "an image stands on one other"
    FIRST: ClassVar[str] = "what others stand on comes first"
    LOCKED: ClassVar[tuple[str, ...]] = ("image",)

    image: Annotated[
        str,
        Form(r"[^\x00-\x1f\x7f]+", "the name of an image", check=_check_reference),
        HostPath(HostKind.EITHER, scheme=SCHEME),
    ] = Field(
        description="The base: `docker://REFERENCE`, by a tag or a digest; or an OCI layout, an OCI archive or a docker"
        " archive, relative to os.toml's folder. It has an image for the platform.",
        examples=["docker://debian:12"],
    )


def open_store(options: Options, context: StoreContext) -> "ImageStore":
    """The store that the options describe; nothing is fetched yet."""
    return ImageStore(options, context)


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """See `layers.cache.Keeper`."""
    folder = cache.below(_FOLDER)
    yield from layer_cache.kept(folder)
    yield from source.kept(folder)


class ImageStore:
    """The layers of an image.

    Args:
        options: which one.
        context: what may be used.
    """

    def __init__(self, options: Options, context: StoreContext) -> None:
        self._options = options
        self._context = context
        self._folder = os.path.join(context.cache, _FOLDER)
        self._layers: list[tuple[BaseLayer, LayerContents]] = []
        self._base: Base | None = None

    @property
    def base(self) -> Base | None:
        """See `packer.stores.BaseStore`."""
        return self._base

    def closure(self) -> Closure:
        """The layers, each of which needs the one below; those that were read before are not asked for again.

        Raises:
            InputError: there is no such image, none for the platform, or it cannot be a base.
            RegistryError: the registry does not give it.
            PackError: a layer is damaged.
        """
        context = self._context
        if not self._options.image.startswith(SCHEME):
            path = os.path.join(context.folder, self._options.image)
            with _explained():
                return self._closure(local_image(path, self._options.image, context.platform))
        if context.access is None:
            raise InputError("store.image: no registry can be reached from here")
        named = Reference.parse(self._options.image)
        reference = self._pinned(named)
        with _explained(), Remote(reference, self._folder, context.access) as remote:
            return self._closure(registry_image(reference, remote, context.platform, str(named)), remote.stop)

    def merged(self) -> Merged[StoreItem]:
        """See `packer.stores.BaseStore`."""
        return merged(self._layers, self._options.image, self._context.progress.warn)

    def system_entries(
        self,
        closure: Closure,  # noqa: ARG002
        tree: Tree,  # noqa: ARG002
        omitted: Mapping[str, frozenset[bytes]],  # noqa: ARG002  # what an image has, it has
    ) -> Iterable[Entry]:
        """Nothing: whoever made the image has made all of it."""
        return ()

    def base_entries(self) -> Iterable[Entry]:
        """Nothing: runtimes add what an image lacks."""
        return ()

    def _pinned(self, named: Reference) -> Reference:
        """The image of that name that is locked; the one of its tag if none is."""
        locked = self._context.locked
        digest = Reference.parse(locked[0].path.rpartition("#")[0]).digest if locked else None
        return replace(named, tag="", digest=digest) if digest else named

    def _closure(self, image: BaseImage, stop: Callable[[], object] = lambda: None) -> Closure:
        layers = self._kept(image.layers, stop)
        items: list[BaseLayer] = []
        for rank, layer in enumerate(layers, 1):
            path, below = f"{image.pinned}#{rank}", tuple(item.path for item in items[-1:])
            items.append(layer.item(path, f"{image.title} layer {rank}", below))
        self._layers = [(item, layer.contents) for item, layer in zip(items, layers, strict=True)]
        where = f"configuration of {self._options.image}"
        history = configuration.history(image.config, items, where)
        self._base = Base(image.name, image.digest, history, configuration.run_configuration(image.config, where))
        return Closure(items, (items[-1].path,))

    def _kept(self, stored: Sequence[StoredLayer], stop: Callable[[], object]) -> list[KeptLayer]:
        """The layers, in the cache by now; a layer that is there twice is read once."""
        cache = LayerCache(self._context.cache, self._folder)
        unique = {(layer.digest, layer.diff_id): layer for layer in stored}
        found = {key: cache.find(layer) for key, layer in unique.items()}
        missing = {key: layer for key, layer in unique.items() if not found[key]}
        if missing:
            self._context.progress.begin("base", sum(layer.blob.size for layer in missing.values()))
            with ThreadPoolExecutor(_READERS) as executor:
                futures = {key: executor.submit(cache.keep, layer) for key, layer in missing.items()}
                try:
                    for key, future in futures.items():
                        found[key] = future.result()
                        self._context.progress.advance(missing[key].title, missing[key].blob.size)
                except BaseException:
                    executor.shutdown(wait=False, cancel_futures=True)
                    stop()
                    raise
            self._context.progress.end()
        return [kept for each in stored if (kept := found[each.digest, each.diff_id])]


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say of what is wrong with a base which key names it."""
    try:
        yield
    except (ArtefactError, RegistryError) as error:
        error.args = (f"store.image: {error.args[0]}", *error.args[1:])
        error.hint = error.hint.replace(", or give --username", "")  # which is about the registry that is pushed to
        raise

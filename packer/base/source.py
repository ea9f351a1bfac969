"""Where a base is: in an archive or a layout of this machine, or in a registry.

    file      index.json or manifest.json --platform--> manifest -> configuration, layers
    registry  tag -> index --platform--> manifest -> configuration, layers

What a registry has given once is kept by its digest: a base that is named by one, as os.lock does, is had without the
registry. Every document is compared with the digest that names it.

    FOLDER/documents/HEX    an index, a manifest or a configuration
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from formats.container_image import INDEX, MANIFEST
from formats.platform import Platform
from formats.reading import docker_archive, documents, image_layout
from formats.reading.artefact import ArtefactError, Blob, DataBlob, StoredImage, StoredLayer, reading
from formats.reading.documents import Descriptor, Json
from formats.reading.open import image_files, refuse_compressed
from layers.cache import CacheFolder, Kept, is_named_truly, mark_used
from layers.digest import Digest, is_hex
from layers.output import PendingFile, make_cache
from packer.registry.reference import Reference
from packer.registry.stored_files import RegistryBlob

if TYPE_CHECKING:
    from packer.registry.repository import Repository
    from packer.subject import AccessOf

_DOCUMENTS = "documents"
_BLOBS = "blobs/sha256/"
_MOST_SHOWN = 20

#: Kinds of layers, in OCI's words and in docker's.
_LAYERS = (
    *(f"application/vnd.oci.image.layer.v1.tar{suffix}" for suffix in ("", "+gzip", "+zstd")),
    *(f"application/vnd.docker.image.rootfs.diff.tar{suffix}" for suffix in ("", ".gzip", ".zstd")),
)

_Read = tuple[StoredImage, tuple[StoredLayer, ...]]


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A base, of which no layer is read yet.

    Attributes:
        name: what registries call it, in full; empty if it came from none.
        pinned: what it is called for ever: by its digest.
        title: what people call it.
        digest: of its manifest; none if it has none.
        config: its configuration.
        layers: lowest first, at least one.
    """

    name: str
    pinned: str
    title: str
    digest: Digest | None
    config: Json
    layers: tuple[StoredLayer, ...]


def local_image(path: str, said: str, platform: Platform) -> BaseImage:
    """The image of an archive or of a layout.

    Args:
        path: of it.
        said: the path as os.toml has it.
        platform: the processor that it has to be for.

    Raises:
        ArtefactError: it is none, is damaged, or has no image, or several, for the platform.
    """
    with reading(path):
        files = image_files(path)
        if not files:
            refuse_compressed(path, said)
            raise ArtefactError(f"{said} is no image: neither an OCI layout nor an archive of an image")
        if files.find("index.json"):
            read = [partial(image_layout.read_image, files, found) for found in image_layout.images(files)]
        else:
            read = [partial(docker_archive.read_image, files, found) for found in docker_archive.images(files)]
        image, layers = _for_platform([each() for each in read], platform, said)
    pinned = f"{said}@{image.manifest_digest or image.config_digest}"
    title = os.path.basename(os.path.normpath(said)).partition(".")[0] or "base"
    return BaseImage("", pinned, title, image.manifest_digest, image.config, _checked(layers, said))


def _for_platform(read: Sequence[_Read], platform: Platform, said: str) -> _Read:
    rank = _best([image.platform for image, _ in read], platform, said)
    same = [image for image, _ in read if image.platform == read[rank][0].platform]
    if len({image.config_digest for image in same}) > 1:
        names = "".join(f"\n  {' '.join(image.names) or image.config_digest}" for image in same[:_MOST_SHOWN])
        raise ArtefactError(
            f"{said} has {len(same)} images for {platform.specifier}:{names}",
            hint="A base is one image: skopeo copies one into an archive of its own.",
        )
    return read[rank]


def _best(platforms: Sequence[str], platform: Platform, said: str) -> int:
    """The place of the platform: of `linux/arm64/v8`, or else of `linux/arm64`, which says nothing of variants."""
    plain = f"{platform.system}/{platform.architecture}"
    for wanted in (platform.specifier, plain):
        if wanted in platforms:
            return platforms.index(wanted)
    if not platform.variant:  # nobody here tells variants of it apart
        for rank, there in enumerate(platforms):
            if there.startswith(f"{plain}/"):
                return rank
    there = ", ".join(dict.fromkeys(name or "an unknown platform" for name in platforms)) or "nothing"
    raise ArtefactError(f"{said} has no image for {platform.specifier}; it has {there}")


def _checked(layers: tuple[StoredLayer, ...], said: str) -> tuple[StoredLayer, ...]:
    """Layers that anybody may pass on.

    Raises:
        ArtefactError: there are none, or one of them is encrypted or not to be distributed.
    """
    if not layers:
        raise ArtefactError(f"{said} has no layers", hint="Leave the store out: what stands on nothing needs no base.")
    for layer in layers:
        kind = layer.media_type
        if kind and kind not in _LAYERS:
            why = "is encrypted" if "encrypted" in kind else "is not to be distributed"
            known = "encrypted" in kind or "foreign" in kind or "nondistributable" in kind
            raise ArtefactError(f"{layer.title} {why if known else 'is no layer of an image'}: {kind[:100]!r}")
    return layers


class Remote:
    """A repository that is asked only for what is not here. Use it as a context manager.

    Args:
        reference: of a base.
        folder: keeps documents; made when it is missing.
        access: says how registries are reached.
    """

    def __init__(self, reference: Reference, folder: str, access: "AccessOf") -> None:
        self._reference = reference
        self._access = access
        self._stack = contextlib.ExitStack()
        self._opened: Repository | None = None
        self._lock = threading.Lock()
        self._documents = os.path.join(folder, _DOCUMENTS)
        make_cache(folder, _DOCUMENTS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def repository(self) -> "Repository":
        """The repository, open from now on.

        Raises:
            PackError: the registry cannot be reached.
        """
        from packer.subject import Registries

        with self._lock:
            if self._opened is None:
                self._opened = self._stack.enter_context(Registries(self._access).open(self._reference, "pull"))
            return self._opened

    def stop(self) -> None:
        """Have all that is under way end now, with an error."""
        if self._opened:
            self._opened.stop()

    def top(self) -> bytes:
        """The document that the reference leads to: by a digest the kept one, by a tag what it leads to now.

        Raises:
            ArtefactError: there is no such image.
            RegistryError: the registry does not give it.
        """
        if self._reference.digest:
            return self.document(self._reference.digest)
        found = self.repository.document(self._reference.tag)
        if not found:
            raise ArtefactError(f"there is no image {self._reference}")
        return self._keep(found.data)

    def document(self, digest: Digest) -> bytes:
        """A manifest or an index.

        Raises:
            ArtefactError, RegistryError: as `top`.
        """
        kept = self._kept(digest)
        if kept is not None:
            return kept
        found = self.repository.document(str(digest))
        if not found:
            raise ArtefactError(f"{self._reference.name} has no {digest}")
        return self._keep(found.data)

    def config(self, described: Descriptor, where: str) -> bytes:
        """A configuration, which is a blob.

        Raises:
            ArtefactError: it is damaged.
            RegistryError: the registry does not give it.
        """
        kept = self._kept(described.digest)
        if kept is not None:
            return kept
        blob = RegistryBlob(self.repository, described.digest, described.size)
        return self._keep(documents.read(blob, where, described.digest))

    def _kept(self, digest: Digest) -> bytes | None:
        path = os.path.join(self._documents, digest.hex)
        try:
            with open(path, "rb") as file:
                data = file.read(documents.MOST_BYTES + 1)
        except OSError:
            return None
        if Digest.of(data) != digest:
            return None
        mark_used(path)
        return data

    def _keep(self, data: bytes) -> bytes:
        with PendingFile(self._documents) as file:
            file.write(data)
            file.publish(Digest.of(data).hex, mode=0o400, durable=False)
        return data


@dataclass(frozen=True, slots=True)
class _RemoteBlob:
    """A layer in a registry, of which nobody is asked before it is read."""

    remote: Remote
    digest: Digest
    size: int

    def pieces(self) -> Iterator[bytes]:
        return RegistryBlob(self.remote.repository, self.digest, self.size).pieces()


class _RemoteFiles:
    """The files that a layout of the image would have; see `formats.reading.files.Files`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._blobs: dict[str, Blob] = {}

    def find(self, name: str) -> Blob | None:
        return self._blobs.get(name)

    def add(self, digest: Digest, blob: Blob) -> None:
        self._blobs[f"{_BLOBS}{digest.hex}"] = blob


def registry_image(reference: Reference, remote: Remote, platform: Platform, name: str) -> BaseImage:
    """The image of a reference.

    Args:
        reference: of the base: by its digest if that is known.
        remote: the reference's.
        platform: the processor that it has to be for.
        name: what os.toml calls it, in full.

    Raises:
        ArtefactError: there is no such image, none for the platform, or it is damaged.
        RegistryError: the registry does not give it.
    """
    said = str(reference)
    manifest = _manifest(remote.top(), remote, platform, said)
    files = _RemoteFiles(said)
    where = f"manifest of {said}"
    facts = documents.table(documents.parsed(manifest, where), where)
    config = documents.descriptor(facts.get("config"), f"{where}: config")
    digest = Digest.of(manifest)
    files.add(digest, DataBlob(manifest))
    files.add(config.digest, DataBlob(remote.config(config, f"configuration of {said}")))
    for layer in documents.descriptors(facts.get("layers"), f"{where}: layers"):
        files.add(layer.digest, _RemoteBlob(remote, layer.digest, layer.size))
    described = Descriptor(_kind(facts), digest, len(manifest), {}, "")
    image, layers = image_layout.read_image(files, image_layout.FoundImage((), "", described))
    _best([image.platform], platform, said)
    title = reference.repository.rpartition("/")[2]
    return BaseImage(name, f"{reference.name}@{digest}", title, digest, image.config, _checked(layers, said))


def _kind(facts: Json) -> str:
    """What a document says that it is, or else what it is."""
    return str(facts.get("mediaType") or (INDEX if "manifests" in facts else MANIFEST))


def _manifest(data: bytes, remote: Remote, platform: Platform, said: str) -> bytes:
    """The bytes of the manifest for a platform."""
    facts = documents.table(documents.parsed(data, said), said)
    described = Descriptor(_kind(facts), Digest.of(data), len(data), {}, "")
    facts = image_layout.parsed_document(data, described, said)
    if not described.is_index:
        return data
    named = documents.descriptors(facts.get("manifests"), f"{said}: manifests")
    images = [one for one in named if one.is_image]
    found = images[_best([one.platform for one in images], platform, said)]
    manifest = remote.document(found.digest)
    if len(manifest) != found.size:
        raise ArtefactError(f"{said}: the manifest {found.digest} has {len(manifest)} bytes, and not {found.size}")
    return manifest


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The documents of a folder of the cache; see `layers.cache.Keeper`."""
    for found in folder.below(_DOCUMENTS).found():
        if found.is_file and is_hex(found.name):
            is_whole = partial(is_named_truly, found.place, found.name)
            yield Kept("base documents", (found.path,), found.size, found.used, is_whole)

"""Whether an image is what its digests say, level by level, whoever made it.

    index.json -> manifest (or an index of them) -> config -> diff_ids of the layers
                                                 -> blobs of the layers

All that can be reached is looked at, so that all that is damaged is found; what a damaged document names is not known.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum

from formats.reading import docker_archive, documents, image_layout
from formats.reading.artefact import ArtefactError, Blob, StoredLayer, reading
from formats.reading.documents import Descriptor, Json
from formats.reading.files import Files
from formats.reading.image import diff_ids_of
from formats.reading.layer_stream import LayerStream
from layers.digest import Digest
from layers.errors import PackError

_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_NAMED = re.compile(r"[0-9a-f]{64}")
_DEEPEST = 3  # an index of indexes of images
_MOST = 10_000  # things that are compared


class Level(Enum):
    """What a digest names."""

    INDEX = "index"
    MANIFEST = "manifest"
    CONFIG = "config"
    BLOB = "blob"
    DIFF_ID = "diff_id"


@dataclass(frozen=True, slots=True)
class Check:
    """A digest that was compared.

    Attributes:
        level: what it names.
        digest: that was to be found; none if nothing says which.
        fault: what is wrong, or empty.
    """

    level: Level
    digest: Digest | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index.

    Attributes:
        descriptor: which names it.
        depth: 1 if `index.json` names it, more if another index does.
        facts: what it says; empty if it is damaged.
        fault: what is wrong, or empty.
    """

    descriptor: Descriptor
    depth: int
    facts: Json
    fault: str = ""

    @property
    def level(self) -> Level:
        """Which of both it is."""
        return Level.INDEX if self.descriptor.is_index else Level.MANIFEST


def named_documents(files: Files) -> Iterator[Document]:
    """The manifests and indexes of a layout, each before those that it names, and once.

    Raises:
        ArtefactError: there is no `index.json`, or it is damaged.
    """
    blob = files.find("index.json")
    if not blob:
        raise ArtefactError(f"{files.origin} has no index.json, so that no digest names its images")
    where = f"index.json of {files.origin}"
    index = documents.table(documents.document(blob, where), where)
    known: set[Digest] = set()
    yield from _below(files, index, where, known, 1)


def _below(files: Files, index: Json, where: str, known: set[Digest], depth: int) -> Iterator[Document]:
    for descriptor in documents.descriptors(index.get("manifests"), f"{where}: manifests"):
        if descriptor.digest in known:
            continue
        known.add(descriptor.digest)
        if depth > _DEEPEST or len(known) > _MOST:
            raise ArtefactError(f"{files.origin}: manifests are nested too deep, or too many")
        found = _document(files, descriptor, depth)
        yield found
        if descriptor.is_index and not found.fault:
            try:
                yield from _below(files, found.facts, f"index {descriptor.digest}", known, depth + 1)
            except ArtefactError as error:
                yield Document(descriptor, depth, {}, str(error))


def _document(files: Files, descriptor: Descriptor, depth: int) -> Document:
    where = f"{'index' if descriptor.is_index else 'manifest'} {descriptor.digest}"
    try:
        facts = image_layout.read_document(files, descriptor, where)
        return Document(descriptor, depth, facts)
    except PackError as error:
        return Document(descriptor, depth, {}, str(error))


def checks(files: Files, executor: Executor) -> Iterator[Check]:
    """Compare all digests of an image archive, of a layout, or of an image in a registry.

    Args:
        files: of the image.
        executor: hashes, beside decompressing and reading.
    """
    return _Checks(files, executor).all()


class _Checks:
    """Digests, as they are compared; a layer that several images have is read once."""

    def __init__(self, files: Files, executor: Executor) -> None:
        self._files = files
        self._executor = executor
        self._layers: set[tuple[Digest | None, Digest]] = set()
        self._configs: set[Digest] = set()

    def all(self) -> Iterator[Check]:
        has_layout = bool(self._files.find("index.json"))
        if has_layout:
            yield from self._guarded(Level.INDEX, None, self._layout())
        if self._files.find(docker_archive.NAME):
            yield from self._guarded(Level.MANIFEST, None, self._docker(has_layout=has_layout))

    def _guarded(self, level: Level, digest: Digest | None, found: Iterator[Check]) -> Iterator[Check]:
        """The checks, and a fault if there cannot be more of them."""
        try:
            with reading(self._files.origin):
                yield from found
        except ArtefactError as error:
            yield Check(level, digest, str(error))

    def _layout(self) -> Iterator[Check]:
        for found in named_documents(self._files):
            digest = found.descriptor.digest
            yield Check(found.level, digest, found.fault)
            if found.level is Level.MANIFEST and not found.fault:
                yield from self._guarded(Level.MANIFEST, digest, self._manifest(found))

    def _manifest(self, found: Document) -> Iterator[Check]:
        where = f"manifest {found.descriptor.digest}"
        described = documents.descriptor(found.facts.get("config"), f"{where}: config")
        layers = documents.descriptors(found.facts.get("layers"), f"{where}: layers")
        diff_ids: list[Digest] = []
        check = self._checked(Level.CONFIG, described.digest, lambda: diff_ids.extend(self._config(described, layers)))
        yield check
        for rank, layer in enumerate(layers):
            title = f"layer {rank + 1} of {where}"
            yield from self._guarded(
                Level.BLOB, layer.digest, self._layer(layer, diff_ids[rank] if diff_ids else None, title)
            )

    def _config(self, described: Descriptor, layers: list[Descriptor]) -> list[Digest]:
        """The diff_ids of an image; none of what is no image."""
        where = f"config {described.digest}"
        if described.media_type not in _CONFIGS:
            self._compare(image_layout.find_blob(self._files, described, where), described.digest, where)
            return []
        diff_ids = diff_ids_of(image_layout.read_config(self._files, described, where), where)
        if len(diff_ids) != len(layers):
            raise ArtefactError(f"{where} has {len(diff_ids)} diff_ids for {len(layers)} layers")
        self._configs.add(described.digest)
        return diff_ids

    def _layer(self, described: Descriptor, diff_id: Digest | None, title: str) -> Iterator[Check]:
        blob = image_layout.find_blob(self._files, described, title)
        if diff_id is None:
            yield self._checked(Level.BLOB, described.digest, lambda: self._compare(blob, described.digest, title))
        else:
            yield from self._tar(StoredLayer(title, blob, described.digest, diff_id))

    def _tar(self, layer: StoredLayer) -> Iterator[Check]:
        """Both digests of a layer, from one reading."""
        if layer.diff_id is None or (layer.digest, layer.diff_id) in self._layers:
            return
        self._layers.add((layer.digest, layer.diff_id))
        stream, damage = LayerStream(layer, self._executor), ""
        try:
            for _ in stream.pieces():
                pass
        except PackError as error:
            damage = str(error)
        stored = stream.stored_digest()
        if layer.digest:
            other = f"{layer.title} is damaged: its digest is {stored}, and not {layer.digest}"
            yield Check(Level.BLOB, layer.digest, "" if stored == layer.digest else other)
        found = stream.digests().diff_id
        if not damage and found != layer.diff_id:
            damage = f"{layer.title} is damaged: its diff_id is {found}, and not {layer.diff_id}"
        yield Check(Level.DIFF_ID, layer.diff_id, damage)

    def _docker(self, *, has_layout: bool) -> Iterator[Check]:
        """What docker reads of an archive; beside a layout, it has to be the same."""
        for found in docker_archive.images(self._files):
            digest = docker_archive.config_digest(self._files, found)
            named = _NAMED.search(found.config)
            fault = ""
            if named and named[0] != digest.hex:
                fault = f"{found.config} is damaged: its digest is {digest}"
            elif has_layout and digest not in self._configs:
                fault = f"{docker_archive.NAME}, which docker reads, has another image than index.json: {digest}"
            yield Check(Level.CONFIG, digest, fault)
            for layer in docker_archive.read_image(self._files, found)[1]:
                if not has_layout:
                    yield from self._guarded(Level.DIFF_ID, layer.diff_id, self._tar(layer))

    def _compare(self, blob: Blob, digest: Digest, title: str) -> None:
        found = Digest.of_stream(blob.pieces())
        if found != digest:
            raise ArtefactError(f"{title} is damaged: its digest is {found}, and not {digest}")

    def _checked(self, level: Level, digest: Digest, work: Callable[[], None]) -> Check:
        try:
            with reading(self._files.origin):
                work()
        except ArtefactError as error:
            return Check(level, digest, str(error))
        return Check(level, digest)

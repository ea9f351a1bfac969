"""An image of a layout that is there already, read as what it is: somebody else's word, checked before it is passed on.

    index.json --> manifest or index --> manifests of an index --> configurations and layers

Every document is compared with the digest that names it; blobs are compared while they are sent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from formats.container_image import INDEX, MANIFEST
from formats.image_layout import blob_path
from formats.stored_layout import StoredLayout
from layers.digest import Digest, DigestError
from layers.entry import Content
from layers.errors import PackError
from packer.registry.image import LARGEST_DOCUMENT, Blob, Manifest

_DEEPEST = 3
_MOST_MANIFESTS = 1000

_INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
_MANIFESTS = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")


class LayoutError(PackError):
    """A layout that is not what it says."""


class StoredImage:
    """The image of a layout; see `packer.registry.image.Image`.

    Args:
        path: of the layout, a folder or an archive.

    Raises:
        PackError: it cannot be read, or is not what it says.
    """

    def __init__(self, path: str) -> None:
        self._layout = StoredLayout(path)
        self._manifests: dict[Digest, Manifest] = {}
        self._blobs: dict[Digest, Blob] = {}
        try:
            index = _document(self._layout.read("index.json", LARGEST_DOCUMENT), "index.json")
        except LayoutError:
            raise
        except PackError as error:
            raise LayoutError(
                f"{path} is no OCI image layout: {error}",
                hint="ocipack makes one; skopeo copy makes one of other archives: docker-archive:FILE oci:FOLDER.",
            ) from None
        named = _list(index, "manifests", "index.json")
        if len(named) != 1:
            raise LayoutError(f"{path} has {len(named)} images, where one is wanted")
        self._follow(named[0], "index.json", _DEEPEST)

    @property
    def manifests(self) -> Sequence[Manifest]:
        """See `Image`."""
        return list(self._manifests.values())

    @property
    def blobs(self) -> Sequence[Blob]:
        """See `Image`."""
        return list(self._blobs.values())

    def contents(self, wanted: Sequence[Blob]) -> Mapping[Digest, Content]:
        """See `Image`."""
        return {blob.digest: self._layout.content(blob_path(blob.digest)) for blob in wanted}

    def _follow(self, descriptor: Any, where: str, levels: int) -> None:
        """Take what a descriptor of a manifest or an index leads to."""
        digest, size, kind = _descriptor(descriptor, where)
        if digest in self._manifests:
            return
        if not levels or len(self._manifests) >= _MOST_MANIFESTS:
            raise LayoutError(f"{self._layout.path}: manifests are nested too deep, or too many")
        data = self._layout.read(blob_path(digest), LARGEST_DOCUMENT)
        if len(data) != size or Digest.of(data) != digest:
            raise LayoutError(f"{self._layout.path}: the manifest {digest} has other bytes")
        document = _document(data, str(digest))
        if document.get("mediaType", kind) != kind:
            raise LayoutError(f"{digest} is a {kind} for {where}, and something else for itself")
        if kind in _INDEXES and not document.keys() & {"config", "layers"}:
            for below in _list(document, "manifests", str(digest)):
                self._follow(below, str(digest), levels - 1)
        elif kind in _MANIFESTS and "manifests" not in document:
            for blob in _blobs(document, str(digest)):
                self._add(blob)
        else:
            raise LayoutError(f"{digest} is neither a manifest nor an index: {kind[:100]!r}")
        self._manifests[digest] = Manifest(kind, data)

    def _add(self, blob: Blob) -> None:
        size = self._layout.content(blob_path(blob.digest)).size
        if size != blob.size:
            raise LayoutError(
                f"{self._layout.path}: {blob.digest} has {size} bytes where its manifest says {blob.size}"
            )
        self._blobs.setdefault(blob.digest, blob)


def _blobs(document: Mapping[str, Any], where: str) -> Iterator[Blob]:
    digest, size, _ = _descriptor(document.get("config"), where)
    yield Blob(digest, size, "configuration")
    layers = _list(document, "layers", where)
    for number, layer in enumerate(layers, 1):
        digest, size, _ = _descriptor(layer, where)
        yield Blob(digest, size, f"layer {number} of {len(layers)}")


def _descriptor(value: Any, where: str) -> tuple[Digest, int, str]:
    """Digest, size and media type (image-spec, descriptor.md)."""
    try:
        digest, size, kind = Digest.parse(value["digest"]), value["size"], value["mediaType"]
    except (LookupError, TypeError, DigestError):
        digest, size, kind = None, None, None
    if digest is None or type(size) is not int or not 0 <= size < 1 << 63 or not isinstance(kind, str):
        raise LayoutError(f"{where} has a descriptor without digest, size and media type")
    return digest, size, kind


def _list(document: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list):
        raise LayoutError(f"{where} has no list of {name}")
    return value


def _document(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data, object_pairs_hook=_table)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise LayoutError(f"{what} is no JSON object")
    return value


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table

"""An image of a layout that is there already, read as what it is: somebody else's word, checked before it is passed on.

    index.json --> manifest or index --> manifests of an index --> configurations and layers

Every document is compared with the digest that names it; blobs are compared while they are sent.
"""

from collections.abc import Iterator, Mapping, Sequence

from formats.image_layout import blob_path
from formats.reading import documents, image_layout
from formats.reading.artefact import ArtefactError, reading
from formats.reading.documents import Descriptor, Json
from formats.reading.files import StoredFiles
from formats.reading.open import image_files
from layers.digest import Digest
from layers.entry import Content, Slice
from packer.registry.image import Blob, Manifest

_DEEPEST = 3
_MOST_MANIFESTS = 1000


class StoredImage:
    """The image of a layout; see `packer.registry.image.Image`.

    Args:
        path: of the layout, a folder or an archive.

    Raises:
        ArtefactError: it cannot be read, or is not what it says.
    """

    def __init__(self, path: str) -> None:
        self._origin = path
        self._manifests: dict[Digest, Manifest] = {}
        self._blobs: dict[Digest, Blob] = {}
        with reading(path):
            self._files, named = _layout(path)
            if len(named) != 1:
                raise ArtefactError(f"{path} has {len(named)} images, where one is wanted")
            self._follow(_described(named[0], "index.json"), _DEEPEST)

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
        return {blob.digest: self._content(blob) for blob in wanted}

    def _follow(self, descriptor: Descriptor, levels: int) -> None:
        """Take what a descriptor of a manifest or an index leads to."""
        if descriptor.digest in self._manifests:
            return
        if not levels or len(self._manifests) >= _MOST_MANIFESTS:
            raise ArtefactError(f"{self._origin}: manifests are nested too deep, or too many")
        where = f"{'index' if descriptor.is_index else 'manifest'} {descriptor.digest}"
        data = image_layout.read_data(self._files, descriptor, where)
        facts = image_layout.parsed_document(data, descriptor, where)
        if descriptor.is_index:
            for below in documents.array(_given(facts, "manifests", where), f"{where}: manifests"):
                self._follow(_described(below, where), levels - 1)
        else:
            for blob, title in _blobs(facts, where):
                self._add(blob, title)
        self._manifests[descriptor.digest] = Manifest(descriptor.media_type, data)

    def _add(self, descriptor: Descriptor, title: str) -> None:
        image_layout.find_blob(self._files, descriptor, f"{title} of {self._origin}")
        self._blobs.setdefault(descriptor.digest, Blob(descriptor.digest, descriptor.size, title))

    def _content(self, blob: Blob) -> Content:
        found = self._files.find(blob_path(blob.digest))
        if not found:
            raise ArtefactError(f"{self._origin} has no {blob_path(blob.digest)} any more")
        return Slice(found.path, found.offset, found.size)


def _layout(path: str) -> tuple[StoredFiles, Sequence[object]]:
    """The files of a layout, and what its `index.json` names."""
    try:
        files = image_files(path)
        blob = files and files.find("index.json")
        if not files or not blob:
            raise ArtefactError("there is no index.json")
        index = documents.table(documents.document(blob, "index.json"), "index.json")
        return files, documents.array(index.get("manifests"), "index.json: manifests")
    except ArtefactError as error:
        raise ArtefactError(
            f"{path} is no OCI image layout: {error}",
            hint="ocipack makes one; skopeo copy makes one of other archives: docker-archive:FILE oci:FOLDER.",
        ) from None


def _blobs(manifest: Json, where: str) -> Iterator[tuple[Descriptor, str]]:
    """What a manifest names, and what that is."""
    yield _described(_given(manifest, "config", where), where), "configuration"
    layers = documents.array(_given(manifest, "layers", where), f"{where}: layers")
    for number, layer in enumerate(layers, 1):
        yield _described(layer, where), f"layer {number} of {len(layers)}"


def _given(facts: Json, key: str, where: str) -> object:
    if key not in facts:
        raise ArtefactError(f"{where} has no {key}")
    return facts[key]


def _described(value: object, where: str) -> Descriptor:
    """A descriptor; others would have to guess at a media type that it does not have."""
    descriptor = documents.descriptor(value, where)
    if not descriptor.media_type:
        raise ArtefactError(f"{where} has a descriptor without a media type")
    return descriptor

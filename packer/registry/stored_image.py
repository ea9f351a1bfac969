"""An image of a layout that is there already, read as what it is: somebody else's word, checked before it is passed on.

    index.json --> manifest or index --> manifests of an index --> configurations and layers

Every document is compared with the digest that names it; blobs are compared while they are sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from formats.container_image import descriptor
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
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant")  # of a configuration (image-spec, config.md)


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as an index lists it.

    Attributes:
        descriptor: of its manifest, with its platform.
        annotations: of its manifest.
        origin: where it is stored.
    """

    descriptor: Json
    annotations: Mapping[str, str]
    origin: str

    @property
    def platform(self) -> str:
        """As `linux/arm64/v8`; empty if nothing says it.

        Raises:
            ArtefactError: it is none.
        """
        where = f"platform of {self.origin}"
        facts = documents.table(self.descriptor.get("platform"), where)
        return documents.platform(facts, where) if facts.get("os") and facts.get("architecture") else ""


class StoredImage:
    """The image of a layout; see `packer.registry.image.Image`.

    Args:
        path: of the layout, a folder or an archive.

    Attributes:
        origin: the same.

    Raises:
        ArtefactError: it cannot be read, or is not what it says.
    """

    def __init__(self, path: str) -> None:
        self.origin = path
        self._manifests: dict[Digest, Manifest] = {}
        self._facts: dict[Digest, Json] = {}
        self._blobs: dict[Digest, Blob] = {}
        with reading(path):
            self._files, named = _layout(path)
            if len(named) != 1:
                raise ArtefactError(f"{path} has {len(named)} images, where one is wanted")
            self._top = _described(named[0], "index.json")
            self._follow(self._top, _DEEPEST)

    def listed(self) -> list[Listed]:
        """The image as an index lists it, or all that are in its index.

        Raises:
            ArtefactError: its configuration is damaged.
        """
        if self._top.is_index:
            described = self._facts[self._top.digest]["manifests"]
        else:
            with reading(self.origin):
                config, data = self._config(), self._manifests[self._top.digest].data
            platform = {key: config[key] for key in _PLATFORM if key in config}
            described = [descriptor(self._top.media_type, data) | {"platform": platform}]
        return [Listed(each, self._annotations(each), self.origin) for each in described]

    def _annotations(self, described: Json) -> Mapping[str, str]:
        facts = self._facts[documents.digest(described.get("digest"), self.origin)]
        where = f"annotations of {self.origin}"
        return {
            key: documents.text(value, where) for key, value in documents.table(facts.get("annotations"), where).items()
        }

    @property
    def parts(self) -> Sequence[Manifest]:
        """The manifests that another index has to name, or that those name: all but its own index."""
        return [one for one in self.manifests if one.digest != self._top.digest or not self._top.is_index]

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
        return {blob.digest: self.content(blob) for blob in wanted}

    def content(self, blob: Blob) -> Content:
        """The bytes of one of its blobs.

        Raises:
            ArtefactError: they are not there any more.
        """
        found = self._files.find(blob_path(blob.digest))
        if not found:
            raise ArtefactError(f"{self.origin} has no {blob_path(blob.digest)} any more")
        return Slice(found.path, found.offset, found.size)

    def _follow(self, named: Descriptor, levels: int) -> None:
        """Take what a descriptor of a manifest or an index leads to."""
        if named.digest in self._manifests:
            return
        if not levels or len(self._manifests) >= _MOST_MANIFESTS:
            raise ArtefactError(f"{self.origin}: manifests are nested too deep, or too many")
        where = f"{'index' if named.is_index else 'manifest'} {named.digest}"
        data = image_layout.read_data(self._files, named, where)
        facts = image_layout.parsed_document(data, named, where)
        if named.is_index:
            for below in documents.array(_given(facts, "manifests", where), f"{where}: manifests"):
                self._follow(_described(below, where), levels - 1)
        else:
            for blob, title in _blobs(facts, where):
                self._add(blob, title)
        self._facts[named.digest] = facts
        self._manifests[named.digest] = Manifest(named.media_type, data)

    def _config(self) -> Json:
        where = f"configuration of {self.origin}"
        described = documents.descriptor(self._facts[self._top.digest]["config"], where)
        return image_layout.read_config(self._files, described, where)

    def _add(self, described: Descriptor, title: str) -> None:
        image_layout.find_blob(self._files, described, f"{title} of {self.origin}")
        self._blobs.setdefault(described.digest, Blob(described.digest, described.size, title))


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
    described = documents.descriptor(value, where)
    if not described.media_type:
        raise ArtefactError(f"{where} has a descriptor without a media type")
    return described

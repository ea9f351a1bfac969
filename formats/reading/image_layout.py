"""Images of an OCI image layout (image-spec, image-layout.md), in a folder or in an archive."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from formats.reading import documents
from formats.reading.artefact import ArtefactError, Blob, StoredImage, StoredLayer
from formats.reading.choice import answering, is_platform
from formats.reading.documents import Descriptor, Json
from formats.reading.files import Files
from formats.reading.image import layers_of

_REF_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_DEEPEST = 3  # an index of indexes of images
_MOST_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that an index names, and that is there.

    Attributes:
        names: of the image, or of the index that names it.
        platform: as the index has it; may be empty.
        descriptor: of its manifest.
    """

    names: tuple[str, ...]
    platform: str
    descriptor: Descriptor

    def __str__(self) -> str:
        parts = (*self.names[:1], self.platform, str(self.descriptor.digest)[:19])
        return " ".join(part for part in parts if part)

    def answers_to(self, name: str) -> bool:
        """Whether it is meant by a name, a platform, or the beginning of a digest."""
        digest = self.descriptor.digest
        known = name in (*self.names, str(digest)) or is_platform(name, self.platform)
        return known or (len(name) >= 12 and digest.hex.startswith(name))


def images(files: Files) -> list[FoundImage]:
    """The images of a layout.

    Raises:
        ArtefactError: an index is damaged.
    """
    blob = files.find("index.json")
    if not blob:
        raise ArtefactError(f"{files.origin} has no index.json")
    where = f"index.json of {files.origin}"
    found: list[FoundImage] = []
    for image in _images(files, documents.table(documents.document(blob, where), where), where, (), 1):
        if len(found) == _MOST_IMAGES:
            raise ArtefactError(f"{files.origin} has more than {_MOST_IMAGES} images")
        found.append(image)
    return found


def chosen(files: Files, choice: str) -> list[FoundImage]:
    """Those that are meant by a name, a platform or a digest; all, if it is empty.

    Raises:
        ArtefactError: an index is damaged, or an image that had to be looked at.
    """
    return answering(images(files), choice, lambda image: read_image(files, image)[0].platform)


def _images(files: Files, index: Json, where: str, names: tuple[str, ...], depth: int) -> Iterator[FoundImage]:
    for descriptor in documents.descriptors(index.get("manifests"), f"{where}: manifests"):
        blob = files.find(_path(descriptor))
        known = tuple(
            dict.fromkeys(
                name for key in (_CONTAINERD_NAME, _REF_NAME) if (name := descriptor.annotations.get(key)) is not None
            )
        )
        if blob and descriptor.is_image:
            yield FoundImage(known or names, descriptor.platform, descriptor)
        elif blob and descriptor.is_index and depth < _DEEPEST:
            below = f"index {descriptor.digest} of {files.origin}"
            nested = read_document(files, descriptor, below)
            yield from _images(files, nested, below, known or names, depth + 1)


def read_image(files: Files, found: FoundImage) -> tuple[StoredImage, tuple[StoredLayer, ...]]:
    """An image's documents and layers.

    Raises:
        ArtefactError: one of them is damaged or missing.
    """
    origin = files.origin
    manifest = read_document(files, found.descriptor, f"manifest of {origin}")
    described = documents.descriptor(manifest.get("config"), f"manifest of {origin}: config")
    if described.media_type.endswith("empty.v1+json"):
        raise ArtefactError(f"{origin} holds something else than an image: {manifest.get('artifactType')!r}")
    where = f"configuration of {origin}"
    config = read_config(files, described, where)
    layers = documents.descriptors(manifest.get("layers"), f"manifest of {origin}: layers")
    image = StoredImage(
        found.names,
        found.descriptor.digest,
        manifest,
        described.digest,
        config,
        documents.platform(config, where),
    )
    return image, layers_of(_blobs(files, layers), layers, config, origin)


def _refuse_two_minds(document: Json, descriptor: Descriptor, foreign: str, where: str) -> None:
    """A document that is a manifest for some programs and an index for others (CVE-2021-41190)."""
    if foreign in document or document.get("mediaType", descriptor.media_type) != descriptor.media_type:
        raise ArtefactError(f"{where} is of another kind than what names it says")


def read_document(files: Files, descriptor: Descriptor, where: str) -> Json:
    """An index or a manifest.

    Raises:
        ArtefactError: it is missing, damaged, or of another kind than its descriptor says.
    """
    return parsed_document(read_data(files, descriptor, where), descriptor, where)


def parsed_document(data: bytes, descriptor: Descriptor, where: str) -> Json:
    """An index or a manifest, of its bytes.

    Raises:
        ArtefactError: it is damaged, or of another kind than its descriptor says.
    """
    document = documents.table(documents.parsed(data, where), where)
    if not descriptor.is_index and not descriptor.is_manifest:
        raise ArtefactError(f"{where} is neither a manifest nor an index: {descriptor.media_type[:100]!r}")
    _refuse_two_minds(document, descriptor, "layers" if descriptor.is_index else "manifests", where)
    return document


def read_config(files: Files, descriptor: Descriptor, where: str) -> Json:
    """The configuration of an image.

    Raises:
        ArtefactError: it is missing, damaged, or none.
    """
    return documents.table(documents.parsed(read_data(files, descriptor, where), where), where)


def read_data(files: Files, descriptor: Descriptor, what: str) -> bytes:
    """The bytes of a document, as its descriptor says they are.

    Raises:
        ArtefactError: it is missing, or damaged.
    """
    return documents.read(find_blob(files, descriptor, what), what, descriptor.digest)


def find_blob(files: Files, descriptor: Descriptor, what: str) -> Blob:
    """The blob of a descriptor.

    Raises:
        ArtefactError: it is missing, or has another size.
    """
    blob = files.find(_path(descriptor))
    if not blob:
        raise ArtefactError(f"{what} is missing: {files.origin} has no {_path(descriptor)}")
    if blob.size != descriptor.size:
        raise ArtefactError(f"{what} is damaged: it has other bytes: {blob.size} of them, and not {descriptor.size}")
    return blob


def _blobs(files: Files, layers: Sequence[Descriptor]) -> list[Blob]:
    return [find_blob(files, layer, f"layer {rank} of {files.origin}") for rank, layer in enumerate(layers, 1)]


def _path(descriptor: Descriptor) -> str:
    return f"blobs/sha256/{descriptor.digest.hex}"

"""An image by its documents alone: manifest and configuration say what a layer holds, and none is read.

That is all that is asked of a registry: what a pull would move is known before anything is pulled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from formats.reading import image_layout
from formats.reading.artefact import ArtefactError, StoredArtefact, StoredImage, StoredLayer, reading
from formats.reading.files import Files
from formats.reading.open import image_files, open_artefact
from packer.inspection.difference import ItemChange, configuration_changes, item_changes
from packer.inspection.items import Item, written_items
from packer.registry.reference import Reference
from packer.registry.stored_files import RegistryFiles
from packer.subject import Registries

SCHEME = "docker://"  # what tells references from paths

REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Outline:
    """What an image's documents say.

    Attributes:
        artefact: where it is stored.
        image: its documents.
        items: by path, as far as the documents name them.
    """

    artefact: StoredArtefact
    image: StoredImage
    items: Mapping[str, Item]

    @classmethod
    def of(cls, artefact: StoredArtefact) -> "Outline":
        """The outline of an artefact.

        Raises:
            ArtefactError: it is no image.
        """
        if not artefact.image:
            raise ArtefactError(f"{artefact.path} is no image", hint="Only images are compared with references.")
        items = {item.path: item for item in written_items(artefact.layers)}
        return cls(artefact, artefact.image, dict(sorted(items.items())))

    @property
    def size(self) -> int:
        """Bytes of the layers as they are stored, each once."""
        return sum({layer.digest or layer.diff_id: layer.blob.size for layer in self.artefact.layers}.values())


@dataclass(frozen=True, slots=True)
class PulledLayer:
    """A layer of the second image that the first one has not.

    Attributes:
        layer: where it is stored.
        causes: the items that make it another one; or else what the history says, or why it moves all the same.
    """

    layer: StoredLayer
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutlineDifference:
    """How two images differ, as far as their documents say.

    Attributes:
        items: that differ, by name.
        configuration: key -> what the first and the second image have.
        layers: that somebody who has the first image would pull for the second.
        layers_gone: how many of the first image the second one has not.
    """

    items: tuple[ItemChange, ...]
    configuration: Mapping[str, tuple[object, object]]
    layers: tuple[PulledLayer, ...]
    layers_gone: int

    @property
    def pull_size(self) -> int:
        """Bytes of those layers, each once."""
        return sum({each.layer.digest: each.layer.blob.size for each in self.layers}.values())

    def __bool__(self) -> bool:
        return bool(self.items or self.configuration or self.layers or self.layers_gone)


def is_reference(text: str) -> bool:
    """Whether a text is a reference, and no path."""
    return text.startswith(SCHEME)


def outlines(text: str, choice: str, registries: Registries) -> list[Outline]:
    """The images of a reference or of an artefact: several of an index; none if it is no image.

    Args:
        text: a reference, or a path.
        choice: which of several images: name, platform or digest; empty for all.
        registries: opens repositories.

    Raises:
        ArtefactError: it cannot be read or is damaged, or has no such image.
        RegistryError: the registry does not give it.
    """
    if is_reference(text):
        reference = Reference.parse(text)
        with registries.open(reference, "pull") as repository:
            return list(_outlines(RegistryFiles(reference, repository), text, choice))
    files = image_files(text)
    return list(_outlines(files, text, choice)) if files and files.find("oci-layout") else []


def outline(text: str, choice: str, registries: Registries) -> Outline:
    """The one image of a reference or of an artefact.

    Raises:
        ArtefactError: as `outlines`, or there are several.
    """
    if not is_reference(text):
        return Outline.of(open_artefact(text, choice))
    found = outlines(text, choice, registries)
    if len(found) > 1:
        platforms = "".join(f"\n  {one.image.platform}" for one in found)
        raise ArtefactError(f"{text} has {len(found)} images:{platforms}", hint="--platform names one.")
    return found[0]


def _outlines(files: Files, path: str, choice: str) -> Iterator[Outline]:
    with reading(path):
        found = image_layout.chosen(files, choice)
        if not found:
            there = "".join(f"\n  {image}" for image in image_layout.images(files))
            raise ArtefactError(
                f"{path} has no image {choice!r}; there are:{there}" if choice else f"{path} is no image"
            )
        for one in found:
            image, layers = image_layout.read_image(files, one)
            size = sum(layer.blob.size for layer in layers)
            yield Outline.of(StoredArtefact(path, REGISTRY, "", size, layers, image))


def compare(before: Outline, after: Outline) -> OutlineDifference:
    """Compare two images."""
    return OutlineDifference(
        item_changes(before.items, after.items),
        configuration_changes(before.image, after.image),
        tuple(_pulled(before, after)),
        sum(1 for _ in _missing(before.artefact.layers, after.artefact.layers)),
    )


def _missing(layers: Sequence[StoredLayer], among: Sequence[StoredLayer]) -> Iterator[StoredLayer]:
    """Layers that are not among others: by their blobs, or by their tars where nobody names blobs."""
    digests = {layer.digest for layer in among if layer.digest}
    diff_ids = {layer.diff_id for layer in among if not layer.digest or not digests}
    for layer in layers:
        if layer.digest not in digests and layer.diff_id not in diff_ids:
            yield layer


def _pulled(before: Outline, after: Outline) -> Iterator[PulledLayer]:
    diff_ids = {layer.diff_id for layer in before.artefact.layers}
    known = {(item.path, item.identity) for item in before.items.values()}
    for layer in _missing(after.artefact.layers, before.artefact.layers):
        new = tuple(str(item) for item in layer.items or () if (item.path, item.identity) not in known)
        if layer.diff_id in diff_ids:
            causes: tuple[str, ...] = ("the same tar, compressed in another way",)
        elif layer.items and not new:
            causes = ("the same items, in other layers than before",)
        else:
            causes = new or (layer.comment or layer.created_by or "nobody says",)
        yield PulledLayer(layer, causes)

"""Images of docker's archive format: `manifest.json` names configurations and layers by their paths in the archive.

See "Combined Image JSON + Filesystem Changeset Format" of docker's image specification 1.3. `docker save` before
version 25 and `podman save` write no manifest of the image: nobody says there what a layer's blob should be.
"""

from dataclasses import dataclass
from typing import ClassVar

from formats.reading import documents
from formats.reading.artefact import ArtefactError, Blob, StoredImage, StoredLayer
from formats.reading.choice import answering
from formats.reading.files import Files
from formats.reading.image import layers_of
from layers.digest import Digest

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that the archive names.

    Attributes:
        names: repository and tag each.
        config: path of the configuration.
        layers: paths of the layers, lowest first.
    """

    platform: ClassVar[str] = ""  # of which the archive says nothing

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((*self.names[:1], self.config))

    def answers_to(self, name: str) -> bool:
        """Whether it is meant by a name."""
        return name in self.names


def images(files: Files) -> list[FoundImage]:
    """The images of an archive.

    Raises:
        ArtefactError: `manifest.json` is damaged or missing.
    """
    blob = files.find(NAME)
    if not blob:
        raise ArtefactError(f"{files.origin} has no {NAME}")
    where = f"{NAME} of {files.origin}"
    return [
        FoundImage(
            _texts(facts.get("RepoTags"), f"{where}: RepoTags"),
            documents.text(facts.get("Config"), f"{where}: Config"),
            _texts(facts.get("Layers"), f"{where}: Layers"),
        )
        for facts in (documents.table(each, where) for each in documents.array(documents.document(blob, where), where))
    ]


def chosen(files: Files, choice: str) -> list[FoundImage]:
    """Those that are meant by a name or a platform; all, if it is empty.

    Raises:
        ArtefactError: `manifest.json` is damaged or missing, or an image that had to be looked at.
    """
    return answering(images(files), choice, lambda image: read_image(files, image)[0].platform)


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(documents.text(each, where) for each in documents.array(value, where))


def config_digest(files: Files, found: FoundImage) -> Digest:
    """What docker calls the image.

    Raises:
        ArtefactError: its configuration is missing.
    """
    blob = _file(files, found.config)
    if blob.size > documents.MOST_BYTES:
        raise ArtefactError(f"{found.config} of {files.origin} has {blob.size} bytes")
    return Digest.of_stream(blob.pieces())


def read_image(files: Files, found: FoundImage) -> tuple[StoredImage, tuple[StoredLayer, ...]]:
    """An image's configuration and layers.

    Raises:
        ArtefactError: one of them is damaged or missing.
    """
    digest, where = config_digest(files, found), f"{found.config} of {files.origin}"
    config = documents.table(documents.document(_file(files, found.config), where, digest), where)
    image = StoredImage(found.names, None, {}, digest, config, documents.platform(config, where))
    return image, layers_of([_file(files, name) for name in found.layers], None, config, files.origin)


def _file(files: Files, name: str) -> Blob:
    blob = files.find(name)
    if not blob:
        raise ArtefactError(f"{files.origin} has no {name!r}, which its {NAME} names")
    return blob

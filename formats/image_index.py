"""What names images: one alone, or those of several platforms under one name.

    index.json -> manifest                      one image

    index.json -> index -> manifest             several platforms, each with a platform that clients choose by
                        -> manifest

Documents are those of the OCI image specification 1.1 (image-index.md). The index of several platforms is a blob, as
buildx and skopeo make it: its digest is what a registry calls the whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formats.container_image import INDEX, MANIFEST, ContainerImage, Json, canonical_json, descriptor, layer_facts
from formats.repository import registry_and_repository
from layers.digest import Digest


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """One image, or several of one name for different platforms.

    Attributes:
        images: in the order of os.toml.
        index: bytes of the index of several; empty if there is one.
        entry_point: bytes of `index.json`.
    """

    images: tuple[ContainerImage, ...]
    index: bytes
    entry_point: bytes

    @classmethod
    def of(cls, images: Sequence[ContainerImage]) -> "ImageIndex":
        """The documents that name some images."""
        described = [descriptor(MANIFEST, image.manifest) | {"platform": image.platform.oci} for image in images]
        if len(images) == 1:
            return cls(tuple(images), b"", _entry_point(images[0], described[0]))
        index = joint_index(described, [image.annotations for image in images])
        return cls(tuple(images), index, _entry_point(images[0], descriptor(INDEX, index)))

    @property
    def digest(self) -> Digest:
        """What a registry calls it."""
        return Digest.of(self.index or self.images[0].manifest)


@dataclass(frozen=True, slots=True)
class IndexArtefact:
    """An artefact that holds images for several platforms.

    Attributes:
        path: where it is.
        index: the images, and what names them.
    """

    path: str
    index: ImageIndex

    @property
    def summary(self) -> str:
        """See `formats.format.Artefact`."""
        platforms = ", ".join(image.platform.name for image in self.index.images)
        return f"{self.index.images[0].reference} {self.index.digest} ({platforms})"

    @property
    def facts(self) -> Json:
        """See `formats.format.Artefact`."""
        return {
            "reference": self.index.images[0].reference,
            "digest": str(self.index.digest),
            "images": [
                {
                    "platform": image.platform.name,
                    "digest": str(Digest.of(image.manifest)),
                    "image-id": str(Digest.of(image.config)),
                    "layers": [layer_facts(layer) for layer in image.layers],
                }
                for image in self.index.images
            ],
        }


def joint_index(described: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, str]]) -> bytes:
    """The bytes of an index.

    Args:
        described: the descriptors of the manifests, with their platforms.
        annotations: of each manifest; what all of them say is said of the index.
    """
    first, *rest = annotations
    common = {key: value for key, value in first.items() if all(other.get(key) == value for other in rest)}
    facts = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(described)}
    return canonical_json({**facts, "annotations": common} if common else facts)


def _entry_point(image: ContainerImage, described: Json) -> bytes:
    whole = "/".join(registry_and_repository(image.repository))  # the image store of containerd wants it spelled out
    named = {
        "annotations": {
            "org.opencontainers.image.ref.name": image.tag,
            "io.containerd.image.name": f"{whole}:{image.tag}",
        }
    }
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [described | named]})

"""What is pushed: manifests, and the blobs that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from layers.digest import Digest
from layers.entry import Content

#: Bytes of a manifest: what registries take (distribution-spec, Pushing Manifests).
LARGEST_DOCUMENT = 4 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer or a configuration.

    Attributes:
        digest: of its bytes.
        size: of its bytes.
        title: what it holds, for people.
    """

    digest: Digest
    size: int
    title: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index: its bytes are pushed as they are.

    Attributes:
        media_type: of the document.
        data: its bytes.
    """

    media_type: str
    data: bytes

    @property
    def digest(self) -> Digest:
        """What a registry calls it."""
        return Digest.of(self.data)


class Image(Protocol):
    """An image, or an index of several."""

    @property
    def manifests(self) -> Sequence[Manifest]:
        """All of them; each comes after those that it names, so that the last one is the image's own."""
        ...

    @property
    def blobs(self) -> Sequence[Blob]:
        """All that the manifests name, each digest once."""
        ...

    def contents(self, wanted: Sequence[Blob]) -> Mapping[Digest, Content]:
        """The bytes of some blobs; may have to make them first.

        Raises:
            PackError: they cannot be had.
        """
        ...

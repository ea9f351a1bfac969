"""An image of a registry, read as if it were an OCI image layout; see `formats.reading.files`.

Documents are fetched at the beginning, blobs when somebody reads them, part by part: nothing is kept on disk. How large
a blob is, the manifest says: the registry is asked for its bytes, and for nothing before.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from formats.reading import documents
from formats.reading.artefact import ArtefactError, Blob, DataBlob
from layers.digest import Digest
from packer.registry.image import Manifest
from packer.registry.reference import Reference
from packer.registry.repository import Repository

_BLOBS = "blobs/sha256/"
_PART = 4 << 20  # bytes of a blob that are asked for at a time
_DEEPEST = 3  # an index of indexes of images
_MOST_DOCUMENTS = 64 << 20  # bytes, of all manifests and indexes


@dataclass(frozen=True, slots=True)
class RegistryBlob:
    """A blob of a registry; see `formats.reading.artefact.Blob`.

    Attributes:
        repository: which has it.
        digest: by which the registry knows it: whether the bytes are those is for the reader to see.
        size: in bytes.
    """

    repository: Repository
    digest: Digest
    size: int

    def pieces(self) -> Iterator[bytes]:
        """See `Blob`."""
        for start in range(0, self.size, _PART):
            yield self.repository.blob_part(self.digest, start, min(_PART, self.size - start))


class RegistryFiles:
    """The files that a layout of the image would have; see `formats.reading.files.Files`.

    Args:
        reference: of the image.
        repository: the reference's.

    Raises:
        RegistryError: the registry does not give it.
        ArtefactError: there is no such image, or it is damaged.
    """

    def __init__(self, reference: Reference, repository: Repository) -> None:
        self.origin = str(reference)
        self._repository = repository
        self._left = _MOST_DOCUMENTS
        self._files: dict[str, bytes] = {}
        self._sizes: dict[Digest, int] = {}
        top = self._fetch(str(reference.digest or reference.tag))
        if not top:
            raise ArtefactError(f"there is no image {reference}")
        self.digest = top.digest
        descriptor = {"mediaType": top.media_type, "digest": str(top.digest), "size": len(top.data)}
        self._files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode()
        self._follow(top, _DEEPEST)

    def find(self, name: str) -> Blob | None:
        """See `Files`."""
        if name in self._files:
            return DataBlob(self._files[name])
        if not name.startswith(_BLOBS):
            return None
        digest = Digest.parse(f"sha256:{name.removeprefix(_BLOBS)}")
        size = self._sizes.get(digest)
        return None if size is None else RegistryBlob(self._repository, digest, size)

    def _follow(self, manifest: Manifest, levels: int) -> None:
        """Fetch what an index names."""
        if manifest.media_type not in documents.INDEXES:
            self._note_sizes(manifest)
            return
        if not levels:
            return
        where = f"index {manifest.digest} of {self.origin}"
        index = documents.table(documents.parsed(manifest.data, where), where)
        for descriptor in documents.descriptors(index.get("manifests"), where):
            if self._path(descriptor.digest) not in self._files and (below := self._fetch(str(descriptor.digest))):
                self._follow(below, levels - 1)

    def _note_sizes(self, manifest: Manifest) -> None:
        """Note how large the blobs of a manifest are; of a damaged one, its readers say what is wrong."""
        where = f"manifest {manifest.digest}"
        with contextlib.suppress(ArtefactError):
            facts = documents.table(documents.parsed(manifest.data, where), where)
            named = [
                documents.descriptor(facts.get("config"), where),
                *documents.descriptors(facts.get("layers"), where),
            ]
            self._sizes |= {descriptor.digest: descriptor.size for descriptor in named}

    def _fetch(self, name: str) -> Manifest | None:
        manifest = self._repository.document(name)
        if manifest:
            self._left -= len(manifest.data)
            if self._left < 0:
                raise ArtefactError(f"{self.origin} has more than {_MOST_DOCUMENTS >> 20} MiB of manifests")
            self._files[self._path(manifest.digest)] = manifest.data
        return manifest

    def _path(self, digest: Digest) -> str:
        return f"{_BLOBS}{digest.hex}"

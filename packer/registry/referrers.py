"""What is attached to an image of a registry: manifests that name it as their subject (distribution-spec 1.1).

GET referrers/DIGEST    an index of them, a page at a time, where the registry has the API
GET manifests/sha256-HEX    the same index under a tag, which clients keep up where it has not (Unavailable
Referrers API); what others have put there stays
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from formats.container_image import INDEX, MANIFEST
from formats.reading import documents
from formats.reading.artefact import ArtefactError
from formats.reading.documents import Descriptor
from layers.digest import Digest
from layers.entry import Data
from packer.registry.answer import RegistryError
from packer.registry.image import Blob, Manifest
from packer.registry.repository import Repository

EMPTY = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

_TRIES = 5  # of a tag that others change at the same time


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is attached.

    Attributes:
        artifact_type: says what it is.
        media_type: of its data.
        data: its bytes.
        title: for people; without, its type.
        annotations: of its manifest; lists of referrers repeat them.
    """

    artifact_type: str
    media_type: str
    data: bytes
    title: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, subject: Descriptor) -> Manifest:
        """The manifest that attaches it."""
        facts: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": self.artifact_type,
            "config": _described(EMPTY_TYPE, EMPTY),
            "layers": [_described(self.media_type, self.data)],
            "subject": {"mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size},
        }
        if self.annotations:
            facts["annotations"] = dict(self.annotations)
        return Manifest(MANIFEST, _json(facts))


def attach(attachment: Attachment, subject: Descriptor, repository: Repository) -> Digest:
    """Attach something to an image, or to an index, that is there already.

    Returns:
        The digest of the manifest that attaches it.

    Raises:
        RegistryError: the registry does not take it.
    """
    manifest = attachment.manifest(subject)
    for data, title in (
        (EMPTY, "empty configuration"),
        (attachment.data, attachment.title or attachment.artifact_type),
    ):
        blob = Blob(Digest.of(data), len(data), title)
        if not repository.has(blob):
            repository.upload(blob, Data(data), lambda _: None)
    repository.put(manifest, str(manifest.digest))
    if repository.referrers(subject.digest) is None:
        described = _described(MANIFEST, manifest.data) | {"artifactType": attachment.artifact_type}
        if attachment.annotations:
            described["annotations"] = dict(attachment.annotations)
        _add(described, _fallback(subject.digest), repository)
    return manifest.digest


def attached(digest: Digest, artifact_type: str, repository: Repository) -> Sequence[Digest]:
    """The manifests of a type that are attached to an image, as the registry has it.

    Raises:
        RegistryError: the registry does not say.
        ArtefactError: it answers with something else.
    """
    pages = repository.referrers(digest)
    if pages is None and (index := repository.document(_fallback(digest))):
        pages = [index.data]
    return [
        documents.digest(each.get("digest"), "a referrer")
        for page in pages or ()
        for each in _named(page)
        if each.get("artifactType") == artifact_type
    ]


def attached_data(digest: Digest, subject: Digest, media_type: str, most: int, repository: Repository) -> bytes | None:
    """What a manifest attaches; None if it is not a single thing of that type, attached to that subject.

    Args:
        digest: of the manifest.
        subject: what it has to be attached to.
        media_type: of what is attached.
        most: bytes of it.
        repository: which has it.

    Raises:
        RegistryError: the registry does not give it.
    """
    manifest = repository.document(str(digest))
    if not manifest:
        return None
    try:
        facts = documents.table(documents.parsed(manifest.data, str(digest)), str(digest))
        named = documents.descriptor(facts.get("subject"), "subject").digest
        layers = documents.descriptors(facts.get("layers"), "layers")
    except ArtefactError:
        return None
    if named != subject or len(layers) != 1 or layers[0].media_type != media_type or not 0 < layers[0].size <= most:
        return None
    data = repository.blob_part(layers[0].digest, 0, layers[0].size)
    return data if Digest.of(data) == layers[0].digest else None


def _add(described: dict[str, Any], tag: str, repository: Repository) -> None:
    """Add a manifest to the index under a tag, until it is in it."""
    for _ in range(_TRIES):
        before = repository.document(tag)
        index, named = _index(before, tag)
        if any(each.get("digest") == described["digest"] for each in named):
            return
        facts = {"schemaVersion": 2, "mediaType": INDEX, **index, "manifests": [*named, described]}
        repository.put_shared(Manifest(INDEX, _json(facts)), tag)
    raise RegistryError(f"{tag} is changed by others all the time", hint="Try again.")


def _index(manifest: Manifest | None, tag: str) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """The index under a tag, and its entries.

    Raises:
        RegistryError: something else is there, which is not ours to replace.
    """
    if manifest is None:
        return {}, []
    try:
        facts = documents.table(documents.parsed(manifest.data, tag), tag)
        named = _named(manifest.data)
    except ArtefactError as error:
        raise RegistryError(f"the tag {tag} is no index of referrers: {error}") from None
    if facts.get("mediaType", INDEX) != INDEX:
        raise RegistryError(f"the tag {tag} is no index of referrers")
    return facts, named


def _named(index: bytes) -> list[dict[str, Any]]:
    facts = documents.table(documents.parsed(index, "the index of referrers"), "the index of referrers")
    return [dict(documents.table(each, "a referrer")) for each in documents.array(facts.get("manifests"), "manifests")]


def _fallback(digest: Digest) -> str:
    return f"sha256-{digest.hex}"


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def _json(facts: Any) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()

"""The documents of images, parsed strictly: small, with no key twice, of the types that the specifications have.

What is passed over is what nobody here needs; what is missing or of another type is refused with its place.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formats.reading.artefact import ArtefactError, Blob
from layers.digest import Digest
from layers.errors import PackError

#: What registries take as a manifest, and containers/image as a configuration.
MOST_BYTES = 4 << 20

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob, as documents name it (image-spec, descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str]
    platform: str

    @property
    def is_index(self) -> bool:
        """Whether it names an index."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether it names a manifest, whatever it is of."""
        return self.media_type in _MANIFESTS

    @property
    def is_image(self) -> bool:
        """Whether it names the manifest of an image, and not of an attestation."""
        return self.is_manifest and not self.platform.startswith("unknown/")


def document(blob: Blob, origin: str, digest: Digest | None = None) -> Any:
    """The JSON of a blob.

    Args:
        blob: holds it.
        origin: what it is, for messages.
        digest: what the blob must have.

    Raises:
        ArtefactError: it is too large, damaged, or no plain JSON.
    """
    return parsed(read(blob, origin, digest), origin)


def read(blob: Blob, origin: str, digest: Digest | None = None) -> bytes:
    """The bytes of a document.

    Args:
        blob: holds it.
        origin: what it is, for messages.
        digest: what the blob must have.

    Raises:
        ArtefactError: it is too large, or damaged.
    """
    if blob.size > MOST_BYTES:
        raise ArtefactError(f"{origin} has {blob.size} bytes, more than the {MOST_BYTES >> 20} MiB that anybody takes")
    data = b"".join(blob.pieces())
    if digest and Digest.of(data) != digest:
        found = Digest.of(data)
        raise ArtefactError(f"{origin} is damaged: its digest is {found}, and not {digest}: it has other bytes")
    return data


def parsed(data: bytes, origin: str) -> Any:
    """The JSON of bytes that are no more than `MOST_BYTES`.

    Raises:
        ArtefactError: they are damaged, or no plain JSON.
    """
    try:
        return strict_json(data)
    except RecursionError:
        raise ArtefactError(f"{origin} is not JSON: it is nested too deep") from None
    except ValueError as error:
        raise ArtefactError(f"{origin} is not JSON: {error}") from None


def strict_json(data: bytes) -> Any:
    """The values of JSON in which no key is twice, and every number is one.

    Raises:
        ValueError: it is anything else.
        RecursionError: it is nested too deep.
    """
    return json.loads(data.decode(), object_pairs_hook=_table, parse_constant=_constant)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _constant(name: str) -> object:
    raise ValueError(f"{name!r} is no value")


def table(value: object, where: str) -> Json:
    """A table; nothing is an empty one.

    Raises:
        ArtefactError: it is anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ArtefactError(f"{where} is no table")
    return value


def array(value: object, where: str) -> Sequence[Any]:
    """An array; nothing is an empty one.

    Raises:
        ArtefactError: it is anything else.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ArtefactError(f"{where} is no array")
    return value


def text(value: object, where: str) -> str:
    """A string; nothing is an empty one.

    Raises:
        ArtefactError: it is anything else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ArtefactError(f"{where} is no string")
    return value


def digest(value: object, where: str) -> Digest:
    """A digest.

    Raises:
        ArtefactError: it is anything else.
    """
    try:
        return Digest.parse(text(value, where))
    except PackError as error:
        raise ArtefactError(f"{where}: {error}") from None


def descriptor(value: object, where: str) -> Descriptor:
    """A descriptor.

    Raises:
        ArtefactError: it is anything else.
    """
    facts = table(value, where)
    size = facts.get("size")
    if type(size) is not int or size < 0:
        raise ArtefactError(f"{where}: its size is no number of bytes")
    annotations = table(facts.get("annotations"), f"{where}.annotations")
    return Descriptor(
        text(facts.get("mediaType"), f"{where}.mediaType"),
        digest(facts.get("digest"), f"{where}.digest"),
        size,
        {key: text(given, f"{where}.annotations.{key}") for key, given in annotations.items()},
        platform(table(facts.get("platform"), f"{where}.platform"), where),
    )


def descriptors(value: object, where: str) -> list[Descriptor]:
    """An array of descriptors.

    Raises:
        ArtefactError: it is anything else.
    """
    return [descriptor(each, f"{where}[{place}]") for place, each in enumerate(array(value, where))]


def platform(facts: Json, where: str) -> str:
    """`linux/arm64/v8`, of an index's platform or of a configuration; empty if there is none."""
    parts = (text(facts.get(key), f"{where}.{key}") for key in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part)

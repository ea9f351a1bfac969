"""What a signature of an image says: containers/image's "atomic container signature" (docs/containers-signature.5.md).

    {"critical": {"identity": {"docker-reference": "registry.example.org/team/app:1"},
                  "image": {"docker-manifest-digest": "sha256:…"},
                  "type": "atomic container signature"},
     "optional": {"creator": "ocipack 0.1.0", "timestamp": 1}}

It is signed inline and binary (see `gpg`). The bytes before they are signed are canonical: sorted keys, no spaces.
"""

import json
from dataclasses import dataclass

from formats.reading import documents
from formats.reading.artefact import ArtefactError
from layers.digest import Digest
from layers.errors import InputError
from packer.registry.reference import Reference
from packer.signing.gpg import BadSignatureError

_TYPE = "atomic container signature"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an image is to be called.

    Attributes:
        name: registry and repository.
        tag: empty for any tag of the repository.
    """

    name: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Read a reference without a digest; without a tag, it is the whole repository.

        Raises:
            InputError: it is none.
        """
        reference = Reference.parse(text)
        if reference.digest:
            raise InputError(f"{text!r} has a digest, and an identity is a name", hint="Leave out what begins with @.")
        return cls(reference.name, reference.tag if ":" in text.rpartition("/")[2] else "")

    @classmethod
    def of(cls, reference: Reference) -> "Identity":
        """What somebody expects who uses a reference; by a digest alone, any tag will do."""
        return cls(reference.name, reference.tag)

    def accepts(self, name: str) -> bool:
        """Whether it is what a signature is for."""
        try:
            claimed = Reference.parse(name)
        except InputError:
            return False
        return str(claimed) == name and claimed.name == self.name and self.tag in ("", claimed.tag)

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" if self.tag else self.name


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed.

    Attributes:
        name: of the image, with its tag.
        digest: of its manifest.
    """

    name: str
    digest: Digest

    def encode(self, creator: str, timestamp: int) -> bytes:
        """The bytes that are signed.

        Args:
            creator: who signs: the program.
            timestamp: seconds since 1970.
        """
        critical = {
            "identity": {"docker-reference": self.name},
            "image": {"docker-manifest-digest": str(self.digest)},
            "type": _TYPE,
        }
        facts = {"critical": critical, "optional": {"creator": creator, "timestamp": timestamp}}
        return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Statement":
        """Read what was signed, strictly: no key of the critical part is unknown or missing.

        Raises:
            BadSignatureError: it is none.
        """
        try:
            facts = _exactly(documents.parsed(data, "what is signed"), "critical", "optional")
            critical = _exactly(facts["critical"], "identity", "image", "type")
            name = _exactly(critical["identity"], "docker-reference")["docker-reference"]
            digest = _exactly(critical["image"], "docker-manifest-digest")["docker-manifest-digest"]
            documents.table(facts["optional"], "optional")
            if critical["type"] != _TYPE or not isinstance(name, str):
                raise ArtefactError("another type")
            return cls(name, documents.digest(digest, "docker-manifest-digest"))
        except ArtefactError:
            raise BadSignatureError("what is signed is no statement about an image") from None


def _exactly(value: object, *keys: str) -> documents.Json:
    table = documents.table(value, "what is signed")
    if set(table) != set(keys):
        raise ArtefactError("other keys")
    return table

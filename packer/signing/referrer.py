"""Signatures beside the image in its registry, as OCI referrers; see `packer.registry.referrers`.

They are the same bytes as in a lookaside. podman and skopeo read those, and not these: what is here is for
`ocipack verify`, and for whoever fills a lookaside from a registry.
"""

from collections.abc import Iterator

from formats.reading.documents import Descriptor
from layers.digest import Digest
from packer.registry.referrers import Attachment, attach, attached, attached_data
from packer.registry.repository import Repository
from packer.signing.gpg import MOST_BYTES

ARTIFACT_TYPE = "application/vnd.ocipack.simple-signature.v1"
MEDIA_TYPE = "application/vnd.ocipack.simple-signature.v1+pgp"

_MOST = 100  # signatures of an image that are looked at


def add(image: Descriptor, signature: bytes, repository: Repository) -> Digest:
    """Attach a signature to an image.

    Returns:
        The digest of the manifest that attaches it.

    Raises:
        RegistryError: the registry does not take it.
    """
    return attach(Attachment(ARTIFACT_TYPE, MEDIA_TYPE, signature), image, repository)


def signatures(digest: Digest, repository: Repository) -> Iterator[bytes]:
    """The signatures that are attached to an image, whoever made them.

    Raises:
        RegistryError: the registry does not give them.
    """
    for manifest in attached(digest, ARTIFACT_TYPE, repository)[:_MOST]:
        data = attached_data(manifest, digest, MEDIA_TYPE, MOST_BYTES, repository)
        if data is not None:
            yield data

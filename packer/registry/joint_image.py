"""Images that were built one by one, for different platforms: pushed as one index, as if they were built together.

image of platform A              index -> manifest of A
index of platforms B and C   =>        -> manifest of B
                                       -> manifest of C
"""

from collections.abc import Mapping, Sequence

from formats.container_image import INDEX
from formats.image_index import joint_index
from layers.digest import Digest
from layers.entry import Content
from layers.errors import InputError
from packer.registry.image import Blob, Manifest
from packer.registry.stored_image import Listed, StoredImage

_NO_PLATFORM = "unknown/unknown"  # what buildx says of attestations


class JointImage:
    """Several images under one index; see `packer.registry.image.Image`.

    Args:
        images: in the order of the index.

    Raises:
        InputError: two are for one platform, or nothing says which one is for.
        ArtefactError: one of them is damaged.
    """

    def __init__(self, images: Sequence[StoredImage]) -> None:
        listed = [one for image in images for one in image.listed()]
        _check_platforms(listed)
        index = joint_index([one.descriptor for one in listed], [one.annotations for one in listed])
        below = {manifest.digest: manifest for image in images for manifest in image.parts}
        self.manifests = [*below.values(), Manifest(INDEX, index)]
        self._blobs = {blob.digest: (blob, image) for image in images for blob in image.blobs}

    @property
    def blobs(self) -> Sequence[Blob]:
        """See `Image`."""
        return [blob for blob, _ in self._blobs.values()]

    def contents(self, wanted: Sequence[Blob]) -> Mapping[Digest, Content]:
        """See `Image`."""
        return {blob.digest: self._blobs[blob.digest][1].content(blob) for blob in wanted}


def _check_platforms(listed: Sequence[Listed]) -> None:
    givers: dict[str, str] = {}
    for one in listed:
        platform = one.platform
        if not platform:
            raise InputError(f"nothing says which platform {one.origin} is for", hint="Push it alone.")
        if platform in givers and platform != _NO_PLATFORM:
            raise InputError(
                f"{givers[platform]} and {one.origin} are both for {platform}",
                hint="Of the images of one index, each is for another platform.",
            )
        givers[platform] = one.origin

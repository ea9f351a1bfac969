"""The OCI image layout (image-spec, image-layout.md), as a folder's files in the order in which they are written.

oci-layout              {"imageLayoutVersion":"1.0.0"}
index.json              the entry point
manifest.json           only for docker: names the same blobs (see formats.docker)
blobs/sha256/HEX        configuration, manifest, layers
"""

from collections.abc import Iterator

from formats.container_image import ContainerImage
from layers.blob import BlobCache
from layers.digest import Digest
from layers.entry import Content, Data, Directory, Entry, File, Slice

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


def blob_path(digest: Digest) -> str:
    """A blob's place in a layout."""
    return f"blobs/sha256/{digest.hex}"


def layout_entries(image: ContainerImage, cache: BlobCache, extra: tuple[File, ...] = ()) -> Iterator[Entry]:
    """All files and folders of a layout of one image; `extra` files stand right after the index."""
    yield File(b"oci-layout", Data(LAYOUT))
    yield File(b"index.json", Data(image.index))
    yield from extra
    yield Directory(b"blobs")
    yield Directory(b"blobs/sha256")
    blobs: dict[Digest, Content] = {Digest.of(data): Data(data) for data in (image.manifest, image.config)}
    for layer in image.layers:
        blobs[layer.digest] = Slice(cache.path(layer.digest), 0, layer.size)
    for digest, content in blobs.items():
        yield File(blob_path(digest).encode(), content)

"""The OCI image layout (image-spec, image-layout.md): a folder's files, in a folder or in an archive.

    blobs/sha256/HEX        layers, manifests, configurations, the index of several platforms
    index.json              the entry point
    manifest.json           only for docker: names the same blobs (see formats.docker)
    oci-layout              {"imageLayoutVersion":"1.0.0"}

Layers come first, because what names them is known only when they are written: uncompressed layers are written where
they are to be, in one pass, and kept nowhere else.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from formats.container_image import container_image, layer_requests
from formats.format import Order
from formats.image_index import ImageIndex
from layers.archive import LARGEST_STREAMED, ArchiveWriter
from layers.blob import Emit, Layer, LayerRequest, Workshop
from layers.digest import Digest
from layers.entry import Content, Data, Directory, File, Slice
from layers.output import Buffer, PendingFile
from layers.placed import write_placed
from layers.reader import Reader

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

_BLOBS = ("blobs", "blobs/sha256")


class Layout(Protocol):
    """Where a layout goes."""

    @property
    def seekable(self) -> bool:
        """Whether `add_layers` works."""
        ...

    def add(self, path: str, content: Content) -> None:
        """Write a file; one that is there already, as a layer that two platforms share, is not written twice."""
        ...

    def add_layers(self, workshop: Workshop, requests: Sequence[LayerRequest]) -> list[Layer]:
        """Write the blobs of layers that are made on the way, without compression."""
        ...


def blob_path(digest: Digest) -> str:
    """A blob's place in a layout."""
    return f"blobs/sha256/{digest.hex}"


def write_layout(
    orders: Sequence[Order], layout: Layout, extra: Callable[[ImageIndex], dict[str, bytes]] = lambda _: {}
) -> ImageIndex:
    """Make images, and write their layout.

    Args:
        orders: what to make: an image for each platform.
        layout: where it goes.
        extra: more files of the layout, by name.

    Raises:
        PackError: something of the system cannot be read, or the output cannot be written.
    """
    index = ImageIndex.of([container_image(order, _write_layers(order, layout)) for order in orders])
    documents = {blob_path(Digest.of(data)): data for image in index.images for data in (image.manifest, image.config)}
    if index.index:
        documents[blob_path(index.digest)] = index.index
    documents |= {"index.json": index.entry_point, **extra(index), "oci-layout": LAYOUT}
    for path, data in documents.items():
        layout.add(path, Data(data))
    return index


def _write_layers(order: Order, layout: Layout) -> list[Layer]:
    workshop, requests = order.workshop, layer_requests(order)
    if workshop.codec.name == "none" and layout.seekable and all(map(_can_be_streamed, requests)):
        return layout.add_layers(workshop, requests)
    written = set[Layer]()

    def write(layer: Layer) -> None:
        if layer not in written:
            layout.add(blob_path(layer.digest), Slice(workshop.cache.path(layer.digest), 0, layer.size))
        written.add(layer)

    return workshop.layers(requests, write)


def _can_be_streamed(request: LayerRequest) -> bool:
    """Whether it is to be made, and certainly not too large; headers are a small part of that much."""
    return not request.verbatim and request.size < LARGEST_STREAMED // 2


class ArchiveLayout:
    """A layout in an archive."""

    def __init__(self, archive: ArchiveWriter) -> None:
        self._archive = archive
        self._known: set[str] = set()
        self.seekable = archive.seekable
        for folder in _BLOBS:
            archive.add(Directory(folder.encode()))

    def add(self, path: str, content: Content) -> None:
        """See `Layout`."""
        if path not in self._known:
            self._known.add(path)
            self._archive.add(File(path.encode(), content))

    def add_layers(self, workshop: Workshop, requests: Sequence[LayerRequest]) -> list[Layer]:
        """See `Layout`; a layer that is there already is not written twice."""
        *of_items, customization = requests
        sizes = [request.size for request in of_items]
        workers = 0 if self._known else workshop.workers(sum(sizes), max(sizes, default=0))
        placed = (
            self._add_placed(workshop, workers, of_items) if workers else []
        )  # workers know nothing of each other's
        with workshop.streams([customization] if placed else requests) as streams:
            return [*placed, *(self._add_layer(stream) for stream in streams)]

    def _add_placed(self, workshop: Workshop, workers: int, requests: Sequence[LayerRequest]) -> list[Layer]:
        layers: list[Layer] = []

        def write(output: PendingFile, start: int, room: int) -> Iterator[tuple[bytes, int, int]]:
            for placed in write_placed(workshop, workers, requests, output, start, room):
                layers.append(placed.layer)
                path = blob_path(placed.layer.digest)
                self._known.add(path)
                if placed.offset is not None:
                    yield path.encode(), placed.offset, placed.layer.size

        self._archive.add_placed(write)
        return layers

    def _add_layer(self, emit: Emit) -> Layer:
        made: list[Layer] = []

        def emitted(write: Callable[[Buffer], object]) -> bytes | None:
            layer = emit(write)
            made.append(layer)
            path = blob_path(layer.digest)
            if path in self._known:
                return None
            self._known.add(path)
            return path.encode()

        self._archive.add_streamed(emitted)
        return made[0]


class FolderLayout:
    """A layout in a folder, which must be empty."""

    seekable = True

    def __init__(self, folder: str) -> None:
        self._folder = folder
        for name in _BLOBS:
            path = os.path.join(folder, name)
            os.mkdir(path)
            os.chmod(path, 0o755)  # noqa: S103  # as any folder, whatever the umask

    def add(self, path: str, content: Content) -> None:
        """See `Layout`."""
        above, name = os.path.split(os.path.join(self._folder, path))
        if os.path.lexists(os.path.join(above, name)):
            return
        with PendingFile(above) as file:
            if isinstance(content, Data):
                file.write(content.data)
            else:
                with Reader() as reader:
                    file.copy(reader.descriptor(content), content.offset, content.size)
            file.publish(name)

    def add_layers(self, workshop: Workshop, requests: Sequence[LayerRequest]) -> list[Layer]:
        """See `Layout`."""
        with workshop.streams(requests) as streams:
            return [self._add_layer(stream) for stream in streams]

    def _add_layer(self, emit: Emit) -> Layer:
        with PendingFile(os.path.join(self._folder, _BLOBS[-1])) as file:
            layer = emit(file.write)
            file.publish(layer.digest.hex)
        return layer

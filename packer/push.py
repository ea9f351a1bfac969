"""`ocipack push`: what os.toml declares, or what was built from it, into a registry.

os.toml --produce--> layers that are known by their digests --> those that the registry lacks are made --> registry
a layout, in a folder or an archive ------------------------------------------------------------------> registry
several of them, for different platforms --index-----------------------------------------------------> registry

What is attached to the image follows, when the image is there: what `[sbom]` wants, or files.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from formats.container_image import INDEX, MANIFEST, container_image, layer_requests
from formats.format import Order
from formats.image_index import ImageIndex
from formats.reading.documents import Descriptor
from layers.digest import Digest
from layers.entry import Content, Data, Slice
from layers.errors import PackError
from packer import attachments
from packer.build import Production, Settings, open_workshop
from packer.declaration import Declaration
from packer.provenance import Build
from packer.registry.image import Blob, Image, Manifest
from packer.registry.joint_image import JointImage
from packer.registry.push import Pushed, PushProgress, push
from packer.registry.reference import Reference
from packer.registry.referrers import Attachment, attach
from packer.registry.repository import Repository
from packer.registry.stored_image import StoredImage
from packer.registry.transport import Access, Transport

if TYPE_CHECKING:
    from layers.blob import LayerRequest


@dataclass(frozen=True, slots=True)
class Target:
    """Where an image goes.

    Attributes:
        reference: of the image.
        access: how the registry is reached.
        mounts: other repositories of the registry, in which blobs may be already.
        chunk: bytes of a blob that are sent at a time; 0 for all of them at once.
    """

    reference: Reference
    access: Access
    mounts: Sequence[Reference] = ()
    chunk: int = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[Repository]:
        """The repository.

        Raises:
            PackError: the registry cannot be reached.
        """
        scopes = [f"repository:{self.reference.repository}:pull,push"]
        scopes += [f"repository:{mount.repository}:pull" for mount in self.mounts]
        with Transport(self.reference, self.access, scopes) as transport:
            yield Repository(self.reference, transport, self.mounts, self.chunk)


def push_stored(paths: Sequence[str], target: Target, progress: PushProgress, documents: Sequence[str] = ()) -> Pushed:
    """Push the image of a layout, or an index of the images of several.

    Args:
        paths: of the layouts, folders or archives.
        target: where they go.
        progress: is told what is done.
        documents: paths of what is attached to the images: SBOMs, provenance.

    Raises:
        InputError: the layouts do not go together, or a document is not about one of them.
        PackError: a layout is not what it says, or the registry does not take it.
    """
    images = [StoredImage(path) for path in paths]
    image = images[0] if len(images) == 1 else JointImage(images)
    wanted = [attachments.of_file(path, image.manifests) for path in documents]
    return _push(image, wanted, target, progress)


def _push(
    image: Image, wanted: Sequence[tuple[Attachment, Manifest]], target: Target, progress: PushProgress
) -> Pushed:
    with target.open() as repository:
        pushed = push(image, target.reference, repository, progress)
        attached = {each.title: attach(each, _described(subject), repository) for each, subject in wanted}
    return replace(pushed, attached=attached)


def push_built(
    declaration: Declaration,
    productions: Sequence[Production],
    settings: Settings,
    target: Target,
    progress: PushProgress,
) -> Pushed:
    """Build an image, and push it; nothing of it is made that the registry has and that was made once.

    Args:
        declaration: os.toml, with what the command line says instead.
        productions: of what: one for each platform.
        settings: with what.
        target: where it goes.
        progress: is told what is done.

    Raises:
        PackError: a content cannot be read, or the registry does not take the image.
    """
    with open_workshop(productions, settings) as workshop:
        image = BuiltImage([Order(one.system, one.plan, workshop, str(target.reference)) for one in productions])
        name, target = target.reference.name, _beside_bases(target, productions)
        wanted = [
            (attachment, manifest)
            for one, made, manifest in zip(productions, image.images, image.manifests, strict=False)  # an index is last
            for attachment in attachments.of_image(
                Build(declaration, settings, one), (manifest.digest, made.layers), name
            )
        ]
        return _push(image, wanted, target, progress)


def _beside_bases(target: Target, productions: Sequence[Production]) -> Target:
    """A target that takes layers of bases from where they are, if that is the same registry."""
    bases = [Reference.parse(base.name) for one in productions if (base := one.system.base) and base.name]
    same = [base for base in bases if base.registry == target.reference.registry]
    return replace(target, mounts=tuple(dict.fromkeys((*target.mounts, *same))))


def stored_sizes(production: Production, settings: Settings) -> dict[Digest, int]:
    """Bytes of an image's configuration and of its layers; those that were never made are made.

    Raises:
        PackError: a content cannot be read.
    """
    with open_workshop([production], settings) as workshop:
        image = BuiltImage([Order(production.system, production.plan, workshop, "")])
        return {blob.digest: blob.size for blob in image.blobs}


def _described(manifest: Manifest) -> Descriptor:
    return Descriptor(manifest.media_type, manifest.digest, len(manifest.data), {}, "")


class BuiltImage:
    """An image, or an index of several, whose layers are made when they are wanted; see `packer.registry.image.Image`.

    Args:
        orders: what to make: an image for each platform.

    Raises:
        PackError: a layer that was never made cannot be.
    """

    def __init__(self, orders: Sequence[Order]) -> None:
        self._workshop = orders[0].workshop
        self._requests: dict[Digest, LayerRequest] = {}
        sizes: dict[Digest, int] = {}
        images = []
        for order in orders:
            requests = layer_requests(order)
            layers = order.workshop.described(requests)
            images.append(container_image(order, layers))
            self._requests |= zip((layer.digest for layer in layers), requests, strict=True)
            sizes |= {layer.digest: layer.size for layer in layers}
        self.images = images
        index = ImageIndex.of(images)
        self._configs = {Digest.of(image.config): image.config for image in images}
        self.manifests = [Manifest(MANIFEST, image.manifest) for image in images]
        if index.index:
            self.manifests.append(Manifest(INDEX, index.index))
        self.blobs = [
            *(Blob(digest, len(config), "configuration") for digest, config in self._configs.items()),
            *(Blob(digest, sizes[digest], request.title) for digest, request in self._requests.items()),
        ]

    def contents(self, wanted: Sequence[Blob]) -> Mapping[Digest, Content]:
        """See `Image`."""
        layers = [blob for blob in wanted if blob.digest in self._requests]
        made = self._workshop.layers([self._requests[blob.digest] for blob in layers])
        contents: dict[Digest, Content] = {digest: Data(config) for digest, config in self._configs.items()}
        for blob, layer in zip(layers, made, strict=True):
            if layer.digest != blob.digest:
                raise PackError(f"{blob.title} was made with another digest before", hint="Push once more.")
            contents[blob.digest] = Slice(self._workshop.cache.path(layer.digest), 0, layer.size)
        return contents

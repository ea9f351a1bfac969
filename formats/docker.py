"""`docker`: one archive that docker, podman, skopeo and umoci all load.

A hybrid: an OCI image layout, and beside it the `manifest.json` of docker's own archive format, which names the same
blobs. `docker load` with the classic image store and `podman load` read the latter, the containerd image store (the
default of Engine 29) the former. The archive itself is not compressed: its layers are.

`manifest.json` knows no platforms. Of several, each image is there as `NAME:TAG-ARCHITECTURE`, and the first one of
os.toml as `NAME:TAG` too. Measured: docker 20.10 loads all of them under these names; podman 4.3 reads the layout, and
loads the image for the machine that it runs on as `NAME:TAG`.
"""

from collections.abc import Iterator, Sequence

from formats.container_image import ContainerImage, ImageArtefact, canonical_json
from formats.format import Order
from formats.image_index import ImageIndex, IndexArtefact
from formats.image_layout import ArchiveLayout, blob_path, write_layout
from formats.repository import LONGEST_TAG
from layers.archive import new_archive
from layers.base import BaseLayer
from layers.digest import Digest


def default_output(stem: str, options: None) -> str:  # noqa: ARG001, D103
    return f"{stem}.docker.tar"


def write(order: Order) -> ImageArtefact:
    """Write the archive; see `formats.format.Format`."""
    return ImageArtefact.of(_write([order]).images[0], order.output)


def write_index(orders: Sequence[Order]) -> IndexArtefact:
    """Write the archive of several platforms; see `formats.format.IndexFormat`."""
    return IndexArtefact(orders[0].output, _write(orders))


def _write(orders: Sequence[Order]) -> ImageIndex:
    order = orders[0]
    if "zstd" in {order.workshop.codec.name, *_base_compressions(orders)}:
        order.workshop.progress.warn(
            "docker before version 23 cannot load an archive with zstd layers; podman and skopeo can"
        )
    with new_archive(order.output, order.workshop.epoch) as archive:
        return write_layout(orders, ArchiveLayout(archive), _docker_manifest)


def _base_compressions(orders: Sequence[Order]) -> Iterator[str]:
    """Of layers that are taken over as they are."""
    for item in (item for order in orders for item in order.system.closure):
        if isinstance(item, BaseLayer):
            yield item.verbatim.layer.compression


def _docker_manifest(index: ImageIndex) -> dict[str, bytes]:
    """See "Combined Image JSON + Filesystem Changeset Format" of docker's image specification 1.3."""
    facts = [
        {
            "Config": blob_path(Digest.of(image.config)),
            "RepoTags": _references(image, is_first=image is index.images[0], is_alone=len(index.images) == 1),
            "Layers": [blob_path(layer.digest) for layer in image.layers],
        }
        for image in index.images
    ]
    return {"manifest.json": canonical_json(facts)}


def _references(image: ContainerImage, *, is_first: bool, is_alone: bool) -> list[str]:
    if is_alone:
        return [image.reference]
    suffix = f"-{image.platform.architecture}"
    own = f"{image.repository}:{image.tag[: LONGEST_TAG - len(suffix)]}{suffix}"
    return [image.reference, own] if is_first else [own]

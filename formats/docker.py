"""`docker`: one archive that docker, podman, skopeo and umoci all load.

A hybrid: an OCI image layout, and beside it the `manifest.json` of docker's own archive format, which names the same
blobs. `docker load` with the classic image store and `podman load` read the latter, the containerd image store (the
default of Engine 29) the former. The archive itself is not compressed: its layers are.
"""

from formats.container_image import ContainerImage, ImageArtefact, canonical_json
from formats.format import Order
from formats.image_layout import ArchiveLayout, blob_path, write_layout
from layers.archive import new_archive
from layers.digest import Digest

SUMMARY = "one archive for docker load, podman load and skopeo"


def default_output(stem: str, options: None) -> str:  # noqa: ARG001, D103
    return f"{stem}.docker.tar"


def write(order: Order) -> ImageArtefact:
    """Write the archive; see `formats.format.Format`."""
    if order.workshop.codec.name == "zstd":
        order.workshop.progress.warn(
            "docker before version 23 cannot load an archive with zstd layers; podman and skopeo can"
        )
    with new_archive(order.output, order.workshop.epoch) as archive:
        image = write_layout(order, ArchiveLayout(archive), _docker_manifest)
    return ImageArtefact.of(image, order.output)


def _docker_manifest(image: ContainerImage) -> dict[str, bytes]:
    """See "Combined Image JSON + Filesystem Changeset Format" of docker's image specification 1.3."""
    facts = {
        "Config": blob_path(Digest.of(image.config)),
        "RepoTags": [image.reference],
        "Layers": [blob_path(layer.digest) for layer in image.layers],
    }
    return {"manifest.json": canonical_json([facts])}

"""`oci`: an OCI image layout, as a folder; or as one archive, when the output's name ends in `.tar`."""

import os

from formats.container_image import ContainerImage, ImageArtefact
from formats.format import Order
from formats.image_layout import ArchiveLayout, FolderLayout, write_layout
from layers.archive import STANDARD_OUTPUT, new_archive
from layers.output import OutputError, PendingFolder

SUMMARY = "an OCI image layout: a folder, or an archive with -o NAME.tar"


def default_output(stem: str, options: None) -> str:  # noqa: ARG001, D103
    return f"{stem}.oci"


def write(order: Order) -> ImageArtefact:
    """Write the layout; see `formats.format.Format`.

    A folder that is an image layout is replaced; any other folder is left alone.
    """
    archive = order.output.endswith(".tar") or order.output == STANDARD_OUTPUT
    image = _write_archive(order) if archive else _write_folder(order)
    return ImageArtefact.of(image, order.output)


def _write_archive(order: Order) -> ContainerImage:
    with new_archive(order.output, order.workshop.epoch) as archive:
        return write_layout(order, ArchiveLayout(archive))


def _write_folder(order: Order) -> ContainerImage:
    if os.path.lexists(order.output) and not os.path.isfile(os.path.join(order.output, "oci-layout")):
        raise OutputError(
            f"{order.output} exists and is not an OCI image layout", hint="Choose another output with --output."
        )
    with PendingFolder(order.output) as folder:
        image = write_layout(order, FolderLayout(folder.path))
        folder.publish()
    return image

"""`oci`: an OCI image layout, as a folder; or as one archive, when the output's name ends in `.tar`."""

import os
from collections.abc import Sequence

from formats.container_image import ImageArtefact
from formats.format import Order
from formats.image_index import ImageIndex, IndexArtefact
from formats.image_layout import ArchiveLayout, FolderLayout, write_layout
from layers.archive import STANDARD_OUTPUT, new_archive
from layers.output import OutputError, PendingFolder


def default_output(stem: str, options: None) -> str:  # noqa: ARG001, D103
    return f"{stem}.oci"


def write(order: Order) -> ImageArtefact:
    """Write the layout; see `formats.format.Format`.

    A folder that is an image layout is replaced; any other folder is left alone.
    """
    return ImageArtefact.of(_write([order]).images[0], order.output)


def write_index(orders: Sequence[Order]) -> IndexArtefact:
    """Write the layout of several platforms; see `formats.format.IndexFormat`."""
    return IndexArtefact(orders[0].output, _write(orders))


def _write(orders: Sequence[Order]) -> ImageIndex:
    archive = orders[0].output.endswith(".tar") or orders[0].output == STANDARD_OUTPUT
    return _write_archive(orders) if archive else _write_folder(orders)


def _write_archive(orders: Sequence[Order]) -> ImageIndex:
    with new_archive(orders[0].output, orders[0].workshop.epoch) as archive:
        return write_layout(orders, ArchiveLayout(archive))


def _write_folder(orders: Sequence[Order]) -> ImageIndex:
    order = orders[0]
    if os.path.lexists(order.output) and not os.path.isfile(os.path.join(order.output, "oci-layout")):
        raise OutputError(
            f"{order.output} exists and is not an OCI image layout", hint="Choose another output with --output."
        )
    with PendingFolder(order.output) as folder:
        index = write_layout(orders, FolderLayout(folder.path))
        folder.publish()
    return index

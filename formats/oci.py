"""`oci`: an OCI image layout, as a folder; or as one archive, when the output's name ends in `.tar`."""

import os
from collections.abc import Sequence

from formats.container_image import ImageArtefact
from formats.format import Order
from formats.image_index import ImageIndex, IndexArtefact
from formats.image_layout import ArchiveLayout, FolderLayout, write_layout
from layers.archive import STANDARD_OUTPUT, new_archive
from layers.output import OutputError, PendingFolder, require_place


def default_output(stem: str, options: None) -> str:  # noqa: ARG001, D103
    return f"{stem}.oci"


def require_output(output: str) -> None:
    """See `formats.format.ParticularFormat`."""
    if not _is_archive(output):
        _require_layout(output)
        with PendingFolder(output):
            pass  # what cannot be written is not made first
    elif output != STANDARD_OUTPUT:
        require_place(output)


def write(order: Order) -> ImageArtefact:
    """Write the layout; see `formats.format.Format`.

    A folder that is an image layout is replaced; any other folder is left alone.
    """
    return ImageArtefact.of(_write([order]).images[0], order.output)


def write_index(orders: Sequence[Order]) -> IndexArtefact:
    """Write the layout of several platforms; see `formats.format.IndexFormat`."""
    return IndexArtefact(orders[0].output, _write(orders))


def _write(orders: Sequence[Order]) -> ImageIndex:
    return _write_archive(orders) if _is_archive(orders[0].output) else _write_folder(orders)


def _is_archive(output: str) -> bool:
    return output.endswith(".tar") or output == STANDARD_OUTPUT


def _require_layout(output: str) -> None:
    """Refuse to replace anything else."""
    if os.path.lexists(output) and not os.path.isfile(os.path.join(output, "oci-layout")):
        raise OutputError(
            f"{output} exists and is not an OCI image layout", hint="Choose another output with --output."
        )


def _write_archive(orders: Sequence[Order]) -> ImageIndex:
    with new_archive(orders[0].output, orders[0].workshop.epoch) as archive:
        return write_layout(orders, ArchiveLayout(archive))


def _write_folder(orders: Sequence[Order]) -> ImageIndex:
    order = orders[0]
    _require_layout(order.output)
    with PendingFolder(order.output) as folder:
        index = write_layout(orders, FolderLayout(folder.path))
        folder.publish()
    return index

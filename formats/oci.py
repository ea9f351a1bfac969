"""`oci`: an OCI image layout, as a folder; or as one archive, when the output's name ends in `.tar`."""

import os
from collections.abc import Iterable

from formats.container_image import container_image
from formats.format import Artefact, Order
from formats.image_layout import layout_entries
from layers.archive import STANDARD_OUTPUT, write_archive
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File
from layers.output import OutputError, PendingFile, PendingFolder

SUMMARY = "an OCI image layout: a folder, or an archive with -o NAME.tar"


def default_output(stem: str) -> str:  # noqa: D103
    return f"{stem}.oci"


def write(order: Order) -> Artefact:
    """Write the layout; see `formats.format.Format`.

    A folder that is an image layout is replaced; any other folder is left alone.
    """
    archive = order.output.endswith(".tar") or order.output == STANDARD_OUTPUT
    if not archive:
        _refuse_other_folder(order.output)
    image = container_image(order)
    entries = layout_entries(image, order.workshop.cache)
    if archive:
        write_archive(order.output, entries, order.workshop.epoch)
    else:
        _write_folder(order.output, entries)
    return Artefact(order.output, image.reference, Digest.of(image.manifest), Digest.of(image.config), image.layers)


def _refuse_other_folder(path: str) -> None:
    if os.path.lexists(path) and not os.path.isfile(os.path.join(path, "oci-layout")):
        raise OutputError(f"{path} exists and is not an OCI image layout", hint="Choose another output with --output.")


def _write_folder(path: str, entries: Iterable[Entry]) -> None:
    with PendingFolder(path) as folder:
        for entry in entries:
            target = os.path.join(folder.path, os.fsdecode(entry.path))
            if isinstance(entry, Directory):
                os.mkdir(target)
                os.chmod(target, entry.meta.mode)
            elif isinstance(entry, File):
                _write_file(target, entry)
        folder.publish()


def _write_file(path: str, entry: File) -> None:
    with PendingFile(os.path.dirname(path)) as file:
        if isinstance(entry.content, Data):
            file.write(entry.content.data)
        else:
            file.copy(entry.content.path, entry.content.offset, entry.content.size)
        file.publish(os.path.basename(path))

"""`squashfs`: the root file system as one squashfs image, mounted as it is: for live systems, Apptainer, RAUC.

Kernels, `unsquashfs` and squashfuse read it. It has no boot loader and no partitions; where it lies, others say.
"""

import os
from dataclasses import dataclass
from functools import partial

from formats.filesystem.squashfs import DEFAULT_BLOCK, Squashfs, Written
from formats.format import FileArtefact, Order
from layers.archive import require_file
from layers.codec import Codec
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.progress import Progress
from layers.reader import Reader
from layers.verify import verified

_SHOWN = 10  # paths in a warning


@dataclass(frozen=True, slots=True)
class Options:
    """How an image is made.

    Attributes:
        codec: compresses it: one of `formats.filesystem.squashfs.structures.COMPRESSORS`.
        block: bytes that are compressed at a time: a power of two from 4 KiB to 1 MiB.
    """

    codec: Codec
    block: int = DEFAULT_BLOCK


def default_output(stem: str, options: Options) -> str:  # noqa: ARG001, D103
    return f"{stem}.squashfs"


def require_output(output: str) -> None:
    """See `formats.format.ParticularFormat`: an image begins with what is known at its end."""
    require_file(output, "a squashfs image")


def write(order: Order) -> FileArtefact:
    """Write the image; see `formats.format.Format`.

    Raises:
        InputError: it is to go to standard output.
        EntryError: squashfs cannot hold something of the system.
        CorruptError: an item is not what its store has hashed.
    """
    require_output(order.output)
    options: Options = order.options
    system, workshop = order.system, order.workshop
    squashfs = Squashfs(options.codec, workshop.epoch, options.block)
    workshop.progress.begin("squashfs", sum(item.size for item in system.closure))
    with Reader() as reader, PendingFile(os.path.dirname(order.output) or ".") as output:
        items = system.hashed_items((), reader) if workshop.verify else {}
        through = partial(verified, reader=reader, items=items) if items else iter
        pipeline = Pipeline(workshop.executor, 2 * workshop.jobs + 2)
        tell = partial(workshop.progress.advance, "")
        written = squashfs.write(system.tree, output, pipeline, reader, through, tell)
        output.publish(os.path.basename(order.output))
    workshop.progress.end()
    _warn(written, workshop.progress)
    more = {"compression": f"{options.codec.name} level {options.codec.level}, {options.codec.library}"}
    return FileArtefact(order.output, written.size, more)


def _warn(written: Written, progress: Progress) -> None:
    """Say which access control lists are not there."""
    paths = written.without_lists
    if paths:
        shown = ", ".join("/" + os.fsdecode(path) for path in paths[:_SHOWN])
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        progress.warn(
            f"squashfs holds no access control lists: those of {shown}{more} are left out, the permissions stay"
        )

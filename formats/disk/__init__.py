"""`disk` and all image types that are disks: partitions with file systems, as they are or for a virtual machine.

    system --contents--> trees of partitions --file systems--> volumes --plan--> pieces --container--> artefact

`image` says what a disk has; an installer (`formats.boot`) makes it start. Everything is decided before a byte is
written, and nothing is staged: contents are copied from where they are to where the disk has them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from formats.boot import Installer
from formats.container import VirtualDisk
from formats.container.kinds import CONTAINERS
from formats.container.nonzero import nonzero
from formats.disk.plan import DiskPlan, plan_disk
from formats.filesystem.pieces import Bytes, Piece, written
from formats.format import Order
from formats.image import Image, image_of
from layers.archive import require_file
from layers.blob import Workshop
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.progress import Progress
from layers.reader import Reader
from layers.workers import Colleague, crew

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """How a disk is made.

    Attributes:
        type: name of its image type.
        image: what it has; its operating system is the order's.
        installer: makes it start, if anybody does.
    """

    type: str
    image: Image
    installer: Installer | None = None


@dataclass(frozen=True, slots=True)
class DiskArtefact:
    """A disk in a file.

    Attributes:
        path: where it is.
        size: bytes of the disk.
        file_size: bytes of the file, of which some may be holes.
        more: facts besides these.
    """

    path: str
    size: int
    file_size: int
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """See `formats.format.Artefact`."""
        return f"a disk of {self.size / _MIB:.1f} MiB, in a file of {self.file_size / _MIB:.1f} MiB"

    @property
    def facts(self) -> Mapping[str, Any]:
        """See `formats.format.Artefact`."""
        return {"size": self.size, "file-size": self.file_size, **self.more}


def default_output(stem: str, options: Options) -> str:  # noqa: D103
    suffix = CONTAINERS[options.image.format].suffix
    name, stem = options.type.removesuffix("-raw"), options.image.name or stem
    return f"{stem}{suffix}" if suffix == f".{name}" else f"{stem}-{name}{suffix}"


def companions(output: str, options: Options) -> tuple[str, ...]:
    """The variables of UEFI firmware, if they are asked for: named as the disk, without its container's suffix."""
    image = options.image
    name = output.removesuffix(CONTAINERS[image.format].suffix)
    return (f"{name}.efi-vars.fd",) if image.efi_variables else ()


def require_output(output: str) -> None:
    """See `formats.format.ParticularFormat`."""
    require_file(output, "a disk")


def write(order: Order) -> DiskArtefact:
    """Write the disk; see `formats.format.Format`.

    Raises:
        InputError: what is asked for does not go together, or is too small.
        EntryError: a file system cannot hold something of the system.
        CorruptError: an item is not what its store has hashed.
    """
    require_output(order.output)
    options: Options = order.options
    workshop, image = order.workshop, image_of(options.image, order.system)
    with Reader() as reader:
        plan = plan_disk(image, order.system, options.installer, reader, verify=workshop.verify, cache=order.cache)
        variables = _variables(image, plan)
        file_size = _write(order, image, plan, reader)
    more: dict[str, Any] = {"identity": str(plan.identity), "container": image.format}
    for path in companions(order.output, options):
        more["efi-variables"] = path
        _publish(variables, path)
    return DiskArtefact(order.output, plan.size, file_size, more)


def _write(order: Order, image: Image, plan: DiskPlan, reader: Reader) -> int:
    """Write the disk into its container; the answer is the size of the file."""
    workshop = order.workshop
    total = sum(item.size for item in order.system.closure)
    with PendingFile(os.path.dirname(order.output) or ".") as output:
        workers = workshop.workers(total) if image.format == "raw" else 0
        if workers:
            _write_side_by_side(workshop, workers, plan, output, total)
        else:
            disk = VirtualDisk(plan.size, plan.identity, order.system.epoch)
            workshop.progress.begin(image.format, plan.size)
            pieces = _told(plan.pieces(reader), workshop.progress)
            pipeline = Pipeline(workshop.executor, window=2 * workshop.jobs + 2)
            CONTAINERS[image.format].write(disk, pieces, output, reader, pipeline)
        size = os.fstat(output.file.fileno()).st_size
        output.publish(os.path.basename(order.output))
    workshop.progress.end()
    return size


def _write_side_by_side(workshop: Workshop, workers: int, plan: DiskPlan, output: PendingFile, total: int) -> None:
    """Write a disk as it is, each worker its share of every file system."""

    def work(number: int, colleague: Colleague) -> None:
        with Reader() as reader:
            for size in written(nonzero(plan.pieces_of(number, workers, reader), reader), output, reader):
                colleague.tell(size)

    with crew(workers, work) as made:
        workshop.progress.begin("raw", total)
        for size in made.results():
            workshop.progress.advance("", size)
    output.extend(plan.size)


def _told(pieces: Iterable[Piece], progress: Progress) -> Iterator[Piece]:
    end = 0
    for piece in pieces:
        yield piece
        last = piece.offset + (len(piece.data) if isinstance(piece, Bytes) else piece.size)
        progress.advance("", last - end)
        end = last


def _variables(image: Image, plan: DiskPlan) -> bytes:
    if not image.efi_variables:
        return b""
    if plan.installed.efi_variables is None:
        raise InputError(
            "there is nothing that UEFI firmware could start",
            hint="It needs an ESP and a boot loader; [types] says what some disks have and others not.",
        )
    return plan.installed.efi_variables(plan.partitions)


def _publish(data: bytes, path: str) -> None:
    with PendingFile(os.path.dirname(path) or ".") as output:
        output.write(data)
        output.publish(os.path.basename(path))

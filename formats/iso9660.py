"""`iso9660` and `uncompressed-iso9660`: images for CDs and USB sticks, which start under a BIOS and under UEFI.

    system --contents--> root, firmware's files --zisofs--> compressed files --plan--> one volume, with all in it

The root file system is the volume itself; what an EFI system partition holds is a FAT volume inside it. Nothing can be
written to it, so the root is always laid under a file system in memory.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from formats.boot import Installed, Layout
from formats.disk import DiskArtefact, Options
from formats.disk.contents import Content, contents
from formats.disk.identity import disk_identity, file_system_volume, volumes
from formats.filesystem import Plan, guessed_size
from formats.filesystem.fat import Fat
from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.iso9660.boot import Boot
from formats.filesystem.iso9660.plan import Iso9660Plan
from formats.filesystem.iso9660.system_use import LINUX_LONGEST_NAME
from formats.filesystem.iso9660.zisofs import Packed, Zisofs, worthwhile
from formats.filesystem.pieces import Piece, written
from formats.format import Order
from formats.image import image_of
from layers.archive import require_file
from layers.entry import Entry, File
from layers.errors import EntryError
from layers.output import PendingFile, Spool
from layers.pipeline import Pipeline
from layers.progress import Progress
from layers.reader import Reader
from layers.workers import Colleague, crew_of

_ASCII = 0x7F
_SHARES = 4  # for each worker: who is done early takes another


def default_output(stem: str, options: Options) -> str:  # noqa: D103
    stem = options.image.name or stem
    return f"{stem}.iso" if options.image.compression else f"{stem}-uncompressed.iso"


def require_output(output: str) -> None:
    """See `formats.format.ParticularFormat`."""
    require_file(output, "an ISO 9660 image")


def write(order: Order) -> DiskArtefact:
    """Write the image; see `formats.format.Format`.

    Raises:
        InputError: what is asked for does not go together.
        EntryError: ISO 9660 cannot hold something of the system, or Linux could not read it there.
        CorruptError: an item is not what its store has hashed.
    """
    require_output(order.output)
    options: Options = order.options
    image, system, workshop = image_of(options.image, order.system), order.system, order.workshop
    identity = disk_identity(image, system)
    known = volumes(image, identity)
    with Reader() as reader, ExitStack() as stack:
        layout = Layout(system, image, known, cache=order.cache)
        installed = options.installer.install(layout, reader) if options.installer else Installed()
        root, *others = contents(image, system, installed, reader, verify=workshop.verify)
        refuse_unreadable(root.tree)
        own, *theirs = [
            file_system_volume(volume.partition, identity, number, system.epoch, part.root)
            for number, (volume, part) in enumerate(zip(known, (root, *others), strict=True), 1)
        ]
        efi = [
            _firmware_volume(Fat(volume), part, reader)
            for volume, part in zip(theirs, others, strict=True)
            if any(isinstance(entry, File) for entry in part.tree)
        ]
        packed, files = Packed(root.tree, {}), root
        if image.compression:
            spool = stack.enter_context(Spool(order.output))
            pipeline = Pipeline(workshop.executor, 2 * workshop.jobs + 2)
            zisofs = Zisofs(lambda file: worthwhile(file) and file.path not in installed.loaded)
            packed = zisofs.compress(root.tree, spool, pipeline, reader, root.through(reader))
            files = Content(packed.tree)
        volume = replace(own, label=own.label.upper())
        prepared = Iso9660(volume, _boot(installed, efi, reader), packed.compressed).prepare(packed.tree, reader)
        plan = prepared.plan(prepared.minimum_size())
        file_size = _write(order, plan, files, reader)
    return DiskArtefact(order.output, plan.size, file_size, {"identity": str(identity)})


def _boot(installed: Installed, efi: Sequence[Plan], reader: Reader) -> Boot | None:
    """What starts it, if anything does."""
    if not installed.el_torito and not efi:
        return None
    bios = reader.read(installed.el_torito) if installed.el_torito else b""
    return Boot(bios, efi[0] if efi else None, installed.code)


def _firmware_volume(fat: Fat, part: Content, reader: Reader) -> Plan:
    prepared = fat.prepare(part.tree, reader)
    return prepared.plan(guessed_size(prepared.minimum_size()))


def _write(order: Order, plan: Iso9660Plan, files: Content, reader: Reader) -> int:
    """Write the volume; the answer is the size of the file."""
    workshop = order.workshop
    workshop.progress.begin("iso9660", plan.size)
    with PendingFile(os.path.dirname(order.output) or ".") as output:
        workers = workshop.workers(sum(item.size for item in order.system.closure))
        if workers:
            _write_side_by_side(workshop.progress, workers, plan, files, output)
        else:
            _write_pieces(plan.pieces(reader, files.through(reader)), output, reader, workshop.progress)
        output.extend(plan.size)
        size = os.fstat(output.file.fileno()).st_size
        output.publish(os.path.basename(order.output))
    workshop.progress.end()
    return size


def _write_pieces(pieces: Iterable[Piece], output: PendingFile, reader: Reader, progress: Progress) -> None:
    for size in written(pieces, output, reader):
        progress.advance("", size)


def _write_side_by_side(
    progress: Progress, workers: int, plan: Iso9660Plan, content: Content, output: PendingFile
) -> None:
    """Have workers write the files, a share of them at a time, and meanwhile write all else."""
    shares = content.shares(workers * _SHARES)
    digests = [b""] * len(shares)

    def work(numbers: Iterable[int], colleague: Colleague) -> None:
        with Reader() as reader:
            for number in numbers:
                files = plan.files(shares[number], reader, content.through(reader, shares[number]))
                for size in written(files.pieces(), output, reader):
                    colleague.tell((number, size, b""))
                colleague.tell((number, 0, files.digests))

    with crew_of(workers, len(shares), work) as made, Reader() as reader:
        front = plan.front(reader)
        _write_pieces(front.pieces(), output, reader, progress)
        for number, size, found in made.results():
            progress.advance("", size)
            digests[number] += found
        _write_pieces(front.rest(b"".join(digests)), output, reader, progress)


def refuse_unreadable(entries: Iterable[Entry]) -> None:
    """Refuse what would be there, but not for Linux.

    Raises:
        EntryError: Linux cuts a name off, or does not find it (it takes one byte beyond ASCII for a number below zero).
    """
    wrong = [
        f"/{os.fsdecode(entry.path)}"
        for entry in entries
        if len(name := entry.path.rpartition(b"/")[2]) > LINUX_LONGEST_NAME or (len(name) == 1 and name[0] > _ASCII)
    ]
    if wrong:
        raise EntryError(
            f"Linux cannot read the names of {', '.join(wrong[:20])} in ISO 9660",
            hint=f"It reads up to {LINUX_LONGEST_NAME} bytes of a name, and no single byte that is not ASCII.",
        )

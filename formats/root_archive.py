"""A root file system as one tar: what `tarball` and `wsl2` write.

Entries are sorted, owners are numbers, extended attributes and hard links are kept (see `layers.tar`). The stream is
compressed on the way, so that it is nowhere but in the output. Without compression it is known where each part of the
root goes, and several processes write a part each, side by side.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from formats.format import FileArtefact, Order
from formats.root_shares import RootShare, shares
from layers.archive import new_output
from layers.codec import Codec
from layers.compressed import CompressedWriter
from layers.entry import Directory, Entry, Hardlink, Meta, parents
from layers.errors import ChangedError
from layers.output import PendingFile, StreamedFile
from layers.pipeline import Pipeline
from layers.reader import Reader
from layers.tar import END, Headers, TarWriter, size_of
from layers.workers import Colleague, crew


def write_root(order: Order, codec: Codec, *, upper: Sequence[Entry] = (), root_name: bytes = b"") -> FileArtefact:
    """Write the whole root file system.

    Args:
        order: what to make; its output is the archive.
        codec: compresses it.
        upper: entries that are laid over the system's, with their parents.
        root_name: the folder of the archive that everything is in; without it, the archive's root is the system's.

    Raises:
        CorruptError: an item is not what its store has hashed.
        OutputError: the archive cannot be written.
        PackError: a content cannot be read.
    """
    workshop = order.workshop
    more = {"compression": f"{codec.name} level {codec.level}, {codec.library}"}
    total = sum(item.size for item in order.system.closure)
    with new_output(order.output) as output:
        workers = workshop.workers(total) if codec.name == "none" else 0
        if workers and isinstance(output, PendingFile):
            with Reader() as reader:
                parts = shares(order.system, workers, upper, reader, verify=workshop.verify)
            size = _write_side_by_side(order, parts, output, root_name, total)
            return FileArtefact(order.output, size, more)
        workshop.progress.begin("tar", total)
        size = _write_stream(order, codec, output, upper, root_name)
    workshop.progress.end()
    return FileArtefact(order.output, size, more)


def _write_stream(
    order: Order, codec: Codec, output: PendingFile | StreamedFile, upper: Sequence[Entry], root_name: bytes
) -> int:
    """Bytes of the archive."""
    workshop, found = order.workshop, list[int]()
    pipeline = Pipeline(workshop.executor, window=2 * workshop.jobs + 2)
    compressed = CompressedWriter(codec, output, pipeline, found.append)

    def sink(piece: bytearray) -> None:
        compressed.write(piece)
        workshop.progress.advance("", len(piece))

    with Reader() as reader:
        writer = TarWriter(sink, workshop.epoch, reader)
        writer.add_all(_below(root_name, order.system.root_entries(reader, upper, verify=workshop.verify)))
        writer.close()
    compressed.close()
    pipeline.drain()
    return found[0]


def _write_side_by_side(
    order: Order, parts: Sequence[RootShare], output: PendingFile, root_name: bytes, total: int
) -> int:
    """Bytes of the archive; each worker measures its part, and hears from the others where it begins."""
    workshop = order.workshop

    def work(number: int, colleague: Colleague) -> None:
        part = parts[number]

        def entries(reader: Reader | None) -> Iterator[Entry]:
            return _below(root_name, part.entries(reader), is_first=not number)

        def meta_of(path: bytes) -> Meta | None:
            return part.meta_of(path.removeprefix(root_name + b"/") if root_name else path)

        sizes = colleague.share(size_of(entries(None), Headers(workshop.epoch, meta_of)))
        position = start = sum(sizes[:number])

        def sink(piece: bytearray) -> None:
            nonlocal position
            output.overwrite(position, piece)
            position += len(piece)
            colleague.tell(len(piece))

        with Reader() as reader:
            writer = TarWriter(sink, workshop.epoch, reader, headers=Headers(workshop.epoch, meta_of))
            writer.add_all(entries(reader))
            writer.flush()
        if position != start + sizes[number]:
            raise ChangedError("the root file system changed while it was being packed")

    with crew(len(parts), work) as made:
        workshop.progress.begin("tar", total)
        size: int = sum(made.gather()) + len(END)
        for written in made.results():
            workshop.progress.advance("", written)
    workshop.progress.end()
    output.extend(size)  # what an archive ends with is zeros
    return size


def _below(folder: bytes, entries: Iterable[Entry], *, is_first: bool = True) -> Iterator[Entry]:
    """The entries in a folder of that name, which may have folders above it; as they are without a name.

    Args:
        folder: its path.
        entries: in the folder.
        is_first: whether nobody else has written the folder before.
    """
    if not folder:
        yield from entries
        return
    if is_first:
        yield from (Directory(path) for path in reversed((folder, *parents(folder))))
    for entry in entries:
        path = folder + b"/" + entry.path
        if isinstance(entry, Hardlink):
            yield Hardlink(path, folder + b"/" + entry.target)
        else:
            yield replace(entry, path=path)

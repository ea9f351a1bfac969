"""A root file system as one compressed tar: what `tarball` and `wsl2` write.

Entries are sorted, owners are numbers, extended attributes and hard links are kept (see `layers.tar`). The stream is
compressed on the way, so that it is nowhere but in the output.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from formats.format import FileArtefact, Order
from layers.archive import new_output
from layers.codec import Codec
from layers.compressed import CompressedWriter
from layers.digest import Digest
from layers.entry import Directory, Entry, File, Hardlink, parents
from layers.pipeline import Pipeline
from layers.reader import Reader
from layers.tar import TarWriter


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
    workshop, found = order.workshop, list[FileArtefact]()

    def done(digest: Digest, size: int) -> None:
        more = {"compression": f"{codec.name} level {codec.level}, {codec.library}"}
        found.append(FileArtefact(order.output, digest, size, more))

    workshop.progress.begin("tar", _size(order.system.tree))
    pipeline = Pipeline(workshop.executor, window=2 * workshop.jobs + 2)
    with new_output(order.output) as output, Reader() as reader:
        compressed = CompressedWriter(codec, output, pipeline, done)

        def sink(piece: bytearray) -> None:
            compressed.write(piece)
            workshop.progress.advance("", len(piece))

        writer = TarWriter(sink, workshop.epoch, reader)
        entries = order.system.root_entries(reader, upper, verify=workshop.verify)
        writer.add_all(_below(root_name, entries) if root_name else entries)
        writer.close()
        compressed.close()
        pipeline.drain()
    workshop.progress.end()
    return found[0]


def _size(entries: Iterable[Entry]) -> int:
    return sum(entry.content.size for entry in entries if isinstance(entry, File))


def _below(folder: bytes, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries in a folder of that name, which may have folders above it."""
    yield from (Directory(path) for path in reversed((folder, *parents(folder))))
    for entry in entries:
        path = folder + b"/" + entry.path
        if isinstance(entry, Hardlink):
            yield Hardlink(path, folder + b"/" + entry.target)
        else:
            yield replace(entry, path=path)

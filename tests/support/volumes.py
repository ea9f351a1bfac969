"""Volumes with a tree in them."""

from collections.abc import Iterable
from pathlib import Path

from formats.filesystem import FileSystem, Volume
from formats.filesystem.ext4 import Ext4
from formats.filesystem.ext4.features import EXT4, Features
from formats.filesystem.pieces import write_pieces
from layers.digest import Digest
from layers.entry import Entry
from layers.output import PendingFile
from layers.reader import Reader
from layers.tree import Tree, add_parents

MIB = 1 << 20
GIB = 1 << 30

VOLUME = Volume(Digest.of(b"a volume"), 1_000_000_000, "volume")


def tree_of(entries: Iterable[Entry]) -> Tree:
    """A tree, with the folders above its entries."""
    by_path = {entry.path: entry for entry in entries}
    add_parents(by_path)
    return Tree(by_path)


def write_volume(path: Path, file_system: FileSystem, entries: Iterable[Entry], size: int | None = None) -> Path:
    """A volume in a file: of this size, or of the least that is enough."""
    with Reader() as reader, PendingFile(str(path.parent)) as output:
        prepared = file_system.prepare(tree_of(entries), reader)
        plan = prepared.plan(prepared.minimum_size() if size is None else size)
        write_pieces(plan.pieces(reader), output, 0, plan.size, reader)
        output.publish(path.name, durable=False)
    return path


def write_ext4(path: Path, entries: Iterable[Entry], size: int | None = None, features: Features = EXT4) -> Path:
    """A volume with ext4, or with what its features make of it."""
    return write_volume(path, Ext4(VOLUME, features), entries, size)

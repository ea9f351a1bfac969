"""Nodes: what a tree has as files and folders, with all that does not depend on where they go.

Folders stay where they are, however deep they are: that there are at most 8 levels (ECMA-119, 6.8.2.1) is for systems
without Rock Ridge, and xorriso does not move folders either. Whoever reads Rock Ridge goes from folder to folder.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from formats.filesystem import Volume, refuse_numbers
from formats.filesystem.holes import data_ranges, pinned
from formats.filesystem.iso9660 import system_use
from formats.filesystem.iso9660.checksums import index_attribute, place_attribute
from formats.filesystem.iso9660.names import Identifiers
from formats.filesystem.iso9660.records import Folder, Node, record
from formats.filesystem.iso9660.structures import ABOVE, ITSELF, LARGEST_EXTENT, short_time
from formats.filesystem.iso9660.zisofs import Compressed
from layers.entry import Device, DeviceKind, Directory, Entry, File, Hardlink, Symlink
from layers.errors import EntryError
from layers.reader import Reader
from layers.tree import Tree

_LONGEST_TARGET = 4095  # PATH_MAX of Linux, less the zero at the end
_LARGEST_FILE = 100 * LARGEST_EXTENT  # more extents are an error to Linux

_KINDS = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}


@dataclass(frozen=True, slots=True)
class Nodes:
    """A tree, as far as it does not depend on places.

    Attributes:
        tree: as it came.
        folders: in the order of the path table, the root first.
        files: path -> what is there, in the order of the tree; hard links are left out.
        use: entries of the root's own record, but for its attributes.
    """

    tree: Tree
    folders: list[Folder]
    files: Mapping[bytes, Node]
    use: list[bytes]

    def place_checksums(self, array: int) -> None:
        """Have the root say where checksums are; its record keeps its length.

        Args:
            array: block of these.
        """
        root = self.folders[0].node
        xattrs = [*root.entry.meta.xattrs, place_attribute(array, len(self.files))]
        self.folders[0].records[0] = record(root, ITSELF, [*self.use, *system_use.attributes(xattrs)])


def survey(
    tree: Tree, volume: Volume, compressed: Mapping[bytes, Compressed], *, checksums: bool, reader: Reader
) -> Nodes:
    """Give everything in a tree a node.

    Args:
        tree: what shall be in the volume.
        volume: its root and its time.
        compressed: path -> what stands for the content of a file.
        checksums: whether each file has one.
        reader: looks for zeros.

    Raises:
        EntryError: ISO 9660 cannot hold something.
    """
    surveyor = _Surveyor(volume, compressed, reader, checksums=checksums)
    for entry in tree:
        surveyor.add(entry)
    nodes = Nodes(tree, surveyor.made_folders(), surveyor.files, surveyor.root_use())
    if checksums:
        nodes.place_checksums(0)
    return nodes


class _Surveyor:
    def __init__(
        self, volume: Volume, compressed: Mapping[bytes, Compressed], reader: Reader, *, checksums: bool
    ) -> None:
        self._compressed, self._reader, self._checksums = compressed, reader, checksums
        self._times = system_use.times(short_time(volume.epoch))
        root = Folder(Node(Directory(b"", volume.root), 1, 2))
        refuse_numbers(root.node.entry)
        root.above = root
        self._folders: dict[bytes, Folder] = {b"": root}
        self._names: dict[bytes, list[tuple[bytes, Node]]] = {b"": []}
        self._serial = 1
        self.files: dict[bytes, Node] = {}

    def add(self, entry: Entry) -> None:
        above, _, name = entry.path.rpartition(b"/")
        if isinstance(entry, Hardlink):
            node = self.files[entry.target]
            node.links += 1
        else:
            node = self._node(entry)
        if isinstance(entry, Directory):
            node.links = 2
            self._folders[above].node.links += 1
            self._folders[entry.path] = Folder(node, self._folders[above])
            self._names[entry.path] = []
        self._names[above].append((name, node))

    def _node(self, entry: File | Directory | Symlink | Device) -> Node:
        refuse_numbers(entry)
        self._serial += 1
        node = Node(entry, self._serial)
        if isinstance(entry, File):
            self._add_content(node, entry)
        elif isinstance(entry, Symlink) and not 0 < len(entry.target) <= _LONGEST_TARGET:
            raise EntryError(
                f"/{os.fsdecode(entry.path)} is a symbolic link to {len(entry.target)} bytes:"
                f" Linux reads 1 to {_LONGEST_TARGET} of ISO 9660"
            )
        return node

    def _add_content(self, node: Node, entry: File) -> None:
        self.files[entry.path] = node
        node.index = len(self.files) if self._checksums else 0
        node.compressed = self._compressed.get(entry.path)
        if node.compressed:
            node.content = node.compressed.content
            node.ranges = ((0, node.content.size),)
        else:
            node.content, node.ranges = entry.content, data_ranges(entry.content, self._reader)
            if node.ranges != (((0, entry.content.size),) if entry.content.size else ()):
                node.content = pinned(entry.content, self._reader)
        node.size = node.content.size
        if node.size > _LARGEST_FILE:
            raise EntryError(f"/{os.fsdecode(entry.path)} is larger than the {_LARGEST_FILE} bytes of a file")

    def made_folders(self) -> list[Folder]:
        """The folders with their records, level by level, as the path table has them: ECMA-119, 6.9.1."""
        level = [self._folders[b""]]
        found: list[Folder] = []
        while level:
            below: list[Folder] = []
            for folder in level:
                folder.number = len(found) + 1
                found.append(folder)
                below += self._make_records(folder)
            level = below
        return found

    def _make_records(self, folder: Folder) -> list[Folder]:
        """Fill a folder; those that are in it, by their identifiers."""
        path = folder.node.entry.path
        identifiers = Identifiers()
        inside = [
            (identifiers.of_folder(name), name, node)
            if isinstance(node.entry, Directory)
            else (identifiers.of_file(name), name, node)
            for name, node in self._names[path]
        ]
        inside.sort(key=lambda one: one[0])
        above = folder.above or folder
        folder.records = [
            record(folder.node, ITSELF, self._own(folder.node) if path else self._root_own()),
            record(above.node, ABOVE, self._own(above.node)),
            *(record(node, identifier, self._named(name, node)) for identifier, name, node in inside),
        ]
        below = []
        for identifier, _, node in inside:
            if isinstance(node.entry, Directory):
                below.append(self._folders[node.entry.path])
                below[-1].identifier = identifier
        return below

    def root_use(self) -> list[bytes]:
        """Entries of the root's own record, but for its attributes."""
        own = self._own(self._folders[b""].node)
        return [system_use.SHARING_PROTOCOL, *own, system_use.extension_reference()]

    def _root_own(self) -> list[bytes]:
        return self.root_use() + self._attributes(self._folders[b""].node)

    def _own(self, node: Node) -> list[bytes]:
        """Of a folder, what the records of itself and from below say."""
        return [self._posix(node), self._times]

    def _named(self, name: bytes, node: Node) -> list[bytes]:
        entry = node.entry
        entries = [self._posix(node), self._times, *system_use.name(name)]
        if isinstance(entry, Symlink):
            entries += system_use.link(entry.target)
        elif isinstance(entry, Device) and entry.kind is not DeviceKind.FIFO:
            entries.append(system_use.device(entry))
        if node.compressed:
            entries.append(system_use.compressed(node.compressed.size, node.compressed.block_bits))
        if entry.meta.xattrs or node.index:
            entries += self._attributes(node)
        return entries

    def _posix(self, node: Node) -> bytes:
        entry = node.entry
        kind = entry.kind.value if isinstance(entry, Device) else _KINDS[type(entry)]
        return system_use.posix(kind, entry.meta, node.links, node.serial)

    def _attributes(self, node: Node) -> list[bytes]:
        own = (index_attribute(node.index),) if node.index else ()
        try:
            return system_use.attributes(node.entry.meta.xattrs + own)
        except EntryError as error:
            raise EntryError(f"/{os.fsdecode(node.entry.path)}: {error}") from error

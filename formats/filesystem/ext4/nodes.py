"""Nodes: what a tree has for an inode each, with all that does not depend on the size of the volume.

The numbers of inodes, the blocks of directories and the attributes; of files, which of their blocks are holes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from formats.filesystem import Volume, refuse_numbers
from formats.filesystem.ext4 import directories, xattrs
from formats.filesystem.ext4.checksums import Checksums
from formats.filesystem.ext4.directories import Name
from formats.filesystem.ext4.features import Feature, Features
from formats.filesystem.ext4.groups import Run
from formats.filesystem.ext4.structures import (
    BLOCK,
    FIRST_INODE,
    INODE_ATTRIBUTES,
    INODE_BLOCKS,
    MOST_LINKS,
    ROOT_INODE,
)
from formats.filesystem.ext4.xattrs import Attribute
from formats.filesystem.holes import Ranges, data_ranges, pinned
from layers.entry import Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.errors import EntryError
from layers.reader import Reader
from layers.tree import Tree

LOST_AND_FOUND = b"lost+found"

_KINDS = {File: 1, Directory: directories.FOLDER, Symlink: 7}  # file_type of a directory's entry
_DEVICE_KINDS = {DeviceKind.CHARACTER: 3, DeviceKind.BLOCK: 4, DeviceKind.FIFO: 5}
_LARGEST_WITH_EXTENTS = (1 << 32) * BLOCK - BLOCK
_LARGEST_WITH_MAP = ((1 << 32) - 1) // 8 * BLOCK * 15 // 16  # 32 bits count sectors, those of the map among them


@dataclass(slots=True)
class Node:
    """What has an inode.

    Attributes:
        number: of the inode.
        entry: its first name.
        links: how many names it has.
        blocks: of a folder or a long symbolic link.
        ranges: of a file, those parts that are not holes; None is all of it.
        indexed: whether it is a large folder.
        attributes: what stands in the inode.
    """

    number: int
    entry: File | Directory | Symlink | Device
    links: int = 1
    blocks: Sequence[bytes] = ()
    ranges: Ranges | None = None
    indexed: bool = False
    attributes: bytes = b""

    @property
    def size(self) -> int:
        """Bytes, as the inode says."""
        if isinstance(self.entry, File):
            return self.entry.content.size
        return len(self.entry.target) if isinstance(self.entry, Symlink) else len(self.blocks) * BLOCK

    @property
    def runs(self) -> list[Run]:
        """Of its own blocks, those that are not holes."""
        if self.ranges is not None:
            return [(start // BLOCK, -(-end // BLOCK) - start // BLOCK) for start, end in self.ranges]
        count = len(self.blocks) or (-(-self.size // BLOCK) if isinstance(self.entry, File) else 0)
        return [(0, count)] if count else []


@dataclass(frozen=True, slots=True)
class Nodes:
    """A tree, as far as it does not depend on the volume's size.

    Attributes:
        tree: with a lost+found.
        root: the root folder.
        all: the others by number, from the first on.
        shared: attributes that did not fit into inodes -> the numbers of these.
        small: folders and long links, whose blocks stand together.
        files: those that have blocks, in the order of the tree.
    """

    tree: Tree
    root: Node
    all: list[Node]
    shared: dict[tuple[Attribute, ...], list[int]]
    small: list[Node]
    files: list[Node]

    def get(self, number: int) -> Node:
        """The node with this number."""
        return self.root if number == ROOT_INODE else self.all[number - FIRST_INODE]

    @property
    def last(self) -> int:
        """The highest number of an inode."""
        return FIRST_INODE + len(self.all) - 1


def survey(
    tree: Tree, volume: Volume, features: Features, checksums: Checksums | None, hash_seed: bytes, reader: Reader
) -> Nodes:
    """Give everything in a tree an inode.

    Args:
        tree: what shall be in the volume.
        volume: its root.
        features: what it has.
        checksums: of it, if there are any.
        hash_seed: of the hashes in large directories.
        reader: looks for holes.

    Raises:
        EntryError: ext4 cannot hold something.
    """
    entries = tree.by_path()
    if not isinstance(entries.setdefault(LOST_AND_FOUND, Directory(LOST_AND_FOUND, Meta(0o700))), Directory):
        raise EntryError("/lost+found is for what fsck finds: ext4 can only have a folder there")
    tree = Tree(entries)
    surveyor = _Surveyor(volume, features, reader)
    for entry in tree:
        surveyor.add(entry)
    surveyor.make_folders(checksums, hash_seed if Feature.DIR_INDEX in features else None)
    root, nodes = surveyor.root, surveyor.nodes
    return Nodes(
        tree,
        root,
        nodes,
        surveyor.shared,
        [node for node in (root, *nodes) if node.blocks],
        [node for node in nodes if isinstance(node.entry, File) and node.entry.content.size],
    )


class _Surveyor:
    def __init__(self, volume: Volume, features: Features, reader: Reader) -> None:
        self._reader = reader
        self._room = features.inode_size - INODE_ATTRIBUTES
        self._typed = Feature.FILETYPE in features
        self._many_folders = Feature.DIR_NLINK in features
        self._largest = _LARGEST_WITH_EXTENTS if Feature.EXTENT in features else _LARGEST_WITH_MAP
        self._names: dict[int, list[Name]] = {ROOT_INODE: []}
        self._files: dict[bytes, Node] = {}
        self._attributes: dict[Meta, tuple[bytes, tuple[Attribute, ...]]] = {}
        self.root = Node(ROOT_INODE, Directory(b"", volume.root), 2)
        refuse_numbers(self.root.entry)
        self._folders: dict[bytes, Node] = {b"": self.root}
        self.nodes: list[Node] = []
        self.shared: dict[tuple[Attribute, ...], list[int]] = {}
        self._add_attributes(self.root)

    def add(self, entry: Entry) -> None:
        above, _, name = entry.path.rpartition(b"/")
        folder = self._folders[above]
        node = self._linked(entry) if isinstance(entry, Hardlink) else self._node(entry)
        if isinstance(node.entry, Directory):
            node.links = 2
            folder.links += 1
            self._folders[entry.path] = node
            self._names[node.number] = []
        kind = _DEVICE_KINDS[node.entry.kind] if isinstance(node.entry, Device) else _KINDS[type(node.entry)]
        self._names[folder.number].append(Name(name, node.number, kind if self._typed else 0))

    def _linked(self, entry: Hardlink) -> Node:
        node = self._files[entry.target]
        node.links += 1
        if node.links > MOST_LINKS:
            raise EntryError(f"/{os.fsdecode(entry.target)} has more than {MOST_LINKS} names, the most of ext4")
        return node

    def _node(self, entry: File | Directory | Symlink | Device) -> Node:
        refuse_numbers(entry)
        node = Node(FIRST_INODE + len(self.nodes), entry)
        self.nodes.append(node)
        if isinstance(entry, File):
            self._add_content(node, entry)
        elif isinstance(entry, Symlink):
            self._add_target(node, entry)
        if entry.meta.xattrs:
            self._add_attributes(node)
        return node

    def _add_content(self, node: Node, entry: File) -> None:
        self._files[entry.path] = node
        content = entry.content
        if content.size > self._largest:
            raise EntryError(f"/{os.fsdecode(entry.path)} is larger than the {self._largest} bytes of a file")
        ranges = data_ranges(content, self._reader)
        if ranges != (((0, content.size),) if content.size else ()):
            node.ranges = ranges
            node.entry = replace(entry, content=pinned(content, self._reader))

    def _add_target(self, node: Node, entry: Symlink) -> None:
        if not 0 < len(entry.target) < BLOCK:
            raise EntryError(
                f"/{os.fsdecode(entry.path)} is a symbolic link to {len(entry.target)} bytes: ext4 has 1 to {BLOCK - 1}"
            )
        if len(entry.target) >= INODE_BLOCKS:
            node.blocks = [entry.target.ljust(BLOCK, b"\0")]

    def _add_attributes(self, node: Node) -> None:
        meta = node.entry.meta
        known = self._attributes.get(meta)
        if known is None:
            known = self._attributes[meta] = self._parsed(node.entry.path, meta)
        node.attributes, shared = known
        if shared:
            self.shared.setdefault(shared, []).append(node.number)

    def _parsed(self, path: bytes, meta: Meta) -> tuple[bytes, tuple[Attribute, ...]]:
        """What stands in the inode, or else in a block."""
        try:
            attributes = tuple(sorted(Attribute.parse(name, value) for name, value in meta.xattrs))
        except EntryError as error:
            raise EntryError(f"/{os.fsdecode(path)}: {error}") from error
        if not attributes:
            return b"", ()
        if (data := xattrs.in_inode(attributes, self._room)) is not None:
            return data, ()
        if xattrs.block(attributes, 1) is None:
            raise EntryError(
                f"/{os.fsdecode(path)}: its extended attributes do not fit into the {BLOCK} bytes of a block"
            )
        return b"", attributes

    def make_folders(self, checksums: Checksums | None, hash_seed: bytes | None) -> None:
        for path, node in self._folders.items():
            parent = self._folders[path.rpartition(b"/")[0]]
            seed = checksums.of_inode(node.number) if checksums else None
            kind = directories.FOLDER if self._typed else 0
            made = directories.build(self._names[node.number], node.number, parent.number, seed, hash_seed, kind)
            node.blocks, node.indexed = made.blocks, made.indexed
            if node.links > MOST_LINKS:
                if not self._many_folders:
                    raise EntryError(f"/{os.fsdecode(path)} has more than {MOST_LINKS - 2} folders, the most of ext3")
                node.links = 1

"""Nodes: what a tree has for an inode each. They stay in memory; contents do not."""

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from formats.filesystem import refuse_numbers
from formats.filesystem.squashfs.structures import MOST_IDS, NOTHING, Type
from formats.filesystem.squashfs.xattrs import ACCESS_LISTS, Xattrs
from layers.entry import Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.errors import EntryError

_LONGEST_TARGET = 4095  # Linux refuses one that fills a page
_DEVICES = {DeviceKind.CHARACTER: Type.CHARACTER, DeviceKind.BLOCK: Type.BLOCK, DeviceKind.FIFO: Type.FIFO}
_NO_SIZES = array("I")


@dataclass(slots=True)
class Blocks:
    """Whole blocks of a file, one behind the other.

    Attributes:
        start: of the first.
        sizes: of each, as an inode has it; 0 is a block of zeros.
    """

    start: int = 0
    sizes: "array[int]" = field(default_factory=lambda: _NO_SIZES)


@dataclass(slots=True, eq=False)
class Node:
    """What has an inode.

    Attributes:
        type: of a basic inode.
        mode: permission bits.
        owner, group: places in the id table.
        attributes: number of its set, or `NOTHING`.
        links: how many names it has.
        number: of the inode, from 1 on.
        place: a reference to the inode, once it is written; the inode of a folder is none's before.
    """

    type: Type
    mode: int
    owner: int
    group: int
    attributes: int = NOTHING
    links: int = 1
    number: int = 0
    place: int | None = None


@dataclass(slots=True, eq=False)
class FileNode(Node):
    """A file.

    Attributes:
        size: bytes.
        blocks: those that are whole.
        fragment: number of the one with the rest, or `NOTHING`.
        offset: where it begins there.
    """

    size: int = 0
    blocks: Blocks = field(default_factory=Blocks)
    fragment: int = NOTHING
    offset: int = 0


@dataclass(slots=True, eq=False)
class FolderNode(Node):
    """A folder.

    Attributes:
        names: what is in it, sorted by bytes.
        above: the folder that it is in; none if it is the root.
        listing: where its names begin: block and offset in the directory table.
        size: bytes of its names.
        index: byte of the listing, block of the directory table, name.
    """

    names: list[tuple[bytes, Node]] = field(default_factory=list)
    above: "FolderNode | None" = None
    listing: tuple[int, int] = (0, 0)
    size: int = 0
    index: list[tuple[int, int, bytes]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class LinkNode(Node):
    """A symbolic link."""

    target: bytes = b""


@dataclass(slots=True, eq=False)
class DeviceNode(Node):
    """A device or a FIFO."""

    major: int = 0
    minor: int = 0


class Nodes:
    """The nodes of a tree.

    Args:
        root: owner and permissions of its root folder.

    Attributes:
        root: the root folder.
        folders: all of them, in the order of the tree.
        ids: owners and groups.
        xattrs: sets of attributes.
        without_lists: paths of what has access control lists, which are left out.
    """

    def __init__(self, root: Meta) -> None:
        self._places: dict[int, int] = {}
        self._files: dict[bytes, Node] = {}
        self._common: dict[Meta, tuple[int, int, int, int]] = {}
        self.xattrs = Xattrs()
        self.without_lists: list[bytes] = []
        self.root = FolderNode(Type.DIRECTORY, *self._of_meta(Directory(b"", root)), links=2)
        self._folders: dict[bytes, FolderNode] = {b"": self.root}

    @property
    def ids(self) -> list[int]:
        """See above."""
        return list(self._places)

    @property
    def folders(self) -> list[FolderNode]:
        """See above."""
        return list(self._folders.values())

    def add(self, entry: Entry) -> Node:
        """The node of an entry, which is new unless it is a hard link.

        Raises:
            EntryError: squashfs cannot hold it.
        """
        above, _, name = entry.path.rpartition(b"/")
        folder = self._folders[above]
        if isinstance(entry, Hardlink):
            node = self._files[entry.target]
            node.links += 1
        else:
            node = self._node(entry, folder)
        folder.names.append((name, node))
        return node

    def number(self) -> int:
        """Number the nodes, those of a folder one after another; the answer is how many there are."""
        last = self.root.number = 1
        for folder in self._folders.values():
            folder.names.sort(key=lambda pair: pair[0])
            for _, node in folder.names:
                if not node.number:
                    last += 1
                    node.number = last
        return last

    def _node(self, entry: File | Directory | Symlink | Device, folder: FolderNode) -> Node:
        common = self._of_meta(entry)
        if isinstance(entry, File):
            node = self._files[entry.path] = FileNode(Type.FILE, *common, size=entry.content.size)
            return node
        if isinstance(entry, Directory):
            self._folders[entry.path] = below = FolderNode(Type.DIRECTORY, *common, links=2, above=folder)
            folder.links += 1
            return below
        if isinstance(entry, Symlink):
            if not 0 < len(entry.target) <= _LONGEST_TARGET:
                raise EntryError(
                    f"{_shown(entry.path)} is a symbolic link to {len(entry.target)} bytes:"
                    f" Linux reads 1 to {_LONGEST_TARGET} in squashfs"
                )
            return LinkNode(Type.SYMLINK, *common, target=entry.target)
        return DeviceNode(_DEVICES[entry.kind], *common, major=entry.major, minor=entry.minor)

    def _of_meta(self, entry: File | Directory | Symlink | Device) -> tuple[int, int, int, int]:
        """Mode, owner, group, attributes."""
        meta = entry.meta
        known = self._common.get(meta)
        if known is None or isinstance(entry, Device):
            refuse_numbers(entry)
            try:
                attributes = self.xattrs.number(meta)
            except EntryError as error:
                raise EntryError(f"{_shown(entry.path)}: {error}") from error
            known = self._common[meta] = meta.mode, self._place(meta.uid), self._place(meta.gid), attributes
        if meta.xattrs and any(name in ACCESS_LISTS for name, _ in meta.xattrs):
            self.without_lists.append(entry.path)
        return known

    def _place(self, number: int) -> int:
        place = self._places.setdefault(number, len(self._places))
        if place >= MOST_IDS:
            raise EntryError(f"there are more than {MOST_IDS} owners and groups, the most of squashfs")
        return place


def _shown(path: bytes) -> str:
    return "/" + os.fsdecode(path)


def holes(blocks: Blocks, block: int) -> int:
    """Bytes of the blocks that are zeros."""
    return blocks.sizes.count(0) * block


def inodes(folder: FolderNode) -> Iterator[Node]:
    """What is in a folder and has no inode yet, in the order of the names."""
    for _, node in folder.names:
        if node.place is None:
            yield node

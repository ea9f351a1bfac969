"""Listings of folders, and the index of those that are long.

A listing is made of groups: a header with what the inodes have in common, and entries. A group ends where the inodes
are in another metadata block, or too far away in their numbers, or after 256 entries. Every 8 KiB a group begins that
the index names, so that a name is found without all before it being read.
"""

from formats.filesystem.squashfs.metadata import Metadata
from formats.filesystem.squashfs.nodes import FolderNode, Node
from formats.filesystem.squashfs.structures import ENTRY, HEADER, METADATA, MOST_IN_HEADER

_FARTHEST = range(-(1 << 15), 1 << 15)


class _Listing:
    """A listing under way."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.index: list[tuple[int, bytes]] = []
        self._header = 0
        self._count = 0
        self._block = self._number = 0
        self._indexed = 0  # byte of the listing that the index named last

    def add(self, name: bytes, node: Node) -> None:
        assert node.place is not None  # noqa: S101  # for mypy: inodes are written before who names them
        block, offset = node.place >> 16, node.place & 0xFFFF
        size = ENTRY.size + len(name)
        is_full = len(self.data) + size - self._indexed > METADATA
        is_near = block == self._block and node.number - self._number in _FARTHEST
        if is_full or not is_near or self._count in (0, MOST_IN_HEADER):
            if is_full and self.data:
                self._indexed = len(self.data)
                self.index.append((self._indexed, name))
            self._begin(block, node.number)
        self._count += 1
        HEADER.pack_into(self.data, self._header, self._count - 1, self._block, self._number)
        self.data += ENTRY.pack(offset, node.number - self._number, node.type, len(name) - 1) + name

    def _begin(self, block: int, number: int) -> None:
        self._header, self._count, self._block, self._number = len(self.data), 0, block, number
        self.data += bytes(HEADER.size)


def write_listing(folder: FolderNode, directories: Metadata) -> None:
    """Write what is in a folder, whose inodes are written already.

    Args:
        folder: is told where its listing is.
        directories: the directory table.
    """
    listing = _Listing()
    for name, node in folder.names:
        listing.add(name, node)
    folder.listing, folder.size = directories.place, len(listing.data)
    done = 0
    for start, name in listing.index:
        directories.append(listing.data[done:start])
        folder.index.append((start, directories.place[0], name))
        done = start
    directories.append(listing.data[done:])

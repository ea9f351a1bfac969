"""Folders: records of what is in them, block by block, and behind these what did not fit into records.

    a record:   its length 1 | 0 | first block 8 | size 8 | time 7 | flags 1 | 0 | 0 | 1 in 4
                | length of the identifier 1 | identifier, padded to even | system use entries, padded to even

ECMA-119, 9.1. No record crosses the end of a block, and no continuation does (SUSP 5.1). A file of more than 4 GiB has
a record for each of its extents, which follow each other.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from formats.filesystem.holes import Ranges
from formats.filesystem.iso9660.structures import (
    BLOCK,
    DIRECTORY,
    LARGEST_EXTENT,
    LONGEST_RECORD,
    MORE_EXTENTS,
    ONE,
    RECORD_HEAD,
    blocks,
    both32,
)
from formats.filesystem.iso9660.system_use import MOST_CONTINUATIONS, continuation, linked, split
from formats.filesystem.iso9660.zisofs import Compressed
from layers.entry import Content, Device, Directory, File, Symlink
from layers.errors import EntryError


@dataclass(slots=True)
class Node:
    """What records lead to; hard links lead to one.

    Attributes:
        entry: its first name.
        serial: its number, from 1.
        links: how many names it has; of a folder, as POSIX counts them.
        content: of a file, as it stands on the volume.
        ranges: of the content, those parts that are not zeros.
        compressed: whether the content is, and from what.
        index: of a file's checksum, from 1; 0 without.
        first: its first block, once that is known.
        size: bytes of it on the volume.
    """

    entry: File | Directory | Symlink | Device
    serial: int
    links: int = 1
    content: Content | None = None
    ranges: Ranges = ()
    compressed: Compressed | None = None
    index: int = 0
    first: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What a folder says of one of its own, of itself, or of the folder above.

    Attributes:
        node: to what it leads.
        identifier: its name for systems without Rock Ridge.
        inline: system use entries that stand in the record.
        length: bytes of it; it is there once for each extent.
        continuations: the other ones, each part for a block at most.
    """

    node: Node
    identifier: bytes
    inline: bytes
    length: int
    continuations: Sequence[bytes] = ()

    @property
    def lengths(self) -> Sequence[int]:
        """Bytes of the record of each extent."""
        if self.node.size <= LARGEST_EXTENT:
            return (self.length,)
        return (self.length,) * -(-self.node.size // LARGEST_EXTENT)

    def packed(self, time: bytes, inline: bytes) -> Iterator[bytes]:
        """The record of each extent.

        Args:
            time: of it.
            inline: what stands in it, complete.
        """
        node, identifier, length = self.node, self.identifier, self.length
        kind = DIRECTORY if isinstance(node.entry, Directory) else 0
        tail = b"\0\0" + ONE + bytes((len(identifier),)) + identifier + (b"" if len(identifier) % 2 else b"\0") + inline
        for done in range(0, node.size or 1, LARGEST_EXTENT):
            size = min(node.size - done, LARGEST_EXTENT)
            flags = kind | (MORE_EXTENTS if done + size < node.size else 0)
            place = both32(node.first + done // BLOCK) + both32(size)
            yield (bytes((length, 0)) + place + time + bytes((flags,)) + tail).ljust(length, b"\0")


def record(node: Node, identifier: bytes, entries: Sequence[bytes]) -> Record:
    """Make a record.

    Args:
        node: to what it leads.
        identifier: its name for systems without Rock Ridge.
        entries: of the system use area.

    Raises:
        EntryError: they are more than Linux reads; longer ones would be errors there.
    """
    before = _even(RECORD_HEAD + len(identifier))
    inline, continuations = split(entries, LONGEST_RECORD - before)
    if len(continuations) > MOST_CONTINUATIONS:
        path = os.fsdecode(node.entry.path)
        raise EntryError(f"/{path} has more attributes than the {MOST_CONTINUATIONS * BLOCK} bytes that Linux skips")
    return Record(node, identifier, inline, _even(before + len(inline)), continuations)


def _even(size: int) -> int:
    return size + size % 2


@dataclass(slots=True)
class Folder:
    """A folder.

    Attributes:
        node: its own.
        above: the folder that it is in; the root's is itself.
        identifier: in that.
        records: in order.
        number: in the path table, once that is known.
    """

    node: Node
    above: "Folder | None" = None
    identifier: bytes = b"\0"
    records: list[Record] = field(default_factory=list)
    number: int = 1

    def measure(self) -> int:
        """Blocks of it, with what did not fit into records; the node has its size from now on."""
        ends = [0, *(place + length for place, length in _placed(chain(*(one.lengths for one in self.records))))]
        self.node.size = blocks(ends[-1]) * BLOCK
        parts = [0, *(place + length for place, length in _placed(map(len, self._continuations())))]
        return self.node.size // BLOCK + blocks(parts[-1])

    def data(self, time: bytes) -> bytearray:
        """All of it.

        Args:
            time: of everything in it.
        """
        data = bytearray(self.node.size)
        continuations = bytearray()
        end = self.node.first + self.node.size // BLOCK
        places = _placed(map(len, self._continuations()))
        position = 0
        for record in self.records:
            parts = [record.inline, *record.continuations]
            if record.continuations:
                found = [next(places) for _ in record.continuations]
                parts = linked(parts, (continuation(end + at // BLOCK, at % BLOCK, size) for at, size in found))
                for (at, size), part in zip(found, parts[1:], strict=True):
                    continuations += bytes(at + size - len(continuations))
                    continuations[at:] = part
            for packed in record.packed(time, parts[0]):
                position = _place(position, len(packed))
                data[position : position + len(packed)] = packed
                position += len(packed)
        return data + continuations + bytes(-len(continuations) % BLOCK)

    def _continuations(self) -> Iterator[bytes]:
        return chain.from_iterable(record.continuations for record in self.records)


def _placed(lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Where things of these lengths begin, one after another, and their lengths."""
    position = 0
    for length in lengths:
        position = _place(position, length)
        yield position, length
        position += length


def _place(position: int, length: int) -> int:
    """The first place from this one on where something does not cross the end of a block."""
    return position if position % BLOCK + length <= BLOCK else blocks(position) * BLOCK

"""The plan of a volume, and its bytes in the order of their offsets.

Everything has its place before the first byte is written: what comes first does not depend on what comes later, but on
where it is.
"""

import struct
from collections.abc import Iterator
from itertools import chain

from formats.filesystem import Through, Volume
from formats.filesystem.contents import Extent, Placed, file_pieces
from formats.filesystem.iso9660 import boot
from formats.filesystem.iso9660.checksums import Places, array_blocks, with_checksums
from formats.filesystem.iso9660.nodes import Nodes
from formats.filesystem.iso9660.records import Folder
from formats.filesystem.iso9660.structures import (
    BLOCK,
    DESCRIPTOR,
    DIRECTORY,
    ITSELF,
    MOST_FOLDERS,
    ONE,
    PRIMARY,
    STANDARD,
    SYSTEM_BLOCKS,
    TERMINATOR,
    blocks,
    both16,
    both32,
    short_time,
)
from formats.filesystem.iso9660.volume_date import UNKNOWN, VolumeDate
from formats.filesystem.pieces import Bytes, Copy, Piece
from layers.entry import File
from layers.reader import Reader

# Linux reads ahead, beyond the end of a CD that was written in one track: mkisofs(8), `-pad`.
_PADDING_BLOCKS = 150

_PATH = {"<": struct.Struct("<BBIH"), ">": struct.Struct(">BBIH")}
_APPLICATION = b"OCIPACK"


class Iso9660Plan:
    """Where everything in a volume goes.

    Args:
        nodes: of the tree; they are given their places.
        volume: what it is told of itself.
        started: what starts a computer from it.
        checksums: whether it has them.
    """

    def __init__(self, nodes: Nodes, volume: Volume, started: boot.Boot | None, *, checksums: bool) -> None:
        self._nodes, self._volume, self._checksums = nodes, volume, checksums
        self._time = short_time(volume.epoch)
        self._end = SYSTEM_BLOCKS + 2 + bool(started)
        self._descriptors_tag = self._take(1 if checksums else 0)
        self._path_table_size = sum(len(_path_entry("<", folder)) for folder in nodes.folders)
        self._path_table = self._take(blocks(self._path_table_size))
        self._path_table_big = self._take(blocks(self._path_table_size))
        for folder in nodes.folders:
            count = folder.measure()
            folder.node.first = self._take(count)
        self._tree_tag = self._take(1 if checksums else 0)
        self._boot = boot.Placed(started, self._end) if started else None
        self._end = self._boot.end if self._boot else self._end
        for node in nodes.files.values():
            node.first = self._take(blocks(node.size))
        self._array = self._end
        if checksums:
            nodes.place_checksums(self._array)
            self._take(array_blocks(len(nodes.files)) + 1)
        self._take(_PADDING_BLOCKS)

    def _take(self, count: int) -> int:
        first = self._end
        self._end += count
        return first

    @property
    def size(self) -> int:
        """Bytes of the volume."""
        return self._end * BLOCK

    def pieces(self, reader: Reader, through: Through = iter) -> Iterator[Piece]:
        """See `formats.filesystem.Plan`."""
        disk = list(self._boot.disk(self._volume, self.size)) if self._boot else []
        start = [piece for piece in disk if piece.offset < SYSTEM_BLOCKS * BLOCK]
        contents = file_pieces(self._nodes.tree, self._place, BLOCK, reader, through)
        stream: Iterator[Piece] = chain(
            start, self._descriptors(), self._path_tables(), self._folders(), self._boot_images(reader), contents
        )
        if self._checksums:
            files = [(node.first * BLOCK, node.first * BLOCK + node.size) for node in self._nodes.files.values()]
            places = Places(self._descriptors_tag, self._tree_tag, self._array, files)
            yield from with_checksums(stream, places, reader)
        else:
            yield from stream
        yield from disk[len(start) :]

    def _place(self, file: File) -> Placed | None:
        node = self._nodes.files[file.path]
        if node.content is None:
            return None
        offset = node.first * BLOCK
        return node.content, [Extent(offset + start, start, end) for start, end in node.ranges]

    def _descriptors(self) -> Iterator[Bytes]:
        """The set of volume descriptors: ECMA-119, 6.7.1."""
        found = [self._primary(), *([self._boot.record()] if self._boot else []), _descriptor(TERMINATOR)]
        yield Bytes(SYSTEM_BLOCKS * BLOCK, b"".join(found))

    def _primary(self) -> bytes:
        date = VolumeDate.of(self._volume.identifier("iso9660 date")).packed()
        root = self._nodes.folders[0].node
        record = bytes((34, 0)) + both32(root.first) + both32(root.size) + self._time + bytes((DIRECTORY, 0, 0))
        return _descriptor(
            PRIMARY,
            system=b"LINUX".ljust(32), label=self._volume.label.encode().ljust(32), blocks=both32(self._end),
            set_size=ONE, sequence=ONE, block_size=both16(BLOCK), path_table_size=both32(self._path_table_size),
            path_table=self._path_table, path_table_big=self._path_table_big.to_bytes(4),
            root=record + ONE + b"\1" + ITSELF, set=b" " * 128, publisher=b" " * 128, preparer=b" " * 128,
            application=_APPLICATION.ljust(128), copyright=b" " * 37, abstract=b" " * 37, bibliography=b" " * 37,
            created=date, modified=date, expires=UNKNOWN, effective=UNKNOWN, structure_version=1,
        )  # fmt: skip

    def _path_tables(self) -> Iterator[Bytes]:
        for order, first in (("<", self._path_table), (">", self._path_table_big)):
            table = b"".join(_path_entry(order, folder) for folder in self._nodes.folders)
            yield Bytes(first * BLOCK, table)

    def _folders(self) -> Iterator[Bytes]:
        for folder in self._nodes.folders:
            yield Bytes(folder.node.first * BLOCK, folder.data(self._time))

    def _boot_images(self, reader: Reader) -> Iterator[Piece]:
        if self._boot is None:
            return
        yield from self._boot.pieces(SYSTEM_BLOCKS)
        if self._boot.boot.efi:
            for piece in self._boot.boot.efi.pieces(reader):
                yield moved(piece, self._boot.efi * BLOCK)


def moved(piece: Piece, offset: int) -> Piece:
    """A piece of a volume that is part of another."""
    if isinstance(piece, Copy):
        return Copy(piece.offset + offset, piece.content, piece.start, piece.size)
    return Bytes(piece.offset + offset, piece.data)


def _descriptor(kind: int, **fields: bytes | int) -> bytes:
    return DESCRIPTOR.pack(type=kind, standard=STANDARD, version=1, **fields).ljust(BLOCK, b"\0")


def _path_entry(order: str, folder: Folder) -> bytes:
    """Of a path table: ECMA-119, 9.4. Folders in one whose number has no room are found by the records alone."""
    above = min(folder.above.number if folder.above else folder.number, MOST_FOLDERS)
    head = _PATH[order].pack(len(folder.identifier), 0, folder.node.first, above)
    return head + folder.identifier + bytes(len(folder.identifier) % 2)

"""The plan of a volume, and its bytes.

Everything has its place before the first byte is written: what comes first does not depend on what comes later, but on
where it is. Only the checksums of files depend on what is in them.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from formats.filesystem import Through, Volume
from formats.filesystem.contents import Extent, Placed, file_pieces
from formats.filesystem.iso9660 import boot
from formats.filesystem.iso9660.checksums import FileChecksums, FrontChecksums, Places, array_blocks
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
from layers.shares import WHOLE, Share

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
        self._array = self._take(array_blocks(len(nodes.files)) if checksums else 0)
        self._last_tag = self._take(1 if checksums else 0)
        if checksums:
            nodes.place_checksums(self._array)
        for node in nodes.files.values():
            node.first = self._take(blocks(node.size))
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
        """See `formats.filesystem.Plan`; what `Front.rest` has comes last, wherever it is."""
        front, files = self.front(reader), self.files(WHOLE, reader, through)
        yield from front.pieces()
        yield from files.pieces()
        yield from front.rest(files.digests)

    def front(self, reader: Reader) -> "Front":
        """All but the contents of files.

        Args:
            reader: reads what starts a computer.
        """
        disk = list(self._boot.disk(self._volume, self.size)) if self._boot else []
        start = [piece for piece in disk if piece.offset < SYSTEM_BLOCKS * BLOCK]
        pieces = chain(start, self._descriptors(), self._path_tables(), self._folders(), self._boot_images(reader))
        places = Places(self._descriptors_tag, self._tree_tag, self._array, self._last_tag)
        checksums = FrontChecksums(places) if self._checksums else None
        return Front(pieces, disk[len(start) :], checksums, reader)

    def files(self, share: Share, reader: Reader, through: Through = iter) -> "Files":
        """The contents of the files of a share.

        Args:
            share: of the tree.
            reader: as in `pieces`.
            through: sees the entries of the share pass.
        """
        tree = share.of(list(self._nodes.tree))
        pieces = file_pieces(tree, self._place, BLOCK, reader, through)
        if not self._checksums:
            return Files(pieces, None, reader)
        nodes = [self._nodes.files[entry.path] for entry in tree if isinstance(entry, File)]
        spans = [(node.first * BLOCK, node.first * BLOCK + node.size) for node in nodes]
        return Files(pieces, FileChecksums(spans), reader)

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


@dataclass(frozen=True, slots=True)
class Front:
    """All of a volume but the contents of files; made by `Iso9660Plan.front`."""

    _pieces: Iterable[Piece]
    _end: Sequence[Bytes]
    _checksums: FrontChecksums | None
    _reader: Reader

    def pieces(self) -> Iterator[Piece]:
        """What stands before the files, in the order of its offsets."""
        return self._checksums.passed(self._pieces, self._reader) if self._checksums else iter(self._pieces)

    def rest(self, digests: bytes) -> Iterator[Piece]:
        """What is known when the files are written: the array of their checksums; and the end of the volume.

        Args:
            digests: as `Files.digests`, of all shares in their order.
        """
        return chain(self._checksums.array(digests) if self._checksums else (), self._end)


@dataclass(frozen=True, slots=True)
class Files:
    """The contents of files; made by `Iso9660Plan.files`."""

    _pieces: Iterator[Piece]
    _checksums: FileChecksums | None
    _reader: Reader

    def pieces(self) -> Iterator[Piece]:
        """All of them, in the order of their offsets."""
        return self._checksums.passed(self._pieces, self._reader) if self._checksums else self._pieces

    @property
    def digests(self) -> bytes:
        """The checksums of the files, when all pieces have passed; nothing in a volume without checksums."""
        return bytes(self._checksums.digests) if self._checksums else b""


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

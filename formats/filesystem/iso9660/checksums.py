"""Checksums in a volume: MD5 of what leads to files, and of each file, as libisofs has them and `xorriso` reads them.

Three *tags*, each a line of text in a block of its own, have the MD5 of all blocks before them: after the volume
descriptors, after the directories, and after an array that has 16 bytes for each file and more:

    of all before the array | of the first file | ... | of the last file | of what stands in this array before

`isofs.ca`, an attribute of the root, says where the array is; `isofs.cx` of a file says which of its entries is the
file's. libisofs, doc/checksums.txt and doc/susp_aaip_isofs_names.txt. It is against mishaps, not against people: MD5 is
what these programs know.

libisofs has the array at the end. Here it stands before the files, and so the last tag proves all that is no file: what
a file contains is proved by the array. Nothing has to be hashed twice, nor in one go from its beginning to its end.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from formats.filesystem.iso9660.structures import BLOCK, blocks
from formats.filesystem.pieces import Bytes, Piece
from layers.reader import Reader

_SIZE = 16
_BUFFER = 256 << 10  # bytes: they stay in the processor's cache between reading, hashing and writing
_ZEROS = memoryview(bytes(_BUFFER))

_DESCRIPTORS, _TREE, _ALL = "libisofs_sb_checksum_tag_v1", "libisofs_tree_checksum_tag_v1", "libisofs_checksum_tag_v1"

Span = tuple[int, int]
"""Of a file: its first byte in the volume and the byte after its last."""


def index_attribute(index: int) -> tuple[bytes, bytes]:
    """What a file knows of its checksum: its place in the array."""
    return b"isofs.cx", index.to_bytes((index.bit_length() + 7) // 8)


def place_attribute(array: int, files: int) -> tuple[bytes, bytes]:
    """What the root knows of the array.

    Args:
        array: its first block; all blocks before it are hashed.
        files: how many have a checksum.
    """
    numbers = (0, array, files + 2)
    return b"isofs.ca", b"".join(b"\4" + number.to_bytes(4) for number in numbers) + bytes((1, _SIZE)) + b"MD5"


def array_blocks(files: int) -> int:
    """Of the array of so many files."""
    return blocks((files + 2) * _SIZE)


@dataclass(frozen=True, slots=True)
class Places:
    """Where checksums are.

    Attributes:
        descriptors: block of the tag after the volume descriptors.
        tree: block of the tag after the directories.
        array: its first block.
        all: block of the tag after the array.
    """

    descriptors: int
    tree: int
    array: int
    all: int


class FrontChecksums:
    """What stands before the files, with its checksums.

    Args:
        places: which nothing else takes.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._state = _new()
        self._position = 0

    def passed(self, pieces: Iterable[Piece], reader: Reader) -> Iterator[Bytes]:
        """The pieces and the tags between them, in the order of their offsets.

        Args:
            pieces: all that comes before the array.
            reader: from which they come.
        """
        places = self._places
        tags = [(_DESCRIPTORS, places.descriptors, places.tree), (_TREE, places.tree, places.all)]
        for piece in pieces:
            while tags and tags[0][1] * BLOCK <= piece.offset:
                yield self._tag(*tags.pop(0))
            for read in as_bytes(piece, reader):
                yield self._hashed(read)
        for tag in tags:
            yield self._tag(*tag)

    def array(self, digests: bytes) -> Iterator[Bytes]:
        """The array and its tag, after all else has passed.

        Args:
            digests: of all files, in their order.
        """
        self._zeros_until(self._places.array * BLOCK)
        array = self._state.digest() + digests
        array += _new(array).digest()
        yield self._hashed(Bytes(self._places.array * BLOCK, array))
        yield self._tag(_ALL, self._places.all)

    def _tag(self, kind: str, block: int, following: int = 0) -> Bytes:
        """The tag that has the checksum of all before it.

        Args:
            kind: its first word.
            block: where it is.
            following: where the next tag is, if there is one.
        """
        self._zeros_until(block * BLOCK)
        words = [kind, f"pos={block}", "range_start=0", f"range_size={block}", f"next={following}" if following else ""]
        text = " ".join([*filter(None, words), f"md5={self._state.hexdigest()}"])
        line = f"{text} self={_new(text.encode()).hexdigest()}\n"
        return self._hashed(Bytes(block * BLOCK, line.encode().ljust(BLOCK, b"\0")))

    def _hashed(self, piece: Bytes) -> Bytes:
        self._zeros_until(piece.offset)
        self._state.update(piece.data)
        self._position += len(piece.data)
        return piece

    def _zeros_until(self, offset: int) -> None:
        _add_zeros(self._state, offset - self._position)
        self._position = offset


class FileChecksums:
    """Checksums of files, as their bytes pass.

    Args:
        spans: of the files whose bytes these are, in their order.

    Attributes:
        digests: of all files that have passed.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._coming = iter(spans)
        self._state = _new()
        self._first, self._last = next(self._coming, _NONE)
        self._position = self._first
        self.digests = bytearray()

    def passed(self, pieces: Iterable[Piece], reader: Reader) -> Iterator[Bytes]:
        """The pieces.

        Args:
            pieces: of the files, in the order of their offsets; what is between them is zeros.
            reader: from which they come.
        """
        for piece in pieces:
            for read in as_bytes(piece, reader):
                self._add(read.offset, memoryview(read.data))
                yield read
        while (self._first, self._last) != _NONE:
            self._end()

    def _add(self, start: int, data: memoryview) -> None:
        end = start + len(data)
        while self._last <= start:
            self._end()
        while self._first < end:
            if self._position < start:
                _add_zeros(self._state, start - self._position)
                self._position = start
            self._state.update(data[self._position - start : self._last - start])
            if self._last > end:
                self._position = end
                break
            self._position = self._last
            self._end()

    def _end(self) -> None:
        """The file has no more bytes; what did not pass is zeros."""
        _add_zeros(self._state, self._last - self._position)
        self.digests += self._state.digest()
        self._state = _new()
        self._first, self._last = next(self._coming, _NONE)
        self._position = self._first


_NONE = (1 << 62, 1 << 62)  # the span of no file: behind all volumes


def _new(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


def _add_zeros(state: "hashlib._Hash", count: int) -> None:
    for done in range(0, count, _BUFFER):
        state.update(_ZEROS[: count - done])


def as_bytes(piece: Piece, reader: Reader) -> Iterator[Bytes]:
    """The bytes of a piece; what the kernel would have copied is read."""
    if isinstance(piece, Bytes):
        yield piece
        return
    buffer = memoryview(bytearray(min(_BUFFER, piece.size)))
    for done in range(0, piece.size, _BUFFER):
        room = buffer[: piece.size - done]
        reader.read_into(piece.content, piece.start + done, room)
        yield Bytes(piece.offset + done, room)

"""Checksums in a volume: MD5 of all of it and of each file, as libisofs writes and `xorriso -check_md5_r` reads them.

Three *tags*, each a line of text in a block of its own, have the MD5 of all blocks before them: after the volume
descriptors, after the directories, and at the end. Before the last, an array has 16 bytes for each file and more:

    of all before the array | of the first file | ... | of the last file | of what stands in this array before

`isofs.ca`, an attribute of the root, says where the array is; `isofs.cx` of a file says which of its entries is the
file's. libisofs, doc/checksums.txt and doc/susp_aaip_isofs_names.txt. It is against mishaps, not against people: MD5 is
what these programs know.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from formats.filesystem.iso9660.structures import BLOCK, blocks
from formats.filesystem.pieces import Bytes, Copy, Piece
from layers.reader import Reader

_SIZE = 16
_BUFFER = 1 << 20  # bytes: handing work to a thread costs 1 % of hashing them
_UNDER_WAY = 16  # buffers: two threads hash, neither at the pace of the other; with 4 of them it took 6 % longer
_ZEROS = memoryview(bytes(_BUFFER))

_DESCRIPTORS, _TREE, _ALL = "libisofs_sb_checksum_tag_v1", "libisofs_tree_checksum_tag_v1", "libisofs_checksum_tag_v1"


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
        files: of each file, its first byte in the volume and the byte after its last; in the order of both.
    """

    descriptors: int
    tree: int
    array: int
    files: Sequence[tuple[int, int]]

    @property
    def all(self) -> int:
        """Block of the tag at the end."""
        return self.array + array_blocks(len(self.files))


def with_checksums(pieces: Iterable[Piece], places: Places, reader: Reader) -> Iterator[Bytes]:
    """The pieces of a volume and its checksums, in the order of their offsets.

    Args:
        pieces: all that comes before the array.
        places: which nothing else takes.
        reader: from which the pieces come.
    """
    with ThreadPoolExecutor(1) as for_all, ThreadPoolExecutor(1) as for_files:
        stream = _Stream(for_all, for_files, places.files)
        tags = [(_DESCRIPTORS, places.descriptors, places.tree), (_TREE, places.tree, places.all)]
        for piece in pieces:
            while tags and tags[0][1] * BLOCK <= piece.offset:
                yield from stream.tag(*tags.pop(0))
            yield from stream.copied(piece, reader) if isinstance(piece, Copy) else stream.passed(piece)
        for tag in tags:
            yield from stream.tag(*tag)
        yield from stream.array(places.array)
        yield from stream.tag(_ALL, places.all)


class _Stream:
    """The volume so far, hashed by two threads: as a whole, and file by file."""

    def __init__(
        self, for_all: ThreadPoolExecutor, for_files: ThreadPoolExecutor, files: Sequence[tuple[int, int]]
    ) -> None:
        self._for_all, self._for_files = for_all, for_files
        self._all = hashlib.md5(usedforsecurity=False)
        self._files = _FileHashes(files)
        self._under_way: deque[tuple[Future[None], Future[None]]] = deque()
        # One is filled while the others are hashed.
        self._buffers = deque(memoryview(bytearray(_BUFFER)) for _ in range(_UNDER_WAY + 1))
        self._filled = 0
        self._position = 0

    def passed(self, piece: Bytes) -> Iterator[Bytes]:
        """Hash a piece, and hand it on."""
        self._zeros_until(piece.offset)
        data = memoryview(piece.data)
        while data:
            room = self._room(len(data))
            room[:], data = data[: len(room)], data[len(room) :]
            self._fill(len(room))
        yield piece

    def copied(self, piece: Copy, reader: Reader) -> Iterator[Bytes]:
        """Read what the kernel would have copied: it is hashed on the way."""
        self._zeros_until(piece.offset)
        done = 0
        while done < piece.size:
            room = self._room(piece.size - done)
            reader.read_into(piece.content, piece.start + done, room)
            yield Bytes(piece.offset + done, room)
            self._fill(len(room))
            done += len(room)

    def tag(self, kind: str, block: int, following: int = 0) -> Iterator[Bytes]:
        """The tag that has the checksum of all before it.

        Args:
            kind: its first word.
            block: where it is.
            following: where the next tag is, if there is one.
        """
        self._zeros_until(block * BLOCK)
        self._finish()
        words = [kind, f"pos={block}", "range_start=0", f"range_size={block}", f"next={following}" if following else ""]
        text = " ".join([*filter(None, words), f"md5={self._all.hexdigest()}"])
        itself = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        yield from self.passed(Bytes(block * BLOCK, f"{text} self={itself}\n".encode().ljust(BLOCK, b"\0")))

    def array(self, block: int) -> Iterator[Bytes]:
        """The checksums of the files."""
        self._zeros_until(block * BLOCK)
        self._finish()
        array = self._all.digest() + self._files.digests()
        array += hashlib.md5(array, usedforsecurity=False).digest()
        yield from self.passed(Bytes(block * BLOCK, array.ljust(blocks(len(array)) * BLOCK, b"\0")))

    def _room(self, most: int) -> memoryview:
        return self._buffers[0][self._filled : self._filled + most]

    def _fill(self, size: int) -> None:
        self._filled += size
        self._position += size
        if self._filled == _BUFFER:
            self._submit_buffer()

    def _submit_buffer(self) -> None:
        if self._filled:
            self._submit(self._buffers[0][: self._filled])
            self._buffers.rotate(-1)
            self._filled = 0

    def _submit(self, data: memoryview) -> None:
        while len(self._under_way) >= _UNDER_WAY:
            self._wait()
        self._under_way.append(
            (self._for_all.submit(self._all.update, data), self._for_files.submit(self._files.update, data))
        )

    def _wait(self) -> None:
        for future in self._under_way.popleft():
            future.result()

    def _zeros_until(self, offset: int) -> None:
        missing = offset - self._position
        if missing <= BLOCK:
            room = self._room(missing)
            room[:] = _ZEROS[: len(room)]
            self._fill(len(room))
            missing -= len(room)
        self._submit_buffer() if missing else None
        while missing:
            size = min(missing, _BUFFER)
            self._submit(_ZEROS[:size])
            self._position += size
            missing -= size

    def _finish(self) -> None:
        self._submit_buffer()
        while self._under_way:
            self._wait()


class _FileHashes:
    """Hashes of the files in a stream."""

    def __init__(self, files: Sequence[tuple[int, int]]) -> None:
        self._coming = iter(files)
        self._current = next(self._coming, None)
        self._state = hashlib.md5(usedforsecurity=False)
        self._found = bytearray()
        self._position = 0

    def update(self, data: memoryview) -> None:
        """The next bytes of the stream."""
        start, end = self._position, self._position + len(data)
        while self._current and self._current[0] < end:
            first, last = self._current
            self._state.update(data[max(first - start, 0) : last - start])
            if last > end:
                break
            self._next()
        self._position = end

    def _next(self) -> None:
        self._found += self._state.digest()
        self._state = hashlib.md5(usedforsecurity=False)
        self._current = next(self._coming, None)

    def digests(self) -> bytes:
        """Those of all files; what is still to come is empty."""
        while self._current:
            self._next()
        return bytes(self._found)

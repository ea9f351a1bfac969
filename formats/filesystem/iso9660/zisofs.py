"""zisofs: files that are compressed in the volume, and that Linux decompresses as they are read.

    magic 8 | size 4 | header's size / 4, 1 | log2 of a block's size 1 | 0 in 2 | where each block begins, and where
    the last ends: 4 each | the blocks: each a zlib stream (RFC 1950), or nothing if it is all zeros

libisofs, doc/zisofs_format.txt. All numbers are little-endian. How many blocks a file takes must be known before its
folder is written: files are compressed first, into a *spool*, a file beside the output.
"""

import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain

from isal import isal_zlib

from formats.filesystem import Through
from formats.filesystem.contents import show
from formats.filesystem.holes import pinned
from formats.filesystem.iso9660.structures import BLOCK, blocks
from layers.entry import Content, Data, Entry, File, Slice
from layers.errors import InputError
from layers.output import Spool
from layers.pipeline import Buffer, Pipeline
from layers.reader import Reader
from layers.tree import Tree

MAGIC = bytes.fromhex("37e45396c9dbd607")
HEADER = struct.Struct("<8sIBBH")
_BATCH = 1 << 20  # bytes that are compressed at once: a multiple of all blocks
_LARGEST = (1 << 32) - 1
_BLOCK_BITS = range(15, 18)  # what Linux reads
_ISAL_LEVELS = range(1, 4)
_LEVELS = range(1, 10)


def worthwhile(file: File) -> bool:
    """Whether Guix compresses a file (`make-iso9660-image`): not what boot loaders read, nor what is compressed."""
    name = os.path.basename(file.path)
    return not (
        file.path.startswith((b"boot/", b"System/"))
        or name in (b"unicode.pf2", b"bzImage")
        or name.endswith((b".gz", b".png"))
    )


@dataclass(frozen=True, slots=True)
class Compressed:
    """A file that is compressed.

    Attributes:
        content: in the spool.
        size: bytes that it has when it is not.
        block_bits: log2 of the bytes that are compressed at a time.
    """

    content: Slice
    size: int
    block_bits: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A tree whose files were looked at, and those that became smaller.

    Attributes:
        tree: its contents are bound to the state in which they were seen.
        compressed: path -> what stands for the file's content.
    """

    tree: Tree
    compressed: Mapping[bytes, Compressed]


@dataclass(frozen=True, slots=True)
class Zisofs:
    """How files are compressed.

    Attributes:
        selected: which are; those that do not become smaller by a block are not.
        level: 1 to 3 are igzip's, above zlib's; the seed has 9.
        block_bits: log2 of the bytes that are compressed at a time, 15 to 17.
    """

    selected: Callable[[File], bool] = worthwhile
    level: int = 3
    block_bits: int = 17

    def compress(self, tree: Tree, spool: Spool, pipeline: Pipeline, reader: Reader, through: Through = iter) -> Packed:
        """Compress files.

        Args:
            tree: with all files.
            spool: keeps them until the volume is written.
            pipeline: compresses.
            reader: reads all contents that somebody wants to see, in the order of the tree.
            through: sees the entries pass.

        Raises:
            InputError: there is no such level or size of blocks.
            ChangedError: a content was written to.
            OutputError: the disk is full.
        """
        if self.level not in _LEVELS or self.block_bits not in _BLOCK_BITS:
            raise InputError(
                f"zisofs has no level {self.level} with blocks of {1 << self.block_bits} bytes",
                hint="It has levels 1 to 9, and blocks of 32, 64 and 128 KiB.",
            )
        compressor = _Compressor(self.level, 1 << self.block_bits, spool, pipeline, reader)
        entries: dict[bytes, Entry] = {}
        for entry in through(tree):
            entries[entry.path] = entry
            if isinstance(entry, File):
                entries[entry.path] = self._looked_at(entry, compressor, reader)
        compressor.close()
        return Packed(Tree(entries), compressor.found)

    def _looked_at(self, file: File, compressor: "_Compressor", reader: Reader) -> File:
        content = file.content
        if BLOCK < content.size <= _LARGEST and self.selected(file):
            compressor.add(file.path, content)
        elif reader.observed:
            show(content, 0, content.size, reader)
        return replace(file, content=pinned(content, reader)) if reader.observed else file


class _Compressor:
    def __init__(self, level: int, block: int, spool: Spool, pipeline: Pipeline, reader: Reader) -> None:
        self._work = _Work(level, block)
        self._spool, self._pipeline, self._reader = spool, pipeline, reader
        self._batch = _Batch([], bytearray(_BATCH))
        self._filled = 0
        self.found: dict[bytes, Compressed] = {}

    def add(self, path: bytes, content: Content) -> None:
        if content.size > _BATCH:
            self._add_large(path, content)
            return
        if self._filled + content.size > _BATCH:
            self._submit()
        room = memoryview(self._batch.data)[self._filled : self._filled + content.size]
        self._read(content, 0, room)
        self._batch.files.append((path, content.size))
        self._filled += content.size

    def close(self) -> None:
        """Wait for all of them."""
        self._submit()
        self._pipeline.drain()

    def _read(self, content: Content, start: int, room: memoryview) -> None:
        if isinstance(content, Data):
            room[:] = memoryview(content.data)[start : start + len(room)]
        else:
            self._reader.read_into(content, start, room)

    def _submit(self) -> None:
        """Have whole files compressed, many at once."""
        batch, self._batch, self._filled = self._batch, _Batch([], bytearray(_BATCH)), 0
        sizes: list[int] = []

        def take(data: Buffer) -> None:
            offset = self._spool.size
            self._spool.append(data)
            for (path, size), compressed in zip(batch.files, sizes, strict=True):
                if compressed:
                    self._keep(path, size, offset, compressed)
                offset += compressed

        work = partial(self._work.files, sizes=[size for _, size in batch.files], found=sizes)
        self._pipeline.submit(work, batch.data, take)

    def _add_large(self, path: bytes, content: Content) -> None:
        """Have a file compressed that has several batches; its header is written when all of them are there."""
        batches = range(0, content.size, _BATCH)
        sizes: list[list[int]] = [[] for _ in batches]  # of blocks; threads must not share a list
        start = 0

        def begin() -> None:
            nonlocal start
            start = self._spool.size
            self._spool.append(self._work.header(content.size, []))

        def end() -> None:
            compressed = self._spool.size - start
            if blocks(compressed) < blocks(content.size):
                self._spool.overwrite(start, self._work.header(content.size, list(chain(*sizes))))
                self._keep(path, content.size, start, compressed)

        self._pipeline.after(begin)
        for position, found in zip(batches, sizes, strict=True):
            data = bytearray(min(_BATCH, content.size - position))
            self._read(content, position, memoryview(data))
            self._pipeline.submit(partial(self._work.blocks, found=found), data, self._spool.append)
        self._pipeline.after(end)

    def _keep(self, path: bytes, size: int, offset: int, compressed: int) -> None:
        self.found[path] = Compressed(Slice(self._spool.path, offset, compressed), size, self._work.block_bits)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Whole files that follow each other: path and size, and their bytes."""

    files: list[tuple[bytes, int]]
    data: bytearray


class _Work:
    """What is done in other threads: it only knows its arguments."""

    def __init__(self, level: int, block: int) -> None:
        self._library = isal_zlib if level in _ISAL_LEVELS else zlib
        self._level, self._block = level, block
        self._zeros = bytes(block)
        self.block_bits = block.bit_length() - 1

    def files(self, data: bytearray, sizes: Sequence[int], found: list[int]) -> bytearray:
        """Several files, those left out that do not become smaller.

        Args:
            data: of all of them.
            sizes: theirs, in order.
            found: takes the bytes of each that is compressed; 0 if it is not.
        """
        made, position = bytearray(), 0
        for size in sizes:
            lengths: list[int] = []
            body = self.blocks(memoryview(data)[position : position + size], lengths)
            position += size
            header = self.header(size, lengths)
            worth = blocks(len(header) + len(body)) < blocks(size)
            found.append(len(header) + len(body) if worth else 0)
            if worth:
                made += header
                made += body
        return made

    def blocks(self, data: "Buffer | memoryview", found: list[int]) -> bytearray:
        """Blocks one after another.

        Args:
            data: of one file.
            found: takes the bytes of each block that is compressed.
        """
        made, view = bytearray(), memoryview(data)
        for start in range(0, len(view), self._block):
            block = view[start : start + self._block]
            if block == self._zeros[: len(block)]:
                found.append(0)
                continue
            packed = self._library.compress(block, self._level)
            found.append(len(packed))
            made += packed
        return made

    def header(self, size: int, lengths: Sequence[int]) -> bytes:
        """What comes before the blocks of a file.

        Args:
            size: of the file.
            lengths: of its blocks; without, there is only room for them.
        """
        count = -(-size // self._block) + 1
        ends = accumulate(lengths, initial=HEADER.size + 4 * count) if lengths else [0] * count
        header = HEADER.pack(MAGIC, size, HEADER.size // 4, self.block_bits, 0)
        return header + struct.pack(f"<{count}I", *ends)

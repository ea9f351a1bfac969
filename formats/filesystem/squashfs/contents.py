"""Contents: blocks and fragments, compressed in parallel and written in the order of the tree.

What is equal is there once: a file's whole blocks if all of them are those of another, and the rest of a file, which is
all of most, likewise. Of a rest that is known before it is written. Whole blocks are written first; if they turn out to
be somewhere else already, what follows is written over them.
"""

import hashlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from formats.filesystem.holes import written_from
from formats.filesystem.squashfs.compressors import Buffer, Compressor
from formats.filesystem.squashfs.nodes import Blocks, FileNode
from formats.filesystem.squashfs.structures import BLOCK_AS_IT_IS
from layers.entry import Content, Data
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader

_BATCH = 1 << 20  # bytes that are compressed at once: a multiple of all blocks


@dataclass(frozen=True, slots=True)
class _Packed:
    """Blocks that were compressed."""

    data: bytes
    sizes: list[int]
    digest: bytes


class _Work:
    """What is done in other threads: it only knows its arguments."""

    def __init__(self, compress: Compressor, block: int) -> None:
        self._compress, self._block = compress, block
        self._zeros = bytes(block)

    def blocks(self, data: bytearray) -> _Packed:
        """Whole blocks of a file."""
        parts, sizes = [], []
        for start in range(0, len(data), self._block):
            block = memoryview(data)[start : start + self._block]
            if block == self._zeros:
                sizes.append(0)
                continue
            part, size = self._packed(block)
            parts.append(part)
            sizes.append(size)
        joined = b"".join(parts)
        return _Packed(joined, sizes, hashlib.sha256(joined).digest())

    def fragment(self, data: bytearray) -> tuple[Buffer, int]:
        """A fragment, and its size as the table has it."""
        return self._packed(data)

    def _packed(self, data: Buffer) -> tuple[Buffer, int]:
        packed = self._compress(data)
        return (packed, len(packed)) if len(packed) < len(data) else (data, len(data) | BLOCK_AS_IT_IS)


@dataclass(slots=True)
class _Run:
    """The whole blocks of a file, as they are written."""

    blocks: Blocks
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add_zeros(self, count: int) -> None:
        """So many blocks of zeros come next."""
        self.blocks.sizes.frombytes(bytes(count * self.blocks.sizes.itemsize))


class Contents:
    """Writes contents.

    Args:
        output: nobody has written yet behind `start`.
        start: where the first goes.
        compress: a block.
        block: bytes of it.
        pipeline: who compresses, and when.
        reader: reads the contents.
        tell: is told how many bytes were read.

    Attributes:
        fragments: where each is, and its size as the table has it.
        end: the byte after the last, when `close` was called.
    """

    def __init__(
        self,
        output: PendingFile,
        start: int,
        compress: Compressor,
        block: int,
        pipeline: Pipeline,
        reader: Reader,
        tell: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._output, self._block = output, block
        self._pipeline, self._reader, self._tell = pipeline, reader, tell
        self._work = _Work(compress, block)
        self._rests: dict[bytes, tuple[int, int]] = {}
        self._runs: dict[bytes, Blocks] = {}
        self._fragment = bytearray()
        self._number = 0  # of the fragment that is not written yet
        self.fragments: list[tuple[int, int]] = []
        self.end = start

    def add(self, node: FileNode, content: Content) -> None:
        """Have a content written, all of which is read before this returns.

        Args:
            node: is told where it is, when `close` has returned.
            content: of the file.

        Raises:
            ChangedError: it was written to.
            OutputError: the disk is full.
        """
        whole = content.size // self._block * self._block
        if whole:
            self._add_blocks(node, content, whole)
        if whole < content.size:
            self._add_rest(node, content, whole)
        self._tell(content.size)

    def close(self) -> None:
        """Wait for all of them."""
        self._submit_fragment()
        self._pipeline.drain()

    def _add_blocks(self, node: FileNode, content: Content, whole: int) -> None:
        run = _Run(Blocks(0, array("I")))

        def begin() -> None:
            run.blocks.start = self.end

        def take(packed: _Packed) -> None:
            self._write(packed.data)
            run.blocks.sizes.extend(packed.sizes)
            run.digest.update(packed.digest)

        def end() -> None:
            run.digest.update(run.blocks.sizes.tobytes())
            node.blocks = self._runs.setdefault(run.digest.digest(), run.blocks)
            if node.blocks is not run.blocks:
                self.end = run.blocks.start

        self._pipeline.after(begin)
        start = 0
        while start < whole:
            hole = self._hole(content, start, whole)
            if hole:
                self._pipeline.after(partial(run.add_zeros, hole // self._block))
                start += hole
                continue
            size = min(_BATCH, whole - start)
            self._pipeline.submit(self._work.blocks, self._read(content, start, size), take)
            start += size
        self._pipeline.after(end)

    def _hole(self, content: Content, start: int, whole: int) -> int:
        """Bytes of whole blocks that the host's file does not have; they are not read, unless somebody wants to see."""
        if isinstance(content, Data) or self._reader.observed or whole <= _BATCH:
            return 0
        return (min(written_from(content, start, self._reader), whole) - start) // self._block * self._block

    def _add_rest(self, node: FileNode, content: Content, start: int) -> None:
        data = self._read(content, start, content.size - start)
        digest = hashlib.sha256(data).digest()
        known = self._rests.get(digest)
        if known is None:
            if len(self._fragment) + len(data) > self._block:
                self._submit_fragment()
            known = self._rests[digest] = self._number, len(self._fragment)
            self._fragment += data
        node.fragment, node.offset = known

    def _submit_fragment(self) -> None:
        if not self._fragment:
            return
        data, self._fragment = self._fragment, bytearray()
        self._number += 1

        def take(packed: tuple[Buffer, int]) -> None:
            self.fragments.append((self.end, packed[1]))
            self._write(packed[0])

        self._pipeline.submit(self._work.fragment, data, take)

    def _read(self, content: Content, start: int, size: int) -> bytearray:
        if isinstance(content, Data):
            return bytearray(memoryview(content.data)[start : start + size])
        data = bytearray(size)
        self._reader.read_into(content, start, memoryview(data))
        return data

    def _write(self, data: Buffer) -> None:
        self._output.overwrite(self.end, data)
        self.end += len(data)

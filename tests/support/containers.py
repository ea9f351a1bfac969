"""Disks of all shapes, and containers with them."""

import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from formats.container import Container, VirtualDisk
from formats.filesystem.ext4 import Ext4
from formats.filesystem.pieces import Bytes, Copy, Piece, part, size_of, write_pieces
from layers.digest import Digest
from layers.entry import Data, File, Slice
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader
from tests.support.volumes import GIB, MIB, VOLUME, tree_of

IDENTITY = Digest.of(b"a virtual disk")
EPOCH = 1_000_000_000

#: What compresses well, and not to nothing.
TEXT = b"".join(b"line %d of a text\n" % number for number in range(60_000))


def incompressible(size: int, seed: int = 0) -> bytes:
    """Bytes that nothing makes smaller, the same on every machine."""
    return random.Random(seed).randbytes(size)


@dataclass(frozen=True)
class Example:
    """A disk.

    Attributes:
        size: bytes.
        pieces: of it, given a folder for files, and who reads these.
    """

    size: int
    pieces: Callable[[Path, Reader], Iterable[Piece]]


def write_container(path: Path, container: Container, example: Example, jobs: int = 2) -> Path:
    """The disk in a file."""
    disk = VirtualDisk(example.size, IDENTITY, EPOCH)
    with Reader() as reader, PendingFile(str(path.parent)) as output, ThreadPoolExecutor(jobs) as executor:
        pipeline = Pipeline(executor, 2 * jobs + 2)
        container.write(disk, example.pieces(path.parent, reader), output, reader, pipeline)
        output.publish(path.name, durable=False)
    return path


def write_plain(path: Path, example: Example) -> Path:
    """The disk as it is, in whole sectors: what containers are compared with."""
    with Reader() as reader, PendingFile(str(path.parent)) as output:
        size = -(-example.size // 512) * 512
        write_pieces(example.pieces(path.parent, reader), output, 0, size, reader)
        output.publish(path.name, durable=False)
    return path


def _given(*pieces: Bytes) -> Callable[[Path, Reader], Iterable[Piece]]:
    return lambda _folder, _reader: pieces


def _copied(offset: int, data: bytes) -> Callable[[Path, Reader], Iterable[Piece]]:
    """Ranges of one file, and something between them; the file begins with what does not belong to the disk."""

    def pieces(folder: Path, reader: Reader) -> Iterator[Piece]:
        (folder / "source").write_bytes(b"not ours" + data)
        content = Slice(str(folder / "source"), 8, len(data))
        half = len(data) // 2
        yield Copy(offset, content, 0, half)
        yield Bytes(offset + half, b"between")
        yield Copy(offset + half + 100, content, half, len(data) - half)

    return pieces


def _with_hole(folder: Path, reader: Reader) -> Iterator[Piece]:
    """A sparse file whose data begins and ends anywhere."""
    with open(folder / "sparse", "wb") as file:
        for offset in (5000, 700_000, 3 * MIB - 3):
            file.seek(offset)
            file.write(b"data")
        file.truncate(4 * MIB)
    yield Copy(777, Slice(str(folder / "sparse"), 0, 4 * MIB), 0, 4 * MIB)


def _ext4(folder: Path, reader: Reader) -> Iterable[Piece]:
    (folder / "large").write_bytes(TEXT + incompressible(MIB))
    large = Slice(str(folder / "large"), 0, len(TEXT) + MIB)
    files = [
        File(b"large", large),
        *(File(b"%03d" % number, Data(incompressible(number * 37))) for number in range(100)),
    ]
    return Ext4(VOLUME).prepare(tree_of(files), reader).plan(64 * MIB).pieces(reader)


def _mixed() -> bytes:
    """Every second 64 KiB cannot be compressed."""
    return b"".join(incompressible(65536, number) + TEXT[number * 1000 :][:65536] for number in range(12))


EXAMPLES = {
    "empty": Example(10 * MIB, _given()),
    "zeros": Example(10 * MIB, _given(Bytes(0, bytes(3 * MIB)), Bytes(4 * MIB, bytes(1000)))),
    "one byte at the end": Example(10 * MIB, _given(Bytes(10 * MIB - 1, b"x"))),
    "one sector": Example(512, _given(Bytes(511, b"x"))),
    "no whole sector": Example(MIB + 1, _given(Bytes(MIB, b"x"))),
    "no whole cluster": Example(3 * MIB + 512 * 5, _given(Bytes(3 * MIB - 100, b"x" * (512 * 5 + 100)))),
    "dense": Example(5 * MIB + 4096, _given(Bytes(0, incompressible(5 * MIB + 4096)))),
    "text": Example(2 * MIB, _given(Bytes(100, TEXT))),
    "mixed": Example(2 * MIB, _given(Bytes(0, _mixed()))),
    "pieces across clusters": Example(
        8 * MIB, _given(*(Bytes(100_000 * number, incompressible(90_000, number)) for number in range(70)))
    ),
    "ranges of a file": Example(8 * MIB, _copied(100_001, incompressible(5 * MIB))),
    "ranges of a file at clusters": Example(12 * MIB, _copied(2 * MIB, TEXT * 5)),
    "a file with holes": Example(5 * MIB, _with_hole),
    "an ext4 volume": Example(64 * MIB, _ext4),
    "40 GiB": Example(
        40 * GIB,
        _given(*(Bytes(number * GIB + number * 5_000_000, incompressible(70_000, number)) for number in range(40))),
    ),
}


def in_parts(example: Example, size: int) -> Example:
    """The same disk in other pieces: as many bytes each, and zeros before the first and after the last."""

    def pieces(folder: Path, reader: Reader) -> Iterator[Piece]:
        end = 0
        for piece in example.pieces(folder, reader):
            if end < piece.offset <= end + MIB:
                yield Bytes(end, bytes(piece.offset - end))
            for start in range(0, size_of(piece), size):
                yield part(piece, start, min(start + size, size_of(piece)))
            end = piece.offset + size_of(piece)

    return Example(example.size, pieces)

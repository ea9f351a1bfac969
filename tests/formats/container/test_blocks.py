"""Blocks: where they begin, which of them are written together, and maps that are written as they grow."""

import os
from pathlib import Path

import pytest

from formats.container.blocks import BlockMap, whole_blocks, write_blocks
from formats.filesystem.pieces import Bytes, Copy, Piece
from layers.entry import Slice
from layers.output import PendingFile
from layers.reader import Reader
from tests.support.containers import incompressible
from tests.support.volumes import MIB


def written(folder: Path, pieces: list[Piece], gap: int) -> tuple[bytes, list[int]]:
    """The file, if blocks of 64 KiB have so much between them; and which blocks found a place."""
    asked: list[int] = []

    def allocate(block: int) -> int:
        asked.append(block)
        return (len(asked) - 1) * (65536 + gap)

    with Reader() as reader, PendingFile(str(folder)) as output:
        write_blocks(pieces, 65536, allocate, output, reader)
        output.publish("file", durable=False)
    return (folder / "file").read_bytes(), asked


@pytest.mark.parametrize("gap", [0, 512])
def test_each_block_finds_one_place(tmp_path: Path, gap: int) -> None:
    pieces: list[Piece] = [Bytes(65530, b"a" * 20), Bytes(70_000, b"b"), Bytes(200_000, b"\0"), Bytes(300_000, b"c")]
    data, asked = written(tmp_path, pieces, gap)
    assert asked == [0, 1, 4]
    block = 65536 + gap
    expected = bytearray(2 * block + 300_000 % 65536 + 1)
    expected[65530:65536], expected[block : block + 14] = b"a" * 6, b"a" * 14
    expected[block + 70_000 - 65536] = ord("b")
    expected[-1] = ord("c")
    assert data == expected


@pytest.mark.parametrize(("gap", "copies"), [(0, 1), (512, 17)])
def test_the_kernel_copies_what_stays_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: int, copies: int
) -> None:
    (tmp_path / "source").write_bytes(incompressible(MIB))
    sizes: list[int] = []
    copy_at = PendingFile.copy_at

    def counted(self: PendingFile, offset: int, source: int, start: int, size: int) -> None:
        sizes.append(size)
        copy_at(self, offset, source, start, size)

    monkeypatch.setattr(PendingFile, "copy_at", counted)
    data, _ = written(tmp_path, [Copy(100, Slice(str(tmp_path / "source"), 0, MIB), 0, MIB)], gap)
    assert (len(sizes), sum(sizes)) == (copies, MIB)
    if not gap:
        assert data == bytes(100) + incompressible(MIB)


def test_blocks_in_memory_are_whole(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    pieces: list[Piece] = [Bytes(3, b"ab"), Copy(7, Slice(str(tmp_path / "source"), 1, 9), 2, 6), Bytes(40, b"c")]
    with Reader() as reader:
        found = [(number, bytes(block)) for number, block in whole_blocks(pieces, 8, reader)]
    assert found == [(0, b"\0\0\0ab\0\x003"), (1, b"45678\0\0\0"), (5, b"c" + bytes(7))]


@pytest.mark.parametrize("blocks", [0, 1, 16384, 16385, 50_000])
@pytest.mark.parametrize("used", [[], [0], [0, 1, 3], [16383], [16384], [0, 40_000], [49_999]])
def test_a_map_has_all_ones_for_what_is_not_there(tmp_path: Path, blocks: int, used: list[int]) -> None:
    used = [block for block in used if block < blocks]
    with PendingFile(str(tmp_path)) as output:
        table = BlockMap(output, 100, 4 * blocks, "<")
        for block in used:
            table.set(block, block + 7)
        table.close()
        assert os.fstat(output.file.fileno()).st_size == (100 + 4 * blocks if blocks else 0)
        output.publish("map", durable=False)
    data = (tmp_path / "map").read_bytes()[100:]
    numbers = [int.from_bytes(data[start : start + 4], "little") for start in range(0, len(data), 4)]
    assert numbers == [block + 7 if block in used else 0xFFFFFFFF for block in range(blocks)]

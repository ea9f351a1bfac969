"""Zeros are found wherever they are, and what is not read stays unread."""

from pathlib import Path

import pytest

from formats.container.nonzero import nonzero
from formats.filesystem.pieces import Bytes, Copy, Piece, size_of
from layers.entry import Slice
from layers.errors import ChangedError
from layers.reader import Reader
from tests.support.volumes import MIB

GRAIN = 65536
ZEROS = bytes(GRAIN)
PROBE = 4096


def kept(pieces: list[Piece], grain: int = GRAIN) -> list[tuple[int, int]]:
    with Reader() as reader:
        return [(piece.offset, size_of(piece)) for piece in nonzero(pieces, reader, grain)]


@pytest.mark.parametrize(
    ("offset", "data", "expected"),
    [
        (0, b"", []),
        (0, b"x", [(0, 1)]),
        (0, b"\0", []),
        (100, bytes(GRAIN), []),
        (100, bytes(GRAIN) + b"x", [(GRAIN, 101)]),
        (0, ZEROS + b"x" * GRAIN + ZEROS, [(GRAIN, GRAIN)]),
        (0, b"x" * GRAIN * 3, [(0, 3 * GRAIN)]),
        (0, b"x" + ZEROS * 2 + b"x", [(0, GRAIN), (2 * GRAIN, 2)]),
        (0, bytes(PROBE) + b"x", [(0, PROBE + 1)]),
        (0, bytes(PROBE - 1) + b"x" + bytes(GRAIN), [(0, GRAIN)]),
        (0, bytes(GRAIN - 1) + b"x", [(0, GRAIN)]),
        (7, bytes(GRAIN - 8) + b"x" + ZEROS, [(7, GRAIN - 7)]),
        (GRAIN - 1, b"x" + ZEROS + b"x", [(GRAIN - 1, 1), (2 * GRAIN, 1)]),
    ],
)
def test_grains_of_zeros_are_left_out(
    tmp_path: Path, offset: int, data: bytes, expected: list[tuple[int, int]]
) -> None:
    (tmp_path / "source").write_bytes(b"before" + data + b"after")
    content = Slice(str(tmp_path / "source"), 2, len(data) + 9)
    assert kept([Bytes(offset, data)]) == expected
    assert kept([Bytes(offset, memoryview(bytearray(data)))]) == expected
    assert kept([Copy(offset, content, 4, len(data))]) == expected


def test_what_is_kept_has_the_bytes_of_its_place(tmp_path: Path) -> None:
    (piece,) = nonzero([Bytes(100, ZEROS + b"content")], Reader())
    assert isinstance(piece, Bytes)
    assert (piece.offset, bytes(piece.data)) == (GRAIN, bytes(100) + b"content")
    content = Slice(str(tmp_path / "source"), 5, GRAIN + 20)
    (tmp_path / "source").write_bytes(bytes(GRAIN + 10) + b"content")
    with Reader() as reader:
        assert list(nonzero([Copy(90, content, 1, GRAIN + 11)], reader)) == [Copy(GRAIN, content, GRAIN - 89, 101)]


@pytest.mark.parametrize("grain", [512, 4096])
def test_grains_may_be_small(grain: int) -> None:
    assert kept([Bytes(0, bytes(grain) + b"x" + bytes(grain))], grain) == [(grain, grain)]


def test_holes_of_the_host_are_not_read(tmp_path: Path) -> None:
    size = 8 << 40  # to read it would take an hour
    with open(tmp_path / "source", "wb") as file:
        file.seek(size // 2)
        file.write(b"x")
        file.truncate(size)
    content = Slice(str(tmp_path / "source"), 0, size)
    assert kept([Copy(0, content, 0, size)], 1 << 30) == [(size // 2, 1 << 30)]


@pytest.mark.parametrize("size", [0, 100, GRAIN, 3 * GRAIN, 10 * GRAIN - 1])
def test_a_file_that_became_shorter_is_no_hole(tmp_path: Path, size: int) -> None:
    with open(tmp_path / "source", "wb") as file:
        file.truncate(size)
    with pytest.raises(ChangedError, match="became shorter"):
        kept([Copy(0, Slice(str(tmp_path / "source"), 0, 10 * GRAIN), 0, 10 * GRAIN)])


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * MIB)
    copy = Copy(0, Slice(str(tmp_path / "source"), 0, MIB), 0, MIB)
    with pytest.raises(ChangedError, match="was written to"), Reader() as reader:
        list(nonzero([copy], reader))
        (tmp_path / "source").write_bytes(b"y" * (MIB + 1))

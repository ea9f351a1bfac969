import os
from pathlib import Path

import pytest

from formats.filesystem.holes import CHUNK, data_ranges, pinned
from layers.entry import Data, Slice
from layers.errors import ChangedError
from layers.reader import Reader, state

K = 1024
DATA = b"x" * CHUNK
ZERO = bytes(CHUNK)


def last(size: int) -> bytes:
    return bytes(size - 1) + b"x"


@pytest.mark.parametrize(
    ("content", "ranges"),
    [
        (b"", []),
        (b"x", [(0, 1)]),
        (bytes(10), [(0, 10)]),
        (ZERO, [(0, 64)]),
        (ZERO + ZERO, [(0, 64)]),
        (DATA + ZERO, [(0, 64)]),
        (DATA + bytes(10), [(0, 64)]),
        (DATA + ZERO + DATA, [(0, 64), (128, 192)]),
        (DATA + ZERO * 3 + bytes(4097), [(0, 64)]),
        (DATA + last(CHUNK), [(0, 128)]),
        (DATA + last(4096), [(0, 68)]),
        (DATA + last(5000), None),
        (DATA + bytes(4096) + last(CHUNK - 4096) + ZERO, [(0, 128)]),
        (DATA + ZERO + last(CHUNK) + ZERO + ZERO + DATA, [(0, 64), (128, 192), (320, 384)]),
    ],
)
def test_zeros_are_holes_wherever_they_come_from(
    tmp_path: Path, content: bytes, ranges: list[tuple[int, int]] | None
) -> None:
    wanted = ((0, len(content)),) if ranges is None else tuple((start * K, end * K) for start, end in ranges)
    if len(content) < 64 and content:
        wanted = ((0, len(content)),)
    (tmp_path / "written").write_bytes(b"before" + content + b"after")
    with open(tmp_path / "sparse", "wb") as file:
        for start in range(0, len(content), 4096):
            if any(content[start : start + 4096]):
                os.pwrite(file.fileno(), content[start : start + 4096], start)
        file.truncate(len(content))
    with Reader() as reader:
        assert data_ranges(Data(content), reader) == wanted
        assert data_ranges(Slice(str(tmp_path / "written"), 6, len(content)), reader) == wanted
        assert data_ranges(Slice(str(tmp_path / "sparse"), 0, len(content)), reader) == wanted


def test_large_holes_are_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with Reader() as reader:
        assert data_ranges(Slice(str(tmp_path / "sparse"), 0, 1 << 40), reader) == ((0, CHUNK),)


def test_a_content_whose_holes_are_known_is_bound_to_its_state(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with Reader() as reader:
        assert pinned(Data(b"x"), reader) == Data(b"x")
        assert pinned(Slice(str(path), 1, 4), reader) == Slice(str(path), 1, 4, state=state(path.stat()))
        with pytest.raises(ChangedError, match="became shorter"):
            pinned(Slice(str(path), 1, 5), reader)

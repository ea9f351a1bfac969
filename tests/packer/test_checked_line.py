from pathlib import Path

import pytest

from layers.output import PendingFile
from packer import checked_line

FACTS = {"format": 1, "names": ["a", "ß"]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with PendingFile(str(tmp_path)) as file:
        checked_line.write(file, FACTS)
        file.publish("list", durable=False)
    return tmp_path / "list"


def test_what_is_written_is_read(place: Path) -> None:
    assert checked_line.read(str(place), 1, 1000) == FACTS


@pytest.mark.parametrize(("kind", "most"), [(2, 1000), (1, 20)], ids=["another format", "too long"])
def test_what_is_not_wanted_is_not_known(kind: int, most: int, place: Path) -> None:
    assert checked_line.read(str(place), kind, most) is None


@pytest.mark.parametrize("offset", range(0, 100, 7))
def test_damage_is_noticed(offset: int, place: Path) -> None:
    data = bytearray(place.read_bytes())
    data[offset % len(data)] ^= 1
    place.write_bytes(data)
    assert checked_line.read(str(place), 1, 1000) is None


def test_what_is_not_there_is_not_known(tmp_path: Path) -> None:
    assert checked_line.read(str(tmp_path / "nothing"), 1, 1000) is None

"""The files of archives: how many are looked at, and how long their names may be."""

from pathlib import Path

import pytest

from formats.reading import files
from formats.reading.files import archive_files
from layers.entry import Data, File
from tests.support.entries import tar_of


@pytest.mark.parametrize(("limit", "value"), [("_MOST_MEMBERS", 20), ("_MOST_MEMORY", 2000)])
def test_of_large_archives_the_beginning_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    names = [f"{number:02}".ljust(100, "n") for number in range(30)]
    (tmp_path / "it.tar").write_bytes(tar_of(File(name.encode(), Data(b"x")) for name in names))
    assert archive_files(str(tmp_path / "it.tar")).find(names[-1])
    monkeypatch.setattr(files, limit, value)
    found = archive_files(str(tmp_path / "it.tar"))
    assert found.find(names[19])
    assert not found.find(names[20])

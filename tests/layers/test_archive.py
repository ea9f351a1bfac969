"""Archives as files: whole, and the same bytes as a stream."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from layers.archive import write_archive
from layers.entry import Data, Directory, Entry, File, Slice
from layers.errors import ChangedError, PackError
from layers.reader import state
from layers.tar import CHUNK
from tests.support.entries import noise


def _entries(tmp_path: Path) -> list[Entry]:
    """Small contents go through memory, those of a chunk and more are copied by the kernel."""
    host = tmp_path / "host"
    host.write_bytes(noise(4 * CHUNK))
    return [
        File(b"first", Data(b"x")),
        Directory(b"folder"),
        File(b"folder/large", Slice(str(host), 7, 2 * CHUNK + 3)),
        File(b"folder/small", Slice(str(host), 0, CHUNK - 1)),
        File(b"last", Slice(str(host), CHUNK, CHUNK)),
    ]


def test_an_archive_holds_its_entries(tmp_path: Path) -> None:
    entries = _entries(tmp_path)
    write_archive(str(tmp_path / "out.tar"), entries, 1)
    data = (tmp_path / "host").read_bytes()
    with tarfile.open(tmp_path / "out.tar") as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        contents = {name: file.read() for name, file in found.items() if file}
    assert contents == {
        "first": b"x",
        "folder/large": data[7 : 2 * CHUNK + 10],
        "folder/small": data[: CHUNK - 1],
        "last": data[CHUNK : 2 * CHUNK],
    }


def test_a_stream_is_the_same_archive(tmp_path: Path) -> None:
    _entries(tmp_path)
    program = (
        "import sys; from pathlib import Path; from tests.layers.test_archive import _entries;"
        "from layers.archive import write_archive; write_archive(sys.argv[2], _entries(Path(sys.argv[1])), 1)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "out.tar")], check=True, cwd=Path(__file__).parents[2])
    piped = subprocess.run([*command, "-"], check=True, cwd=Path(__file__).parents[2], capture_output=True).stdout
    assert piped == (tmp_path / "out.tar").read_bytes()


@pytest.mark.parametrize("size", [CHUNK // 2, 3 * CHUNK])
def test_a_content_that_is_too_short_leaves_no_archive(tmp_path: Path, size: int) -> None:
    (tmp_path / "host").write_bytes(bytes(size - 1))
    with pytest.raises(PackError, match=r"shorter|too early"):
        write_archive(str(tmp_path / "out.tar"), [File(b"f", Slice(str(tmp_path / "host"), 0, size))], 1)
    assert not (tmp_path / "out.tar").exists()


@pytest.mark.parametrize("size", [CHUNK // 2, 2 * CHUNK])
@pytest.mark.parametrize(
    ("happens", "error", "message"),
    [
        ("a link", PackError, "cannot read .*host: Too many levels of symbolic links"),
        ("another content", ChangedError, "host was written to while it was being packed"),
        ("gone", ChangedError, "host vanished while it was being packed"),
    ],
)
def test_a_content_that_is_not_what_was_looked_at_leaves_no_archive(
    tmp_path: Path, size: int, happens: str, error: type[PackError], message: str
) -> None:
    """However large it is: what the kernel copies is looked at as closely as what passes through memory."""
    host = tmp_path / "host"
    host.write_bytes(noise(size))
    entry = File(b"f", Slice(str(host), 0, size, state=state(host.stat())))
    if happens == "another content":
        host.write_bytes(bytes(size))
    else:
        host.rename(tmp_path / "elsewhere")
    if happens == "a link":
        host.symlink_to("elsewhere")
    with pytest.raises(error, match=message):
        write_archive(str(tmp_path / "out.tar"), [entry], 1)
    assert not (tmp_path / "out.tar").exists()

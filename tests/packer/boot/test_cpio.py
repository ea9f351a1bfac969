import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Slice, Symlink
from layers.errors import EntryError
from layers.reader import Reader
from packer.boot.cpio import archive

EPOCH = 1_000_000_000


def packed(*entries: Entry) -> bytes:
    with Reader() as reader:
        return b"".join(archive(entries, reader, EPOCH))


ENTRIES = (
    Directory(b"bin", Meta(0o750, 1, 2)),
    File(b"bin/a", Data(b"1"), Meta(0o4755)),
    File(b"bin/empty"),
    File(b"bin/" + b"l" * 200, Data(b"x" * 4097)),
    Symlink(b"bin/link", b"../a b"),
    Device(b"console", DeviceKind.CHARACTER, 5, 1, Meta(0o600)),
    Device(b"disk", DeviceKind.BLOCK, 259, 1048575, Meta(0o660, 0, 6)),
    Device(b"pipe", DeviceKind.FIFO),
)


@pytest.mark.parametrize("program", [["cpio", "--list", "--verbose", "--numeric-uid-gid"], ["bsdtar", "-tvf", "-"]])
def test_others_read_it(program: list[str]) -> None:
    done = subprocess.run(
        program,
        input=packed(*ENTRIES),
        capture_output=True,
        check=True,
        env={"LC_ALL": "C", "TZ": "UTC0", "PATH": "/usr/bin:/bin"},
    )
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert [line[0] for line in lines] == [
        "drwxr-x---", "-rwsr-xr-x", "-rw-r--r--", "-rw-r--r--", "lrwxrwxrwx", "crw-------", "brw-rw----", "prw-r--r--",
    ]  # fmt: skip
    assert lines[0][2:4] == ["1", "2"]
    assert lines[3][4] == "4097"
    assert lines[4][-4:] == ["bin/link", "->", "../a", "b"]
    assert "".join(lines[6][4:6]).startswith("259,1048575")
    assert all("2001" in line for line in lines)


def test_contents_come_out_again(tmp_path: Path) -> None:
    (tmp_path / "host").write_bytes(b"0123456789" * 300_000)
    files = [File(b"one", Slice(str(tmp_path / "host"), 7, 2_500_000)), File(b"two", Data(b"123"))]
    subprocess.run(["cpio", "--extract", "--quiet"], input=packed(*files), cwd=tmp_path, check=True)
    assert (tmp_path / "one").read_bytes() == (b"0123456789" * 300_000)[7:2_500_007]
    assert (tmp_path / "two").read_bytes() == b"123"


@pytest.mark.parametrize(
    "entry", [Hardlink(b"b", b"a"), File(b"large", Slice("/nonexistent", 0, 1 << 32))], ids=["link", "large"]
)
def test_what_it_cannot_hold_is_refused(entry: Entry) -> None:
    with pytest.raises(EntryError):
        packed(entry)

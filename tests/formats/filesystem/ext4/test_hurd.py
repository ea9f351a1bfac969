"""The ext2 of the GNU Hurd, as e2fsprogs and the kernel read it."""

import os
import re
import struct
from pathlib import Path

import pytest

from formats.filesystem.ext4.features import EXT2_HURD
from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.errors import InputError
from tests.oracle.ext4 import complaints, debugfs, header, mounted, run
from tests.support.processes import needs_root
from tests.support.volumes import MIB, write_ext4

TRANSLATOR = b"/hurd/storeio\0--store-type=typed\0device:hd0\0"

ENTRIES: list[Entry] = [
    Directory(b"servers"),
    File(b"servers/exec", Data(b"/servers/exec\n"), Meta(0o444, xattrs=((b"gnu.translator", b"/hurd/exec\0"),))),
    File(b"dev/hd0", meta=Meta(0o640, 70000, 70001, ((b"gnu.translator", TRANSLATOR),))),
    Symlink(b"dev/fd", b"/proc/self/fd"),
    *(File(b"many/%04d" % number, Data(b"%d" % number)) for number in range(3000)),
]


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ext4(tmp_path_factory.mktemp("hurd") / "volume", ENTRIES, 64 * MIB, EXT2_HURD)


def test_e2fsck_finds_nothing(volume: Path) -> None:
    assert complaints(volume) == ""


def test_it_says_of_itself_what_mke2fs_says(volume: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"")
    run("mke2fs", "-q", "-F", "-t", "ext2", "-o", "hurd", "-O", "ext_attr", tmp_path / "theirs", "64M")
    ours, theirs = header(volume), header(tmp_path / "theirs")
    assert ours["Filesystem OS type"] == "Hurd"
    for key in ("Filesystem features", "Filesystem OS type", "Inode size", "Filesystem revision #", "Block size"):
        assert ours[key] == theirs[key]


def test_translators_are_attributes_of_the_hurd(volume: Path) -> None:
    assert debugfs(volume, "ea_get /servers/exec gnu.translator").startswith('gnu.translator (11) = "/hurd/exec\\000"')
    block = re.search(r"File ACL: (\d+) Translator: 0", debugfs(volume, "stat /dev/hd0"))
    assert block
    with open(volume, "rb") as file:
        file.seek(int(block[1]) * 4096)
        data = file.read(4096)
    length, prefix, offset, _, size = struct.unpack_from("<BBHII", data, 32)
    assert (prefix, data[48 : 48 + length], data[offset : offset + size]) == (10, b"translator", TRANSLATOR)


def test_who_owns_a_file_is_its_author(volume: Path) -> None:
    assert re.search(r"User: 70000 +Group: 70001", re.sub(r" +", " ", debugfs(volume, "stat /dev/hd0")))
    assert re.search(r"^0160 .* ffff ffff  ", debugfs(volume, "inode_dump /dev/hd0"), re.MULTILINE)  # none of its own


def test_names_have_no_types(volume: Path) -> None:
    listed = debugfs(volume, "ls -l /dev")
    assert re.search(r"\d+ +100640 \(0\)", listed) and re.search(r"\d+ +40755 \(0\)", listed)
    assert "Indirect levels: 0" in debugfs(volume, "htree_dump /many")


@needs_root
def test_linux_reads_all_of_it(volume: Path) -> None:
    with mounted(volume) as place:
        assert os.getxattr(place / "dev/hd0", "gnu.translator") == TRANSLATOR
        assert os.readlink(place / "dev/fd") == "/proc/self/fd"
        assert len(os.listdir(place / "many")) == 3000
        assert (place / "many" / "2999").read_bytes() == b"2999"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("metadata_csum", "the Hurd's ext2 does not have the feature metadata_csum"),
        ("filetype", "does not have the feature filetype"),
        ("^large_file", "cannot be made without large_file"),
    ],
)
def test_what_the_hurd_does_not_understand_is_refused(options: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EXT2_HURD.changed(options)

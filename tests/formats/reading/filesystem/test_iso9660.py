"""ISO 9660, read: what we write, what xorriso and genisoimage write, and what is damaged."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from formats.filesystem.fat import Fat
from formats.filesystem.iso9660 import Iso9660, records
from formats.filesystem.iso9660.structures import BLOCK
from formats.reading.artefact import ArtefactError
from formats.reading.filesystem import iso9660 as reading
from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from tests.formats.filesystem.iso9660.test_zisofs import TREE as COMPRESSIBLE
from tests.formats.filesystem.iso9660.test_zisofs import compress
from tests.formats.filesystem.iso9660.trees import TREES
from tests.oracle.ext4 import run
from tests.oracle.iso9660 import identity
from tests.support.entries import ACL, noise
from tests.support.inspections import inspected
from tests.support.processes import needs_root
from tests.support.readings import add_attributes, as_tar, differences, foreign_tree, packed, walk
from tests.support.volumes import VOLUME, write_volume

_MOVED = "rr_moved"  # where mkisofs puts deep folders, and leaves none behind


@pytest.mark.parametrize("name", TREES)
def test_what_we_write(tmp_path: Path, name: str) -> None:
    found = inspected(write_volume(tmp_path / "volume", Iso9660(VOLUME), TREES[name]))
    assert differences(as_tar(tmp_path, TREES[name]), found) == {}
    assert found.artefact.disk
    (volume,) = found.artefact.disk.partitions
    known = identity(tmp_path / "volume")
    assert (volume.file_system, volume.label, volume.uuid) == (known["TYPE"], known["LABEL"], known["UUID"])


def test_what_we_compress(tmp_path: Path) -> None:
    _, path = compress(COMPRESSIBLE, tmp_path / "volume")
    assert differences(as_tar(tmp_path, COMPRESSIBLE), inspected(path)) == {}


def test_files_of_several_extents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LARGEST_EXTENT", 2 * BLOCK)
    entries = [File(b"%d" % size, Data(noise(size))) for size in (4095, 4096, 4097, 20_000)]
    found = inspected(write_volume(tmp_path / "volume", Iso9660(VOLUME), entries))
    assert differences(as_tar(tmp_path, entries), found) == {}


def test_files_of_more_extents_than_any_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LARGEST_EXTENT", 16 * BLOCK)
    path = write_volume(tmp_path / "volume", Iso9660(VOLUME), [File(b"file", Data(noise(160 * BLOCK)))])
    monkeypatch.setattr(reading, "_MOST_EXTENTS", 10)
    assert len(inspected(path).tree.nodes) == 1
    monkeypatch.setattr(reading, "_MOST_EXTENTS", 9)
    with pytest.raises(ArtefactError, match="has more than 9 extents"):
        inspected(path)


def test_the_memory_of_extents_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LARGEST_EXTENT", 16 * BLOCK)
    entries = [File(b"%d" % number, Data(noise(320 * BLOCK))) for number in range(4)]
    path = write_volume(tmp_path / "volume", Iso9660(VOLUME), entries)
    assert len(list(walk(path, 20_000))) == 5
    with pytest.raises(ArtefactError, match="more entries than anybody would pack"):
        list(walk(path, 8000))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for those who write ISO 9660."""
    return foreign_tree(tmp_path_factory.mktemp("foreign"))


@needs_root
def test_what_xorriso_writes(tmp_path: Path) -> None:
    tree = foreign_tree(tmp_path)
    add_attributes(tree)
    subprocess.run(["setfattr", "-x", "security.capability", tree / "usr/bin/hole"], check=True)  # it keeps user.*
    options = ["-R", "--acl", "--xattr", "--hardlinks", "-V", "LABEL"]
    run("xorriso", "-as", "mkisofs", "-quiet", *options, "-o", tmp_path / "volume", tree)
    assert differences(packed(tree), inspected(tmp_path / "volume")) == {}


@needs_root
def test_what_xorriso_compresses(tree: Path, tmp_path: Path) -> None:
    run("xorriso", "-outdev", tmp_path / "volume", "-map", tree, "/", "-set_filter_r", "--zisofs", "/", "--")
    assert b"ZF\x10\x01pz" in (tmp_path / "volume").read_bytes()
    assert differences(packed(tree), inspected(tmp_path / "volume")) == {"etc/hello": ("hard link",)}


@needs_root
@pytest.mark.parametrize("name", ["plain", "compressed"])
def test_what_genisoimage_writes(tree: Path, tmp_path: Path, name: str) -> None:
    """It has no hard links, and moves folders that are deep."""
    source: Path = tree
    if name == "compressed":
        source = tmp_path / "compressed"
        run("mkzftree", tree, source)
    options = ["-z"] if name == "compressed" else []
    run("genisoimage", "-quiet", "-R", *options, "-o", tmp_path / "volume", source)
    found = inspected(tmp_path / "volume")
    assert not any(path.startswith(b"rr_moved/") for path in found.tree.nodes)
    assert differences(packed(tree), found) == {_MOVED: (), "etc/hello": ("hard link",)}


@pytest.mark.parametrize("options", [[], ["-appended_part_as_gpt"], ["-partition_offset", "16"]])
def test_a_volume_for_uefi_behind_it(tmp_path: Path, options: list[str]) -> None:
    efi = write_volume(tmp_path / "efi", Fat(VOLUME), [File(b"EFI/BOOT/BOOTX64.EFI", Data(b"MZ"))])
    (tmp_path / "tree" / "file").parent.mkdir()
    (tmp_path / "tree" / "file").write_text("text")
    run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-append_partition", "2", "0xef", efi, *options, "-o",
        tmp_path / "volume", tmp_path / "tree")  # fmt: skip
    found = inspected(tmp_path / "volume")
    inside = {b"", b"/EFI", b"/EFI/BOOT", b"/EFI/BOOT/BOOTX64.EFI"}
    assert set(found.tree.nodes) == {b"file", *(b"partition-2" + path for path in inside)}
    assert found.notes == ("/etc/fstab does not say where partition 2 is: it is shown at /partition-2",)


def test_records_that_go_on_at_the_same_places(tmp_path: Path) -> None:
    """Few bytes could take hours."""
    files = [File(b"%04d" % number + b"n" * 240) for number in range(500)]
    path = write_volume(
        tmp_path / "volume", Iso9660(VOLUME), [*files, File(b"chain", Data(b"chain" * (50 * 2048 // 5)))]
    )
    data = bytearray(path.read_bytes())
    first = data.index(b"chainchain") // BLOCK

    def goes_on(block: int) -> bytes:
        return b"CE\x1c\x01" + b"".join(number.to_bytes(4, "little") + bytes(4) for number in (block, 0, BLOCK))

    data = bytearray(re.sub(rb"CE\x1c\x01.{24}", lambda _: goes_on(first), data, flags=re.DOTALL))
    for block in range(first, first + 49):
        data[block * BLOCK : (block + 1) * BLOCK] = goes_on(block + 1).ljust(BLOCK, b"\0")
    data[(first + 49) * BLOCK : (first + 50) * BLOCK] = bytes(BLOCK)
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match="its records go on at the same places"):
        inspected(path)


def test_names_without_rock_ridge(tmp_path: Path) -> None:
    (tmp_path / "tree" / "FOLDER").mkdir(parents=True)
    (tmp_path / "tree" / "FOLDER" / "NAME.TXT").write_text("text")
    (tmp_path / "tree" / "NOEND").write_text("text")
    run("genisoimage", "-quiet", "-o", tmp_path / "volume", tmp_path / "tree")
    assert set(inspected(tmp_path / "volume").tree.nodes) == {b"folder", b"folder/name.txt", b"noend"}


def _change(path: Path, found: bytes, offset: int, data: bytes) -> None:
    """Change something at a distance from the first place of some bytes."""
    with open(path, "r+b") as file:
        file.seek(path.read_bytes().index(found) + offset)
        file.write(data)


_NAME, _FOLDER = b"NM\x0a\x01\0named", b"NM\x0b\x01\0folder"
_WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder in itself": (
        lambda path: _change(path, b"\x05INNER", -30, path.read_bytes()[16 * BLOCK + 158 :][:4]),
        "the folder /folder/inner is /, too",
    ),
    "a slash in a name": (lambda path: _change(path, _NAME, 7, b"/"), "the name 'na/ed'"),
    "an entry that does not fit": (lambda path: _change(path, _NAME, 2, b"\xf0"), "entry b'NM' .* does not fit"),
    "a type that nobody has": (lambda path: _change(path, b"PX\x2c\x01\xa4\x81", 5, b"\x31"), "has the mode"),
    "a file that is a folder": (lambda path: _change(path, b"PX\x2c\x01\xa4\x81", 5, b"\x41"), "has the mode"),
    "a file beyond the end": (lambda path: _change(path, b"\x08NAMED", -30, b"\xff\xff\xff"), "bytes .* are asked for"),
    "a size beyond the end": (lambda path: _change(path, b"\x08NAMED", -20, b"\x20"), "bytes .* are asked for"),
    "a size that nobody has": (lambda path: _change(path, b"\x08NAMED", -19, b"\xff"), "than anybody would pack"),
    "entries that go on for ever": (lambda path: _endless(path), "a record goes on for ever"),
    "blocks of another size": (lambda path: _change(path, b"\x01CD001", 129, b"\x04"), "another size than 2048 bytes"),
    "attributes that do not fit": (lambda path: _change(path, b"AL", 6, b"\xff"), "do not fit"),
}  # fmt: skip


def _endless(path: Path) -> None:
    """Have a continuation lead to itself."""
    data = path.read_bytes()
    at = data.index(b"CE\x1c\x01") + 4
    block, offset = (int.from_bytes(data[place : place + 4], "little") for place in (at, at + 8))
    with open(path, "r+b") as file:
        file.seek(block * BLOCK + offset)
        file.write(data[at - 4 : at + 24] + b"ST\x04\x01")


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    damage, message = _WRONG[name]
    entries: list[Entry] = [
        Directory(b"folder/inner"),
        File(b"named", Data(b"x" * 5000)),
        Symlink(b"link", b"t" * 600),
        File(b"acl", meta=Meta(0o750, xattrs=((b"system.posix_acl_access", ACL),))),
    ]
    path = write_volume(tmp_path / "volume", Iso9660(VOLUME), entries)
    assert len(inspected(path).tree.nodes) == 5
    damage(path)
    with pytest.raises(ArtefactError, match=message):
        inspected(path)

"""ext2, ext3 and ext4, read: what we write, what mke2fs writes, and what is damaged."""

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from formats.filesystem.ext4 import xattrs
from formats.filesystem.ext4.features import EXT2, EXT2_HURD, EXT3, EXT4, Features
from formats.filesystem.ext4.structures import BLOCK, SUPERBLOCK, SUPERBLOCK_OFFSET
from formats.reading.artefact import ArtefactError
from layers.entry import Data, Device, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.oracle.ext4 import debugfs, run
from tests.support.entries import ACL, ALL_KINDS, noise
from tests.support.inspections import inspected
from tests.support.processes import needs_root
from tests.support.readings import add_attributes, as_tar, differences, foreign_tree, packed, walk
from tests.support.volumes import write_ext4

_TREE: list[Entry] = [
    *ALL_KINDS,
    File(
        b"attributes/list", meta=Meta(0o770, xattrs=((b"system.posix_acl_access", ACL), (b"user.large", b"v" * 3000)))
    ),
    Directory(b"default", Meta(0o755, xattrs=((b"system.posix_acl_default", ACL),))),
    Symlink(b"labelled", b"target", Meta(0o777, xattrs=((b"security.selinux", b"v" * 3000),))),
    # Every second chunk is zeros: more extents than the inode holds, and two levels of a block map.
    File(b"fragmented", Data(b"".join(b"data" + bytes(131068) for _ in range(400)))),
    File(b"large", Data(noise(6 << 20))),
    File(b"zeros", Data(bytes(10_000))),
    *(File(b"many/%0200d" % number) for number in range(300)),
    *(Hardlink(b"many/link %d" % number, b"many/%0200d" % number) for number in range(10)),
]

#: The Hurd's devices are translators, and its attributes in a block of their own.
_FOR_THE_HURD = [entry for entry in _TREE if not isinstance(entry, Device)]

_FEATURES: dict[str, Features] = {
    "ext2": EXT2,
    "ext2 with small inodes": replace(EXT2, inode_size=128),
    "ext3": EXT3,
    "ext4": EXT4,
    "ext4 for U-Boot": EXT4.changed("^metadata_csum,^64bit"),
    "ext4 with uninit_bg": EXT4.changed("^metadata_csum,uninit_bg"),
    "ext2 of the Hurd": EXT2_HURD,
}


@pytest.mark.parametrize("name", _FEATURES)
def test_what_we_write(tmp_path: Path, name: str) -> None:
    entries = _FOR_THE_HURD if _FEATURES[name].hurd else _TREE
    found = inspected(write_ext4(tmp_path / "volume", entries, features=_FEATURES[name]))
    assert differences(as_tar(tmp_path, entries), found) == {}
    assert found.artefact.disk
    (volume,) = found.artefact.disk.partitions
    assert (volume.file_system, volume.label) == (name.split()[0], "volume")
    assert f'UUID="{volume.uuid}"' in run("blkid", "-p", tmp_path / "volume")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for mke2fs."""
    made = foreign_tree(tmp_path_factory.mktemp("foreign"))
    add_attributes(made)
    return made


_COMMANDS = {
    "ext2": "-t ext2",
    "ext3": "-t ext3",
    "ext4": "-t ext4",
    "blocks of 1 KiB": "-t ext4 -b 1024",
    "a block map of blocks of 1 KiB": "-t ext2 -b 1024",
    "small inodes": "-t ext4 -I 128",
    "no metadata_csum": "-t ext4 -O ^metadata_csum,^64bit,uninit_bg",
    "a seed of checksums": "-t ext4 -O metadata_csum_seed",
    "no types in folders": "-t ext4 -O ^filetype",
    "other features": "-t ext4 -O mmp,large_dir,quota,bigalloc,sparse_super2,^resize_inode",
}


@needs_root
@pytest.mark.parametrize("name", _COMMANDS)
def test_what_mke2fs_writes(tree: Path, tmp_path: Path, name: str) -> None:
    run("mke2fs", "-q", *_COMMANDS[name].split(), "-d", tree, tmp_path / "volume", "64M")
    assert differences(packed(tree), inspected(tmp_path / "volume")) == {}


@needs_root
def test_blocks_that_were_never_written_are_zeros(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree" / "file", "wb") as file:
        file.write(b"x" * 20_000)
        file.seek(200_000)
        file.write(b"y" * 1000)
    run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", tmp_path / "tree", tmp_path / "volume", "16M")
    run("debugfs", "-w", "-R", "fallocate file 10 20", tmp_path / "volume")
    (line,) = (line for line in debugfs(tmp_path / "volume", "ex file").splitlines() if "Uninit" in line)
    _change(tmp_path / "volume", int(line.split()[7]) * BLOCK, b"old" * 1000)
    assert differences(packed(tmp_path / "tree"), inspected(tmp_path / "volume")) == {}


@needs_root
def test_what_lost_and_found_has_is_shown(tmp_path: Path) -> None:
    run("mke2fs", "-q", "-t", "ext4", tmp_path / "volume", "16M")
    assert not inspected(tmp_path / "volume").tree.nodes
    run("debugfs", "-w", "-R", "mkdir lost+found/#12", tmp_path / "volume")
    assert set(inspected(tmp_path / "volume").tree.nodes) == {b"lost+found", b"lost+found/#12"}


def test_a_journal_that_was_not_replayed_is_told(tmp_path: Path) -> None:
    path = write_ext4(tmp_path / "volume", [], features=EXT4.changed("^metadata_csum"))
    at = SUPERBLOCK_OFFSET + SUPERBLOCK.offset("incompatible")
    _change(path, at, bytes((path.read_bytes()[at] | 4,)))
    assert inspected(path).notes == ("the whole disk: its journal has what is not written yet",)


def _change(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def _place(path: Path, request: str) -> int:
    """The byte of the volume where debugfs says that a file's first block is, or its inode."""
    said = debugfs(path, request)
    if request.startswith("imap"):
        block, offset = said.split("located at block ")[1].split(", offset ")
        return int(block) * BLOCK + int(offset, 16)
    return int(said.split()[0]) * BLOCK


def _extents(path: Path) -> int:
    """Where the first block is that has extents."""
    data = path.read_bytes()
    return next(start for start in range(0, len(data), BLOCK) if data.startswith(b"\x0a\xf3", start))


_LABEL = b"label" * 600  # has no room in an inode


def _value(path: Path) -> int:
    """Where the label is."""
    return path.read_bytes().index(_LABEL)


def _entry_of(path: Path, folder: str, name: bytes) -> int:
    """Where the entry of a folder is."""
    start = _place(path, f"blocks {folder}")
    return path.read_bytes().index(name, start) - 8


_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "the superblock": (lambda path: _change(path, SUPERBLOCK_OFFSET + 1000, b"x"), "superblock has a wrong checksum"),
    "a descriptor": (lambda path: _change(path, BLOCK + 4, b"x"), "the descriptor of group 0 has a wrong checksum"),
    "an inode": (lambda path: _change(path, _place(path, "imap file") + 4, b"x"), "inode 11 has a wrong checksum"),
    "a folder": (
        lambda path: _change(path, _entry_of(path, "/", b"file") + 8, b"F"), "folder of inode 2 has a wrong checksum",
    ),
    "extents": (lambda path: _change(path, _extents(path) + 20, b"x"), "in a tree of extents with a wrong checksum"),
    "attributes": (lambda path: _change(path, _value(path), b"V"), "attributes in block [0-9]+ have a wrong checksum"),
    "a header of attributes": (
        lambda path: _change(path, _value(path) // BLOCK * BLOCK + 4, b"V"), "block [0-9]+ have a wrong checksum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _DAMAGE)
def test_checksums_are_compared(tmp_path: Path, name: str) -> None:
    damage, message = _DAMAGE[name]
    labelled = File(b"labelled", meta=Meta(0o644, xattrs=((b"user.label", _LABEL),)))
    path = write_ext4(tmp_path / "volume", [File(b"file"), File(b"fragmented", _fragments()), labelled])
    damage(path)
    with pytest.raises(ArtefactError, match=message):
        inspected(path)


def _fragments() -> Data:
    return Data(b"".join(b"data" + bytes(131068) for _ in range(40)))


def _inode(path: Path, name: str, offset: int, data: bytes) -> None:
    _change(path, _place(path, f"imap {name}") + offset, data)


_WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder in itself": (
        lambda path: _change(path, _entry_of(path, "/folder", b"inner"), struct.pack("<I", 2)),
        "the folder /folder/inner is /, too",
    ),
    "an inode that does not exist": (
        lambda path: _change(path, _entry_of(path, "/", b"file"), struct.pack("<I", 99999)),
        "names inode 99999, and there are",
    ),
    "an inode that is free": (
        lambda path: _change(path, _entry_of(path, "/", b"file"), struct.pack("<I", 5)), "inode 5 is in a folder",
    ),
    "a slash in a name": (lambda path: _change(path, _entry_of(path, "/", b"file") + 8, b"f/le"), "the name 'f/le'"),
    "a name that is too long": (lambda path: _change(path, _entry_of(path, "/", b"file") + 6, b"\xff"), "does not fit"),
    "an entry without a length": (
        lambda path: _change(path, _entry_of(path, "/", b"file") + 4, b"\0\0"), "an entry of the folder of inode 2",
    ),
    "a block beyond the end": (lambda path: _inode(path, "file", 40, b"\xff\xff\xff\x00"), "bytes .* are asked for"),
    "a map in a circle": (
        lambda path: _inode(path, "fragmented", 92, path.read_bytes()[_place(path, "imap fragmented") + 88 :][:4]),
        "which was read before",
    ),
    "a size that nobody has": (lambda path: _inode(path, "file", 108, b"\xff"), "more bytes than anybody would pack"),
    "a target of zeros": (lambda path: _inode(path, "link", 40, b"\0"), "has no target"),
    "blocks of another size": (
        lambda path: _change(path, SUPERBLOCK_OFFSET + SUPERBLOCK.offset("log_block_size"), b"\x09"), "2.9 KiB",
    ),
    "more blocks than there are": (
        lambda path: _change(path, SUPERBLOCK_OFFSET + SUPERBLOCK.offset("blocks_count"), b"\xff\xff"), "and there are",
    ),
    "features that nobody knows": (
        lambda path: _change(path, SUPERBLOCK_OFFSET + SUPERBLOCK.offset("incompatible") + 1, b"\x80"),
        "not read: 0x80",
    ),
    "attributes that do not fit": (
        lambda path: _change(path, _place(path, "imap file") + 164, b"\xff"), "the attributes in inode 11 do not fit",
    ),
}  # fmt: skip


def _labelled(number: int) -> File:
    return File(b"%04d" % number, meta=Meta(0o644, xattrs=((b"user.label", b"%04d" % number + _LABEL),)))


def test_attributes_that_are_one_value_are_refused(tmp_path: Path) -> None:
    """A few bytes in a volume would be many in memory."""
    path = write_ext4(tmp_path / "volume", [_labelled(1)], features=EXT2)
    start = _value(path) // BLOCK * BLOCK
    shared = b"".join(xattrs.ENTRY.pack(4, 1, 2048, 0, 2048, 0) + b"%04d" % number for number in range(2))
    _change(path, start + xattrs.HEADER.size, shared + bytes(4))
    with pytest.raises(ArtefactError, match=r"the attributes in block [0-9]+ do not fit"):
        inspected(path)


def test_the_memory_of_attributes_is_counted(tmp_path: Path) -> None:
    path = write_ext4(tmp_path / "volume", [_labelled(number) for number in range(50)])
    assert len(list(walk(path, 200_000))) == 51
    with pytest.raises(ArtefactError, match="more entries than anybody would pack"):
        list(walk(path, 100_000))


def test_attributes_of_what_was_read_are_not_kept(tmp_path: Path) -> None:
    folders = [replace(file, path=file.path[:2] + b"/" + file.path) for file in map(_labelled, range(4000))]
    path = write_ext4(tmp_path / "volume", folders)
    tracemalloc.start()
    assert sum(1 for _ in walk(path, 1 << 30)) == 4041
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20  # of which 4 MiB are pages of the volume, and 3 MiB the attributes of 1,024 files


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    damage, message = _WRONG[name]
    entries: list[Entry] = [
        File(b"file", Data(b"x" * 5000), Meta(0o644, xattrs=((b"user.a", b"b"),))),
        Directory(b"folder/inner"),
        File(b"fragmented", _fragments()),
        Symlink(b"link", b"there"),
    ]
    path = write_ext4(tmp_path / "volume", entries, features=EXT2)
    assert len(inspected(path).tree.nodes) == 5
    damage(path)
    with pytest.raises(ArtefactError, match=message):
        inspected(path)

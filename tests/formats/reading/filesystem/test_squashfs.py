"""squashfs, read: what we write, what mksquashfs writes, and what is damaged."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from formats.filesystem.squashfs.structures import INODE, METADATA, SUPERBLOCK
from formats.reading.artefact import ArtefactError
from formats.reading.filesystem.squashfs import blocks
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.errors import PackError
from tests.formats.filesystem.squashfs.trees import TREES
from tests.oracle.ext4 import run
from tests.oracle.squashfs import made
from tests.support.entries import noise
from tests.support.inspections import inspected
from tests.support.processes import needs_root
from tests.support.readings import add_attributes, as_tar, differences, foreign_tree, packed
from tests.support.squashfs import squashfs, write_squashfs


def without_lists(entries: list[Entry]) -> list[Entry]:
    return [
        entry
        if isinstance(entry, Hardlink)
        else replace(entry, meta=replace(entry.meta, xattrs=tuple(x for x in entry.meta.xattrs if b"acl" not in x[0])))
        for entry in entries
    ]


@pytest.mark.parametrize("name", TREES)
def test_what_we_write(tmp_path: Path, name: str) -> None:
    write_squashfs(tmp_path / "image", TREES[name])
    found = inspected(tmp_path / "image")
    assert differences(as_tar(tmp_path, without_lists(TREES[name])), found) == {}
    assert (found.kind, found.artefact.form) == ("squashfs", "raw")
    assert found.artefact.disk
    (volume,) = found.artefact.disk.partitions
    assert (volume.file_system, volume.label, volume.uuid) == ("squashfs", "", "")


@pytest.mark.parametrize(("compression", "block"), [("gzip", 4096), ("xz", 4096), ("xz", 1 << 20), ("zstd", 1 << 20)])
def test_what_we_write_otherwise(tmp_path: Path, compression: str, block: int) -> None:
    entries = [*TREES["blocks"], *TREES["zeros"], *TREES["all-kinds"]]
    write_squashfs(tmp_path / "image", entries, squashfs(compression, 1, block))
    assert differences(as_tar(tmp_path, entries), inspected(tmp_path / "image")) == {}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for mksquashfs."""
    tree = foreign_tree(tmp_path_factory.mktemp("foreign"))
    add_attributes(tree)
    subprocess.run(["setfacl", "-R", "-b", tree], check=True)  # there is no room for lists
    for name in ("1", "2"):  # values that several have are there once
        subprocess.run(
            ["setfattr", "-n", "user.long", "-v", "long" * 200, tree / f"many/a file among many others, {name}"]
        )
    return tree


@needs_root
@pytest.mark.parametrize(
    "options",
    [
        "", "-comp xz -b 1M", "-comp zstd -b 16K", "-noI -noD -noF -noX", "-no-fragments", "-always-use-fragments",
        "-no-exports -no-duplicates", "-no-sparse -nopad", "-comp xz -Xbcj x86", "-comp gzip -Xstrategy filtered",
    ],
)  # fmt: skip
def test_what_mksquashfs_writes(tree: Path, tmp_path: Path, options: str) -> None:
    made(tree, tmp_path / "image", *options.split())
    assert differences(packed(tree), inspected(tmp_path / "image")) == {}


@pytest.mark.parametrize("compression", ["lz4", "lzo"])
def test_compressors_that_are_not_read(tmp_path: Path, compression: str) -> None:
    (tmp_path / "tree").mkdir()
    made(tmp_path / "tree", tmp_path / "image", "-comp", compression)
    assert _notes(tmp_path / "image") == (
        f"the whole disk: it is compressed with {compression}, which is not read in squashfs",
        "the whole disk is squashfs, which is not looked into",
    )


def _notes(image: Path) -> tuple[str, ...]:
    """What is told of an image that is not looked into."""
    found = inspected(image)
    assert (found.kind, len(found.tree.nodes)) == ("squashfs", 0)
    return found.notes


@needs_root
def test_another_version_is_not_looked_into(tmp_path: Path, plain: Path) -> None:
    data = bytearray(plain.read_bytes())
    _field("major", 3, 2)(data)
    (tmp_path / "image").write_bytes(data)
    assert _notes(tmp_path / "image")[0] == "the whole disk: it is squashfs 3.0, and 4.0 is read"


def test_sockets_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    run("python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).bind('{tmp_path}/tree/socket')")
    (tmp_path / "tree" / "file").write_text("x")
    made(tmp_path / "tree", tmp_path / "image")
    assert set(inspected(tmp_path / "image").tree.nodes) - {b""} == {b"file"}


def test_data_where_a_partition_table_would_be(tmp_path: Path) -> None:
    """They are no table: the image is a file system as a whole."""
    write_squashfs(tmp_path / "image", [File(b"random", Data(_random(5000)))])
    with open(tmp_path / "image", "r+b") as file:
        file.seek(446)
        file.write((b"\x80" + bytes(3) + b"\x83" + bytes(3) + b"\x01\0\0\0\x02\0\0\0").ljust(64, b"\0") + b"\x55\xaa")
    found = inspected(tmp_path / "image")
    assert (found.kind, set(found.tree.nodes) - {b""}) == ("squashfs", {b"random"})


def _random(size: int) -> bytes:
    return b"".join(bytes.fromhex(Digest.of(b"%d" % number).hex) for number in range(size // 32 + 1))[:size]


ENTRIES: list[Entry] = [
    Directory(b"folder/inner"),
    File(b"named", Data(noise(5000)), Meta(0o644, 1000, 1000)),
    File(b"large", Data(noise(70_000) + bytes(70_000) + noise(10_000))),
    File(b"linked", Data(b"x")),
    Hardlink(b"other", b"linked"),
    Symlink(b"target", b"t" * 600),
    File(b"attributes", meta=Meta(0o750, xattrs=((b"user.name", b"value"), (b"trusted.x", b"y" * 300)))),
    *(File(b"many/%03d" % number, Data(b"%d" % number)) for number in range(400)),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image without compression, in which structures can be found and changed."""
    folder = tmp_path_factory.mktemp("plain")
    write_squashfs(folder / "packed", ENTRIES)
    run("unsquashfs", "-no-progress", "-quiet", "-d", folder / "tree", folder / "packed")
    return made(folder / "tree", folder / "image", "-noI", "-noD", "-noF", "-noX", "-b", "16K", "-comp", "gzip")


def _field(name: str, value: int, size: int) -> Callable[[bytearray], None]:
    """Change a field of the superblock."""

    def change(data: bytearray) -> None:
        at = SUPERBLOCK.offset(name)
        data[at : at + size] = value.to_bytes(size, "little")

    return change


def _at(what: bytes, offset: int, data: bytes) -> Callable[[bytearray], None]:
    """Change something at a distance from the last place of some bytes."""

    def change(image: bytearray) -> None:
        at = image.rindex(what) + offset
        image[at : at + len(data)] = data

    return change


def _of_root(offset: int, data: bytes) -> Callable[[bytearray], None]:
    """Change the inode of the root."""

    def change(image: bytearray) -> None:
        head = SUPERBLOCK.unpack(bytes(image))
        blocks = (head.root >> 16) // (METADATA + 2)  # none is compressed
        at = head.inode_table + blocks * (METADATA + 2) + 2 + (head.root & 0xFFFF) + offset
        image[at : at + len(data)] = data

    return change


def _in_itself(image: bytearray) -> None:
    """Have a folder lead to the root."""
    root = SUPERBLOCK.unpack(bytes(image)).root
    at = image.rindex(b"inner") - 8
    image[at : at + 2] = (root & 0xFFFF).to_bytes(2, "little")
    image[at - 12 + 4 : at - 12 + 8] = (root >> 16).to_bytes(4, "little")


_WRONG: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "blocks of no power of two": (_field("block_size", 5000, 4), "blocks have 5000 bytes"),
    "blocks that are too large": (_field("block_bits", 21, 2), "blocks have 16384 bytes"),
    "an end behind the file's": (_field("bytes_used", 1 << 40, 8), "and there are"),
    "inodes behind the end": (_field("inode_table", 1 << 40, 8), "are asked for"),
    "names behind the end": (_field("directory_table", (1 << 64) - 1, 8), "are asked for"),
    "owners behind the end": (_field("id_table", 1 << 63, 8), "are asked for"),
    "attributes behind the end": (_field("xattr_table", 1 << 62, 8), "are asked for"),
    "fragments behind the end": (_field("fragment_table", 1 << 61, 8), "are asked for"),
    "a root between inodes": (_field("root", 5, 8), "leads to an inode of the type|its root is no folder"),
    "a root behind a block's end": (_field("root", 0x3000, 8), "an inode is at byte 12288"),
    "no owners": (_field("ids", 0, 2), "names owner 0, and there are 0"),
    "no fragments": (_field("fragments", 0, 4), "and there are 0"),
    "a folder in itself": (_in_itself, "the folder /folder/inner is /, too"),
    "a slash in a name": (_at(b"attributes", 3, b"/"), "the name 'att/ibutes'"),
    "a type that is another": (_at(b"attributes", -4, b"\3"), "a name of the type 3 leads to an inode of the type"),
    "a listing that ends in a name": (_of_root(INODE.size + 8, b"\x50"), "does not end with an entry|are asked for"),
    "a listing of no bytes": (_of_root(INODE.size + 8, b"\0\0"), "a folder of 0 bytes"),
    "an owner that is not there": (_of_root(4, b"\xff"), "names owner 255"),
    "a link of no bytes": (_at(b"t" * 600, -4, bytes(4)), "a symbolic link has 0 bytes"),
    "a link that ends early": (_at(b"t" * 600, 9, b"\0"), "has no target"),
    "an attribute of nobody": (_at(b"name\x05\0\0\0value", -4, b"\x09"), "an attribute has the prefix 9"),
    "a large attribute": (_at(b"name\x05\0\0\0value", 4, b"\xff\xff\xff"), "has 16777215 bytes"),
}  # fmt: skip


@needs_root
@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_is_refused(tmp_path: Path, plain: Path, name: str) -> None:
    damage, message = _WRONG[name]
    data = bytearray(plain.read_bytes())
    damage(data)
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(ArtefactError, match=message):
        inspected(tmp_path / "image")


@needs_root
def test_the_image_that_is_damaged_is_sound(plain: Path, tmp_path: Path) -> None:
    assert differences(as_tar(tmp_path, ENTRIES), inspected(plain)) == {}


def test_names_that_lead_to_the_same_blocks_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [File(b"%05d" % number, Data(_random(3000) + b"%d" % number)) for number in range(400)]
    write_squashfs(tmp_path / "image", entries, squashfs(block=4096))
    monkeypatch.setattr(blocks, "_LEAST", 400 * 4096 + 20 * METADATA)
    monkeypatch.setattr(blocks, "_RATIO", 0)
    assert len(inspected(tmp_path / "image").tree.nodes) >= 400
    monkeypatch.setattr(blocks, "_LEAST", 300 * 4096)
    with pytest.raises(ArtefactError, match="lead to the same blocks again and again"):
        inspected(tmp_path / "image")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "xz"])
def test_damage_anywhere_is_told(tmp_path: Path, compression: str) -> None:
    """Of images with a wrong byte, some are read, some are refused, and none is anything else."""
    write_squashfs(tmp_path / "image", ENTRIES, squashfs(compression, 1, 4096))
    sound, refused = (tmp_path / "image").read_bytes(), 0
    for seed in range(60):
        data = bytearray(sound)
        number = int(Digest.of(b"%d" % seed).hex, 16)
        data[number % (96 if seed % 3 == 0 else SUPERBLOCK.unpack(sound).bytes_used)] ^= 1 + (number >> 64) % 255
        (tmp_path / "image").write_bytes(data)
        try:
            inspected(tmp_path / "image")
        except PackError:
            refused += 1
    assert refused > 10

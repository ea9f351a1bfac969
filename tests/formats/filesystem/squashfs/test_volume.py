"""Whole images, read by unsquashfs, GRUB and Linux."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from formats.filesystem.squashfs import BLOCKS, Squashfs
from formats.filesystem.squashfs.structures import SUPERBLOCK, XATTR_SET
from layers.compress import codec
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import ChangedError, EntryError, InputError
from layers.verify import CorruptError
from tests.formats.filesystem.iso9660.test_zisofs import RANDOM
from tests.formats.filesystem.squashfs.trees import TREES
from tests.layers.test_verify import item_of, on_disk
from tests.oracle import linux
from tests.oracle.ext4 import Seen, by_grub, expected, seen
from tests.oracle.squashfs import extracted, facts, listed, made
from tests.support.entries import ACL, noise
from tests.support.nars import TREE, dump, make
from tests.support.processes import as_nobody, needs_root, public_folder
from tests.support.squashfs import squashfs, write_squashfs
from tests.support.volumes import GIB, MIB, VOLUME, tree_of

#: Each with a compressor and a size of blocks of its own.
HOW = {
    "gzip, 128 KiB": squashfs(),
    "gzip level 9, 4 KiB": squashfs("gzip", 9, 4096),
    "xz, 1 MiB": squashfs("xz", 1, 1 << 20),
    "xz, 4 KiB": squashfs("xz", 0, 4096),
    "zstd, 128 KiB": squashfs("zstd"),
    "zstd level 15, 1 MiB": squashfs("zstd", 15, 1 << 20),
    "zstd, 4 KiB": squashfs("zstd", 1, 4096),
}
_LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")


def storable(one: Seen, *, xattrs: bool = True, times: bool = True) -> Seen:
    """As it can be in an image: without access control lists."""
    kept = tuple(pair for pair in one.xattrs if pair[0] not in _LISTS) if xattrs else ()
    return replace(one, xattrs=kept, times=one.times if times else (0.0, one.times[1], 0.0))


def wanted(entries: list[Entry]) -> dict[bytes, Seen]:
    found = expected(tree_of(entries), VOLUME.epoch)
    return {path: storable(one, times=False) for path, one in found.items()}


def unpacked(image: Path, folder: Path) -> dict[bytes, Seen]:
    return {path: storable(one, times=False) for path, one in seen(extracted(image, folder)).items()}


@needs_root
@pytest.mark.parametrize("name", TREES)
def test_what_unsquashfs_extracts_is_the_tree(tmp_path: Path, name: str) -> None:
    write_squashfs(tmp_path / "image", TREES[name])
    assert unpacked(tmp_path / "image", tmp_path / "extracted") == wanted(TREES[name])
    assert listed(tmp_path / "image") == len(tree_of(TREES[name])) + 1


@needs_root
@pytest.mark.parametrize("name", HOW)
def test_every_compressor_and_size_of_blocks(tmp_path: Path, name: str) -> None:
    entries = [entry for tree in ("all-kinds", "blocks", "zeros", "listings") for entry in TREES[tree]]
    how = HOW[name]
    written = write_squashfs(tmp_path / "image", entries, how)
    assert unpacked(tmp_path / "image", tmp_path / "extracted") == wanted(entries)
    found = facts(tmp_path / "image")
    assert (found["Compression"], found["Block size"]) == (how.codec.name, str(how.block))
    assert found["Creation or last append time"] == "Sun Sep  9 01:46:40 2001"
    assert written.size == (tmp_path / "image").stat().st_size
    assert written.size % 4096 == 0


@pytest.fixture(scope="module")
def seen_by_linux(tmp_path_factory: pytest.TempPathFactory, debian_linux: linux.Linux) -> Iterator[dict[str, bytes]]:
    """What Linux says of all trees, and of one with every compressor."""
    folder = tmp_path_factory.mktemp("linux")
    volumes = {}
    for name, (entries, how) in MOUNTED.items():
        write_squashfs(folder / name, entries, how)
        volumes[name] = linux.Volume(folder / name, WHICH.get(name, ""), kind="squashfs")
    yield debian_linux.look_at(volumes, folder)


#: In the machine each file takes a millisecond, and a MiB of contents a tenth of a second.
WHICH = {"listings": "-name '*00'", "attributes": "-name '*00'"}
_MIXED: list[Entry] = [entry for entry in TREES["blocks"] if isinstance(entry, File) and entry.content.size < MIB // 2]
_ZEROS: list[Entry] = [*_MIXED, File(b"zeros", Data(b"x" + bytes(3 * MIB) + noise(MIB // 2)))]
MOUNTED: dict[str, tuple[list[Entry], Squashfs]] = {
    **{name: (TREES[name], squashfs()) for name in ("all-kinds", "attributes", "deep", "devices", "links", "listings")},
    **{f"how-{number}": (_ZEROS, how) for number, how in enumerate(HOW.values())},
}


@pytest.mark.parametrize("name", MOUNTED)
def test_what_linux_mounts_is_the_tree(seen_by_linux: dict[str, bytes], name: str) -> None:
    entries = MOUNTED[name][0]
    found = linux.seen(seen_by_linux, name)
    whole = {path: storable(one, xattrs=False) for path, one in expected(tree_of(entries), VOLUME.epoch).items()}
    if name in WHICH:
        assert sorted(seen_by_linux[f"{name}.names"].splitlines()) == sorted([b".", *(b"./" + path for path in whole)])
        ending = WHICH[name].strip("-name '*").encode()
        whole = {path: one for path, one in whole.items() if path.endswith(ending)}
    assert found == whole


def test_grub_reads_the_same_bytes(tmp_path: Path) -> None:
    entries = [*TREES["blocks"], *TREES["zeros"], *TREES["many"][::200]]
    write_squashfs(tmp_path / "image", entries)
    for entry in entries:
        assert isinstance(entry, File) and isinstance(entry.content, Data)
        assert by_grub(tmp_path / "image", f"/{entry.path.decode()}") == entry.content.data


def test_a_file_of_more_than_4_gib(tmp_path: Path, debian_linux: linux.Linux) -> None:
    """Its holes take no room, nor time."""
    size = 4 * GIB + 1
    with open(tmp_path / "source", "wb") as file:
        file.write(b"begin")
        file.seek(size - 5_000)
        file.write(noise(5_000))
    entries: list[Entry] = [File(b"after", Data(b"after\n")), File(b"large", Slice(str(tmp_path / "source"), 0, size))]
    assert write_squashfs(tmp_path / "image", entries).size < MIB
    more = "stat -c %s large; cat after; tail -c 5000 large | sha256sum; head -c 5 large; du -k large"
    volumes = {"image": linux.Volume(tmp_path / "image", more=more, kind="squashfs")}
    answers = debian_linux.look_at(volumes, tmp_path)
    digest = Digest.of(noise(5_000)).hex
    assert answers["image.more"].decode() == f"{size}\nafter\n{digest}  -\nbegin257\tlarge\n"


def test_bytes_do_not_depend_on_jobs_nor_on_who_writes_nor_on_where_contents_are(tmp_path: Path) -> None:
    tree = [*TREES["blocks"], *TREES["zeros"], *TREES["sizes"]]
    images = []
    for jobs in (1, 2, 7):
        write_squashfs(tmp_path / str(jobs), tree, jobs=jobs)
        images.append((tmp_path / str(jobs)).read_bytes())
    assert images[1:] == images[:-1]
    with public_folder(0o777) as folder:

        def digest() -> str:
            write_squashfs(folder / "it", tree)
            return str(Digest.of((folder / "it").read_bytes()))

        assert as_nobody(digest) == str(Digest.of(images[0]))
    entries: list[Entry] = []
    for number, entry in enumerate(tree):
        assert isinstance(entry, File) and isinstance(entry.content, Data)
        (tmp_path / f"source-{number}").write_bytes(b"before" + entry.content.data)
        entries.append(replace(entry, content=Slice(str(tmp_path / f"source-{number}"), 6, entry.content.size)))
    write_squashfs(tmp_path / "slices", entries)
    assert (tmp_path / "slices").read_bytes() == images[0]


def test_equal_files_are_there_once(tmp_path: Path) -> None:
    random = RANDOM[: 3 * MIB + 50_000]
    once = write_squashfs(tmp_path / "once", [File(b"a", Data(random))]).size
    entries = [File(name, Data(random)) for name in (b"a", b"b", b"c/d", b"z")]
    thrice = write_squashfs(tmp_path / "thrice", entries).size
    assert thrice - once <= 4096
    assert {by_grub(tmp_path / "thrice", f"/{name}") for name in ("a", "b", "c/d", "z")} == {random}
    other = random[:-1] + bytes((random[-1] ^ 1,))
    write_squashfs(tmp_path / "other", [*entries, File(b"other", Data(other)), File(b"short", Data(random[: 3 * MIB]))])
    assert by_grub(tmp_path / "other", "/other") == other
    assert by_grub(tmp_path / "other", "/short") == random[: 3 * MIB]


@pytest.mark.parametrize("extra", [b"", noise(2 * MIB), b"x" + bytes(3 * MIB) + b"x" + bytes(300_000)])
def test_items_are_verified_while_they_are_written(tmp_path: Path, extra: bytes) -> None:
    more = {b"zz%02d" % number: b"%02d" % (number % 9) * 125_000 for number in range(30)} | {b"zzz": extra}
    make(tmp_path / "tree", {**TREE, **more})
    root = b"nix/store/item"
    files = [
        File(root + b"/" + name, Slice(str(tmp_path / "tree" / name.decode()), 0, len(data)))
        for name, data in more.items()
    ]
    entries = [*on_disk(tmp_path / "tree", root), *files]
    nar = dump(tmp_path / "tree")
    write_squashfs(tmp_path / "image", entries, items={root: item_of(nar)})
    write_squashfs(tmp_path / "plain", entries)
    assert (tmp_path / "image").read_bytes() == (tmp_path / "plain").read_bytes()
    with pytest.raises(CorruptError):
        write_squashfs(tmp_path / "corrupt", entries, items={root: item_of(nar[:-100] + b"x" + nar[-99:])})
    assert not (tmp_path / "corrupt").exists()


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 300_000)
    with pytest.raises(ChangedError, match="became shorter"):
        write_squashfs(tmp_path / "image", [File(b"a", Slice(str(source), 0, 300_001))])
    assert not (tmp_path / "image").exists()


def test_sets_of_attributes_are_as_mksquashfs_counts_them(tmp_path: Path) -> None:
    xattrs = ((b"user.a", b"bc"), (b"user.longer", b"value"))
    write_squashfs(tmp_path / "ours", [File(b"file", meta=Meta(0o644, xattrs=xattrs))])
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").touch()
    for name, value in xattrs:
        os.setxattr(tmp_path / "tree/file", name, value)
    rows = []
    for path in (tmp_path / "ours", made(tmp_path / "tree", tmp_path / "theirs")):
        data = path.read_bytes()
        table = SUPERBLOCK.unpack(data).xattr_table
        rows.append(XATTR_SET.unpack_from(data, table - XATTR_SET.size))  # too small to be compressed
    assert rows[0] == rows[1] == (0, 2, 26)


def test_access_control_lists_are_left_out_and_told(tmp_path: Path) -> None:
    lists = ((b"system.posix_acl_access", ACL), (b"user.kept", b"x"))
    entries: list[Entry] = [
        File(b"a", meta=Meta(0o770, xattrs=lists)),
        Directory(b"b", Meta(0o770, xattrs=lists[:1])),
        File(b"c"),
    ]
    written = write_squashfs(tmp_path / "image", entries)
    assert written.without_lists == (b"a", b"b")
    assert facts(tmp_path / "image")["Number of xattr ids"] == "1"


@pytest.mark.parametrize(("epoch", "year"), [(-5, "1970"), (1 << 40, "2106")])
def test_times_are_the_nearest_that_there_are(tmp_path: Path, epoch: int, year: str) -> None:
    write_squashfs(tmp_path / "image", TREES["one-file"], Squashfs(codec("gzip"), epoch))
    assert facts(tmp_path / "image")["Creation or last append time"].endswith(year)


_WRONG: dict[str, tuple[Entry, str]] = {
    "no target": (Symlink(b"a/link", b""), "/a/link is a symbolic link to 0 bytes"),
    "a long target": (Symlink(b"a/link", b"t" * 4096), "/a/link is a symbolic link to 4096 bytes"),
    "an attribute of nobody": (File(b"a/x", meta=Meta(0o644, xattrs=((b"system.x", b""),))), "/a/x: .*no extended"),
    "an empty name": (File(b"a/x", meta=Meta(0o644, xattrs=((b"user.", b""),))), "/a/x: .*no extended attributes"),
    "a long name": (File(b"a/x", meta=Meta(0o644, xattrs=((b"user." + b"n" * 251, b""),))), "/a/x: .* no name"),
    "a large value": (File(b"a/x", meta=Meta(0o644, xattrs=((b"user.x", b"v" * 65537),))), "/a/x: .* 65537 bytes"),
    "an owner that nobody is": (File(b"a/x", meta=Meta(0o644, 1 << 32)), "/a/x belongs to"),
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_what_it_cannot_hold_is_named(tmp_path: Path, name: str) -> None:
    entry, message = _WRONG[name]
    with pytest.raises(EntryError, match=message):
        write_squashfs(tmp_path / "image", [entry])
    assert not (tmp_path / "image").exists()


def test_more_owners_than_it_counts(tmp_path: Path) -> None:
    entries = [File(b"%05d" % number, meta=Meta(0o644, 0, number)) for number in range(65_535)]
    write_squashfs(tmp_path / "image", entries)
    assert facts(tmp_path / "image")["Number of ids"] == "65535"
    with pytest.raises(EntryError, match="more than 65535 owners and groups"):
        write_squashfs(tmp_path / "more", [*entries, File(b"last", meta=Meta(0o644, 99_999))])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda: squashfs("bzip2"), "not compressed with bzip2"),
        (lambda: squashfs("none"), "not compressed with none"),
        *((partial(squashfs, block=size), f"no blocks of {size} bytes") for size in (2048, 2 * BLOCKS[-1], 5000)),
    ],
)
def test_options_that_it_has_not(tmp_path: Path, how: Callable[[], Squashfs], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_squashfs(tmp_path / "image", [], how())

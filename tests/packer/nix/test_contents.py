"""Items on disk: `nix-store --dump` and nix-hash say what their NARs are."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from layers.digest import Digest
from layers.entry import Directory, Entry, File, Slice, Symlink, tree_order
from layers.errors import ChangedError, EntryError, PackError
from packer.nix.contents import MissingItemError, StoreContents
from tests.support.nix_program import Nix
from tests.support.processes import as_nobody, needs_root, public_folder

ROOT = b"nix/store/00000000000000000000000000000000-item"


def contents(place: Path) -> StoreContents:
    return StoreContents(ROOT, os.fsencode(place))


def tree(folder: Path) -> Path:
    """Everything that an item can have."""
    item = folder / "item"
    (item / "a").mkdir(parents=True)
    (item / "a" / "file").write_bytes(b"x" * 3_000_000)
    (item / "a-b").write_text("between a and a/file, if paths are sorted as bytes")
    (item / "a.b").write_text("")
    (item / "empty").mkdir()
    (item / "program").write_text("#!/bin/sh\n")
    (item / "program").chmod(0o4755)
    (item / "absolute").symlink_to("/etc/passwd")
    (item / "dangling").symlink_to("../no where\n")
    (item / "folder").symlink_to("a")
    os.link(item / "a-b", item / "hard link")
    (item / os.fsdecode(b"\xff\xfe")).write_text("no UTF-8")
    (item / "private").write_text("secret")
    (item / "private").chmod(0o600)
    (item / "private-program").write_text("#!/bin/sh\n")
    (item / "private-program").chmod(0o700)
    (item / ("n" * 255)).write_text("long name")
    return item


def shape(entry: Entry) -> tuple[object, ...]:
    assert isinstance(entry, File | Directory | Symlink)
    what = entry.target if isinstance(entry, Symlink) else entry.content.size if isinstance(entry, File) else None
    return entry.path[len(ROOT) :], type(entry), what, entry.meta.mode


def test_entries(tmp_path: Path) -> None:
    assert [shape(entry) for entry in contents(tree(tmp_path)).entries()] == [
        (b"", Directory, None, 0o555),
        (b"/a", Directory, None, 0o555),
        (b"/a/file", File, 3_000_000, 0o444),
        (b"/a-b", File, 50, 0o444),
        (b"/a.b", File, 0, 0o444),
        (b"/absolute", Symlink, b"/etc/passwd", 0o777),
        (b"/dangling", Symlink, b"../no where\n", 0o777),
        (b"/empty", Directory, None, 0o555),
        (b"/folder", Symlink, b"a", 0o777),
        (b"/hard link", File, 50, 0o444),
        (b"/" + b"n" * 255, File, 9, 0o444),
        (b"/private", File, 6, 0o444),
        (b"/private-program", File, 10, 0o555),
        (b"/program", File, 10, 0o555),
        (b"/\xff\xfe", File, 8, 0o444),
    ]


def test_the_order_is_that_of_a_nar(tmp_path: Path) -> None:
    paths = [entry.path for entry in contents(tree(tmp_path)).entries()]
    assert paths == sorted(paths, key=tree_order)


@pytest.mark.parametrize("which", ["", "program", "private-program", "a-b", "a.b", "absolute", "empty", "a/file"])
def test_the_hash_is_that_of_nix(tmp_path: Path, which: str) -> None:
    place = tree(tmp_path) / which
    nix = Nix(tmp_path / "store")
    digest, size = contents(place).nar_hash()
    if not place.is_symlink():  # nix-hash follows the first one
        assert nix.run("nix-hash", "--type", "sha256", place).strip() == digest.hex
    (added,) = nix.store("--add", place)
    assert nix.store("-q", "--hash", added) == [f"sha256:{_base32(digest)}"]
    assert nix.store("-q", "--size", added) == [str(size)]


def _base32(digest: Digest) -> str:
    from packer.nix.base32 import encode

    return encode(bytes.fromhex(digest.hex))


def test_contents_are_slices_of_the_store(tmp_path: Path) -> None:
    item = tree(tmp_path)
    (file,) = contents(item / "program").entries()
    assert isinstance(file, File)
    assert file.content == Slice(str(item / "program"), 0, 10)


def test_a_folder_deeper_than_python_recurses(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    assert sum(1 for _ in contents(tmp_path / "d").entries()) == 1500
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # pytest does recurse


def test_a_path_longer_than_linux_reads(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=place)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    with pytest.raises(PackError, match=r"cannot read .*: File name too long"):
        list(contents(tmp_path / ("d" * 250)).entries())


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, _socket, pytest.param(lambda path: os.mknod(path, 0o020600, os.makedev(1, 3)), marks=needs_root)],
    ids=["pipe", "socket", "device"],
)
@pytest.mark.parametrize("where", ["", "folder"])
def test_what_no_item_has(make: Callable[[Path], None], where: str) -> None:
    with public_folder() as folder:  # names of sockets are short
        item = folder / "item"
        if where:
            (item / where).mkdir(parents=True)
        make(item / where / "thing" if where else item)
        with pytest.raises(EntryError, match=r"-item.* is neither a file, a folder nor a symbolic link"):
            list(contents(item).entries())


def test_an_item_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingItemError, match=r"/nix/store/0*-item is registered, but it is not at"):
        list(contents(tmp_path / "missing").entries())


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    item = tree(tmp_path)
    entries = contents(item).entries()
    next(entries)
    (item / "program").unlink()
    with pytest.raises(ChangedError, match=r"/nix/store/0*-item: .*/program vanished while it was being packed"):
        list(entries)


@needs_root
def test_what_may_not_be_read() -> None:
    with public_folder() as folder:
        item = tree(folder)
        (item / "a").chmod(0o700)
        said = as_nobody(lambda: list(contents(item).entries()))
    assert said.startswith("PackError: /nix/store/")
    assert said.endswith("-item/a: Permission denied")


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    item = tree(tmp_path)
    entries = contents(item).entries()
    for _ in range(3):
        next(entries)
    (item / "zzz").write_text("too late to be listed")
    assert b"/zzz" not in [entry.path[len(ROOT) :] for entry in entries]

"""Folders that fill partitions."""

import os
from pathlib import Path

import pytest

from layers.entry import FILE, FOLDER, LINK, PROGRAM, Data, Entry, File, Hardlink, Symlink
from layers.errors import ConflictError, EntryError
from layers.reader import Reader
from layers.tree import Tree
from packer.folder.initializer import FolderInitializer
from packer.folder.scan import MissingFolderError
from tests.support.operating_systems import tree

BELOW = {"config.txt": "of the system", "other": "of the system", "folder/kept": "of the system"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of two names, a folder and a link."""
    (tmp_path / "data/folder").mkdir(parents=True)
    (tmp_path / "data/config.txt").write_text("mine")
    (tmp_path / "data/folder/new").write_text("new")
    os.link(tmp_path / "data/folder/new", tmp_path / "data/second")
    (tmp_path / "data/link").symlink_to("config.txt")
    return tmp_path / "data"


def filled(folder: Path, below: Tree) -> dict[str, str]:
    with Reader() as reader:
        found = FolderInitializer(str(folder), "key").fill(below)
        return {entry.path.decode(): _content(entry, found, reader) for entry in found}


def _content(entry: Entry, found: Tree, reader: Reader) -> str:
    if isinstance(entry, Symlink):
        return f"-> {entry.target.decode()}"
    file = found.follow(entry.path)
    return reader.read(file.content).decode() if isinstance(file, File) else "folder"


ALONE = {"config.txt": "mine", "folder": "folder", "folder/new": "new", "link": "-> config.txt", "second": "new"}


def test_what_is_in_the_folder_is_in_the_partition(folder: Path) -> None:
    assert filled(folder, Tree({})) == ALONE
    (link,) = (entry for entry in FolderInitializer(str(folder), "key").fill(Tree({})) if isinstance(entry, Hardlink))
    assert (link.path, link.target) == (b"second", b"folder/new")


def test_it_is_over_what_the_system_has(folder: Path) -> None:
    assert filled(folder, tree(BELOW)) == {**BELOW, **ALONE}


def test_a_name_that_was_another_file_of_the_system_is_not_that_any_more(folder: Path) -> None:
    below = tree({"first": "old", **{name: Hardlink(name.encode(), b"first") for name in ("second", "third")}})
    assert filled(folder, below) == {**ALONE, "first": "old", "third": "old"}


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(ConflictError, match="/folder would be both a folder and something else"):
        filled(folder, Tree({b"folder": File(b"folder", Data(b""))}))
    with pytest.raises(ConflictError, match="/folder/new would be both"):
        filled(folder, tree({"folder/new/x": ""}))


def test_its_identity_is_that_of_what_is_in_it(folder: Path) -> None:
    before = FolderInitializer(str(folder), "key").identity
    again = folder.rename(folder.with_name("moved"))
    assert FolderInitializer(str(again), "other").identity == before
    (again / "config.txt").write_text("more")
    assert FolderInitializer(str(again), "key").identity != before


def test_its_permissions_are_those_of_a_repository(folder: Path) -> None:
    before = FolderInitializer(str(folder), "key").identity
    for path, mode in (("config.txt", 0o640), ("folder", 0o2770), ("folder/new", 0o600)):
        (folder / path).chmod(mode)
    os.chown(folder / "config.txt", os.geteuid(), os.getegid())
    found = FolderInitializer(str(folder), "key")
    assert found.identity == before
    (folder / "config.txt").chmod(0o700)
    entries = FolderInitializer(str(folder), "key").fill(Tree({}))
    metas = {entry.path: entry.meta for entry in entries if not isinstance(entry, Hardlink)}
    assert metas == {b"config.txt": PROGRAM, b"folder": FOLDER, b"folder/new": FILE, b"link": LINK}


def test_a_device_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(EntryError, match=r"key: .*/pipe is neither a file, a folder nor a symbolic link"):
        filled(folder, Tree({}))


def test_a_folder_that_went_away_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(MissingFolderError, match=r"disk\.partitions\[1\]\.source: cannot read"):
        FolderInitializer(str(tmp_path / "gone"), "disk.partitions[1].source").fill(Tree({}))

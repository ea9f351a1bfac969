"""The cache as a whole: what is found, what is removed, and who waits for whom."""

import os
import threading
from pathlib import Path

import pytest

from layers.cache import CacheFolder, exclusive, in_use, is_left_over, mark_used

_BEFORE = 1_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A cache with a file, a folder, and links out of it."""
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "file").write_text("precious")
    root = tmp_path / "cache"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "file").write_text("12345")
    (root / "file").write_text("123")
    (root / "to-folder").symlink_to(tmp_path / "outside")
    (root / "to-file").symlink_to(tmp_path / "outside" / "file")
    return root


def _outside(root: Path) -> bool:
    outside = root.parent / "outside"
    return (outside / "deep").is_dir() and (outside / "file").read_text() == "precious"


def test_found_tells_files_folders_and_links_apart(root: Path) -> None:
    found = [(one.name, one.is_file, one.is_folder) for one in CacheFolder(str(root)).found()]
    assert found == [
        ("file", True, False),
        ("folder", False, True),
        ("to-file", False, False),
        ("to-folder", False, False),
    ]
    assert CacheFolder(str(root)).below("folder").size == 5


@pytest.mark.parametrize("path", ["missing", "file", "to-file", "to-folder", "to-folder/deep"])
def test_nothing_is_found_behind_links_and_in_what_is_no_folder(root: Path, path: str) -> None:
    assert CacheFolder(str(root), path).found() == []


def test_the_cache_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert len(CacheFolder(str(tmp_path / "link")).found()) == 4


@pytest.mark.parametrize("path", ["file", "folder", "folder/deep/file", "to-file", "to-folder"])
def test_what_is_removed_is_gone_and_nothing_else(root: Path, path: str) -> None:
    before = set(os.listdir(root))
    CacheFolder(str(root)).remove(path)
    assert not os.path.lexists(root / path)
    assert set(os.listdir(root)) == before - {path}
    assert _outside(root)


def test_what_is_gone_already_is_no_mistake(root: Path) -> None:
    CacheFolder(str(root)).remove("missing/too")


def test_nothing_behind_a_link_is_removed(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        CacheFolder(str(root)).remove("to-folder/file")
    assert _outside(root)


def test_a_folder_that_was_removed_in_part_before_is_no_obstacle(root: Path) -> None:
    (root / ".folder.ocipack-removed" / "left").mkdir(parents=True)
    CacheFolder(str(root)).remove("folder")
    assert sorted(os.listdir(root)) == ["file", "to-file", "to-folder"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (".ocipack-x1y2", True),
        (".name.ocipack-77", True),
        ("check-abc", True),
        ("name", False),
        (".ocipack", False),
        ("name.ocipack-7", False),
    ],
)
def test_left_overs_are_known_by_their_names(name: str, left: bool) -> None:
    assert is_left_over(name) is left


def test_use_is_noted_in_the_record_and_never_behind_a_link(root: Path) -> None:
    for path in (root / "file", root.parent / "outside" / "file"):
        os.utime(path, (_BEFORE, _BEFORE))
    for name in ("file", "to-file", "missing"):
        mark_used(str(root / name))
    assert (root / "file").stat().st_mtime > _BEFORE
    assert (root / "to-file").stat().st_mtime == _BEFORE


def test_several_use_the_cache_at_once_and_one_alone_removes(root: Path) -> None:
    told, removing, done = threading.Event(), threading.Event(), threading.Event()

    def remove() -> None:
        with exclusive(str(root), told.set):
            removing.set()
        done.set()

    with in_use(str(root)), in_use(str(root)):
        thread = threading.Thread(target=remove)
        thread.start()
        assert told.wait(10)
        assert not removing.wait(0.2)
    thread.join(10)
    assert done.is_set()


def test_who_removes_tells_nothing_when_nobody_builds(root: Path) -> None:
    with exclusive(str(root), lambda: pytest.fail("there is nobody to wait for")):
        pass

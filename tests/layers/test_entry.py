import dataclasses

import pytest

from layers.entry import (
    Data,
    Device,
    DeviceKind,
    Directory,
    File,
    Hardlink,
    Slice,
    Symlink,
    checked_path,
    parents,
    tree_order,
)
from layers.errors import EntryError


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        (b"a", b"a"),
        (b"/a/b", b"a/b"),
        (b"./a/b/", b"a/b"),
        (b"a//b", b"a/b"),
        (b"a/./b", b"a/b"),
        (b".", b""),
        (b"/", b""),
        (b"", b""),
        (b"..a/b..", b"..a/b.."),
        (b"...", b"..."),
        (b"a\xff\n", b"a\xff\n"),
        (b"x" * 255, b"x" * 255),
        (b"/".join([b"x" * 255] * 20), b"/".join([b"x" * 255] * 20)),
    ],
)
def test_a_path_is_made_relative_and_plain(path: bytes, checked: bytes) -> None:
    assert checked_path(path, "here") == checked


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (b"..", "leads outside"),
        (b"../a", "leads outside"),
        (b"a/../b", "leads outside"),
        (b"a/..", "leads outside"),
        (b"/..//a", "leads outside"),
        (b"a\0b", "leads outside"),
        (b"x" * 256, "longer than 255"),
        (b"a/" + "é".encode() * 128 + b"/b", "longer than 255"),
    ],
)
def test_a_path_that_no_tree_can_have_is_refused_with_its_origin(path: bytes, complaint: str) -> None:
    with pytest.raises(EntryError, match=f"^here: .*{complaint}"):
        checked_path(path, "here")


@pytest.mark.parametrize(
    ("path", "above"),
    [
        (b"", []),
        (b"a", []),
        (b"a/b", [b"a"]),
        (b"a/b/c", [b"a/b", b"a"]),
        (b"a/b/c/d", [b"a/b/c", b"a/b", b"a"]),
    ],
)
def test_parents_are_nearest_first_without_the_root(path: bytes, above: list[bytes]) -> None:
    assert list(parents(path)) == above


def test_the_order_of_a_tree_is_that_of_names() -> None:
    """Not of bytes, where `a-b` comes between `a` and `a/c`."""
    paths = [b"", b"a", b"a/c", b"a/c/d", b"a/c d", b"a b", b"a-b", b"a-b/c", b"a.b", b"ab", b"b"]
    assert sorted(set(paths), key=tree_order) == paths == sorted(paths, key=lambda path: path.split(b"/"))


def test_content_knows_its_size() -> None:
    assert Data(b"abc").size == 3
    assert Slice("/x", 10, 3).size == 3
    assert File(b"f").content.size == 0


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        (File(b"x"), 0o644),
        (Directory(b"x"), 0o755),
        (Symlink(b"x", b"y"), 0o777),
        (Device(b"x", DeviceKind.FIFO), 0o644),
    ],
)
def test_an_entry_is_roots_and_usual_unless_said_otherwise(
    entry: File | Directory | Symlink | Device, mode: int
) -> None:
    assert (entry.meta.mode, entry.meta.uid, entry.meta.gid, entry.meta.xattrs) == (mode, 0, 0, ())


@pytest.mark.parametrize("entry", [File(b"x"), Directory(b"x"), Symlink(b"x", b"y"), Hardlink(b"x", b"y")])
def test_entries_are_values(entry: File | Directory | Symlink | Hardlink) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.path = b"other"  # type: ignore[misc]
    assert entry == dataclasses.replace(entry)
    assert hash(entry) == hash(dataclasses.replace(entry))

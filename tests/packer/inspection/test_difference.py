"""How artefacts differ: a table of entries, items, configurations and layers."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from layers.digest import Digest
from layers.entry import Device, DeviceKind, Directory, Entry, Hardlink, Meta, Symlink
from packer.inspection.difference import Difference, compare
from packer.inspection.items import Items
from tests.support.inspections import file, image, tarball
from tests.support.processes import REPOSITORY

_HASHES = ("s66mzxpvicwk07gjbjfw9izjfa797vsw", "0c0kq0wlqflwc3ydbv9ry8xxq6jl6xq5", "1c0kq0wlqflwc3ydbv9ry8xxq6jl6xq5")


def _compared(tmp_path: Path, before: Sequence[Entry], after: Sequence[Entry]) -> Difference:
    return compare(tarball(tmp_path, before, "before.tar"), tarball(tmp_path, after, "after.tar"))


@pytest.mark.parametrize(
    ("before", "after", "attributes"),
    [
        (file("a", "1"), file("a", "2"), "content"),
        (file("a", "1"), file("a", "22"), "size, content"),
        (file("a", mode=0o644), file("a", mode=0o755), "mode"),
        (file("a", uid=1), file("a", uid=2, gid=3), "uid, gid"),
        (file("a"), file("a", xattrs=((b"user.a", b"b"),)), "xattrs"),
        (file("a"), Directory(b"a", Meta(0o644)), "type, content"),
        (Symlink(b"a", b"b"), Symlink(b"a", b"c"), "target"),
        (Device(b"a", DeviceKind.BLOCK, 1, 2), Device(b"a", DeviceKind.BLOCK, 1, 3), "device"),
        (Device(b"a", DeviceKind.BLOCK, 1, 2), Device(b"a", DeviceKind.CHARACTER, 1, 2), "type"),
    ],
)
def test_what_differs_of_an_entry(tmp_path: Path, before: Entry, after: Entry, attributes: str) -> None:
    [change] = _compared(tmp_path, [before], [after]).entries
    assert ", ".join(change.attributes) == attributes


def test_what_is_not_in_both(tmp_path: Path) -> None:
    before: list[Entry] = [file("a", "1"), file("d/same", "1"), file("e", "1"), Hardlink(b"f", b"e")]
    after: list[Entry] = [file("b", "22"), file("d/same", "1"), file("e", "1"), file("f", "1")]
    difference = _compared(tmp_path, before, after)
    assert {change.path: (bool(change.before), bool(change.after)) for change in difference.entries} == {
        b"a": (True, False), b"b": (False, True), b"f": (True, True),
    }  # fmt: skip
    assert difference.causes == {"no item": 2}


def test_nothing_differs(tmp_path: Path) -> None:
    entries: list[Entry] = [file("a", "1"), Directory(b"d")]
    assert not _compared(tmp_path, entries, entries)
    # the same bytes, of other layers: nothing differs in the tree, and what a pull moves is told
    two = compare(image(tmp_path, [entries], name="one"), image(tmp_path, [entries[:1], entries[1:]], name="two"))
    assert (two.entries, len(two.layers), two.layers_gone) == ((), 2, 1)
    assert two


def _store(*names: str) -> list[Entry]:
    return [file(f"nix/store/{_HASHES[int(name[0])]}-{name[2:]}/x", name) for name in names]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (["0 hello-1"], ["1 hello-2"], ["hello 1 -> hello 2"]),
        (["0 hello-1"], ["1 hello-1"], ["hello 1 -> hello 1"]),
        (["0 hello-1"], ["0 hello-1"], []),
        (["0 hello-1"], ["0 hello-1", "1 hello-2"], ["None -> hello 2"]),
        (["0 a-1", "1 b-1"], ["1 b-1", "2 c-1"], ["a 1 -> None", "None -> c 1"]),
    ],
)
def test_items_of_one_name_are_one_item_that_changed(
    tmp_path: Path, before: list[str], after: list[str], changes: list[str]
) -> None:
    difference = _compared(tmp_path, _store(*before), _store(*after))
    assert [f"{change.before} -> {change.after}" for change in difference.items] == changes


def test_equal_names_of_other_contents_are_a_change(tmp_path: Path) -> None:
    one = tarball(tmp_path, _store("0 hello-1"), "one.tar")
    [item] = one.items.all.values()
    first, second = (replace(item, identity=Digest.of(data)) for data in (b"1", b"2"))
    before, after = (replace(one, items=Items({item.path: each}, {})) for each in (first, second))
    assert [change.after for change in compare(before, after).items] == [second]
    assert not compare(before, before).items


_ITEMS_OF_ONE_NAME = """
from layers.digest import Digest
from packer.inspection.difference import item_changes
from packer.inspection.items import Item

def items(paths, data):
    return {path: Item(path, "glibc", "2.38", 1, Digest.of(path.encode(), data), 0) for path in paths}

changes = item_changes(items("fedcba" "mno", b"1"), items("abcdef" "xyz", b"2"))
print([f"{change.before.path}{change.after.path}" for change in changes])
"""


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_items_of_one_name_and_version_come_in_the_order_of_their_paths(seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _ITEMS_OF_ONE_NAME],
        cwd=REPOSITORY, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "['aa', 'bb', 'cc', 'dd', 'ee', 'ff', 'mx', 'ny', 'oz']\n"


def test_configurations(tmp_path: Path) -> None:
    layers = [[file("a")]]
    one = image(tmp_path, layers, {"config": {"Env": ["A=1"], "Cmd": None, "User": "x"}, "created": "1"}, "one")
    two = image(
        tmp_path, layers, {"config": {"Env": ["A=2"], "User": "x"}, "architecture": "arm64", "created": "2"}, "two"
    )
    assert compare(one, two).configuration == {"Env": (["A=1"], ["A=2"]), "platform": ("linux/amd64", "linux/arm64")}
    assert not compare(one, one)
    assert not compare(one, tarball(tmp_path, layers[0]))  # what only one of them has is not compared


def test_a_layer_s_maker_is_the_cause_where_nobody_knows_items(tmp_path: Path) -> None:
    history = [{"created_by": "FROM scratch", "empty_layer": True}, {"created_by": "COPY a"}, {"created_by": "COPY b"}]
    one = image(tmp_path, [[file("a")]], {"history": history[:2]}, "one")
    two = image(tmp_path, [[file("a")], [file("b", "12"), file("a", "1")]], {"history": history}, "two")
    assert compare(one, two).causes == {"COPY b": 3}
    assert compare(one, two).pull_size == two.layers[1].stored.blob.size

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.entry import Data, Device, DeviceKind, Directory, File, Hardlink, Meta, Symlink
from layers.errors import EntryError
from layers.nar import NarWriter, string
from tests.support.nars import TREE, Program, archive, dump, entries, folder, make, nar_of, regular, symlink

NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
LEAVES = st.binary(max_size=40) | st.binary(max_size=40).map(Program) | st.just(Path("target"))
TREES: st.SearchStrategy[Any] = st.recursive(LEAVES, lambda below: st.dictionaries(NAMES, below, max_size=5))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", bytes(8)),
        (b"a", b"\x01" + bytes(7) + b"a" + bytes(7)),
        (b"12345678", b"\x08" + bytes(7) + b"12345678"),
        (b"123456789", b"\x09" + bytes(7) + b"123456789" + bytes(7)),
    ],
)
def test_a_string_is_padded_to_eight_bytes(data: bytes, whole: bytes) -> None:
    assert string(data) == whole


@pytest.mark.parametrize(
    ("tree", "nar"),
    [
        (b"x", archive(regular(b"x"))),
        (Program(b""), archive(regular(executable=True))),
        (Path("to"), archive(symlink(b"to"))),
        ({}, archive(folder())),
        (
            {b"b": Path("x"), b"a": {b"c": b"1"}},
            archive(folder((b"a", folder((b"c", regular(b"1")))), (b"b", symlink(b"x")))),
        ),
    ],
)
def test_small_trees(tree: object, nar: bytes) -> None:
    assert nar_of(entries(tree)) == nar


@pytest.mark.parametrize("tree", [TREE, {}, b"", b"file", Program(b"program"), Path("target"), TREE[b"a"]])
def test_nix_writes_the_same(tmp_path: Path, tree: object) -> None:
    make(tmp_path / "tree", tree)
    assert nar_of(entries(tree)) == dump(tmp_path / "tree")


@settings(max_examples=20)
@given(tree=TREES)
def test_nix_writes_the_same_of_any_tree(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "tree"
    make(path, tree)
    assert nar_of(entries(tree)) == dump(path)


def test_only_the_owner_says_whether_a_file_may_be_executed() -> None:
    def nar(mode: int) -> bytes:
        return nar_of([File(b"", Data(b"x"), Meta(mode))])

    assert nar(0o744) == nar(0o100) == nar(0o4555) == archive(regular(b"x", executable=True))
    assert nar(0o644) == nar(0o655) == archive(regular(b"x"))


def test_owners_and_attributes_are_no_part_of_it() -> None:
    rich = [File(b"", Data(b"x"), Meta(0o444, 1000, 100, ((b"user.a", b"b"),)))]
    assert nar_of(rich) == archive(regular(b"x"))


def test_content_comes_in_pieces() -> None:
    state = hashlib.sha256()
    writer = NarWriter(state.update)
    writer.add(b"", File(b"ignored", Data(b"x" * 1000)))
    for _ in range(10):
        writer.data(memoryview(b"x" * 100))
    writer.close()
    assert state.digest() == hashlib.sha256(archive(regular(b"x" * 1000))).digest()


@pytest.mark.parametrize(
    "entry",
    [Hardlink(b"a", b"b"), Device(b"a", DeviceKind.CHARACTER, 1, 3), Device(b"a", DeviceKind.FIFO)],
)
def test_kinds_that_no_nar_has(entry: Hardlink | Device) -> None:
    with pytest.raises(EntryError, match="files, folders and symbolic links only"):
        NarWriter(lambda _: None).add(b"", entry)


@pytest.mark.parametrize("given", [b"", b"12345678"])
def test_less_content_than_was_said(given: bytes) -> None:
    writer = NarWriter(lambda _: None)
    writer.add(b"", File(b"", Data(b"123456789")))
    writer.data(given)
    with pytest.raises(EntryError, match="bytes less"):
        writer.close()


@pytest.mark.parametrize("pieces", [[b"123456789"], [b"1234", b"56789"], [b"12345678", b"9"]])
def test_more_content_than_was_said(pieces: list[bytes]) -> None:
    writer = NarWriter(lambda _: None)
    writer.add(b"", File(b"", Data(b"12345678")))
    with pytest.raises(EntryError, match="more bytes"):
        for piece in pieces:
            writer.data(piece)


@pytest.mark.parametrize("entry", [Directory(b""), Symlink(b"", b"to")])
def test_content_of_what_has_none(entry: Directory | Symlink) -> None:
    writer = NarWriter(lambda _: None)
    writer.add(b"", entry)
    with pytest.raises(EntryError, match="more bytes"):
        writer.data(b"x")


def test_the_tree_of_these_tests_has_every_kind() -> None:
    assert {type(entry) for entry in entries(TREE)} == {File, Directory, Symlink}
    assert isinstance(TREE, Mapping)

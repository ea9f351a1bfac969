"""Layers laid over each other: the table of what image-spec says, and umoci as a second opinion."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from formats.reading.artefact import ArtefactError
from formats.reading.listing import Budget, list_layer
from formats.reading.merged import MergedTree, merge
from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.oracle.runtimes import umoci_unpack
from tests.support.entries import tar_of
from tests.support.layers import layout, stored


def _file(path: str, content: str = "") -> File:
    return File(path.encode(), Data(content.encode()))


def _merged(tmp_path: Path, *layers: Sequence[Entry], whiteouts: bool = True) -> MergedTree:
    with ThreadPoolExecutor(2) as executor:
        listings = [list_layer(stored(tmp_path, layer), lambda _: False, executor, Budget()) for layer in layers]
    return merge(listings, whiteouts=whiteouts, origin="it")


_CASES: dict[str, tuple[list[list[Entry]], str]] = {
    "one above another": ([[_file("a")], [_file("b")]], "a b"),
    "a file replaced": ([[_file("a", "1")], [_file("a", "22")]], "a"),
    "a file taken away": ([[_file("a"), _file("b")], [_file(".wh.a")]], "b"),
    "a folder taken away": ([[_file("d/a"), _file("d/e/b"), _file("c")], [_file(".wh.d")]], "c"),
    "a folder taken away and made anew": ([[_file("d/a")], [_file(".wh.d"), _file("d/b")]], "d d/b"),
    "a folder made anew, the whiteout last": ([[_file("d/a")], [_file("d/b"), _file(".wh.d")]], "d d/b"),
    "an opaque folder": ([[_file("d/a"), _file("d/e/b")], [_file("d/.wh..wh..opq"), _file("d/c")]], "d d/c"),
    "an opaque folder, the whiteout last": ([[_file("d/a")], [_file("d/c"), _file("d/.wh..wh..opq")]], "d d/c"),
    "a whiteout of nothing": ([[_file("a")], [_file(".wh.b"), _file("x/.wh.y")]], "a"),
    "a whiteout below a whiteout": ([[_file("d/a")], [_file("d/.wh.a"), _file(".wh.d")]], ""),
    "bookkeeping of aufs": ([[_file("a")], [_file(".wh..wh.plnk")]], "a"),
    "a folder in place of a file": ([[_file("a")], [Directory(b"a"), _file("a/b")]], "a a/b"),
    "a file in place of a folder": ([[_file("a/b"), _file("a/c/d")], [_file("a")]], "a"),
    "a link in place of a folder": ([[_file("a/b")], [Symlink(b"a", b"x")]], "a"),
    "a folder twice": ([[_file("a/b")], [Directory(b"a", Meta(0o700))]], "a a/b"),
    "parents that nobody has": ([[_file("a/b/c")]], "a a/b a/b/c"),
    "the root": ([[Directory(b""), _file("a")]], "a"),
}


@pytest.mark.parametrize(("layers", "paths"), _CASES.values(), ids=_CASES)
def test_what_a_runtime_sees(tmp_path: Path, layers: list[list[Entry]], paths: str) -> None:
    merged = _merged(tmp_path, *layers)
    assert " ".join(placed.node.path.decode() for placed in merged) == paths
    assert not merged.notes


# umoci 0.4.7 stumbles over whiteouts of what is not there, and takes whiteouts in their place among the entries.
@pytest.mark.parametrize("name", sorted(_CASES.keys() - {
    "a whiteout of nothing", "a whiteout below a whiteout", "bookkeeping of aufs",
    "a folder made anew, the whiteout last", "an opaque folder, the whiteout last",
}))  # fmt: skip
def test_umoci_sees_the_same(tmp_path: Path, name: str) -> None:
    layers, paths = _CASES[name]
    made = layout()
    tag = {"org.opencontainers.image.ref.name": "it"}
    made.index(made.image([tar_of(layer) for layer in layers], annotations=tag))
    root = umoci_unpack(made.folder(tmp_path / "layout"), "it", tmp_path / "bundle")
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == sorted(paths.split())


def test_without_layers_a_whiteout_is_a_file(tmp_path: Path) -> None:
    merged = _merged(tmp_path, [_file("a"), _file(".wh.a")], whiteouts=False)
    assert sorted(merged.nodes) == [b".wh.a", b"a"]


def test_bytes_that_nobody_sees_are_counted(tmp_path: Path) -> None:
    lower: list[Entry] = [_file("a", "1" * 100), _file("d/b", "2" * 30), Hardlink(b"d/c", b"d/b"), _file("e", "3" * 5)]
    assert _merged(tmp_path, lower, [_file("a", "4"), _file(".wh.d")]).hidden == 130
    assert _merged(tmp_path, lower, [_file("e/f", "4")]).hidden == 5


def test_hard_links_are_files_of_one_content(tmp_path: Path) -> None:
    lower: list[Entry] = [_file("a", "1"), Hardlink(b"b", b"a"), Hardlink(b"c", b"a")]
    nodes = _merged(tmp_path, lower).nodes
    assert {path: placed.node.same_as for path, placed in nodes.items()} == {b"a": b"", b"b": b"a", b"c": b"a"}
    assert len({placed.node.digest for placed in nodes.values()}) == 1
    replaced = _merged(tmp_path, lower, [_file("a", "2")]).nodes
    assert replaced[b"b"].node.same_as == b""
    assert replaced[b"b"].node.size == 1


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="/b is a hard link to what is no earlier file, /a"):
        # our own writer refuses to write it
        data = bytearray(tar_of([_file("a"), Hardlink(b"b", b"a")]))
        path = tmp_path / "it.tar"
        path.write_bytes(data[512:])
        layer = stored(tmp_path, [])
        with ThreadPoolExecutor(2) as executor:
            blob = type(layer.blob)(str(path), 0, len(data) - 512)  # type: ignore[call-arg]
            listing = list_layer(type(layer)("it", blob), lambda _: False, executor, Budget())
        merge([listing], whiteouts=True, origin="it")


@pytest.mark.parametrize(
    ("layers", "note"),
    [
        ([[_file("a"), _file("a", "2")]], "/a is in one layer twice; the last one counts"),
        ([[Symlink(b"bin", b"usr/bin")], [_file("bin/sh"), _file("bin/ls")]], "/bin is no folder"),
    ],
)
def test_what_is_odd_is_told(tmp_path: Path, layers: list[list[Entry]], note: str) -> None:
    [told] = _merged(tmp_path, *layers).notes
    assert told.startswith(note)


def test_many_whiteouts_do_not_make_it_slow(tmp_path: Path) -> None:
    lower = [_file(f"d/{number}") for number in range(20_000)]
    upper = [_file(f"d/.wh.{number}") for number in range(20_000)] + [_file("d/.wh..wh..opq")] * 100
    assert sorted(_merged(tmp_path, lower, upper).nodes) == [b"d"]

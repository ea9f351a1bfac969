import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import nar_reader
from layers.entry import Data, Directory, Entry, File, Slice, Symlink, tree_order
from layers.errors import PackError
from layers.nar_reader import MOST_LEVELS, NarError, NarIndex, read_nar
from layers.reader import Reader
from tests.layers.test_nar import TREES
from tests.support.nars import (
    TREE,
    Program,
    archive,
    dump,
    entries,
    folder,
    make,
    nar_of,
    regular,
    symlink,
    text,
    words,
)  # fmt: skip

FUZZ = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
LEAF = regular(b"x")
MAGIC = text(b"nix-archive-1")


def read(path: Path, nar: bytes) -> NarIndex:
    path.write_bytes(nar)
    with path.open("rb") as file:
        return read_nar(file, "the test's")


def at_hand(index: NarIndex, nar: Path) -> list[Entry]:
    """The entries, relative to their item, with what their slices hold."""
    found: list[Entry] = []
    data = nar.read_bytes()
    for entry in index.entries(b"item", str(nar)):
        path = entry.path.removeprefix(b"item").removeprefix(b"/")
        if isinstance(entry, File):
            content = entry.content
            assert isinstance(content, Slice)
            assert content.path == str(nar)
            piece = data[content.offset : content.offset + content.size]
            assert len(piece) == content.size
            found.append(File(path, Data(piece), entry.meta))
        else:
            found.append(replace(entry, path=path))
    return found


@pytest.mark.parametrize("tree", [TREE, {}, b"", b"file", Program(b"program"), Path("target")])
def test_what_nix_wrote_is_the_tree(tmp_path: Path, tree: object) -> None:
    make(tmp_path / "tree", tree)
    index = read(tmp_path / "nar", dump(tmp_path / "tree"))
    assert at_hand(index, tmp_path / "nar") == list(entries(tree))


@settings(max_examples=200)
@given(tree=TREES)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.nar"
    assert at_hand(read(path, nar_of(entries(tree))), path) == list(entries(tree))


def test_entries_are_below_their_item_in_the_order_of_trees(tmp_path: Path) -> None:
    index = read(tmp_path / "nar", nar_of(entries(TREE)))
    paths = [entry.path for entry in index.entries(b"nix/store/x", "nar")]
    assert paths[0] == b"nix/store/x"
    assert all(path.startswith(b"nix/store/x/") for path in paths[1:])
    assert paths == sorted(paths, key=tree_order)


def test_permissions_are_the_stores(tmp_path: Path) -> None:
    nar = archive(folder((b"f", regular()), (b"l", symlink(b"f")), (b"x", regular(executable=True))))
    modes = {}
    for entry in read(tmp_path / "nar", nar).entries(b"i", "nar"):
        assert isinstance(entry, File | Directory | Symlink)
        assert (entry.meta.uid, entry.meta.gid, entry.meta.xattrs) == (0, 0, ())
        modes[entry.path] = entry.meta.mode
    assert modes == {b"i": 0o555, b"i/f": 0o444, b"i/l": 0o777, b"i/x": 0o555}


def test_sizes(tmp_path: Path) -> None:
    nar = archive(folder((b"a", regular(b"123")), (b"b", regular(b"45"))))
    index = read(tmp_path / "nar", nar)
    assert index.size == len(nar)
    assert index.file_size == 5


def nested(levels: int, name: bytes = b"d") -> bytes:
    node = regular(b"x")
    for _ in range(levels):
        node = folder((name, node))
    return archive(node)


def test_folders_may_lie_in_each_other_64_times(tmp_path: Path) -> None:
    assert len(read(tmp_path / "nar", nested(MOST_LEVELS)).paths) == 65


def test_paths_may_be_as_long_as_linux_has_them(tmp_path: Path) -> None:
    assert len(read(tmp_path / "nar", nested(16, b"n" * 255)).paths[-1]) == 4095


def test_the_memory_of_entries_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes of a compressed NAR could be many entries."""
    nar = archive(folder(*((b"%04d" % number, symlink(b"t" * 100)) for number in range(100))))
    monkeypatch.setattr(nar_reader, "_MOST_MEMORY", 40_000)
    assert len(read(tmp_path / "nar", nar).paths) == 101
    monkeypatch.setattr(nar_reader, "_MOST_MEMORY", 30_000)
    with pytest.raises(NarError, match="it has more entries than any store has"):
        read(tmp_path / "nar", nar)


ENTRY = words(b"entry", b"(", b"name")
OPEN = MAGIC + words(b"(", b"type", b"directory")
HUGE = (1 << 64) - 8


@pytest.mark.parametrize(
    ("nar", "said"),
    [
        # order
        (archive(folder((b"b", LEAF), (b"a", LEAF))), "not sorted: 'a' comes after 'b'"),
        (archive(folder((b"a", LEAF), (b"a", LEAF))), "not sorted: 'a' is there twice"),
        (archive(folder((b"a", LEAF), (b"a", symlink(b"/etc")))), "twice"),
        (archive(folder((b"d", folder((b"b", LEAF), (b"a", LEAF))))), "entries of 'd' are not sorted"),
        (archive(folder((b"b", LEAF), (b"B", LEAF))), "not sorted"),
        # names that lead elsewhere, or nowhere
        (archive(folder((b"", LEAF))), "named ''"),
        (archive(folder((b".", LEAF))), r"named '\.'"),
        (archive(folder((b"..", LEAF))), r"named '\.\.'"),
        (archive(folder((b"a/b", LEAF))), "named 'a/b'"),
        (archive(folder((b"/", LEAF))), "named '/'"),
        (archive(folder((b"../../etc/passwd", LEAF))), r"named '\.\./\.\./etc/passwd'"),
        (archive(folder((b"a\0b", LEAF))), "which no folder can have"),
        (archive(folder((b"n" * 256, LEAF))), "256 bytes where at most 255"),
        (archive(symlink(b"")), "empty, or has a NUL"),
        (archive(symlink(b"a\0b")), "empty, or has a NUL"),
        (archive(symlink(b"t" * 4096)), "4096 bytes where at most 4095"),
        # padding
        (text(b"nix-archive-1", b"\0\0\1") + regular(), "padding of a string is not zero"),
        (archive(words(b"(", b"type", b"regular", b"contents") + text(b"x", b"1234567") + text(b")")), "padding"),
        (archive(words(b"(", b"type", b"symlink", b"target") + text(b"x", b"\0\0\0\0\0\0\1") + text(b")")), "padding"),
        (OPEN + ENTRY + text(b"x", b"\1\0\0\0\0\0\0"), "padding"),
        # beyond the end
        (archive(regular(b"x")) + b"\0", "1 bytes follow its end"),
        (archive(regular(b"x")) + archive(regular(b"x")), "follow its end"),
        (archive(regular(b"x"))[:-1], "ends too early"),
        (archive(regular(b"x"))[:-8], "ends too early"),
        (b"", "ends too early"),
        (MAGIC[:5], "ends too early"),
        # sizes
        (archive(words(b"(", b"type", b"regular", b"contents") + (1000).to_bytes(8, "little")), "1000 bytes where"),
        (archive(words(b"(", b"type", b"regular", b"contents") + HUGE.to_bytes(8, "little")), "bytes where at most"),
        (archive(words(b"(", b"type", b"regular", b"contents") + (1).to_bytes(8, "little") + b"x"), "too early"),
        (HUGE.to_bytes(8, "little") + b"nix-archive-1", "bytes where at most 16"),
        (b"\x0d" + bytes(6) + b"\x80nix-archive-1\0\0\0", "bytes where at most 16"),
        # words
        (b"!<arch>\n" + b"debian-binary   ", "bytes where at most 16"),
        (text(b"nix-archive-2") + regular(), "'nix-archive-2' where 'nix-archive-1'"),
        (archive(words(b"[")), r"'\[' where '\('"),
        (archive(words(b"(", b"kind")), "'kind' where 'type'"),
        (archive(words(b"(", b"type", b"fifo", b")")), "unknown type 'fifo'"),
        (archive(words(b"(", b"type", b"regular", b")")), r"'\)' where 'contents'"),
        (archive(words(b"(", b"type", b"regular", b"executable", b"x")), "'x' where ''"),
        (archive(words(b"(", b"type", b"regular", b"contents", b"", b"contents", b"", b")")), r"'contents' where '\)'"),
        (archive(words(b"(", b"type", b"regular", b"contents", b"", b"executable", b"", b")")), "'executable' where"),
        (archive(words(b"(", b"type", b"symlink", b")")), r"'\)' where 'target'"),
        (archive(words(b"(", b"type", b"symlink", b"target", b"a", b"target", b"b", b")")), "'target' where"),
        (OPEN + words(b"node"), "'node' where 'entry'"),
        (OPEN + words(b"entry", b"(", b"node"), "'node' where 'name'"),
        (OPEN + words(b"entry", b"(", b"name", b"x", b")"), r"'\)' where 'node'"),
        (OPEN + ENTRY + words(b"x", b"node") + LEAF + words(b"name"), r"'name' where '\)'"),
        (OPEN + ENTRY + words(b"x", b"node") + LEAF, "ends too early"),
        # depth
        (nested(MOST_LEVELS + 1), "more than 64 folders lie in each other"),
        (nested(5000), "more than 64 folders lie in each other"),
        # length
        (nested(17, b"n" * 255), "a path of 4351 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_nar(tmp_path: Path, nar: bytes, said: str) -> None:
    with pytest.raises(NarError, match=said) as caught:
        read(tmp_path / "nar", nar)
    assert str(caught.value).startswith("the test's is no valid NAR: ")
    assert "byte " in str(caught.value)


def test_every_beginning_of_a_nar_is_none(tmp_path: Path) -> None:
    whole = nar_of(entries({b"a": Program(b"12345"), b"b": {b"c": Path("to")}}))
    for end in range(len(whole)):
        with pytest.raises(NarError):
            read(tmp_path / "nar", whole[:end])


def mutated(whole: bytes) -> st.SearchStrategy[bytes]:
    """A NAR with a piece replaced by other bytes, often by pieces of the grammar."""
    place = st.integers(0, len(whole))
    pieces = st.binary(max_size=16) | st.sampled_from(
        [text(word) for word in (b"(", b")", b"entry", b"type", b"name", b"node", b"contents", b"", b"..", b"regular")]
    )
    return st.builds(lambda start, end, piece: whole[: min(start, end)] + piece + whole[max(start, end) :],
                     place, place, pieces)  # fmt: skip


@settings(max_examples=FUZZ)
@given(
    nar=mutated(nar_of(entries({b"a": Program(b"12345"), b"b": {b"c": Path("to"), b"d": b""}, b"e": b"1"})))
    | st.binary(max_size=200).map(MAGIC.__add__)
)
def test_fuzzed(tmp_path_factory: pytest.TempPathFactory, nar: bytes) -> None:
    """Whatever comes: an error of ours, or a tree that is written as the very same bytes."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.nar"
    try:
        index = read(path, nar)
    except PackError:
        return
    assert nar_of(at_hand(index, path)) == nar


def test_an_index_is_kept(tmp_path: Path) -> None:
    index = read(tmp_path / "nar", nar_of(entries(TREE)))
    index.save(str(tmp_path), "index")
    assert NarIndex.load(str(tmp_path / "index")) == index


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(b'"ddf', b'"fdf', 1),
        lambda data: data + b"x",
        lambda data: bytes(len(data)),
        lambda data: b"{}\n" + data.partition(b"\n")[2],
    ],
)
def test_a_damaged_index_is_none(tmp_path: Path, damage: Any) -> None:
    index = read(tmp_path / "nar", archive(folder((b"a", folder((b"b", LEAF))))))
    index.save(str(tmp_path), "index")
    kept = (tmp_path / "index").read_bytes()
    assert damage(kept) != kept
    (tmp_path / "index").chmod(0o600)
    (tmp_path / "index").write_bytes(damage(kept))
    assert NarIndex.load(str(tmp_path / "index")) is None


def test_no_index_and_one_of_another_format(tmp_path: Path) -> None:
    assert NarIndex.load(str(tmp_path / "index")) is None
    kept: tuple[object, ...] = ({"format": 0}, {}, [], 1, None)
    for facts in kept:
        line = json.dumps(facts).encode()
        (tmp_path / "index").write_bytes(line + b"\n" + hashlib.sha256(line).hexdigest().encode())
        assert NarIndex.load(str(tmp_path / "index")) is None


def test_contents_are_read_from_the_nar(tmp_path: Path) -> None:
    index = read(tmp_path / "nar", nar_of(entries(TREE)))
    files = {entry.path: entry for entry in index.entries(b"i", str(tmp_path / "nar")) if isinstance(entry, File)}
    with Reader() as reader:
        assert reader.read(files[b"i/a/nested/deep/er"].content) == b"x" * 100_000
        assert reader.read(files[b"i/size-17"].content) == bytes(range(17))

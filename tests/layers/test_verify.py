from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layers.digest import Digest
from layers.entry import PROGRAM, Data, Directory, Entry, File, Hardlink, Meta, Slice, Symlink, tree_order
from layers.errors import EntryError, PackError
from layers.item import NarItem
from layers.reader import Reader
from layers.verify import CorruptError, verified
from tests.support.entries import Listed
from tests.support.nars import TREE, dump, entries, make, nar_of

ROOT = b"nix/store/item"


def placed(all_entries: Iterable[Entry], root: bytes = ROOT) -> list[Entry]:
    return [replace(entry, path=root + b"/" + entry.path if entry.path else root) for entry in all_entries]


def item_of(nar: bytes, all_entries: Iterable[Entry] = (), root: bytes = ROOT) -> NarItem:
    digest = Digest.of(nar)
    contents = Listed(tuple(all_entries))
    return NarItem(
        f"/{root.decode()}", "item", "", digest, len(nar), (), contents, digest, len(nar), "", (), "", False
    )  # fmt: skip


def run(given: Iterable[Entry], *items: NarItem) -> list[Entry]:
    """Pass entries on, reading the content of each as a writer of layers would, in pieces."""
    passed: list[Entry] = []
    with Reader() as reader:
        for entry in verified(given, reader, {item.path[1:].encode(): item for item in items}):
            passed.append(entry)
            if isinstance(entry, File) and isinstance(entry.content, Slice):
                for start in range(0, entry.content.size, 1000):
                    piece = bytearray(min(1000, entry.content.size - start))
                    reader.read_into(entry.content, start, memoryview(piece))
    return passed


def on_disk(path: Path, root: bytes = ROOT) -> list[Entry]:
    """The entries of a tree on disk; their contents are slices."""
    found: list[Entry] = []
    for entry in entries(TREE):
        if isinstance(entry, File):
            file = path / entry.path.decode(errors="surrogateescape")
            found.append(replace(entry, content=Slice(str(file), 0, file.stat().st_size)))
        else:
            found.append(entry)
    return placed(found, root)


def test_what_nix_has_hashed_passes_unchanged(tmp_path: Path) -> None:
    make(tmp_path / "tree", TREE)
    given = on_disk(tmp_path / "tree")
    assert run(given, item_of(dump(tmp_path / "tree"))) == given


@pytest.mark.parametrize("tree", [TREE, {}, b"", b"file", Path("target")])
def test_contents_at_hand_pass(tree: object) -> None:
    given = placed(entries(tree))
    assert run(given, item_of(nar_of(entries(tree)))) == given


FLAT = {b"a": b"1234", b"b": {b"c": b"5"}, b"l": Path("a")}
GIVEN = placed(entries(FLAT))


def with_other(other: Entry) -> list[Entry]:
    return [other if entry.path == other.path else entry for entry in GIVEN]


@pytest.mark.parametrize(
    "altered",
    [
        GIVEN[:-1],
        GIVEN[:1] + GIVEN[2:],
        [*GIVEN, File(ROOT + b"/z")],
        with_other(File(ROOT + b"/a", Data(b"1235"))),
        with_other(File(ROOT + b"/a", Data(b"12345"))),
        with_other(File(ROOT + b"/a", Data(b"1234"), PROGRAM)),
        with_other(Directory(ROOT + b"/a")),
        with_other(Symlink(ROOT + b"/l", b"b")),
        [File(ROOT)],
        [],
    ],
)
def test_what_was_altered_is_refused(altered: list[Entry]) -> None:
    with pytest.raises(CorruptError, match="/nix/store/item is corrupt: its NAR hash is sha256:") as caught:
        run(altered, item_of(nar_of(entries(FLAT))))
    assert caught.value.path == "/nix/store/item"
    assert "--no-verify" in str(caught.value)
    assert isinstance(caught.value, PackError)


def test_with_other_can_make_the_same() -> None:
    same = with_other(File(ROOT + b"/a", Data(b"1234")))
    assert run(same, item_of(nar_of(entries(FLAT)))) == same


def test_a_wrong_size_with_the_right_hash_is_refused() -> None:
    with pytest.raises(CorruptError):
        run(GIVEN, replace(item_of(nar_of(entries(FLAT))), nar_size=1))


def test_what_changed_on_disk_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "tree", TREE)
    item = item_of(dump(tmp_path / "tree"))
    deep = tmp_path / "tree" / "a" / "nested" / "deep" / "er"
    data = bytearray(deep.read_bytes())
    data[54_321] ^= 1
    deep.write_bytes(data)
    with pytest.raises(CorruptError):
        run(on_disk(tmp_path / "tree"), item)


def test_owners_times_and_other_permissions_do_not_matter() -> None:
    given = [
        replace(entry, meta=Meta(entry.meta.mode | 0o222, 1000, 100)) if isinstance(entry, File) else entry
        for entry in GIVEN
    ]
    assert run(given, item_of(nar_of(entries(FLAT)))) == given


def test_several_items_and_what_belongs_to_none() -> None:
    trees: list[object] = [FLAT, b"file", {}, Path("link")]
    roots = [b"nix/store/a", b"nix/store/a-b", b"nix/store/a.b", b"nix/store/b"]
    given: list[Entry] = [Directory(b"nix"), Directory(b"nix/store"), Directory(b"etc"), File(b"nix/store/a-a")]
    for root, tree in zip(roots, trees, strict=True):
        given += placed(entries(tree), root)
    given.sort(key=lambda entry: tree_order(entry.path))
    items = [item_of(nar_of(entries(tree)), root=root) for root, tree in zip(roots, trees, strict=True)]
    assert run(given, *items) == given
    for place in range(len(items)):
        wrong = [replace(item, nar_hash=Digest.of()) if item is items[place] else item for item in items]
        with pytest.raises(CorruptError) as caught:
            run(given, *wrong)
        assert caught.value.path == items[place].path


def test_the_mistake_is_known_before_what_comes_after() -> None:
    passed: list[Entry] = []

    def watched() -> Iterator[Entry]:
        for entry in [*GIVEN, File(b"nix/store/next"), File(b"nix/store/other")]:
            passed.append(entry)
            yield entry

    with pytest.raises(CorruptError):
        run(watched(), replace(item_of(nar_of(entries(FLAT))), nar_hash=Digest.of()))
    assert passed[-1].path == b"nix/store/next"


def test_a_hard_link_has_no_place_in_a_nar() -> None:
    with pytest.raises(EntryError, match="files, folders and symbolic links only"):
        run([*GIVEN, Hardlink(ROOT + b"/z", ROOT + b"/a")], item_of(nar_of(entries(FLAT))))


def test_an_item_that_is_not_among_the_entries_is_refused() -> None:
    with pytest.raises(CorruptError, match="/nix/store/item"):
        run([Directory(b"nix"), Directory(b"nix/store")], item_of(nar_of(entries(FLAT))))

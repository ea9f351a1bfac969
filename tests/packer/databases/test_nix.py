"""Nix itself is the oracle: what it registers, and what it makes of our database."""

import base64
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Symlink
from layers.item import Closure, NarItem, StoreItem
from packer.databases import nix
from packer.databases.sqlite import DatabaseError
from packer.nix.derivation import DerivationError, outputs
from tests.support.entries import make_item
from tests.support.graphs import Graph, graphs
from tests.support.nar_items import items_of, nar_item, write_entries
from tests.support.nix_program import DATABASE, Nix
from tests.support.sqlite_libraries import LIBRARIES, Library, ask, assert_sound

HASH = "0123456789abcdfghijklmnpqrsvwxy"

#: Items with an item that names itself, chains, and diamonds.
GRAPH: Graph = {"a": ["a"], "b": ["a"], "c": ["a", "b", "c"], "d": [], "e": ["c", "d"]}


def packed(folder: Path, items: Iterable[StoreItem], epoch: int = 1) -> Nix:
    """A root with the items and our database."""
    root = folder / "packed"
    closure = Closure(items)
    write_entries((entry for item in closure for entry in item.contents.entries()), root)
    write_entries(nix.entries(closure, epoch=epoch), root)
    return Nix(root)


def dump(database: Path, columns: str = "hash, deriver, narSize, ultimate, sigs, ca") -> list[list[Sequence[Any]]]:
    """All rows of a database but numbers and times."""
    return ask(
        database,
        f"SELECT path, {columns} FROM ValidPaths ORDER BY path",
        "SELECT a.path, b.path FROM Refs JOIN ValidPaths a ON referrer = a.id JOIN ValidPaths b ON reference = b.id"
        " ORDER BY 1, 2",
        "SELECT v.path, o.id, o.path FROM DerivationOutputs o JOIN ValidPaths v ON o.drv = v.id ORDER BY 1, 2",
        "SELECT * FROM sqlite_sequence",
    )


#: What Nix has since 2.26, and older ones do not ask for.
_MIGRATIONS = "SchemaMigrations"
MIGRATIONS = [
    ("table", _MIGRATIONS, _MIGRATIONS, f"CREATE TABLE {_MIGRATIONS} (migration text primary key not null)"),
    ("index", f"sqlite_autoindex_{_MIGRATIONS}_1", _MIGRATIONS, None),
]


def schema(database: Path) -> list[Sequence[Any]]:
    """What a database consists of, without comments, of which versions of Nix have more or less."""
    (rows,) = ask(database, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY _rowid_")
    return [(*row, sql and re.sub(r" *--.*", "", sql)) for *row, sql in rows]


def assert_schema(found: Path, theirs: Path) -> None:
    """Ours is Nix's, with what newer ones have."""
    expected = schema(theirs)
    assert schema(found) == [*expected, *(row for row in MIGRATIONS if row not in expected)]
    assert ask(found, f"SELECT * FROM {_MIGRATIONS}") == [[]]


EXPRESSION = """let
  a = derivation { name = "a"; system = "x"; builder = "/bin/sh"; outputs = [ "out" "dev" ]; };
  fixed = derivation {
    name = "fixed"; system = "x"; builder = "/bin/sh"; outputHashMode = "flat";
    outputHash = "sha256:0000000000000000000000000000000000000000000000000000";
  };
in derivation {
  name = "b"; system = "x"; builder = "/bin/sh";
  args = [ a a.dev fixed ''quote " ] ,( \\\\ new
line'' (builtins.toFile "text" "text") ];
}"""


@pytest.fixture(scope="module")
def made_by_nix(tmp_path_factory: pytest.TempPathFactory) -> Nix:
    """A store of derivations, of items that are named by their contents, with signatures, and with references."""
    folder = tmp_path_factory.mktemp("made")
    made = Nix(folder / "store")
    made.run("nix-instantiate", "--store", made.root, "-E", EXPRESSION)
    tree = folder / "tree"
    tree.mkdir()
    (tree / "link").symlink_to("target")
    recursive, flat = made.store("--add", tree)[0], made.store("--add-fixed", "sha256", __file__)[0]
    for number in "21":
        key = folder / number
        key.write_text(made.run("nix", "key", "generate-secret", "--key-name", f"key-{number}"))
        made.run("nix", "store", "sign", "--store", made.root, "-k", key, recursive)
    registration = [f"/{nix.STORE[1:]}/{HASH}{number}-item" for number in range(3)]
    plain, itself, top = registration
    text = (
        f"{plain}\n{'0' * 64}\n112\n\n0\n"
        f"{itself}\n{'1' * 64}\n0\n{plain}.drv\n2\n{itself}\n{plain}\n"
        f"{top}\n{'2' * 64}\n{1 << 40}\n/nix/store/{HASH}9-x.drv\n3\n{recursive}\n{flat}\n{itself}\n"
    )
    made.store("--load-db", stdin=text)
    return made


def items_in(database: Path, root: Path) -> list[NarItem]:
    """The items of a database that Nix made, read by nobody's code but this."""
    (paths, references) = ask(
        database,
        "SELECT path, hash, deriver, narSize, ultimate, sigs, ca FROM ValidPaths",
        "SELECT a.path, b.path FROM Refs JOIN ValidPaths a ON referrer = a.id JOIN ValidPaths b ON reference = b.id",
    )
    items = []
    for path, digest, deriver, size, ultimate, signatures, content_address in paths:
        named = {reference for referrer, reference in references if referrer == path}
        file = root / path[1:]
        content = file.read_bytes() if path.endswith(".drv") else b""
        items.append(
            NarItem(
                path, "", "", Digest.parse(digest), 1, tuple(sorted(named - {path})),
                nar_item(path, File(path[1:].encode(), Data(content))).contents,
                Digest.parse(digest), size or 0, deriver or "", tuple(signatures.split()) if signatures else (),
                content_address or "", bool(ultimate), path in named,
            )
        )  # fmt: skip
    return items


def ours(folder: Path, items: Iterable[StoreItem], epoch: int = 1) -> Path:
    """Our database alone."""
    write_entries(nix.entries(Closure(items), epoch=epoch), folder)
    assert_sound(folder / DATABASE)
    return folder / DATABASE


def test_the_same_rows_and_the_same_schema_as_nix(tmp_path: Path, made_by_nix: Nix) -> None:
    items = items_in(made_by_nix.database, made_by_nix.root)
    expected = dump(made_by_nix.database)
    database = ours(tmp_path, reversed(items))
    assert dump(database) == expected
    assert_schema(database, made_by_nix.database)
    valid, references, outputs = expected[:3]
    assert (len(valid), len(references), len(outputs)) == (9, 8, 4)
    assert all(row[4] is None for row in valid)  # nothing was built here: none is ultimate
    assert sum(len(str(row[5]).split()) == 2 for row in valid) == 1
    addresses = sorted(str(row[6]).rpartition(":")[0] for row in valid if row[6])
    assert addresses == ["fixed:r:sha256", "fixed:sha256", *["text:sha256"] * 4]
    assert (tmp_path / "nix/var/nix/db/schema").read_bytes() == (made_by_nix.database.parent / "schema").read_bytes()


def test_the_same_rows_as_load_db(tmp_path: Path, made_by_nix: Nix) -> None:
    """A registration has neither signatures nor addresses; Nix takes outputs from the derivations' files."""
    loaded = Nix(tmp_path / "loaded")
    shutil.copytree(made_by_nix.root / "nix/store", loaded.root / "nix/store", symlinks=True)
    loaded.store("--load-db", stdin="\n".join(made_by_nix.store("--dump-db")) + "\n")
    columns = "hash, deriver, narSize"
    database = ours(tmp_path, items_in(made_by_nix.database, made_by_nix.root))
    assert dump(database, columns) == dump(loaded.database, columns)
    assert_schema(database, loaded.database)


def test_nix_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    root = b"nix/store/%s-tree" % (HASH + "0").encode()
    tree = (Directory(root), File(root + b"/file", Data(b"x")), Symlink(root + b"/link", b"file"))
    items = [*items_of(GRAPH, nix.STORE), nar_item(f"/{root.decode()}", *tree)]
    image = packed(tmp_path, items)
    before, schema_before = dump(image.database), schema(image.database)
    assert image.store("--verify", "--check-contents") == []
    assert dump(image.database) == before  # an item that is missing would have lost its row
    assert schema(image.database) == schema_before  # nothing was made or migrated
    top = items[4].path
    assert sorted(image.store("-qR", top)) == sorted(item.path for item in items[:5])
    assert sorted(image.store("-q", "--referrers", items[0].path)) == sorted(items[number].path for number in (0, 1, 2))
    assert image.store("--dump-db") == made_again(tmp_path, image).store("--dump-db")


def made_again(folder: Path, image: Nix) -> Nix:
    again = Nix(folder / "again")
    again.store("--load-db", stdin="\n".join(image.store("--dump-db")) + "\n")
    return again


def test_nix_finds_an_item_that_was_changed(tmp_path: Path) -> None:
    items = items_of(GRAPH, nix.STORE)
    image = packed(tmp_path, items)
    changed = image.root / items[3].path[1:]
    changed.chmod(0o644)
    changed.write_text("changed")
    image.store("--verify", "--check-contents", code=1)


def test_nix_collects_garbage_and_keeps_what_roots_need(tmp_path: Path) -> None:
    """Items that name themselves can be deleted: the trigger is for them."""
    items = items_of(GRAPH, nix.STORE)
    image = packed(tmp_path, items)
    roots = image.root / "nix/var/nix/gcroots"
    roots.mkdir(parents=True)
    (roots / "b").symlink_to(items[1].path)
    assert sorted(image.store("--gc", "--print-dead")) == sorted(item.path for item in items[2:])
    image.store("--gc")
    assert [row[0] for row in dump(image.database)[0]] == sorted(item.path for item in items[:2])
    assert len(dump(image.database)[1]) == 2


def test_nix_reads_every_column(tmp_path: Path) -> None:
    path, deriver = f"/nix/store/{HASH}0-item", f"/nix/store/{HASH}1-item.drv"
    address = "fixed:r:sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h"
    item = nar_item(
        path,
        deriver=deriver,
        signatures=["a:AAAA", "b:BBBB"],
        content_address=address,
        ultimate=True,
        self_reference=True,
    )
    image = packed(tmp_path, [item], epoch=1_700_000_000)
    answer = json.loads(image.run("nix", "path-info", "--json", "--store", image.root, path))
    by_path = answer if isinstance(answer, dict) else {found.pop("path"): found for found in answer}  # as before 2.19
    assert by_path[path] == {
        "narHash": f"sha256-{base64.b64encode(bytes.fromhex(item.nar_hash.hex)).decode()}",
        "narSize": item.nar_size,
        "references": [path],
        "ca": address,
        "deriver": deriver,
        "registrationTime": 1_700_000_000,
        "signatures": ["a:AAAA", "b:BBBB"],
        "ultimate": True,
    }


def test_items_stand_after_what_they_need(tmp_path: Path) -> None:
    database = ours(tmp_path, items_of(GRAPH, nix.STORE))
    (references,) = ask(database, "SELECT referrer, reference FROM Refs ORDER BY _rowid_")
    assert all(reference <= referrer for referrer, reference in references)
    assert references == sorted(map(tuple, references))
    assert ask(database, "SELECT id FROM ValidPaths ORDER BY id") == [[(number,) for number in range(1, 6)]]


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_references_hold_items_but_for_their_own(tmp_path: Path, library: Library) -> None:
    database = ours(tmp_path, items_of({"a": ["a"], "b": ["b"], "c": ["b"]}, nix.STORE))
    delete = "DELETE FROM ValidPaths WHERE path LIKE '%-{}'"
    foreign_keys = "PRAGMA foreign_keys = on"
    ask(database, foreign_keys, delete.format("a"), library=library)
    assert len(ask(database, "SELECT * FROM Refs")[0]) == 2
    with pytest.raises(Exception, match="FOREIGN KEY constraint failed"):
        ask(database, foreign_keys, delete.format("b"), library=library)
    ask(database, foreign_keys, delete.format("c"), delete.format("b"), library=library)
    assert ask(database, "SELECT count(*) FROM ValidPaths", "SELECT count(*) FROM Refs") == [[(0,)], [(0,)]]


@pytest.mark.parametrize("epoch", [0, 1, 1_700_000_000, (1 << 63) - 1])
def test_the_time_of_registration_is_the_epoch(tmp_path: Path, epoch: int) -> None:
    database = ours(tmp_path, items_of(GRAPH, nix.STORE), epoch)
    assert ask(database, "SELECT DISTINCT registrationTime FROM ValidPaths") == [[(epoch,)]]


def content(entries: Iterable[Entry]) -> dict[bytes, bytes]:
    return {
        entry.path: entry.content.data
        for entry in entries
        if isinstance(entry, File) and isinstance(entry.content, Data)
    }


@given(graphs(most=12), st.randoms(use_true_random=False), st.sets(st.integers(0, 11)))
def test_any_closure_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, graph: dict[str, list[str]], random: Any, themselves: set[int]
) -> None:
    named = {
        name: [*references, *([name] if number in themselves else [])]
        for number, (name, references) in enumerate(graph.items())
    }
    items = items_of(named, nix.STORE)
    first = content(nix.entries(Closure(items), epoch=1))
    random.shuffle(items)
    assert content(nix.entries(Closure(items), epoch=1)) == first
    database = ours(tmp_path_factory.mktemp("any"), items)
    valid, references = dump(database)[:2]
    assert [(row[0], row[1], row[3]) for row in valid] == sorted((i.path, str(i.nar_hash), i.nar_size) for i in items)
    assert {tuple(name.partition("-")[2] for name in row) for row in references} == {
        (name, reference) for name, references in named.items() for reference in references
    }


def test_a_large_closure(tmp_path: Path) -> None:
    """5,000 items, 50,000 references."""
    names = [f"item-{number:04}" for number in range(5000)]
    graph = {name: list(islice(names, max(0, number - 10), number)) for number, name in enumerate(names)}
    database = ours(tmp_path, items_of(graph, nix.STORE))
    assert ask(database, "SELECT count(*) FROM Refs", "SELECT max(id) FROM ValidPaths") == [[(49_945,)], [(5000,)]]


def test_items_of_other_stores_are_not_registered(tmp_path: Path) -> None:
    guix, debian = nar_item("/gnu/store/x-guix"), make_item("bash_1_amd64")
    other = nar_item("/nix/storehouse/x-other")
    (item,) = items_of({"a": []}, nix.STORE)
    database = ours(tmp_path, [guix, debian, item, other])
    assert [row[0] for row in dump(database)[0]] == [item.path]


def test_a_reference_to_another_store_is_refused() -> None:
    guix = nar_item("/gnu/store/x-guix")
    item = nar_item("/nix/store/x-item", references=[guix.path])
    with pytest.raises(DatabaseError, match="/gnu/store/x-guix is not in /nix/store"):
        list(nix.entries(Closure([guix, item]), epoch=1))


def test_no_items(tmp_path: Path) -> None:
    database = ours(tmp_path, [])
    assert dump(database)[:3] == [[], [], []]
    assert ask(database, "SELECT count(*) FROM sqlite_sequence") == [[(0,)]]


def derivation(data: bytes) -> NarItem:
    path = "/nix/store/x.drv"
    return nar_item(path, File(path[1:].encode(), Data(data)))


OUTPUT = b'("out","/nix/store/x","","")'


@pytest.mark.parametrize(
    ("data", "outputs"),
    [
        (b"Derive([" + OUTPUT + b"],[],...", [("out", "/nix/store/x")]),
        (b'DrvWithVersion("xp-dyn-drv",[' + OUTPUT + b"],[],...", [("out", "/nix/store/x")]),
        (b'Derive([("out","","r:sha256","")],[],...', []),
        (b'Derive([("b","/s/1","sha256","00"),("a","/s/2","","")],[],', [("a", "/s/2"), ("b", "/s/1")]),
    ],
)
def test_outputs_of_derivations(tmp_path: Path, data: bytes, outputs: list[tuple[str, str]]) -> None:
    database = ours(tmp_path, [derivation(data)])
    assert [row[1:] for row in dump(database)[2]] == outputs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Derive(",
        b"Derive([",
        b"Derive([],[],",
        b"Derive([" + OUTPUT,
        b"Derive([" + OUTPUT + b"]",
        b"Derive([" + OUTPUT + b"])",
        b"Derive([" + OUTPUT + b"," + OUTPUT + b"],[],",
        b" Derive([" + OUTPUT + b"],[],",
        b'Derive([("out","/nix/store/\\"","","")],[],',
        b'Derive([("o/ut","/nix/store/x","","")],[],',
        b'Derive([("out","nix/store/x","","")],[],',
        b'Derive([("out","/nix/store/x\0","","")],[],',
        b'Derive([("out","/nix/store/x","")],[],',
        b'DrvWithVersion("",[' + OUTPUT + b"],[],",
    ],
)
def test_what_is_no_derivation(data: bytes) -> None:
    with pytest.raises(DerivationError, match=r"/nix/store/x\.drv is not a derivation"):
        list(nix.entries(Closure([derivation(data)]), epoch=1))


_TWO_OUTPUTS = b"Derive([" + OUTPUT + b"," + OUTPUT.replace(b"out", b"dev") + b"],["


@given(st.binary(max_size=200), st.integers(0, len(_TWO_OUTPUTS)))
def test_what_begins_like_a_derivation_is_refused_or_has_the_outputs_that_stand_there(noise: bytes, kept: int) -> None:
    data = _TWO_OUTPUTS[:kept] + noise
    try:
        found = outputs(data, "/nix/store/x.drv")
    except DerivationError:
        assert not data.startswith(_TWO_OUTPUTS)
    else:
        assert all(f'("{name}","{path}",'.encode() in data for name, path in found.items())
        assert not data.startswith(_TWO_OUTPUTS) or list(found) == ["dev", "out"]


def test_a_folder_with_the_name_of_a_derivation() -> None:
    folder = nar_item("/nix/store/x.drv", Directory(b"nix/store/x.drv"))
    with pytest.raises(DatabaseError, match=r"x\.drv is not a file"):
        list(nix.entries(Closure([folder]), epoch=1))


def test_modes(tmp_path: Path, made_by_nix: Nix) -> None:
    modes = {
        entry.path.decode(): entry.meta.mode for entry in nix.entries(Closure([]), epoch=1) if isinstance(entry, File)
    }
    assert modes == {path: (made_by_nix.root / path).stat().st_mode & 0o7777 for path in modes}

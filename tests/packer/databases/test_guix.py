"""Guix cannot be asked here; Nix can, whose database of an earlier day Guix's is, and SQLite with Guix's statements."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from layers.entry import Data, File
from layers.item import Closure, StoreItem
from packer.databases import guix
from packer.databases.sqlite import DatabaseError
from tests.support.graphs import Graph
from tests.support.nar_items import items_of, nar_item, write_entries
from tests.support.nix_program import Nix
from tests.support.sqlite_libraries import LIBRARIES, Library, ask, assert_sound

DATABASE = "var/guix/db/db.sqlite"
HASH = "0123456789abcdfghijklmnpqrsvwxy"
GRAPH: Graph = {"a": ["a"], "b": ["a"], "c": ["a", "b", "c"], "d": [], "e": ["c", "d"]}

# `register-items` of guix/store/database.scm: how it looks for an item, adds it, and its references.
FIND = "SELECT id FROM ValidPaths WHERE path = '{}'"
REGISTER = (
    "INSERT INTO ValidPaths (path, hash, registrationTime, deriver, narSize) VALUES ('{}', 'sha256:00', 1, NULL, 112)"
)
REFER = "INSERT OR REPLACE INTO Refs (referrer, reference) VALUES ({}, {})"


def ours(folder: Path, items: Iterable[StoreItem], epoch: int = 1) -> Path:
    """Our database."""
    write_entries(guix.entries(Closure(items), epoch=epoch), folder)
    assert_sound(folder / DATABASE)
    return folder / DATABASE


def test_the_schema(tmp_path: Path) -> None:
    """Columns and rules as Guix's daemon creates them: schema 7 of Nix."""
    database = ours(tmp_path, [])
    columns = "SELECT name, type, \"notnull\", pk FROM pragma_table_info('{}')"
    tables = ("ValidPaths", "Refs", "DerivationOutputs", "FailedPaths")
    assert ask(database, *(columns.format(table) for table in tables)) == [
        [
            ("id", "INTEGER", 1, 1),
            ("path", "TEXT", 1, 0),
            ("hash", "TEXT", 1, 0),
            ("registrationTime", "INTEGER", 1, 0),
            ("deriver", "TEXT", 0, 0),
            ("narSize", "INTEGER", 0, 0),
        ],
        [("referrer", "INTEGER", 1, 1), ("reference", "INTEGER", 1, 2)],
        [("drv", "INTEGER", 1, 1), ("id", "TEXT", 1, 2), ("path", "TEXT", 1, 0)],
        [("path", "TEXT", 1, 1), ("time", "INTEGER", 1, 0)],
    ]
    names = "SELECT name FROM sqlite_master WHERE type = '{}' AND sql IS NOT NULL ORDER BY name"
    rules = 'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(\'Refs\') ORDER BY 1'
    assert ask(database, names.format("index"), names.format("trigger"), rules) == [
        [("IndexDerivationOutputs",), ("IndexReference",), ("IndexReferrer",)],
        [("DeleteSelfRefs",)],
        [("reference", "ValidPaths", "id", "RESTRICT"), ("referrer", "ValidPaths", "id", "CASCADE")],
    ]


def test_the_rows(tmp_path: Path) -> None:
    drv = f"/gnu/store/{HASH}1-a.drv"
    first = nar_item(f"/gnu/store/{HASH}0-a", deriver=drv, signatures=["not:kept"], ultimate=True, self_reference=True)
    term = f'Derive([("out","{first.path}","","")],[],[],"x","y",[],[])'
    made = nar_item(drv, File(drv[1:].encode(), Data(term.encode())))
    last = nar_item(f"/gnu/store/{HASH}2-b", references=[first.path])
    assert ask(
        ours(tmp_path, [last, made, first], epoch=7),
        "SELECT * FROM ValidPaths",
        "SELECT * FROM Refs",
        "SELECT * FROM DerivationOutputs",
        "SELECT * FROM FailedPaths",
        "SELECT * FROM sqlite_sequence",
    ) == [
        [
            (1, first.path, str(first.nar_hash), 7, drv, first.nar_size),
            (2, drv, str(made.nar_hash), 7, None, made.nar_size),
            (3, last.path, str(last.nar_hash), 7, None, last.nar_size),
        ],
        [(1, 1), (3, 1)],
        [(2, "out", first.path)],
        [],
        [("ValidPaths", 3)],
    ]


def test_nix_takes_it_for_its_own_of_an_earlier_day(tmp_path: Path) -> None:
    """It is told that the schema is 7, upgrades the database, and verifies the items."""
    items = items_of(GRAPH, guix.STORE)
    root, state = tmp_path / "root", tmp_path / "state"
    write_entries((entry for item in items for entry in item.contents.entries()), root)
    (state / "db").mkdir(parents=True)
    ours(root, items).rename(state / "db/db.sqlite")
    (state / "db/schema").write_text("7")
    nix = Nix(root, f"local?store={guix.STORE}&real={root}{guix.STORE}&state={state}&log={tmp_path}/log")
    assert nix.store("--verify", "--check-contents") == []
    assert (state / "db/schema").read_text() == "10"
    assert sorted(nix.store("-qR", items[4].path)) == sorted(item.path for item in items)
    nix.store("--delete", items[4].path, items[2].path)
    assert sorted(nix.store("-q", "--referrers", items[0].path)) == sorted(item.path for item in items[:2])
    changed = root / items[3].path[1:]
    changed.chmod(0o644)
    changed.write_text("changed")
    nix.store("--verify", "--check-contents", code=1)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_guix_goes_on_with_it(tmp_path: Path, library: Library) -> None:
    """Its own statements find our items, and add others."""
    items = items_of(GRAPH, guix.STORE)
    database = ours(tmp_path, items)
    new = f"/gnu/store/{HASH}0-new"
    found = FIND.format(items[3].path)
    answers = ask(database, found, FIND.format(new), REGISTER.format(new), FIND.format(new), library=library)
    assert answers == [[(1,)], [], [], [(6,)]]
    ask(database, REFER.format(6, 6), REFER.format(6, 1), REFER.format(3, 2), library=library)
    assert ask(database, "SELECT count(*) FROM Refs", library=library) == [[(9,)]]
    with pytest.raises(Exception, match=r"UNIQUE constraint failed: ValidPaths\.path"):
        ask(database, REGISTER.format(new), library=library)
    assert_sound(database)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_references_hold_items_but_for_their_own(tmp_path: Path, library: Library) -> None:
    items = items_of({"a": ["a"], "b": ["b"], "c": ["b"]}, guix.STORE)
    database = ours(tmp_path, items)
    delete, foreign_keys = "DELETE FROM ValidPaths WHERE path = '{}'", "PRAGMA foreign_keys = on"
    ask(database, foreign_keys, delete.format(items[0].path), library=library)
    with pytest.raises(Exception, match="FOREIGN KEY constraint failed"):
        ask(database, foreign_keys, delete.format(items[1].path), library=library)
    assert ask(database, "SELECT count(*) FROM ValidPaths", "SELECT count(*) FROM Refs") == [[(2,)], [(2,)]]


def test_only_items_of_this_store(tmp_path: Path) -> None:
    (item,) = items_of({"a": []}, guix.STORE)
    nix = nar_item(f"/nix/store/{HASH}0-nix")
    assert ask(ours(tmp_path, [nix, item]), "SELECT path FROM ValidPaths") == [[(item.path,)]]
    with pytest.raises(DatabaseError, match=f"{nix.path} is not in /gnu/store"):
        list(guix.entries(Closure([nix, nar_item("/gnu/store/x", references=[nix.path])]), epoch=1))


def test_one_file_that_all_may_read() -> None:
    assert [(entry.path, entry.meta.mode) for entry in guix.entries([], epoch=1) if isinstance(entry, File)] == [
        (DATABASE.encode(), 0o644)
    ]

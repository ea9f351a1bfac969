"""SQLite itself is the oracle, in two libraries."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.databases import sqlite
from packer.databases.sqlite import DatabaseError, Index, Row, Table, Trigger, database
from tests.support.sqlite_libraries import LIBRARIES, Library, ask, assert_sound

TABLE = Table("t", "CREATE TABLE t (id integer primary key, text text unique, number integer)")
SCHEMA = (
    TABLE,
    Index("sqlite_autoindex_t_1", "t", (1,)),
    Index("by_number", "t", (2, 1), "CREATE INDEX by_number ON t (number, text)"),
    Table("empty", "CREATE TABLE empty (a)"),
    Index("by_a", "empty", (0,), "CREATE INDEX by_a ON empty (a)"),
    Trigger(
        "t_deleted", "t", "CREATE TRIGGER t_deleted after delete on t begin insert into empty values (old.id); end"
    ),
)

# The largest payload that stands in a cell of a table, and of an index, is 4061 and 1002 bytes.
SIZES = (0, 1, 57, 58, 127, 128, 999, 1000, 1001, 1002, 1003, 4050, 4055, 4060, 4061, 5000, 8200, 100_000)
BORDERS = sorted(
    {sign * ((1 << bits) + step) for bits in (0, 7, 8, 15, 23, 31, 47, 62) for sign in (1, -1) for step in (-1, 0, 1)}
)
NUMBERS = (*BORDERS, (1 << 63) - 1, -(1 << 63))


def assert_holds(folder: Path, rows: Sequence[Row]) -> Path:
    """The rows are there, in tables and indices."""
    path = folder / "db.sqlite"
    path.write_bytes(database(SCHEMA, {"t": rows}))
    assert_sound(path)
    numbered = [(number, *row[1:]) for number, row in enumerate(rows, 1)]
    for library in LIBRARIES.values():
        assert ask(path, "SELECT * FROM t NOT INDEXED ORDER BY id", library=library) == [numbered]
    by_text, by_number = ask(
        path,
        "SELECT text FROM t INDEXED BY sqlite_autoindex_t_1 WHERE text >= '' ORDER BY text",
        "SELECT number, text FROM t INDEXED BY by_number ORDER BY number, text",
    )
    assert by_text == sorted((row[1],) for row in rows)
    assert by_number == sorted((row[2], row[1]) for row in rows)
    return path


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 50, 170, 341, 342, 343, 400, 20_000])
@pytest.mark.parametrize("length", [1, 40, 990])
def test_any_number_of_rows(tmp_path: Path, count: int, length: int) -> None:
    rows = [
        (None, f"{number * 7919 % 100_003:0{length}}", number % 10) for number in range(min(count, 2_000_000 // length))
    ]
    assert_holds(tmp_path, rows)


def test_as_many_rows_as_pages_end_with(tmp_path: Path) -> None:
    """Every way in which the last pages of a level can be full."""
    for count in range(1, 130):
        assert_holds(tmp_path, [(None, f"{number:0900}", 0) for number in range(count)])


@pytest.mark.parametrize("size", SIZES)
def test_any_size_of_a_text(tmp_path: Path, size: int) -> None:
    assert_holds(tmp_path, [(None, "a" * size, 1), (None, "b", 2), (None, "d" + "c" * size, 3)])


def test_any_number(tmp_path: Path) -> None:
    path = assert_holds(tmp_path, [(None, f"{number}", number) for number in NUMBERS])
    assert ask(path, "SELECT DISTINCT typeof(number) FROM t") == [[("integer",)]]


def test_texts_of_any_script_and_null(tmp_path: Path) -> None:
    rows: list[Row] = [(None, text, len(text)) for text in ("é", "z", "\U0001f600", "\uffff", "Z", "")]
    assert_holds(tmp_path, rows)
    path = tmp_path / "null.sqlite"
    path.write_bytes(database((TABLE,), {"t": [(None, None, None), (None, "", 0)]}))
    assert ask(path, "SELECT * FROM t") == [[(1, None, None), (2, "", 0)]]


def test_the_schema_is_what_was_asked_for(tmp_path: Path) -> None:
    path = assert_holds(tmp_path, [(None, "a", 1)])
    found = ask(path, "SELECT type, name, tbl_name, sql FROM sqlite_master")[0]
    assert found == [
        ("table", "t", "t", TABLE.sql),
        ("index", "sqlite_autoindex_t_1", "t", None),
        ("index", "by_number", "t", "CREATE INDEX by_number ON t (number, text)"),
        ("table", "empty", "empty", "CREATE TABLE empty (a)"),
        ("index", "by_a", "empty", "CREATE INDEX by_a ON empty (a)"),
        ("trigger", "t_deleted", "t", SCHEMA[-1].sql),
    ]


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_a_library_reads_it_without_a_change_and_goes_on_with_it(tmp_path: Path, library: Library) -> None:
    path = assert_holds(tmp_path, [(None, f"{number:0500}", number) for number in range(500)])
    written = path.read_bytes()
    ask(path, "SELECT count(*) FROM t", "PRAGMA quick_check", library=library)
    assert path.read_bytes() == written
    changes = (
        "PRAGMA journal_mode = wal",
        "DELETE FROM t WHERE id % 3 = 0",
        "INSERT INTO t (text, number) VALUES ('new', 5)",
        "SELECT count(*), max(id) FROM t",
        "SELECT count(*) FROM empty",
        "VACUUM",
        "SELECT count(*), max(id) FROM t",
    )
    answers = ask(path, *changes, library=library)
    assert answers[3:5] == [[(335, 501)], [(166,)]]
    assert answers[-1] == [(335, 501)]
    assert_sound(path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5000)
ROWS = st.lists(st.tuples(st.none(), TEXTS, st.sampled_from(NUMBERS)), max_size=40, unique_by=lambda row: row[1])


@given(ROWS)
def test_any_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    assert_holds(tmp_path_factory.mktemp("rows"), rows)


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    """A store's database may have any; they are ordered as bytes."""
    path = tmp_path / "db.sqlite"
    path.write_bytes(database(SCHEMA, {"t": [(None, "\udcff", 1), (None, "\U0001f600", 1)]}))
    assert ask(path, "PRAGMA integrity_check", "SELECT hex(text) FROM t ORDER BY text") == [
        [("ok",)],
        [("F09F9880",), ("FF",)],
    ]


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 200])
def test_a_number_that_has_no_room(number: int) -> None:
    with pytest.raises(DatabaseError, match="more than 64 bits"):
        database(SCHEMA, {"t": [(None, "a", number)]})


def test_a_database_ends_before_the_page_of_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sqlite._LOCK_PAGE == 262_145  # section 1.4: the byte 2 ** 30
    rows = [(None, f"{number:0900}", 0) for number in range(100)]
    size = len(database(SCHEMA, {"t": rows})) // 4096
    monkeypatch.setattr(sqlite, "_LOCK_PAGE", size + 1)
    assert len(database(SCHEMA, {"t": rows})) // 4096 == size
    monkeypatch.setattr(sqlite, "_LOCK_PAGE", size)
    with pytest.raises(DatabaseError, match="more than 1 GiB"):
        database(SCHEMA, {"t": rows})


def test_a_schema_that_has_no_room() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        database([Table(f"t{number}", f"CREATE TABLE t{number} ({'a' * 300})") for number in range(20)], {})

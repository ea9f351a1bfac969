"""Databases that lie: whatever is in one, the answer is a closure or one clear message."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import PackError
from packer.nix import database as module
from packer.nix.database import BusyError, SchemaError, StoreDatabase, ask
from packer.nix.layout import GUIX, NIX, Layout
from packer.nix.valid_path import RegistrationError, UnknownRootError, ValidPath, closure
from tests.support.processes import as_nobody, needs_root, public_folder

HASHES = [f"{digit * 32}" for digit in "0123"]
A, B, C, OTHER = (f"/nix/store/{digest}-{name}" for digest, name in zip(HASHES, "abco", strict=True))
SHA = "sha256:" + "5" * 64

#: Without constraints, so that a row can say anything.
TABLES = """
CREATE TABLE ValidPaths (id integer primary key, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca);
CREATE TABLE Refs (referrer, reference);
CREATE TABLE DerivationOutputs (drv, id, path);
"""
ROW = {"id": 1, "path": A, "hash": SHA, "narSize": 112, "deriver": None, "ultimate": None, "sigs": None, "ca": None}


def write(
    folder: Path,
    rows: Iterable[Mapping[str, Any]] = (),
    references: Iterable[tuple[Any, Any]] = (),
    tables: str = TABLES,
    version: str = "10",
) -> Path:
    """A database."""
    (folder / "schema").write_text(version)
    path = folder / "db.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA synchronous = off; BEGIN; {tables}")
        for row in rows:
            columns = ", ".join(row)
            connection.execute(
                f"INSERT INTO ValidPaths ({columns}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )
        connection.executemany("INSERT INTO Refs VALUES (?, ?)", references)
        connection.execute("COMMIT")
    return path


def read(path: Path, *roots: str, layout: Layout = NIX) -> list[ValidPath]:
    """The closure of some roots, A if none is named."""

    def question(database: StoreDatabase) -> list[ValidPath]:
        return closure(database.find, roots or (A,), str(path))

    return ask(str(path), layout, str(path.parent), question)


def test_an_honest_database(tmp_path: Path) -> None:
    rows = [
        {**ROW, "deriver": f"{OTHER}.drv", "ultimate": 1, "sigs": "b:Yg== a:YQ==", "ca": f"fixed:r:sha256:{'0' * 52}"},
        {**ROW, "id": 7, "path": B},
        {**ROW, "id": 9, "path": C},
    ]
    first, second = read(write(tmp_path, rows, [(1, 7), (1, 1), (7, 7)]))
    assert first.references == (A, B)
    assert second.references == (B,)
    assert first.deriver == f"{OTHER}.drv"
    assert first.signatures == ("a:YQ==", "b:Yg==")
    assert first.content_address == f"fixed:r:sha256:{'0' * 52}"
    assert first.ultimate
    assert not second.ultimate


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + "0" * 64,
        "sha256:" + "0" * 52,
        "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ],
)
def test_hashes_in_every_form(tmp_path: Path, text: str) -> None:
    (valid,) = read(write(tmp_path, [{**ROW, "hash": text}]))
    assert str(valid.nar_hash) == "sha256:" + "0" * 64


def test_guix_has_fewer_columns(tmp_path: Path) -> None:
    tables = TABLES.replace(", ultimate, sigs, ca", "")
    item = A.replace("/nix/", "/gnu/")
    row = {"id": 1, "path": item, "hash": SHA, "narSize": 1}
    (valid,) = read(write(tmp_path, [row], [(1, 1)], tables, "7"), item, layout=GUIX)
    assert valid == ValidPath(item, valid.nar_hash, 1, (item,))
    (tmp_path / "schema").unlink()
    assert read(tmp_path / "db.sqlite", item, layout=GUIX) == [valid]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hash": None}, "hash is '', which is no SHA-256"),
        ({"hash": "md5:0123"}, "hash is md5:0123, which is no SHA-256"),
        ({"hash": "5" * 64}, "which is no SHA-256"),
        ({"hash": SHA.upper()}, "which is no SHA-256"),
        ({"hash": SHA + "\n"}, "which is no SHA-256"),
        ({"hash": 17}, "hash is 17, which is no text"),
        ({"hash": b"\0"}, r"hash is b'\x00', which is no text"),
        ({"hash": "é" * 64}, "which is no SHA-256"),
        ({"narSize": None}, "narSize is not known"),
        ({"narSize": 0}, "narSize is not known"),
        ({"narSize": -1}, "narSize is -1, which is no number"),
        ({"narSize": (1 << 63) - 1}, "which is no number from 0"),
        ({"narSize": "12"}, "narSize is 12, which is no number"),
        ({"narSize": 1.5}, "narSize is 1.5, which is no number"),
        ({"deriver": "/etc/passwd"}, "deriver is /etc/passwd, which is no path of an item of /nix/store"),
        ({"deriver": B + "/../x"}, "which is no path of an item"),
        ({"deriver": 3}, "deriver is 3, which is no text"),
        ({"ultimate": "yes"}, "ultimate is yes, which is no number"),
        ({"sigs": "key"}, "sigs has key, which is not of the form KEY:BASE64"),
        ({"sigs": "key:!"}, "sigs has key:!, which is not"),
        ({"sigs": b"k:YQ=="}, "which is no text"),
        ({"ca": "elsewhere"}, "ca is elsewhere, which is no content address"),
        ({"ca": "fixed:r:sha256:../.."}, "which is no content address"),
    ],
)
def test_a_row_that_lies(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        read(write(tmp_path, [{**ROW, **changes}]))
    assert str(caught.value).startswith(f"{tmp_path}/db.sqlite: {A}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/nix/store/../../etc/passwd",
        f"/nix/store/{HASHES[0]}-a/../../x",
        f"/nix/store/{HASHES[0]}-..",
        f"/nix/store/{HASHES[0]}-.hidden",
        f"/nix/store/{HASHES[0]}-a\n",
        f"/nix/store/{HASHES[0]}-a\0b",
        f"/nix/store/{HASHES[0]}-é",
        f"/nix/store/{HASHES[0]}-" + "x" * 212,
        f"/nix/store/{'e' * 32}-x",
        f"/gnu/store/{HASHES[0]}-a",
        "",
        17,
        b"/nix/store",
    ],
)
def test_a_reference_that_leads_out_of_the_store(tmp_path: Path, path: Any) -> None:
    with pytest.raises(RegistrationError, match="which is no path of an item of /nix/store") as caught:
        read(write(tmp_path, [ROW, {**ROW, "id": 2, "path": path}], [(1, 2)]))
    assert str(caught.value).startswith(f"{tmp_path}/db.sqlite: {A}: a reference is ")
    assert str(caught.value).isprintable() or "\n  " in str(caught.value)


@pytest.mark.parametrize("number", [2, 0, -1, None, "x", 2.5, b""])
def test_a_reference_to_nothing(tmp_path: Path, number: Any) -> None:
    with pytest.raises(RegistrationError, match=rf"{A}: it refers to number .*, which is not registered"):
        read(write(tmp_path, [ROW], [(1, number)]))


def test_an_item_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="it is there twice"):
        read(write(tmp_path, [ROW, {**ROW, "id": 2}]))


def test_an_item_that_is_found_by_another_name(tmp_path: Path) -> None:
    tables = TABLES.replace("path, hash", "path collate nocase, hash")
    with pytest.raises(RegistrationError, match="it is found as"):
        read(write(tmp_path, [{**ROW, "path": A.replace("-a", "-A")}], tables=tables))


def test_more_references_than_anybody_has(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="it refers to more than 100000 items"):
        read(write(tmp_path, [ROW], [(1, 1)] * 100_001))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ("", "there is no table ValidPaths"),
        ("CREATE TABLE ValidPaths (id, path)", "the table ValidPaths has no column hash"),
        (TABLES.replace("CREATE TABLE Refs", "CREATE TABLE References_"), "there is no table Refs"),
        (TABLES.replace("reference)", "other)"), "the table Refs has no column reference"),
        (TABLES.replace(", ultimate", ""), "the table ValidPaths has no column ultimate"),
        (TABLES.replace("ValidPaths", "Hidden") + "CREATE VIEW ValidPaths AS SELECT * FROM Hidden;", "no table Valid"),
        (
            TABLES.replace("CREATE TABLE Refs (referrer, reference)", "CREATE VIEW Refs AS WITH RECURSIVE n(referrer)"
            " AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT referrer, referrer AS reference FROM n"),
            "there is no table Refs",
        ),
        (
            TABLES.replace("CREATE TABLE Refs (", "CREATE VIRTUAL TABLE Refs USING fts4("),
            "there is no table Refs",
        ),
        (
            TABLES.replace("hash, reg", "hash GENERATED ALWAYS AS (hex(zeroblob(1000000000))), reg"),
            "has no column hash",
        ),
    ],
)  # fmt: skip
def test_another_schema(tmp_path: Path, tables: str, said: str) -> None:
    path = write(tmp_path, tables=tables) if "Refs" in tables and "VIEW Refs" not in tables else _made(tmp_path, tables)
    with pytest.raises(SchemaError, match=said):
        read(path)


def _made(folder: Path, tables: str) -> Path:
    (folder / "schema").write_text("10")
    with closing(sqlite3.connect(folder / "db.sqlite")) as connection:
        connection.executescript(tables + ";")
    return folder / "db.sqlite"


def test_a_text_without_end_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="cannot be read"):
        read(write(tmp_path, [{**ROW, "sigs": "a:YQ== " * 1_000_000}]))


def test_a_query_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an index, each item is looked for in a million rows."""
    monkeypatch.setattr(module, "_STEPS", 10_000)
    monkeypatch.setattr(module, "_MOST_STEPS", 5)
    path = write(tmp_path, [ROW], [(2, 2)] * 100_000)
    with pytest.raises(PackError, match="interrupted"):
        read(path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_links_are_not_followed(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, [ROW])
    (tmp_path / "elsewhere").write_bytes(path.read_bytes())
    (tmp_path / f"db.sqlite{suffix}").unlink(missing_ok=True)
    (tmp_path / f"db.sqlite{suffix}").symlink_to("elsewhere")
    with pytest.raises(PackError):
        read(path)


@pytest.mark.parametrize("name", ["db.sqlite", "db.sqlite-wal", "db.sqlite-journal", "schema"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    path = write(tmp_path, [ROW])
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(PackError, match=f"{name} is not a file|cannot read .*schema|ocipack knows 10"):
        read(path)


@needs_root
@pytest.mark.parametrize("name", ["db.sqlite", "db.sqlite-wal", "schema"])
def test_what_may_not_be_read(name: str) -> None:
    with public_folder() as folder:
        path = write(folder, [ROW])
        (folder / "db.sqlite-wal").write_bytes(b"x" * 100)
        (folder / name).chmod(0)
        assert as_nobody(lambda: read(path)).startswith(("PackError: ", "OutputError: "))


@needs_root
def test_nothing_needs_to_be_written(tmp_path: Path) -> None:
    """A store of somebody else's, whose database is in WAL mode, without its log."""
    with public_folder() as folder:
        path = write(folder, [ROW])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = wal")
        assert as_nobody(lambda: [valid.path for valid in read(path)]) == str([A])
        assert sorted(os.listdir(folder)) == ["db.sqlite", "schema"]


def test_a_database_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, [ROW])
    asked = []

    def question(database: StoreDatabase) -> list[ValidPath]:
        asked.append(1)
        found = closure(database.find, (A,), str(path))
        if len(asked) < 3:
            os.utime(path, ns=(len(asked), len(asked)))
        return found

    assert [valid.path for valid in ask(str(path), NIX, str(tmp_path), question)] == [A]
    assert len(asked) == 3


def test_a_database_that_always_changes(tmp_path: Path) -> None:
    path = write(tmp_path, [ROW])
    count = iter(range(1000))

    def question(_: StoreDatabase) -> None:
        os.utime(path, ns=(0, next(count)))

    with pytest.raises(BusyError, match="is being written to all the time"):
        ask(str(path), NIX, str(tmp_path), question)


def test_what_is_wrong_while_it_changes_proves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, [{**ROW, "hash": "?"}])
    (tmp_path / "later").mkdir()
    later = write(tmp_path / "later", [ROW])

    def question(database: StoreDatabase) -> list[ValidPath]:
        if later.exists():
            later.replace(path)
        return closure(database.find, (A,), str(path))

    assert len(ask(str(path), NIX, str(tmp_path), question)) == 1


# -- fuzzing ------------------------------------------------------------------------------------------------------

ITEMS = st.sampled_from([A, B, C, OTHER])
ANYTHING = st.one_of(
    st.none(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.text(max_size=40),
    st.binary(max_size=40),
    ITEMS,
    ITEMS.map(lambda path: path + "/../../.."),
    st.sampled_from([SHA, "sha256:", "fixed:r:sha256:0", "text:", "/nix/store/", "/nix/store/..", "key:YQ==", 0, 1, 2]),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"path": ITEMS | ANYTHING, "hash": st.just(SHA) | ANYTHING, "narSize": st.integers(1, 1000) | ANYTHING},
        optional=dict.fromkeys(("deriver", "ultimate", "sigs", "ca"), ANYTHING),
    ),
    max_size=4,
)
REFERENCES = st.lists(st.tuples(st.integers(0, 4) | ANYTHING, st.integers(0, 4) | ANYTHING), max_size=6)


def answered(path: Path) -> list[ValidPath]:
    """What the database says, if it is believed; only PackError may be raised besides."""
    start = time.monotonic()
    try:
        found = read(path)
    except (PackError, UnknownRootError) as error:
        assert str(error)
        found = []
    assert time.monotonic() - start < 30
    for valid in found:
        assert NIX.is_item(valid.path)
        assert all(map(NIX.is_item, valid.references))
        assert valid.nar_hash
        assert valid.nar_size > 0
    return found


@settings(max_examples=1000)
@given(ROWS, REFERENCES)
def test_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], references: list[tuple[Any, Any]]
) -> None:
    clean = [{k: v.encode(errors="replace") if _surrogate(v) else v for k, v in row.items()} for row in rows]
    pairs = [tuple(v.encode(errors="replace") if _surrogate(v) else v for v in pair) for pair in references]
    answered(write(_folder(tmp_path_factory, "rows"), clean, pairs))


@settings(max_examples=1000)
@given(st.lists(st.tuples(st.integers(0, 5 * 4096 - 1), st.integers(0, 255)), min_size=1, max_size=30), st.booleans())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: bool) -> None:
    folder = _folder(tmp_path_factory, "bytes")
    whole = folder / "whole"
    if not whole.exists():
        path = write(folder, [{**ROW, "id": number, "path": path} for number, path in enumerate((A, B, C))], [(0, 1)])
        path.rename(whole)
    data = bytearray(whole.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    (folder / "db.sqlite").write_bytes(data[: changes[0][0]] if cut else data)
    answered(folder / "db.sqlite")


def _surrogate(value: object) -> bool:
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.getbasetemp() / f"fuzz-{name}"
    folder.mkdir(exist_ok=True)
    return folder

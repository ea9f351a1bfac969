"""Two SQLite libraries, as independent readers: the interpreter's and another one."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import apsw


class Connection(Protocol):
    """An open database."""

    def execute(self, statements: str, /) -> Iterable[Any]: ...

    def close(self) -> None: ...


Library = Callable[[Path], Connection]


def _interpreter(path: Path) -> Connection:
    return sqlite3.connect(path, isolation_level=None)


def _other(path: Path) -> Connection:
    return apsw.Connection(str(path))


#: Version -> what opens a database.
LIBRARIES: Mapping[str, Library] = {
    f"sqlite3-{sqlite3.sqlite_version}": _interpreter,
    f"apsw-{apsw.sqlite_lib_version()}": _other,
}

CHECKS = ("PRAGMA integrity_check", "PRAGMA foreign_key_check")


def ask(path: Path, *questions: str, library: Library = _interpreter) -> list[list[Sequence[Any]]]:
    """The answers to some statements, one after the other."""
    connection = library(path)
    try:
        return [[tuple(row) for row in connection.execute(question)] for question in questions]
    finally:
        connection.close()


def assert_sound(path: Path) -> None:
    """Both libraries find nothing to complain about."""
    for name, library in LIBRARIES.items():
        assert ask(path, *CHECKS, library=library) == [[("ok",)], []], name

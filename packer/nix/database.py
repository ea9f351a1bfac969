"""The databases of Nix and Guix, read without a trace: nothing is written beside them, and no lock is taken.

The file is opened immutable: SQLite then neither needs to write nor looks at what another process has not put into it
yet. So when there is a write-ahead log or a rollback journal with something in it, as while a daemon works, database
and log are copied into a private folder, and the copy is opened as usual: SQLite puts them together there. (It could
open the original read-only instead, but would make files beside it, or fail where it may not.)

A daemon may write meanwhile. What was read counts only if the state of the files is the same before and after; the log
may have grown, since that adds transactions behind those that were copied.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar
from urllib.parse import quote

from layers.errors import InputError, PackError
from layers.output import said, writing_cache
from packer.nix.layout import Layout
from packer.nix.valid_path import RegistrationError, ValidPath, checked, shown

_ATTEMPTS = 10
_WAL_HEADER = 32  # bytes; it has a new salt when the log starts anew: sqlite.org/walformat, section 2.1
_COLUMNS = ("path", "hash", "deriver", "narSize")
_LARGEST_VALUE = 4 << 20  # bytes of a text; the longest of real ones are lists of signatures
_MOST_REFERENCES = 100_000
# An item takes 200 steps and a reference 20; damaged pages can be a tree without end.
_STEPS = 10_000_000
_MOST_STEPS = 200  # times _STEPS: about 10 s

_Answer = TypeVar("_Answer")
_State = tuple[object, ...]


class NoDatabaseError(InputError):
    """There is no store of this kind where one was looked for."""


class SchemaError(PackError):
    """A database of another version."""


class BusyError(PackError):
    """A database that is written to all the time."""


class StoreDatabase:
    """An open database.

    Args:
        connection: to it.
        layout: of the store.
        origin: its path, for messages.

    Raises:
        SchemaError: it does not have the tables of this version.
    """

    def __init__(self, connection: sqlite3.Connection, layout: Layout, origin: str) -> None:
        self._connection = connection
        self._layout = layout
        self._origin = origin
        self._columns = (*_COLUMNS, *layout.columns)
        self._steps = 0
        connection.text_factory = lambda data: data.decode("ascii", "backslashreplace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.set_progress_handler(self._step, _STEPS)
        for pragma in ("trusted_schema = off", "cell_size_check = on", "mmap_size = 0", "query_only = on"):
            connection.execute(f"PRAGMA {pragma}")
        self._check_table("ValidPaths", ("id", *self._columns))
        self._check_table("Refs", ("referrer", "reference"))
        self._select = f"SELECT id, {', '.join(self._columns)} FROM ValidPaths WHERE path = ? LIMIT 2"  # noqa: S608  # columns are ours

    def find(self, path: str) -> ValidPath | None:
        """What the database says about an item, if it is registered.

        Raises:
            RegistrationError: what it says cannot be true.
            sqlite3.Error: the file is damaged.
        """
        rows = self._connection.execute(self._select, (path,)).fetchall()
        if not rows:
            return None
        if len(rows) > 1:
            raise RegistrationError(self._origin, path, "it is there twice")
        number, *values = rows[0]
        row = dict(zip(self._columns, values, strict=True))
        valid = checked(self._layout, self._origin, row, self._references(path, number))
        if valid.path != path:
            raise RegistrationError(self._origin, path, f"it is found as {valid.path}")
        return valid

    def _references(self, path: str, number: object) -> list[object]:
        rows = self._connection.execute(
            "SELECT reference, path FROM Refs LEFT JOIN ValidPaths ON id = reference WHERE referrer = ? LIMIT ?",
            (number, _MOST_REFERENCES + 1),
        ).fetchall()
        if len(rows) > _MOST_REFERENCES:
            raise RegistrationError(self._origin, path, f"it refers to more than {_MOST_REFERENCES} items")
        for reference, referred in rows:
            if referred is None:
                raise RegistrationError(
                    self._origin, path, f"it refers to number {shown(reference)}, which is not registered"
                )
        return [referred for _, referred in rows]

    def _check_table(self, table: str, columns: tuple[str, ...]) -> None:
        found = self._connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(?)", (table,)
        ).fetchall()
        if [kind for kind, _ in found] != ["table"] or not str(found[0][1]).upper().startswith("CREATE TABLE"):
            raise self._other(f"there is no table {table}")
        present = {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}
        for column in columns:
            if column not in present:
                raise self._other(f"the table {table} has no column {column}")

    def _other(self, what: str) -> SchemaError:
        return SchemaError(f"{self._origin} is not a database of {self._layout.program} as we know it: {what}")

    def _step(self) -> bool:
        """Whether to stop the query."""
        self._steps += 1
        return self._steps > _MOST_STEPS


def ask(path: str, layout: Layout, folder: str, question: Callable[[StoreDatabase], _Answer]) -> _Answer:
    """The answer to a question about one state of a database.

    Args:
        path: of the database, without links.
        layout: of its store.
        folder: an existing one that nobody else can read, for a copy.
        question: may be asked several times.

    Raises:
        NoDatabaseError: there is none.
        SchemaError: it is of another version.
        RegistrationError: what it says cannot be true.
        BusyError: it never stays the same for the time of the question.
        OutputError: it cannot be copied into the folder.
        PackError: it cannot be read.
    """
    _check_version(path, layout)
    for _ in range(_ATTEMPTS):
        before = _state(path)
        try:
            if before[1:] != (b"", None):
                with _private(folder) as private:
                    copy = _copied(path, private)
                    if _state(path) == before:
                        return _answer(f"file:{quote(copy)}?mode=rw", path, layout, question)
            else:
                answer = _answer(f"file:{quote(path)}?mode=ro&immutable=1", path, layout, question)
                if _state(path) == before:
                    return answer
        except PackError:
            # What was read while it was written to proves nothing.
            if _state(path) == before:
                raise
    raise BusyError(f"{path} is being written to all the time", hint="Try again when fewer builds are running.")


def _answer(uri: str, origin: str, layout: Layout, question: Callable[[StoreDatabase], _Answer]) -> _Answer:
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            return question(StoreDatabase(connection, layout, origin))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        # The latter is an error whose message quotes damaged bytes.
        reason = error if isinstance(error, sqlite3.Error) else "its schema is damaged"
        raise PackError(
            f"{origin} cannot be read: {reason}", hint=f"Can {layout.program} itself still use its store?"
        ) from error


def _private(folder: str) -> "tempfile.TemporaryDirectory[str]":
    with writing_cache(folder):
        return tempfile.TemporaryDirectory(prefix="database-", dir=folder)


def _copied(path: str, folder: str) -> str:
    copy = os.path.join(folder, os.path.basename(path))
    for suffix in ("", "-wal", "-journal"):
        if suffix and not os.path.lexists(path + suffix):
            continue
        try:
            shutil.copyfile(path + suffix, copy + suffix, follow_symlinks=False)
        except OSError as error:
            raise PackError(f"cannot copy {path}{suffix} to {folder}: {said(error)}") from error
    return copy


def _state(path: str) -> _State:
    """What changes when the database is written to: (file, start of its log, its journal)."""
    file = _status(path)
    if file is None:
        raise NoDatabaseError(f"there is no store: {path} does not exist", hint="store.root names another place.")
    return file, _start(f"{path}-wal"), _status(f"{path}-journal", empty=False)


def _status(path: str, *, empty: bool = True) -> tuple[int, ...] | None:
    """Which file it is, how long, and written to when; None if it does not exist, or is empty though it must not be."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackError(f"cannot read {path}: {said(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        raise PackError(f"{path} is not a file")
    if not status.st_size and not empty:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _start(path: str) -> bytes:
    if _status(path) is None:
        return b""
    try:
        with open(path, "rb", opener=_opener) as file:
            return file.read(_WAL_HEADER)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise PackError(f"cannot read {path}: {said(error)}") from error


def _check_version(path: str, layout: Layout) -> None:
    file = os.path.join(os.path.dirname(path), "schema")
    try:
        with open(file, "rb", opener=_opener) as schema:
            version = schema.read(100).decode("ascii", "backslashreplace").strip()
    except FileNotFoundError:
        if not layout.versioned or not os.path.lexists(path):
            return  # a database that does not exist is reported as such
        raise SchemaError(f"{file} does not exist: the version of the database is not known") from None
    except OSError as error:
        raise PackError(f"cannot read {file}: {said(error)}") from error
    if version != layout.schema:
        raise SchemaError(
            f"{file}: the database has the schema {shown(version)}; ocipack knows {layout.schema}",
            hint="A registration file can take its place: store.registration.",
        )


def _opener(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits for somebody who writes.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)

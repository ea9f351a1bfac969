"""Guix's database, /var/guix/db/db.sqlite, as `register-closure` leaves it in an image (gnu/build/install.scm).

The tables are those of nix/libstore/schema.sql, the rows those of `register-items` (guix/store/database.scm): Nix's of
an earlier day, without what was added for signatures, and with the paths whose build has failed. guix-daemon writes
the version of the schema beside it when it first opens the database.
"""

from collections.abc import Iterable, Iterator

from layers.entry import Entry
from layers.item import NarItem, StoreItem
from packer.databases import valid_paths
from packer.databases.sqlite import Index, Row, Schema, Table

#: The folder of the items that it registers.
STORE = "/gnu/store"

_SCHEMA: Schema = (
    Table(
        "ValidPaths",
        """CREATE TABLE ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer
)""",
    ),
    valid_paths.PATHS,
    valid_paths.SEQUENCE,
    *valid_paths.REFERENCES,
    *valid_paths.OUTPUTS,
    Table(
        "FailedPaths",
        """CREATE TABLE FailedPaths (
    path text primary key not null,
    time integer not null
)""",
    ),
    Index("sqlite_autoindex_FailedPaths_1", "FailedPaths", (0,)),
)


def _valid_path(item: NarItem, epoch: int) -> Row:
    return item.path, str(item.nar_hash), epoch, item.deriver or None, item.nar_size


_DATABASE = valid_paths.Database(STORE, b"var/guix/db/db.sqlite", _SCHEMA, _valid_path)


def entries(closure: Iterable[StoreItem], *, epoch: int) -> Iterator[Entry]:
    """The file of the database; see `valid_paths.Database.file`."""
    yield _DATABASE.file(closure, epoch)

"""Nix's database, /nix/var/nix/db, as nix-store leaves it when it has registered the items.

schema     `10`, without a newline: the version of the schema (nix: src/libstore/local-store.hh, `nixSchemaVersion`)
db.sqlite  the tables of that version (src/libstore/schema.sql), rows as `LocalStore::addValidPath` makes them

Since 2.26 Nix lists in one more table what it has changed of that version (`LocalStore::upgradeDBSchema`). It is empty
here, for nothing was changed, and it is here because Nix otherwise makes it when it opens the database, and cannot open
one that it may only read. Older ones do not look at it.

Nix adds its locks, its reserve of space and the write-ahead log when it first opens the database.
"""

from collections.abc import Iterable, Iterator

from layers.entry import Data, Entry, File
from layers.item import NarItem, StoreItem
from packer.databases import valid_paths
from packer.databases.sqlite import Index, Row, Schema, Table

#: The folder of the items that it registers.
STORE = "/nix/store"

_FOLDER = b"nix/var/nix/db/"
_VERSION = b"10"

_SCHEMA: Schema = (
    Table(
        "ValidPaths",
        """CREATE TABLE ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null, -- base16 representation
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies "false"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
)""",
    ),
    valid_paths.PATHS,
    valid_paths.SEQUENCE,
    *valid_paths.REFERENCES,
    *valid_paths.OUTPUTS,
    Table("SchemaMigrations", "CREATE TABLE SchemaMigrations (migration text primary key not null)"),
    Index("sqlite_autoindex_SchemaMigrations_1", "SchemaMigrations", (0,)),
)


def _valid_path(item: NarItem, epoch: int) -> Row:
    return (
        item.path,
        str(item.nar_hash),
        epoch,
        item.deriver or None,
        item.nar_size or None,
        1 if item.ultimate else None,
        " ".join(item.signatures) or None,
        item.content_address or None,
    )


_DATABASE = valid_paths.Database(STORE, _FOLDER + b"db.sqlite", _SCHEMA, _valid_path)


def entries(closure: Iterable[StoreItem], *, epoch: int) -> Iterator[Entry]:
    """The files of the database; see `valid_paths.Database.file`."""
    yield _DATABASE.file(closure, epoch)
    yield File(_FOLDER + b"schema", Data(_VERSION))

"""A store of Guix, made with the statements of its schema."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from layers.entry import Directory, Entry, Meta
from layers.item import NarItem
from tests.support.nar_items import nar_item, write_entries

#: Where Guix keeps its database, below the root.
DATABASE = "var/guix/db/db.sqlite"

#: nix/libstore/schema.sql of Guix.
SCHEMA = """
create table if not exists ValidPaths (
    id integer primary key autoincrement not null, path text unique not null, hash text not null,
    registrationTime integer not null, deriver text, narSize integer
);
create table if not exists Refs (
    referrer integer not null, reference integer not null, primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin delete from Refs where referrer = old.id and reference = old.id; end;
create table if not exists DerivationOutputs (
    drv integer not null, id text not null, path text not null, primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
create table if not exists FailedPaths (path text primary key not null, time integer not null);
"""


def folder_item(path: str, *entries: Entry, **more: Any) -> NarItem:
    """An item that is a folder.

    Args:
        path: of the item.
        entries: with paths that begin in it.
        more: for `nar_item`.
    """
    root = path[1:].encode()
    below = (replace(entry, path=root + b"/" + entry.path) for entry in entries)
    return nar_item(path, Directory(root, Meta(0o555)), *below, **more)


def write_store(root: Path, items: Iterable[NarItem]) -> None:
    """A root with a store and its database, in WAL mode as guix-daemon leaves it.

    Args:
        root: a folder.
        items: each after those that it needs.
    """
    (root / DATABASE).parent.mkdir(parents=True)
    (root / "var/guix/db/schema").write_text("7")
    numbers: dict[str, int] = {}
    with closing(sqlite3.connect(root / DATABASE, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode = wal; {SCHEMA}")
        for number, item in enumerate(items, 3):
            write_entries(item.contents.entries(), root)
            numbers[item.path] = number
            connection.execute(
                "INSERT INTO ValidPaths VALUES (?, ?, ?, 1600000000, ?, ?)",
                (number, item.path, str(item.nar_hash), item.deriver or None, item.nar_size),
            )
            needed = [*item.references, *([item.path] if item.self_reference else [])]
            connection.executemany("INSERT INTO Refs VALUES (?, ?)", [(number, numbers[other]) for other in needed])

"""What the databases of Nix and Guix share: which items are there, what they refer to, what derivations make.

    ValidPaths         an item a row, in topological order; its columns are Nix's or Guix's
    Refs               referrer, reference: numbers of ValidPaths; an item that names itself refers to itself
    DerivationOutputs  drv, id, path: what the derivations among the items make

The statements are as SQLite keeps them when nix-store makes a database (nix: src/libstore/schema.sql; Guix has the
same in nix/libstore/schema.sql). Deleting an item takes its own references with it; a reference of another item
forbids it, which is why a trigger deletes an item's reference to itself before.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from layers.entry import Data, File
from layers.item import NarItem, StoreItem
from layers.reader import Reader
from packer.databases.sqlite import DatabaseError, Index, Row, Schema, Table, Trigger, database
from packer.nix import derivation

#: `id` is `autoincrement`: numbers of items that were deleted are not given again.
SEQUENCE = Table("sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)")

#: The index of the `unique` in ValidPaths.
PATHS = Index("sqlite_autoindex_ValidPaths_1", "ValidPaths", (1,))

REFERENCES: Schema = (
    Table(
        "Refs",
        """CREATE TABLE Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
)""",
    ),
    Index("sqlite_autoindex_Refs_1", "Refs", (0, 1)),
    Index("IndexReferrer", "Refs", (0,), "CREATE INDEX IndexReferrer on Refs(referrer)"),
    Index("IndexReference", "Refs", (1,), "CREATE INDEX IndexReference on Refs(reference)"),
    Trigger(
        "DeleteSelfRefs",
        "ValidPaths",
        """CREATE TRIGGER DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end""",
    ),
)

OUTPUTS: Schema = (
    Table(
        "DerivationOutputs",
        """CREATE TABLE DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually "out"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
)""",
    ),
    Index("sqlite_autoindex_DerivationOutputs_1", "DerivationOutputs", (0, 1)),
    Index(
        "IndexDerivationOutputs",
        "DerivationOutputs",
        (2,),
        "CREATE INDEX IndexDerivationOutputs on DerivationOutputs(path)",
    ),
)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of items.

    Attributes:
        store: the folder of the items that it registers: `/nix/store`.
        path: of its file in the image.
        schema: its tables.
        valid_path: an item's columns in ValidPaths, after its number, by the time at which it is registered.
    """

    store: str
    path: bytes
    schema: Schema
    valid_path: Callable[[NarItem, int], Row]

    def file(self, closure: Iterable[StoreItem], epoch: int) -> File:
        """Its file.

        Args:
            closure: in topological order; only items of its store are registered.
            epoch: when they were registered, in seconds since 1970.

        Raises:
            DatabaseError: it cannot hold them.
            DerivationError: a derivation cannot be understood.
            PackError: a derivation cannot be read.
        """
        rows = registration(closure, self.store, lambda item: self.valid_path(item, epoch))
        return File(self.path, Data(database(self.schema, rows)))


def registration(
    closure: Iterable[StoreItem], store: str, valid_path: Callable[[NarItem], Row]
) -> dict[str, list[Row]]:
    """The rows of every table.

    Args:
        closure: in topological order; items of other stores are left out.
        store: the folder of the store that the database is about: `/nix/store`.
        valid_path: an item's columns in ValidPaths, after its number.

    Raises:
        DatabaseError: an item refers to one that is not in the store, or a derivation is no file.
        DerivationError: a derivation cannot be understood.
        PackError: a derivation cannot be read.
    """
    items = [item for item in closure if isinstance(item, NarItem) and item.path.startswith(f"{store}/")]
    numbers = {item.path: number for number, item in enumerate(items, 1)}
    foreign = sorted({path for item in items for path in item.references} - numbers.keys())
    if foreign:
        raise DatabaseError(f"{foreign[0]} is not in {store}, though an item of that store refers to it")
    return {
        "ValidPaths": [(None, *valid_path(item)) for item in items],
        "sqlite_sequence": [("ValidPaths", len(items))] if items else [],
        "Refs": [(numbers[item.path], reference) for item in items for reference in _references(item, numbers)],
        "DerivationOutputs": _outputs(items),
    }


def _references(item: NarItem, numbers: dict[str, int]) -> list[int]:
    itself = {item.path} if item.self_reference else set()
    return sorted(numbers[path] for path in itself.union(item.references))


def _outputs(items: Sequence[NarItem]) -> list[Row]:
    with Reader() as reader:
        return [
            (number, name, path)
            for number, item in enumerate(items, 1)
            if item.path.endswith(derivation.SUFFIX)
            for name, path in derivation.outputs(_file(item, reader), item.path).items()
        ]


def _file(item: NarItem, reader: Reader) -> bytes:
    entry = next(item.contents.entries(), None)
    if not isinstance(entry, File):
        raise DatabaseError(f"{item.path} is not a file, though it has the name of a derivation")
    return reader.read(entry.content)

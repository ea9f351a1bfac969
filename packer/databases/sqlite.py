"""SQLite databases, written page by page: the same rows are the same bytes, and no sqlite library has a say in them.

A library leaves its version, its counters and stale bytes in the files that it writes, and is free to lay out pages
in another way tomorrow. This writer fills each page and leaves nothing else behind. sqlite.org/fileformat2, sections:

    1.2, 1.3  pages of 4096 bytes, numbered from 1; page 1 begins with the file header of 100 bytes
    1.6       a b-tree page    header (8 bytes, 12 if interior) | a pointer (2) a cell | zeros | ... cell 2 | cell 1
    1.6       cells            table leaf      size, row's number, payload
                               table interior  page (4), number of the last row below it
                               index leaf      size, payload
                               index interior  page (4), size, payload: an entry that stands on no leaf
    1.7       payload that a page does not hold goes on in a chain of overflow pages: next page (4), bytes
    2.1       a record         size of the header, a serial type a value | the values
    2.2-2.5   tables are keyed by the number of the row, indices by their columns and then that number
    2.6       sqlite_schema    a table whose root is page 1: type, name, table, root page, SQL

    page 1             page 2 ...
    +--------+--------+---------------+-------+------------------+-------+----
    | header | schema | leaves of the | its   | leaves of the    | its   | ...
    | (100)  |        | first table   | root  | next table/index | root  |
    +--------+--------+---------------+-------+------------------+-------+----
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.errors import PackError

#: What a row can hold.
Value = str | int | None
Row = Sequence[Value]

_PAGE = 4096
_HEADER = struct.Struct(">16sH6B12I20xII")
_LEAF = struct.Struct(">BHHHB")
_INTERIOR = struct.Struct(">BHHHBI")
_POINTER = 2

_INDEX_INTERIOR, _TABLE_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13

# What a cell may have on its page (section 1.6): X for tables and indices, and M.
_MOST_IN_TABLE = _PAGE - 35
_MOST_IN_INDEX = (_PAGE - 12) * 64 // 255 - 23
_LEAST = (_PAGE - 12) * 32 // 255 - 23

# The page of the byte that locks are taken on (section 1.4) holds no data; a database ends before it.
_LOCK_PAGE = (1 << 30) // _PAGE + 1

_INTEGERS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (6, 8))  # section 2.1: serial type, bytes
_ONE_BYTE = [bytes((value,)) for value in range(0x80)]

_MAGIC = b"SQLite format 3\0"
_ROLLBACK_JOURNAL = 1
_SCHEMA_FORMAT = 4
_UTF_8 = 1
# Readers do not use it; it stands for the release whose description of the format this is.
_VERSION_NUMBER = 3_040_001


class DatabaseError(PackError):
    """Rows that a database cannot hold."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are numbered from 1.

    Attributes:
        name: of the table.
        sql: the statement as `sqlite_schema` has it: it begins with `CREATE TABLE NAME`.
    """

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index.

    Attributes:
        name: of the index; `sqlite_autoindex_TABLE_N` for the one that a constraint makes.
        table: whose rows it orders.
        columns: their places in a row, from 0.
        sql: the statement, empty for an index that a constraint makes.
    """

    name: str
    table: str
    columns: tuple[int, ...]
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger.

    Attributes:
        name: of the trigger.
        table: whose changes it waits for.
        sql: the statement.
    """

    name: str
    table: str
    sql: str


Schema = Sequence[Table | Index | Trigger]


def database(schema: Schema, rows: Mapping[str, Sequence[Row]]) -> bytes:
    """A database file.

    Args:
        schema: what it has, in the order in which it would be created.
        rows: table -> its rows in the order of their numbers; None where the column is `integer primary key`, whose
            value is that number. Tables without rows may be left out.

    Raises:
        DatabaseError: a number has more than 64 bits, or the file would have more than 1 GiB.
    """
    pages = _Pages()
    objects: list[Row] = []
    for part in schema:
        if isinstance(part, Table):
            root = pages.table(map(_record, rows.get(part.name, ())))
            objects.append(("table", part.name, part.name, root, part.sql))
        elif isinstance(part, Index):
            root = pages.index(map(_record, _entries(rows.get(part.table, ()), part.columns)))
            objects.append(("index", part.name, part.table, root, part.sql or None))
        else:
            objects.append(("trigger", part.name, part.table, 0, part.sql))
    return pages.file(map(_record, objects), cookie=len(schema))


def _entries(rows: Sequence[Row], columns: Sequence[int]) -> list[list[Value]]:
    """The rows of an index in their order: numbers by value, texts by their bytes (section 2.2)."""
    found = [[*(row[column] for column in columns), number] for number, row in enumerate(rows, 1)]
    return sorted(found, key=lambda entry: [_text(value) if isinstance(value, str) else value for value in entry])


def _text(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


class _Pages:
    """The pages of a database. The first one, which holds the schema, is made last."""

    def __init__(self) -> None:
        self._pages = [b""]

    def table(self, records: Iterable[bytes]) -> int:
        """Add a table; returns its root page."""
        cells = [
            _varint(len(record)) + _varint(number) + self._local(record, _MOST_IN_TABLE)
            for number, record in enumerate(records, 1)
        ]
        leaves = list(_split(cells, _PAGE - _LEAF.size, between=0))
        pages = [self._add(_page(_TABLE_LEAF, cells[start:end])) for start, end in leaves]
        return self._root(_TABLE_INTERIOR, pages, [_varint(end) for _, end in leaves[:-1]])

    def index(self, records: Iterable[bytes]) -> int:
        """Add an index; returns its root page."""
        cells = [_varint(len(record)) + self._local(record, _MOST_IN_INDEX) for record in records]
        leaves = list(_split(cells, _PAGE - _LEAF.size, between=1))
        pages = [self._add(_page(_INDEX_LEAF, cells[start:end])) for start, end in leaves]
        return self._root(_INDEX_INTERIOR, pages, [cells[end] for _, end in leaves[:-1]])

    def file(self, objects: Iterable[bytes], cookie: int) -> bytes:
        """The file, with these records as its schema."""
        cells = [_varint(len(record)) + _varint(number) + record for number, record in enumerate(objects, 1)]
        header = _HEADER.pack(
            _MAGIC, _PAGE, _ROLLBACK_JOURNAL, _ROLLBACK_JOURNAL, 0, 64, 32, 32,  # the fractions of section 1.3.5
            1, len(self._pages), 0, 0, cookie, _SCHEMA_FORMAT, 0, 0, _UTF_8, 0, 0, 0, 1, _VERSION_NUMBER,
        )  # fmt: skip
        self._pages[0] = _page(_TABLE_LEAF, cells, before=header)
        return b"".join(self._pages)

    def _root(self, kind: int, children: Sequence[int], between: Sequence[bytes]) -> int:
        """Add the interior pages above some pages; returns the highest.

        Args:
            kind: of interior page.
            children: the pages, in order.
            between: what stands between each two of them.
        """
        while len(children) > 1:
            cells = [child.to_bytes(4) + key for child, key in zip(children[:-1], between, strict=True)]
            level = list(_split(cells, _PAGE - _INTERIOR.size, between=1))
            children = [self._add(_page(kind, cells[start:end], right=children[end])) for start, end in level]
            between = [between[end] for _, end in level[:-1]]
        return children[0]

    def _local(self, payload: bytes, most: int) -> bytes:
        """What of a payload stands in its cell, with the page on which it goes on (section 1.7)."""
        if len(payload) <= most:
            return payload
        room = _PAGE - 4
        kept = _LEAST + (len(payload) - _LEAST) % room
        kept = kept if kept <= most else _LEAST
        first = len(self._pages) + 1
        for start in range(kept, len(payload), room):
            number = 0 if start + room >= len(payload) else len(self._pages) + 2
            self._add((number.to_bytes(4) + payload[start : start + room]).ljust(_PAGE, b"\0"))
        return payload[:kept] + first.to_bytes(4)

    def _add(self, page: bytes) -> int:
        if len(self._pages) + 1 >= _LOCK_PAGE:
            raise DatabaseError("a database of more than 1 GiB: the closure has too many items")
        self._pages.append(page)
        return len(self._pages)


def _split(cells: Sequence[bytes], room: int, between: int) -> Iterator[tuple[int, int]]:
    """Distribute cells to pages, each as full as it can be: (first, last + 1) of every page.

    Args:
        cells: of one level of a b-tree.
        room: bytes that a page has for cells and their pointers.
        between: 1 if the cell after a page goes to the level above, 0 if it begins the next page. At least one cell
            follows it: a page without cells is none.
    """
    start, free = 0, room
    for number, cell in enumerate(cells):
        size = len(cell) + _POINTER
        if size > free:
            end = number - between if number == len(cells) - 1 else number
            yield start, end
            start, free = end + between, room
            if number < start:
                continue
        free -= size
    yield start, len(cells)


def _page(kind: int, cells: Sequence[bytes], right: int = 0, before: bytes = b"") -> bytes:
    """A b-tree page (section 1.6): of its kind, with its right-most child, after what stands before it."""
    position, pointers = _PAGE, []
    for cell in cells:
        position -= len(cell)
        pointers.append(position)
    header = _LEAF if kind in (_TABLE_LEAF, _INDEX_LEAF) else _INTERIOR
    if len(before) + header.size + _POINTER * len(cells) > position:
        raise ValueError(f"{len(cells)} cells do not fit on a page")
    child = () if header is _LEAF else (right,)
    head = before + header.pack(kind, 0, len(cells), position, 0, *child) + struct.pack(f">{len(cells)}H", *pointers)
    return head.ljust(position, b"\0") + b"".join(reversed(cells))


def _record(values: Row) -> bytes:
    """A record (section 2.1)."""
    serials = [_serial(value) for value in values]
    types = b"".join([_varint(kind) for kind, _ in serials])
    size = len(types) + 1
    return _varint(size if size < 128 else size + 1) + types + b"".join([body for _, body in serials])


def _serial(value: Value) -> tuple[int, bytes]:
    """The serial type of a value, and its bytes."""
    if value is None:
        return 0, b""
    if isinstance(value, str):
        data = _text(value)
        return 13 + 2 * len(data), data
    if value in (0, 1):
        return 8 + value, b""
    for kind, size in _INTEGERS:
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return kind, value.to_bytes(size, signed=True)
    raise DatabaseError(f"{value} has more than 64 bits, which a database cannot hold")


def _varint(value: int) -> bytes:
    """Seven bits a byte, the highest first (section 1.6); no size or number here needs the ninth byte's eight."""
    if value < 0x80:
        return _ONE_BYTE[value]
    data = bytes((value & 0x7F,))
    while value := value >> 7:
        data = bytes((value & 0x7F | 0x80,)) + data
    return data

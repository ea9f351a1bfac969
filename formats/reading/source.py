"""Bytes that are read where they are wanted: a file, the disk in a container, a partition of it, a file system's file.

    file --container--> disk --partition table--> volume --file system--> contents

Whoever reads structures asks for exactly the bytes that they have: what lies outside of a source is damage, and the
message names the source.
"""

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol, Self

from formats.reading.artefact import ArtefactError

CHUNK = 1 << 18  # bytes of a piece of a content
_PAGE = 1 << 14
_PAGES = 256  # 4 MiB
_ZEROS = bytes(CHUNK)


class Source(Protocol):
    """Bytes in any order.

    Attributes:
        title: what it is, for messages.
        size: in bytes.
    """

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes.

        Raises:
            ArtefactError: they lie outside, or are damaged.
        """
        ...


def damaged(source: Source, what: str) -> ArtefactError:
    """The error that says what is wrong with a source."""
    return ArtefactError(f"{source.title} is damaged, or not plain: {what}")


def check_range(source: Source, offset: int, size: int) -> None:
    """Refuse what lies outside of a source.

    Raises:
        ArtefactError: it does.
    """
    if offset < 0 or size < 0 or offset + size > source.size:
        raise damaged(source, f"bytes {offset} to {offset + size} are asked for, and it has {source.size}")


def pieces(source: Source, offset: int, size: int) -> Iterator[bytes]:
    """A range, a bounded piece at a time.

    Raises:
        ArtefactError: it lies outside, or is damaged.
    """
    check_range(source, offset, size)
    for start in range(offset, offset + size, CHUNK):
        yield source.read(start, min(CHUNK, offset + size - start))


def zeros(size: int) -> Iterator[bytes]:
    """So many zeros, a bounded piece at a time."""
    for start in range(0, size, CHUNK):
        yield _ZEROS[: size - start]


class FileSource:
    """A file of this machine.

    Args:
        path: a symbolic link is followed.
        title: for messages.
    """

    def __init__(self, path: str, title: str) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # `with` closes it
        self.title = title
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """See `Source`."""
        check_range(self, offset, size)
        data = os.pread(self._file.fileno(), size, offset)
        while len(data) < size:
            more = os.pread(self._file.fileno(), size - len(data), offset + len(data))
            if not more:
                raise ArtefactError(f"{self.title} became shorter while it was read")
            data += more
        return data


class Part:
    """A range of a source.

    Args:
        source: of which it is a part.
        offset: its first byte.
        size: bytes; a source that ends earlier ends it, too.
        title: for messages.
    """

    def __init__(self, source: Source, offset: int, size: int, title: str) -> None:
        self.title = title
        self.size = max(0, min(size, source.size - offset))
        self._source, self._offset = source, offset

    def read(self, offset: int, size: int) -> bytes:
        """See `Source`."""
        check_range(self, offset, size)
        return self._source.read(self._offset + offset, size)


class Cached:
    """A source whose last pages are kept: for structures, of which many lie side by side.

    Args:
        source: that is read.
    """

    def __init__(self, source: Source) -> None:
        self.title, self.size = source.title, source.size
        self._source = source
        self._page = lru_cache(_PAGES)(self._read_page)

    def read(self, offset: int, size: int) -> bytes:
        """See `Source`."""
        check_range(self, offset, size)
        first, start = divmod(offset, _PAGE)
        if start + size <= _PAGE:
            return self._page(first)[start : start + size]
        last = (offset + size - 1) // _PAGE
        return b"".join(map(self._page, range(first, last + 1)))[start : start + size]

    def _read_page(self, number: int) -> bytes:
        offset = number * _PAGE
        return self._source.read(offset, min(_PAGE, self.size - offset))

"""Containers, read: the disk in a file, whoever wrote it. `formats.container` has their layouts.

A container is a module with a function `open_disk(file)`, which answers with the disk, or None if the file is something
else. What is none of them is a disk as it is.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from formats.reading.artefact import ArtefactError
from formats.reading.source import Source, check_range

if TYPE_CHECKING:
    from collections.abc import Callable

RAW = "raw"

_NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def open_container(file: Source) -> tuple[str, Source]:
    """The name of a container, and the disk in it.

    Raises:
        ArtefactError: it is damaged, or one of those that need another file.
    """
    for name in _NAMES:
        open_disk = cast("Callable[[Source], Source | None]", importlib.import_module(f"{__name__}.{name}").open_disk)
        disk = open_disk(file)
        if disk is not None:
            return name, disk
    return RAW, file


class Blocks:
    """A disk in blocks, each of which is somewhere in the file.

    Args:
        file: the container.
        size: bytes of the disk.
        block: bytes of a block.
    """

    def __init__(self, file: Source, size: int, block: int) -> None:
        self.title = f"the disk in {file.title}"
        self.size = size
        self._file, self._block = file, block

    def read(self, offset: int, size: int) -> bytes:
        """See `formats.reading.source.Source`."""
        check_range(self, offset, size)
        found = []
        while size:
            number, start = divmod(offset, self._block)
            length = min(size, self._block - start)
            found.append(self._read_block(number, start, length))
            offset, size = offset + length, size - length
        return found[0] if len(found) == 1 else b"".join(found)

    def _read_block(self, number: int, start: int, size: int) -> bytes:
        """A range of one block."""
        place = self._place(number)
        return bytes(size) if place is None else self._file.read(place + start, size)

    def _place(self, number: int) -> int | None:
        """Where a block is in the file; None: it is zeros."""
        raise NotImplementedError


def incomplete(file: Source, kind: str) -> ArtefactError:
    """The error that says that a disk is in several files."""
    return ArtefactError(f"{file.title} is {kind}: what it does not change is in another file")

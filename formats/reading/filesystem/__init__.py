"""File systems, read: what is in a volume, as the entries that archives have, too.

A file system is a module of this package with a function `open_volume(volume)`, which answers with a `FileSystem`, or
None if the volume is something else. It knows what its folders say and where contents are. That folders do not lead in
a circle, that names are names, that there are not too many of them, and which names are hard links, is looked at here,
once for all of them.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from formats.reading.artefact import ArtefactError
from formats.reading.listing import Budget, memory
from formats.reading.source import Source, damaged
from layers.entry import LONGEST_PATH, Meta
from layers.tar_reader import Header, Kind

_NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
_LONGEST_NAME = 255
_FOLDER_COST = 50  # a byte of a folder takes 35 ns, where hashing one of a file takes 0.7


@dataclass(slots=True)
class Object:
    """What a name in a folder leads to.

    Attributes:
        kind: what it is; never a hard link.
        meta: who owns it and who may do what with it.
        size: bytes of a file; of a folder, bytes that have to be read for its names.
        key: names with equal keys lead to one object; None: nothing else leads here.
        place: what its file system needs to find the content.
        target: of a symbolic link.
        device: major and minor number.
        mtime: seconds since 1970.
        memory: bytes that its place takes, if some objects' take more than others'.
    """

    kind: Kind
    meta: Meta
    size: int = 0
    key: Hashable = None
    place: Any = None
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    mtime: int = 0
    memory: int = 0


class FileSystem(Protocol):
    """A volume that was looked at.

    Attributes:
        kind: as blkid(8) and fstab(5) call it.
        label: of the volume.
        uuid: of the volume, as blkid has it.
        notes: what is odd about it.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def label(self) -> str: ...  # noqa: D102

    @property
    def uuid(self) -> str: ...  # noqa: D102

    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102

    def root(self) -> Object | None:
        """The root folder; None if it can hold no files."""
        ...

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """What is in a folder, in any order.

        Raises:
            ArtefactError: it is damaged.
        """
        ...

    def content(self, file: Object) -> Iterator[bytes | memoryview]:
        """The bytes of a file, as many as its size says, a bounded piece at a time.

        Raises:
            ArtefactError: it is damaged.
        """
        ...


def open_file_system(volume: Source) -> FileSystem | None:
    """The file system of a volume, if it is one that can be read.

    Raises:
        ArtefactError: it is damaged, or has features that nobody here knows.
    """
    for name in _NAMES:
        module = importlib.import_module(f"{__name__}.{name}")
        found = cast("Callable[[Source], FileSystem | None]", module.open_volume)(volume)
        if found:
            return found
    return None


@dataclass(slots=True)
class Allowance:
    """What the files of an artefact may have: of holes and compressed files, an artefact can claim any number of bytes.

    Attributes:
        bytes: that may still be read.
    """

    bytes: int

    def take(self, size: int, volume: Source) -> None:
        """Count bytes.

        Raises:
            ArtefactError: they are more than anybody would pack.
        """
        self.bytes -= size
        if self.bytes < 0:
            raise ArtefactError(f"{volume.title} holds files of more bytes than anybody would pack")


Content = Iterable[bytes | memoryview]


@dataclass(slots=True)
class Walk:
    """All entries of a file system, in the order of an archive of ours: folders before what is in them, sorted by name.

    Attributes:
        file_system: whose entries they are.
        volume: of the file system.
        budget: of memory.
        allowance: of bytes.
    """

    file_system: FileSystem
    volume: Source
    budget: Budget
    allowance: Allowance
    _known: dict[Hashable, bytes] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[Header, Content]]:
        """The entries, each with its content; the root's path is empty.

        Raises:
            ArtefactError: the file system is damaged, or more than anybody would pack.
        """
        root = self.file_system.root()
        if not root:
            return
        below = [iter([(b"", root)])]
        while below:
            path, found = next(below[-1], (b"", None))
            if found is None:
                below.pop()
                continue
            yield self._entry(path, found)
            if found.kind is Kind.DIRECTORY:
                below.append(self._inside(path, found))

    def _entry(self, path: bytes, found: Object) -> tuple[Header, Content]:
        first = path if found.key is None else self._known.setdefault(found.key, path)
        if first is not path:
            if found.kind is Kind.DIRECTORY:
                raise damaged(self.volume, f"the folder {_shown(path)} is {_shown(first)}, too")
            return Header(path, Kind.HARDLINK, found.meta, 0, first, (0, 0), found.mtime), ()
        is_file = found.kind is Kind.FILE
        if found.key is not None:
            self.budget.take(found.memory, self.volume.title)  # a key may be as long as a place, and is kept
        self.allowance.take(found.size * (1 if is_file else _FOLDER_COST), self.volume)
        size = found.size if is_file else 0
        header = Header(path, found.kind, found.meta, size, found.target, found.device, found.mtime)
        return header, self._content(path, found) if is_file else ()

    def _content(self, path: bytes, file: Object) -> Content:
        """The bytes of a file, and an error that names it if there are others than it says."""
        left = file.size
        for piece in self.file_system.content(file):
            left -= len(piece)
            yield piece
        if left:
            raise damaged(self.volume, f"{_shown(path)} has {file.size - left} bytes, and should have {file.size}")

    def _inside(self, path: bytes, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """What is in a folder, sorted; it takes memory until all of it was seen."""
        prefix = path + b"/" if path else b""
        found = []
        before = self.budget.metadata
        for name, child in self.file_system.names(folder):
            if name in (b"", b".", b"..") or b"/" in name or b"\0" in name or len(name) > _LONGEST_NAME:
                raise damaged(self.volume, f"in {_shown(path)} there is the name {os.fsdecode(name)!r}")
            if len(prefix) + len(name) > LONGEST_PATH:
                raise damaged(self.volume, f"a path of {len(prefix) + len(name)} bytes")
            child_path = prefix + name
            self.budget.take(memory(child_path, child.target, child.meta) + child.memory, self.volume.title)
            found.append((child_path, child))
        taken = before - self.budget.metadata
        yield from sorted(found, key=lambda pair: pair[0])
        self.budget.metadata += taken


def _shown(path: bytes) -> str:
    return "/" + os.fsdecode(path)

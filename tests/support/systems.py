"""Small systems made of bytes, for the tests of formats."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from formats.platform import PLATFORMS
from formats.system import RunConfiguration, System
from layers.blob import BlobCache, Workshop
from layers.compress import codec
from layers.digest import Digest
from layers.entry import PROGRAM, Data, Entry, File
from layers.item import Closure, StoreItem
from layers.progress import NoProgress
from layers.tree import Part, merge, overlay


@dataclass(frozen=True)
class _Entries:
    all: tuple[Entry, ...]

    def entries(self) -> Iterator[Entry]:
        yield from self.all


def item(name: str, files: Mapping[str, bytes], references: tuple[str, ...] = ()) -> StoreItem:
    """An item of files by path; its path in the store is its name."""
    entries = tuple(File(path.encode(), Data(data), PROGRAM) for path, data in files.items())
    identity = Digest.of(repr((name, sorted(files.items()))).encode())
    size = sum(len(data) for data in files.values())
    return StoreItem(name, name, "1.0", identity, size, references, _Entries(entries))


def system(
    *items: StoreItem,
    name: str = "sample",
    version: str = "1.0",
    platform: str = "x86_64-linux",
    run: RunConfiguration | None = None,
    annotations: Mapping[str, str] | None = None,
    created: int | None = None,
) -> System:
    """A system of items with one file of its own."""
    closure = Closure(items)
    tree = merge(Part(part, part.placed_entries()) for part in closure).tree
    customization = (File(b"etc-motd", Data(b"hello\n")),)
    return System(
        name=name,
        version=version,
        platform=PLATFORMS[platform],
        epoch=1,
        closure=closure,
        parts={part.path: tuple(part.placed_entries()) for part in closure},
        omitted={},
        tree=overlay(tree, customization),
        customization=customization,
        run=run or RunConfiguration(),
        annotations=annotations or {},
        created=created,
    )


@contextlib.contextmanager
def workshop(cache: Path, compression: str = "gzip", jobs: int = 2) -> Iterator[Workshop]:
    """What layers are made with, keeping them below a folder."""
    with ThreadPoolExecutor(jobs) as executor:
        yield Workshop(BlobCache(str(cache)), codec(compression), 1, executor, jobs, NoProgress())

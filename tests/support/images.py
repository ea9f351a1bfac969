"""Disk images of small systems, and their partitions as files."""

import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from formats import disk, iso9660
from formats.boot import Embedded, Installed, Installer, Layout
from formats.disk import DiskArtefact
from formats.format import Order
from formats.image import ISO9660, Image
from formats.system import System
from layers.blob import BlobCache, Workshop
from layers.compress import codec
from layers.digest import Digest
from layers.entry import Entry
from layers.item import Closure, StoreItem
from layers.plan import LayerPlan
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tree import Part, merge
from tests.oracle.partitions import dump
from tests.support.entries import make_item
from tests.support.systems import system

SECTOR = 512


@dataclass(frozen=True)
class FakeInstaller:
    """Adds what it is told to, and remembers nothing."""

    entries: tuple[Entry, ...] = ()
    code: bytes = b""
    embedded: tuple[Embedded, ...] = ()
    loaded: frozenset[bytes] = frozenset()

    def install(self, layout: Layout, reader: Reader) -> Installed:
        return Installed(self.entries, self.code, self.embedded, loaded=self.loaded)


def of_entries(entries: Iterable[Entry]) -> System:
    """A system that has these entries and no other."""
    entries = tuple(entries)
    return of_item(replace(make_item("all", *entries), identity=Digest.of(repr(entries).encode())))


def of_item(item: StoreItem) -> System:
    """A system of an item, and nothing else."""
    return replace(system(item), customization=(), tree=merge([Part(item, item.placed_entries())]).tree)


def of_items(*items: StoreItem) -> System:
    """A system of items, and nothing else."""
    made = system(*items)
    tree = merge(Part(item, made.parts[item.path]) for item in made.closure).tree
    return replace(made, closure=Closure(items), customization=(), tree=tree)


def made(
    path: Path, of: System, image: Image, installer: Installer | None = None, *, jobs: int = 2, verify: bool = True
) -> DiskArtefact:
    """A disk of a system, or a CD."""
    with ThreadPoolExecutor(jobs) as executor, tempfile.TemporaryDirectory() as cache:
        workshop = Workshop(BlobCache(cache), codec("none"), 1, executor, jobs, NoProgress(), verify=verify)
        write = iso9660.write if image.format == ISO9660 else disk.write
        return write(Order(of, LayerPlan(()), workshop, str(path), disk.Options("disk", image, installer)))


def partitions(path: Path) -> list[Path]:
    """The partitions of a raw disk, each as a file beside it, where sfdisk finds them."""
    found = []
    for number, partition in enumerate(dump(path)["partitions"], 1):
        part = path.with_name(f"{path.name}.{number}")
        subprocess.run(
            ["dd", f"if={path}", f"of={part}", f"skip={partition['start']}", f"count={partition['size']}",
             "conv=sparse", "status=none"],
            check=True,
        )  # fmt: skip
        found.append(part)
    return found

"""What is known of kernel modules, as long as their packages are the same."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from formats.boot import Layout
from formats.image import Image
from formats.system import System
from layers.cache import CacheFolder
from layers.digest import Digest
from layers.entry import Data, Entry, File, Symlink
from layers.errors import PackError
from layers.reader import Reader
from layers.tree import add_parents, overlay
from packer.boot.known_modules import kept, known_modules
from packer.boot.modules import Modules
from tests.support.entries import make_item
from tests.support.images import of_item
from tests.support.kernel_modules import module

FOLDER = "lib/modules/6.1"
DISK = module(["license=GPL", "depends=bus", "alias=pci:\xe9*"], ["disk_open", "disk_close"])
FILES = {"kernel/disk.ko": DISK, "kernel/bus.ko": module([]), "modules.order": b"kernel/bus.ko\n"}


def system(files: Mapping[str, bytes], identity: str = "linux 1") -> System:
    """A system of one item, that is named so whatever is in it."""
    entries: dict[bytes, Entry] = {
        path.encode(): File(path.encode(), Data(data))
        for path, data in {f"{FOLDER}/{name}": data for name, data in files.items()}.items()
    }
    add_parents(entries)
    return of_item(replace(make_item("linux", *entries.values()), identity=Digest.of(identity.encode())))


def found(of: System, cache: Path | str) -> Modules:
    with Reader() as reader:
        return known_modules(Layout(of, Image(), (), cache=str(cache)), "6.1", reader)


def lists(cache: Path) -> list[Path]:
    return sorted((cache / "kernel-modules").glob("*"))


#: The same with modules that are none: who reads them says so.
UNREADABLE = system(dict.fromkeys(FILES, b"no module"))


def test_modules_are_read_once(tmp_path: Path) -> None:
    first = found(system(FILES), tmp_path)
    assert [len(module.symbols) for module in first.all] == [0, 2]
    again = found(UNREADABLE, tmp_path)
    assert [(each.info, each.symbols) for each in again.all] == [(each.info, each.symbols) for each in first.all]
    assert again.all[1].compressed == Data(b"no module")
    (one,) = kept(CacheFolder(str(tmp_path)))
    assert (one.kind, one.is_whole()) == ("lists of kernel modules", True)


def test_without_a_cache_nothing_is_kept(tmp_path: Path) -> None:
    found(system(FILES), "")
    with pytest.raises(PackError):
        found(UNREADABLE, "")
    assert not lists(tmp_path)


def test_another_package_is_read(tmp_path: Path) -> None:
    found(system(FILES), tmp_path)
    with pytest.raises(PackError):
        found(system(dict.fromkeys(FILES, b"no module"), "linux 2"), tmp_path)
    found(system(FILES, "linux 2"), tmp_path)
    assert len(lists(tmp_path)) == 2


@pytest.mark.parametrize(
    "entry",
    [
        File(f"{FOLDER}/kernel/disk.ko".encode(), Data(module(["license=MIT"]))),
        File(f"{FOLDER}/updates/mine.ko".encode(), Data(DISK)),
        Symlink(f"{FOLDER}/kernel/disk.ko".encode(), b"/srv/disk.ko"),
    ],
    ids=["instead", "besides", "a link"],
)
def test_modules_of_somebody_else_are_read_each_time(entry: Entry, tmp_path: Path) -> None:
    of = system(FILES)
    found(replace(of, tree=overlay(of.tree, [entry])), tmp_path)
    assert not lists(tmp_path)


def test_a_link_of_an_item_may_lead_anywhere(tmp_path: Path) -> None:
    link = Symlink(f"{FOLDER}/kernel/link.ko".encode(), b"/srv/disk.ko")
    entries = [*system(FILES).tree, link]
    found(of_item(make_item("linux", *entries)), tmp_path)
    assert not lists(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{}", b"x" * 100])
def test_a_damaged_list_is_made_anew(damage: bytes, tmp_path: Path) -> None:
    found(system(FILES), tmp_path)
    (path,) = lists(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage or whole[:-1])
    assert [one.is_whole() for one in kept(CacheFolder(str(tmp_path)))] == [False]
    with pytest.raises(PackError):
        found(UNREADABLE, tmp_path)
    found(system(FILES), tmp_path)
    assert path.read_bytes() == whole

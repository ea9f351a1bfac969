"""What several processes make side by side is what one makes."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from formats import docker, tarball
from formats.format import Order
from formats.image import Image, Partition
from formats.image_types import EFI_DISK, HURD_DISK, ISO
from formats.root_shares import shares
from formats.system import System
from layers import blob
from layers.compress import codec
from layers.digest import Digest
from layers.entry import PROGRAM, Data, Directory, Entry, File, Hardlink, Meta, Slice, Symlink, tree_order
from layers.errors import PackError
from layers.item import Closure, NarItem, apart
from layers.plan import plan
from layers.strategies import strategy
from layers.tree import Tree, overlay
from layers.verify import CorruptError
from tests.oracle.iso9660 import is_sound
from tests.support.disks import damaged
from tests.support.entries import ALL_KINDS, make_item, noise
from tests.support.images import made
from tests.support.nar_items import nar_item
from tests.support.systems import item, system, workshop


@dataclass
class Forks:
    """How many processes there were."""

    count: int = 0


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> Forks:
    """Little is enough to be shared."""
    monkeypatch.setattr(blob, "_LEAST_SHARED", 1)
    found, fork = Forks(), os.fork

    def counted() -> int:
        found.count += 1
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    return found


LINKED: tuple[Entry, ...] = (
    File(b"a/first", Data(b"1" * 5000), Meta(0o640, 1, 2, ((b"user.x", b"y"),))),
    *(File(b"b/%d" % number, Data(b"2" * 5000)) for number in range(20)),
    Hardlink(b"z/last", b"a/first"),
    File(b"z/" + b"long" * 60, Data(b"3" * 5000)),
)


def of_kinds(folder: Path) -> System:
    """A system with every kind of entry, a hard link to a file that is far away, and files that the kernel copies."""
    (folder / "large").write_bytes(noise(12 << 20))
    large = [
        File(b"large/%d" % number, Slice(str(folder / "large"), number << 20, 1 << 20), PROGRAM) for number in range(12)
    ]
    items = [make_item("kinds", *ALL_KINDS), make_item("linked", *LINKED), make_item("large", *large)]
    return system(*items, item("folders", {}), item("other folders", {}))


def nix_item(folder: Path, name: str, size: int, *, flip: bool = False) -> NarItem:
    """An item of two files, of which one was changed after it had been hashed."""
    root, host = f"nix/store/{name * 32}-{name}".encode(), folder / name
    host.write_bytes(name.encode() * size)

    def entries(content: Slice | Data) -> list[Entry]:
        return [
            Directory(root, Meta(0o555)),
            File(root + b"/data", content, Meta(0o444)),
            Symlink(root + b"/link", b"data"),
        ]

    hashed = nar_item(f"/{root.decode()}", *entries(Data(host.read_bytes())))
    if flip:
        host.write_bytes(b"?" * size)
    return replace(hashed, contents=Listed(tuple(entries(Slice(str(host), 0, size)))))


@dataclass(frozen=True)
class Listed:
    all: tuple[Entry, ...]

    def entries(self) -> Iterator[Entry]:
        yield from self.all


def nix_system(items: Sequence[NarItem]) -> System:
    """A system of items that nobody has looked into."""
    parts = {item.path: tuple(item.placed_entries()) for item in items}
    tree = apart(items, parts)
    assert tree is not None
    upper = (File(b"etc", Data(b"x")), File(items[0].placed_path + b"/mine", Data(b"mine")))
    return replace(system(), closure=Closure(items), parts=parts, tree=overlay(tree, upper), customization=upper)


def docker_of(of: System, path: Path, jobs: int, compression: str) -> None:
    with workshop(path.with_name(f"cache-{jobs}"), compression, jobs) as made_with:
        docker.write(Order(of, plan(of.closure, strategy("size"), 100), made_with, str(path)))


def tarball_of(of: System, path: Path, jobs: int, root_name: str = "") -> None:
    with workshop(path.with_name(f"cache-{jobs}"), "none", jobs) as made_with:
        options = tarball.Options(codec("none"), root_name)
        tarball.write(Order(of, plan(of.closure, strategy("size"), 100), made_with, str(path), options))


def disk_of(of: System, path: Path, jobs: int, image: Image) -> None:
    made(path, of, image, jobs=jobs)


def cd_of(of: System, path: Path, jobs: int) -> None:
    """Without the names that Linux would not read there."""
    entries = {path: entry for path, entry in of.tree.by_path().items() if len(os.path.basename(path)) <= 253}
    made(path, replace(of, tree=Tree(entries)), replace(ISO, compression=False), jobs=jobs)


#: A root with a partition in it: the store of Nix is in neither of two pieces.
HOME = Image(
    partitions=(Partition("root", mount_point="/"), Partition("a", None, None, "ext2", mount_point="/a")),
    partition_table_type="gpt",
)

MAKERS: dict[str, Callable[[System, Path, int], None]] = {
    "docker-none": partial(docker_of, compression="none"),
    "docker-gzip": partial(docker_of, compression="gzip"),
    "docker-zstd": partial(docker_of, compression="zstd"),
    "tarball": tarball_of,
    "tarball-in-a-folder": partial(tarball_of, root_name="some/where"),
    "efi-raw": partial(disk_of, image=EFI_DISK),
    "hurd-raw": partial(disk_of, image=HURD_DISK),
    "uncompressed-iso9660": cd_of,
    "two file systems": partial(disk_of, image=HOME),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("store", ["kinds", "nix"])
def test_the_number_of_processes_changes_no_byte(
    store: str, make: Callable[[System, Path, int], None], forks: Forks, tmp_path: Path
) -> None:
    sizes = {"a": 3000, "b": 3000, "c": 200_000, "d": 200_000, "e": 200_000, "f": 1}
    digests = set()
    for jobs in (1, 2, 5):
        of = (
            of_kinds(tmp_path)
            if store == "kinds"
            else nix_system([nix_item(tmp_path, *each) for each in sizes.items()])
        )
        of = replace(of, closure=Closure(replace(item, size=1000) for item in of.closure))  # so that there is a share
        path = tmp_path / f"{jobs}.tar"
        make(of, path, jobs)
        digests.add(Digest.of(path.read_bytes()))
        assert (forks.count == 0) == (jobs == 1)
    assert len(digests) == 1


def test_a_customization_that_is_an_items_layer_is_there_once(forks: Forks, tmp_path: Path) -> None:
    """What os.toml declares wins over what an item has, and may be the same."""
    digests = set()
    for jobs in (1, 2):
        of = system(item("big", {"big": b"1" * 5000}), item("other", {"other": b"2" * 5000}))
        of = replace(of, customization=(File(b"big", Data(b"1" * 5000), PROGRAM),))
        docker_of(of, tmp_path / f"{jobs}.tar", jobs, "none")
        digests.add(Digest.of((tmp_path / f"{jobs}.tar").read_bytes()))
        names = subprocess.run(["tar", "-tf", tmp_path / f"{jobs}.tar"], check=True, capture_output=True).stdout.split()
        assert len(names) == len(set(names))
    assert len(digests) == 1
    assert forks.count == 2


@pytest.mark.parametrize(
    ("jobs", "size", "largest", "workers"),
    [(2, 1000, 400, 2), (9, 1000, 400, 2), (9, 1000, 100, 9), (9, 1000, 1, 9), (2, 1000, 900, 0), (1, 1000, 1, 0),
     (2, 1, 1, 0), (2, 0, 0, 0)],
)  # fmt: skip
def test_there_are_as_many_workers_as_have_enough_to_do(
    jobs: int, size: int, largest: int, workers: int, forks: Forks, tmp_path: Path
) -> None:
    with workshop(tmp_path / "cache", jobs=jobs) as made_with:
        assert made_with.workers(size, largest) == workers


@pytest.mark.parametrize(
    "make", [MAKERS[name] for name in ("docker-none", "docker-gzip", "tarball", "efi-raw", "uncompressed-iso9660")]
)
def test_a_corrupt_item_is_noticed_and_nothing_is_left(
    make: Callable[[System, Path, int], None], forks: Forks, tmp_path: Path
) -> None:
    items = [nix_item(tmp_path, "a", 1000), nix_item(tmp_path, "b", 1000, flip=True), nix_item(tmp_path, "c", 1000)]
    (tmp_path / "out").mkdir()
    with pytest.raises(CorruptError, match="b is corrupt"):
        make(nix_system(items), tmp_path / "out" / "image", 2)
    assert forks.count == 2
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_file()]


def test_a_content_that_is_gone_is_told(forks: Forks, tmp_path: Path) -> None:
    items = [nix_item(tmp_path, name, 1000) for name in "abc"]
    (tmp_path / "b").unlink()
    with pytest.raises(PackError, match=r"b vanished|cannot read|is gone"):
        tarball_of(nix_system(items), tmp_path / "image", 2)
    assert forks.count == 2


def test_checksums_by_several_processes_are_right(forks: Forks, tmp_path: Path) -> None:
    cd_of(of_kinds(tmp_path), tmp_path / "image", 2)
    assert forks.count == 2
    assert is_sound(tmp_path / "image")
    with damaged(tmp_path / "image", (tmp_path / "image").read_bytes().index(noise(12 << 20)[5 << 20 :][:100])):
        assert not is_sound(tmp_path / "image")


def test_shares_are_the_root_in_one_piece_each(tmp_path: Path) -> None:
    """Every item that nothing is laid over is whole in one of them."""
    of = nix_system([nix_item(tmp_path, name, 1000) for name in "abcdefgh"])
    parts = shares(of, 3, verify=False)
    paths = [[entry.path for entry in part.entries(None)] for part in parts]
    assert [path for part in paths for path in part] == sorted((entry.path for entry in of.tree), key=tree_order)
    assert len(paths) == 3
    roots = [{path.split(b"/")[2][-1:] for path in part if path.count(b"/") > 1} - {b"a"} for part in paths]
    assert sorted(name for part in roots for name in part) == [b"b", b"c", b"d", b"e", b"f", b"g", b"h"]


def test_there_is_no_share_too_many() -> None:
    of = system(item("one", {"one": b"1"}))
    assert [len(shares(of, count, verify=True)) for count in (1, 2, 100)] == [1, 2, 2]

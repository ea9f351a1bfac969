"""The format: what goes into the image, what is told, and what is left behind."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from formats import squashfs
from formats.format import FileArtefact, Order
from formats.system import System
from layers.archive import STANDARD_OUTPUT
from layers.blob import BlobCache, Workshop
from layers.compress import codec
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Slice
from layers.errors import EntryError, InputError
from layers.item import Closure
from layers.output import OutputError
from layers.plan import LayerPlan
from layers.progress import NoProgress
from layers.tree import Part, merge, overlay
from layers.verify import CorruptError
from tests.oracle.ext4 import by_grub
from tests.oracle.squashfs import facts, listed
from tests.support.bootable import system_of
from tests.support.entries import ACL, ALL_KINDS, noise
from tests.support.nar_items import nar_item
from tests.support.processes import memory_disk, needs_root
from tests.support.systems import system
from tests.support.volumes import MIB, tree_of


@dataclass
class Warnings(NoProgress):
    """Keeps what was told."""

    told: list[str] = field(default_factory=list)

    def warn(self, message: str) -> None:
        self.told.append(message)


def made(of: System, path: Path, *, output: str = "", verify: bool = True) -> tuple[FileArtefact, str]:
    """An image of a system, and the warnings."""
    progress = Warnings()
    options = squashfs.Options(codec("gzip", 2), 1 << 16)
    with ThreadPoolExecutor(2) as executor:
        cache = BlobCache(f"{path.parent}.cache")
        workshop = Workshop(cache, codec("none"), 1_000_000_000, executor, 2, progress, verify=verify)
        artefact = squashfs.write(Order(of, LayerPlan(()), workshop, output or str(path), options))
    return artefact, "\n".join(progress.told)


def test_the_image_has_the_tree_and_the_options(tmp_path: Path) -> None:
    tree = tree_of(ALL_KINDS)
    artefact, told = made(system_of(tree), tmp_path / "image")
    assert told == ""
    assert artefact.size == (tmp_path / "image").stat().st_size
    assert artefact.digest == Digest.of((tmp_path / "image").read_bytes())
    assert str(artefact.facts["compression"]).startswith("gzip level 2, isal ")
    found = facts(tmp_path / "image")
    assert (found["Compression"], found["Block size"]) == ("gzip", "65536")
    assert found["Creation or last append time"] == "Sun Sep  9 01:46:40 2001"
    assert listed(tmp_path / "image") == len(tree) + 1


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    meta = Meta(0o770, xattrs=((b"system.posix_acl_access", ACL),))
    few: list[Entry] = [File(b"srv/a", meta=meta), Directory(b"srv/b", meta)]
    _, told = made(system_of(tree_of(few)), tmp_path / "image")
    assert told == (
        "squashfs holds no access control lists: those of /srv/a, /srv/b are left out, the permissions stay"
    )
    _, told = made(system_of(tree_of(File(b"%02d" % number, meta=meta) for number in range(13))), tmp_path / "image")
    assert "/09 and 3 more are left out" in told


_ROOT = b"nix/store/0c8xh4g1zbqwn1bhyjf7wd4kmv8a1sfi-tool"


def _nix_system(folder: Path, *, flip: bool = False, upper: tuple[Entry, ...] = ()) -> System:
    """A system of one item, whose content was flipped after it had been hashed; `upper` is laid over it."""
    content = noise(200_000)
    entries = (Directory(_ROOT, Meta(0o555)), File(_ROOT + b"/data", Data(content), Meta(0o444)))
    hashed = nar_item("/" + _ROOT.decode(), *entries)
    (folder / "content").write_bytes(content[:-1] + b"!" if flip else content)
    sliced = (entries[0], replace(entries[1], content=Slice(str(folder / "content"), 0, len(content))))
    tree = overlay(merge([Part(hashed, sliced)]).tree, upper)
    parts = {hashed.path: sliced}
    return replace(system(), closure=Closure([hashed]), parts=parts, customization=upper, tree=tree)


@pytest.mark.parametrize("upper", [(), (File(_ROOT + b"/new", Data(b"x")),)])
def test_an_item_is_compared_with_its_hash(tmp_path: Path, upper: tuple[Entry, ...]) -> None:
    made(_nix_system(tmp_path, upper=upper), tmp_path / "image")
    assert Digest.of(by_grub(tmp_path / "image", f"/{_ROOT.decode()}/data")) == Digest.of(noise(200_000))
    flipped = _nix_system(tmp_path, flip=True, upper=upper)
    with pytest.raises(CorruptError, match="is corrupt"):
        made(flipped, tmp_path / "flipped")
    assert not (tmp_path / "flipped").exists()
    made(flipped, tmp_path / "flipped", verify=False)


def test_it_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="standard output"):
        made(system(), tmp_path / "image", output=STANDARD_OUTPUT)


def test_what_it_cannot_hold_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "image").write_text("before")
    wrong = File(b"z", meta=Meta(0o644, xattrs=((b"btrfs.x", b"y"),)))
    with pytest.raises(EntryError, match=r"/z: squashfs has no extended attributes like b'btrfs\.x'"):
        made(system_of(tree_of([File(b"a", Data(noise(MIB))), wrong])), tmp_path / "image")
    assert (tmp_path / "image").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@needs_root
@pytest.mark.parametrize("size", ["16k", "800k"])
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, size: str) -> None:
    files = [File(b"%d" % number, Data(noise(300_000)[number:])) for number in range(20)]
    with memory_disk(tmp_path / "disk", f"size={size}") as folder:
        with pytest.raises(OutputError, match="No space left"):
            made(system_of(tree_of(files)), folder / "image")
        assert list(folder.iterdir()) == []


def test_names() -> None:
    assert squashfs.default_output("a-1", squashfs.Options(codec("xz"))) == "a-1.squashfs"

"""Sizes, places, what does not go together, and what is compared on the way."""

import os
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from formats.boot import Embedded, Installed, Layout
from formats.disk import Options, default_output
from formats.disk.plan import DiskPlan, plan_disk
from formats.filesystem import TooSmallError
from formats.filesystem.pieces import Bytes
from formats.image import BIOS_GRUB, BOOT, UNFORMATTED, Image, Partition, image_of
from formats.image_types import EFI_DISK, MBR_DISK, TYPES, layout
from formats.system import System
from layers.archive import STANDARD_OUTPUT
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Slice
from layers.errors import InputError, PackError
from layers.reader import Reader
from layers.tree import Tree, overlay
from layers.verify import CorruptError
from tests.oracle import ext4
from tests.support.entries import noise
from tests.support.images import FakeInstaller, made, of_entries, of_items
from tests.support.images import partitions as extracted
from tests.support.nar_items import nar_item
from tests.support.processes import as_nobody, public_folder
from tests.support.volumes import MIB


@dataclass(frozen=True)
class Marking:
    """An initializer that adds a file."""

    name: str = "mark"

    @property
    def identity(self) -> Digest:
        return Digest.of(self.name.encode())

    def fill(self, below: Tree) -> Tree:
        return overlay(below, [File(self.name.encode(), Data(b"made"))])


FILES: tuple[Entry, ...] = (Directory(b"boot/efi"), File(b"big", Data(noise(3 * MIB))))
SYSTEM = of_entries(FILES)
ROOT = Partition("root", mount_point="/")
HOME = Partition("home", mount_point="/home")


def plan(image: Image, of: System = SYSTEM, installer: FakeInstaller | None = None, *, verify: bool = True) -> DiskPlan:
    with Reader() as reader:
        return plan_disk(image_of(image, of), of, installer, reader, verify=verify)


@pytest.mark.parametrize(
    ("image", "size", "places"),
    [
        (MBR_DISK, 5, [(1, 4)]),
        (replace(MBR_DISK, additional_space=10 * MIB), 15, [(1, 14)]),
        (replace(MBR_DISK, size=64 * MIB), 64, [(1, 63)]),
        (EFI_DISK, 46, [(1, 40), (41, 4)]),
        (replace(EFI_DISK, size=64 * MIB), 64, [(1, 40), (41, 22)]),
        (replace(EFI_DISK, size=64 * MIB + 512), 64, [(1, 40), (41, 22)]),
        (Image(partitions=(ROOT, HOME), size=64 * MIB), 64, [(1, 4), (5, 59)]),
        (Image(partitions=(replace(HOME, size=9 * MIB), ROOT), size=64 * MIB), 64, [(1, 9), (10, 54)]),
        (Image(partitions=(ROOT, replace(HOME, size=9 * MIB)), size=64 * MIB), 64, [(1, 54), (55, 9)]),
        (Image(partitions=(ROOT, replace(HOME, size=9 * MIB, offset=20 * MIB)), size=64 * MIB), 64, [(1, 19), (20, 9)]),
        (Image(partitions=(replace(ROOT, size=30 * MIB),), size=64 * MIB), 64, [(1, 30)]),
        (replace(layout("none"), additional_space=MIB), 5, [(0, 5)]),
        (replace(layout("none"), size=9 * MIB), 9, [(0, 9)]),
        (replace(layout("legacy+gpt"), size=9 * MIB), 9, [(1, 1), (2, 6)]),
        (layout("efi", 64 * MIB), 581, [(8, 56), (64, 516)]),
    ],
)  # fmt: skip
def test_sizes(image: Image, size: int, places: list[tuple[int, int]]) -> None:
    found = plan(image)
    assert found.size // MIB == size
    assert [(part.start // MIB, part.size // MIB) for part in found.partitions] == places


def test_a_least_size_is_exceeded_by_what_needs_more() -> None:
    kernel = File(b"boot/efi/linux", Data(bytes(45 * MIB)))
    for size in (None, 256 * MIB):
        esp, root = plan(replace(EFI_DISK, size=size), of_entries((*FILES, kernel))).partitions
        assert 45 * MIB < esp.size < 60 * MIB
        assert root.end == (255 * MIB if size else esp.end + 4 * MIB)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (replace(MBR_DISK, size=3 * MIB), "the disk has 3145728 bytes, which is 2097152 too few"),
        (replace(EFI_DISK, size=30 * MIB), "the disk has 31457280 bytes, which is "),
        (Image(partitions=(replace(ROOT, size=3 * MIB),)), "the partition 'root': the file system has 3145728 bytes, "),
        (Image(partitions=(replace(ROOT, size=8 * MIB),), size=8 * MIB), "the disk has 8388608 bytes, which is 10485"),
        (Image(partitions=(replace(ROOT, size=9 * MIB), HOME), size=9 * MIB), "the disk has 9437184 bytes, which is "),
        (replace(layout("none"), size=3 * MIB), "the disk has 3145728 bytes, which is "),
    ],
)  # fmt: skip
def test_what_is_too_small_is_told_with_how_much_is_missing(image: Image, message: str, tmp_path: Path) -> None:
    with pytest.raises(TooSmallError) as caught:
        made(tmp_path / "disk", SYSTEM, image)
    assert message in str(caught.value)
    assert os.listdir(tmp_path) == []
    grown = replace(image, size=image.size and caught.value.needed)
    if image.partitions[0].size == 3 * MIB:
        grown = Image(partitions=(replace(ROOT, size=caught.value.needed),))
    plan(grown)


@pytest.mark.parametrize(
    ("partitions", "table", "message"),
    [
        ((replace(ROOT, file_system="btrfs"),), "mbr", "the partition 'root': there is no file system 'btrfs'"),
        ((ROOT, Partition("swap", file_system="swap")), "mbr", "the partition 'swap' has no size"),
        ((ROOT, Partition("", file_system=UNFORMATTED)), "mbr", "partition 2 has no size"),
        ((ROOT, Partition("x", MIB, 0, UNFORMATTED)), "mbr", "the partition 'x' begins at 0, and the table"),
        ((ROOT, Partition("x", 9 * MIB, 0)), "gpt", "the partitions 'x' and 'root' overlap"),
        ((ROOT, Partition("x", 5000, file_system=UNFORMATTED)), "mbr", "'x' does not begin and end at multiples of 5"),
        ((ROOT, replace(HOME, mount_point="/")), "mbr", "the partition 'root' and the partition 'home' are both m"),
        ((ROOT, replace(HOME, mount_point="/big")), "mbr", "the partition 'home' is mounted at /big, which is no f"),
        ((ROOT, Partition("x", MIB, file_system=UNFORMATTED, mount_point="/x")), "mbr", "the partition 'x': it has no"),
        ((ROOT, Partition("x", MIB, file_system=UNFORMATTED, initializer=Marking())), "mbr", "the partition 'x': it h"),
        ((ROOT, Partition("x", MIB, file_system="vfat", file_system_options=("a",))), "mbr", "vfat has no options"),
        ((replace(ROOT, file_system_options=("quota",)),), "mbr", "the partition 'root': quota: no such feature"),
        ((ROOT,) * 5, "mbr", "both mounted"),
        ((ROOT, *(Partition("x", MIB, file_system="vfat") for _ in range(4))), "mbr", "an MBR has room for 4 p"),
        ((ROOT, HOME), "none", "a disk without a partition table is one file system"),
        ((replace(ROOT, offset=MIB),), "none", "a disk without a partition table is one file system"),
        ((ROOT,), "apm", "there is no partition table 'apm'"),
        ((ROOT, Partition("b", MIB, file_system=UNFORMATTED, flags=frozenset({BIOS_GRUB}))), "gpt", "is for code"),
        ((ROOT, Partition("b", MIB, file_system=UNFORMATTED, flags=frozenset({BIOS_GRUB}))), "mbr", "is for code"),
        ((replace(ROOT, flags=frozenset({BOOT})), replace(HOME, flags=frozenset({BOOT}))), "mbr", "can be bootable"),
        # Labels that somebody has thought of, for a file system, a FAT and a GPT.
        ((replace(ROOT, label="x" * 17),), "mbr", "the label 'xxxxxxxxxxxxxxxxx' has 17 bytes, and ext4 room for 16"),
        ((Partition("x" * 12, MIB, file_system="vfat"),), "mbr", "the partition 'xxxxxxxxxxxx': the label"),
        ((Partition("a/b", MIB, file_system="vfat"),), "mbr", "the partition 'a/b': the label"),
        ((Partition("x" * 16, MIB, file_system="swap"),), "mbr", "has 16 bytes, and swap room for 15"),
        ((Partition("x" * 37, MIB, file_system=UNFORMATTED),), "gpt", "does not fit into 36 characters of UTF-16"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(partitions: tuple[Partition, ...], table: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(Image(partitions=partitions, partition_table_type=table))
    assert message in str(caught.value)


@pytest.mark.parametrize("label", ["\x1b[31m", "'; rm -rf /", "ü" * 8, "-n", "$(id)", " "])
def test_labels_are_kept_to_the_letter(label: str, tmp_path: Path) -> None:
    made(tmp_path / "disk", SYSTEM, Image(partitions=(replace(ROOT, label=label),), partition_table_type="gpt"))
    (volume,) = extracted(tmp_path / "disk")
    assert not ext4.complaints(volume)
    assert volume.read_bytes()[1024 + 120 :][:16].rstrip(b"\0") == label.encode()


FREE = Partition("free", MIB, 8 * MIB, UNFORMATTED)
WITH_FREE = Image(partitions=(replace(ROOT, offset=MIB, size=6 * MIB), FREE), partition_table_type="gpt")


def _core(offset: int, size: int = 1024) -> Embedded:
    return Embedded("core.img", offset, Data(b"c" * size))


@pytest.mark.parametrize(
    ("embedded", "message"),
    [
        ([_core(512)], "core.img (512 to 1536) overlaps the partition table (512 to 17408)"),
        ([_core(MIB - 1)], "core.img (1048575 to 1049599) overlaps the partition 'root' (1048576 to 7340032)"),
        ([_core(7 * MIB - 1)], "overlaps the partition 'root'"),
        ([_core(100_000), replace(_core(100_100), name="u-boot")], "u-boot (100100 to 101124) overlaps core.img (100"),
        ([_core(10 * MIB - 600)], "overlaps the partition table"),
        ([_core(10 * MIB)], "core.img ends 1024 bytes after the disk"),
    ],
)  # fmt: skip
def test_code_where_something_else_is_is_refused_by_name(embedded: list[Embedded], message: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(WITH_FREE, installer=FakeInstaller(embedded=tuple(embedded)))
    assert message in str(caught.value)


def test_code_has_at_most_440_bytes() -> None:
    with pytest.raises(InputError, match="has 441 bytes, and a disk has room for 440"):
        plan(MBR_DISK, installer=FakeInstaller(code=b"x" * 441))


def test_code_is_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(b"from a file")
    embedded = (
        _core(17408),
        Embedded("u-boot", 8 * MIB + 5, Slice(str(tmp_path / "core"), 5, 6)),
    )
    made(tmp_path / "disk", SYSTEM, WITH_FREE, FakeInstaller(embedded=embedded))
    data = (tmp_path / "disk").read_bytes()
    assert data[17408 : 17408 + 1024] == b"c" * 1024
    assert data[8 * MIB + 5 :][:6] == b"a file"


@pytest.mark.parametrize(
    ("image", "gap"),
    [
        (MBR_DISK, (512, MIB)),
        (Image(partitions=(replace(ROOT, offset=2 * MIB),)), (512, 2 * MIB)),
        (Image(partitions=(HOME, replace(ROOT, offset=99 * MIB))), (512, MIB)),
        (EFI_DISK, None),
        (layout("none"), None),
        (layout("legacy+gpt"), (MIB, 2 * MIB)),
        (layout("hybrid"), (17408, MIB)),
        (
            Image(
                partitions=(
                    Partition("a", 3 * MIB + 512, file_system="vfat"),
                    Partition("b", MIB, file_system=UNFORMATTED, flags=frozenset({BIOS_GRUB})),
                    ROOT,
                ),
                partition_table_type="gpt",
            ),
            (5 * MIB, 6 * MIB),
        ),
    ],
)
def test_an_installer_is_told_where_code_can_be(image: Image, gap: tuple[int, int] | None) -> None:
    seen: list[Layout] = []

    class Asking(FakeInstaller):
        def install(self, layout: Layout, reader: Reader) -> Installed:
            seen.append(layout)
            return super().install(layout, reader)

    plan(image, installer=Asking())
    assert seen[0].gap == gap
    assert seen[0].at("/") is not None


STORE = "nix/store/00000000000000000000000000000000-a"
ITEM = nar_item(
    f"/{STORE}",
    Directory(STORE.encode(), Meta(0o555)),
    File(f"{STORE}/file".encode(), Data(noise(100_000)), Meta(0o444)),
    Directory(f"{STORE}/folder".encode(), Meta(0o555)),
    File(f"{STORE}/folder/more".encode(), Data(b"more"), Meta(0o444)),
)
IMAGES = {
    "in the root": MBR_DISK,
    "in a store of its own": Image(partitions=(ROOT, Partition("store", mount_point="/nix/store"))),
    "divided": Image(partitions=(ROOT, Partition("part", mount_point=f"/{STORE}/folder"))),
    "an item of its own": Image(partitions=(ROOT, Partition("part", mount_point=f"/{STORE}"))),
    "alone": replace(layout("none"), store_only=True),
    "by an initializer": Image(partitions=(replace(ROOT, initializer=Marking()),)),
    "beside an initializer": Image(partitions=(ROOT, Partition("data", initializer=Marking()))),
    "above an initializer": Image(partitions=(ROOT, Partition("data", mount_point="/srv", initializer=Marking()))),
}


def _damaged(system: System) -> System:
    """The same with one byte of the item changed, as if the disk had lost it."""
    path = f"{STORE}/file".encode()
    file = File(path, Data(noise(99_999) + b"!"), Meta(0o444))
    parts = {ITEM.path: tuple(file if entry.path == path else entry for entry in system.parts[ITEM.path])}
    return replace(system, tree=overlay(system.tree, [file]), parts=parts)


@pytest.mark.parametrize("name", IMAGES)
def test_items_are_compared_with_their_hashes(name: str, tmp_path: Path) -> None:
    of = of_items(ITEM)
    made(tmp_path / "disk", of, IMAGES[name])
    made(tmp_path / "unseen", _damaged(of), IMAGES[name], verify=False)
    with pytest.raises(CorruptError):
        made(tmp_path / "damaged", _damaged(of), IMAGES[name])
    assert not (tmp_path / "damaged").exists()


def test_an_initializer_fills_its_partition(tmp_path: Path) -> None:
    """With what it makes of what is below the mount point, if there is one; the mount point keeps its permissions."""
    of = of_entries([Directory(b"srv", Meta(0o750)), File(b"srv/kept", Data(b"kept")), File(b"other", Data(b""))])
    data = Partition("data", mount_point="/srv", initializer=Marking())
    image = Image(partitions=(ROOT, data, replace(data, label="more", mount_point="")))
    made(tmp_path / "disk", of, image)
    root, mounted, alone = extracted(tmp_path / "disk")
    names = [ext4.names(volume) for volume in (root, mounted, alone)]
    assert names == [{"srv", "other"}, {"kept", "mark"}, {"mark"}]
    assert "Mode:  0750" in ext4.debugfs(mounted, "stat /")
    assert not any(map(ext4.complaints, (root, mounted, alone)))


def test_another_initializer_is_another_disk() -> None:
    disks = {
        plan(Image(partitions=(replace(ROOT, initializer=initializer),))).identity
        for initializer in (None, Marking(), Marking(), Marking("other"))
    }
    assert len(disks) == 3


def test_a_shared_store_is_not_on_the_disk(tmp_path: Path) -> None:
    made(tmp_path / "disk", of_items(ITEM), replace(MBR_DISK, shared_store=True))
    (volume,) = extracted(tmp_path / "disk")
    assert "Type: directory" in ext4.debugfs(volume, "stat /nix/store")
    assert "00000" not in ext4.debugfs(volume, "ls /nix/store")
    with pytest.raises(InputError, match="a store can be shared if it is Nix's or Guix's"):
        plan(replace(MBR_DISK, shared_store=True))


def test_what_a_boot_loader_reads_of_a_shared_store_is_compared(tmp_path: Path) -> None:
    shared, of = replace(MBR_DISK, shared_store=True), _damaged(of_items(ITEM))
    plan(shared, of, FakeInstaller())
    with pytest.raises(CorruptError):
        plan(shared, of, FakeInstaller(loaded=frozenset({f"{STORE}/folder/more".encode()})))


def test_a_store_alone_is_the_root_of_its_file_system(tmp_path: Path) -> None:
    made(tmp_path / "disk", of_items(ITEM), replace(layout("none"), store_only=True))
    assert not ext4.complaints(tmp_path / "disk")
    assert ext4.header(tmp_path / "disk")["Filesystem volume name"] == "nix-store"
    assert ext4.debugfs(tmp_path / "disk", f"cat /{STORE.rpartition('/')[2]}/folder/more") == "more"


@pytest.mark.parametrize(
    ("store", "label"), [("/gnu/store/", "Guix_image"), ("/nix/store/", "nixos"), ("/opt/store/", "root")]
)
def test_a_root_is_called_as_its_store_has_it(store: str, label: str) -> None:
    of = of_items(nar_item(f"{store}00000000000000000000000000000000-a"))
    assert image_of(MBR_DISK, of).partitions[0].label == label


@pytest.mark.parametrize(("name", "output"), [("", "a-1-efi.raw"), ("b", "b-efi.raw")])
def test_an_image_may_have_a_name(name: str, output: str) -> None:
    assert default_output("a-1", Options("efi-raw", replace(EFI_DISK, name=name))) == output


def test_a_type_makes_the_image_of_a_system() -> None:
    made_by_type = TYPES["efi-raw"].constructor(SYSTEM)
    assert made_by_type.operating_system is SYSTEM
    assert made_by_type == image_of(EFI_DISK, SYSTEM)
    assert made_by_type.platform == SYSTEM.platform


def test_the_bytes_do_not_depend_on_who_writes_nor_with_how_many(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(noise(5 * MIB))
    of = of_entries((*FILES, File(b"copied", Slice(str(tmp_path / "source"), 0, 5 * MIB))))
    made(tmp_path / "one", of, EFI_DISK, jobs=1)
    made(tmp_path / "two", of, EFI_DISK, jobs=2)
    expected = (tmp_path / "one").read_bytes()
    assert (tmp_path / "two").read_bytes() == expected
    before = os.umask(0o777)
    try:
        made(tmp_path / "masked", of_entries(FILES), EFI_DISK)
    finally:
        os.umask(before)
    assert (tmp_path / "masked").stat().st_mode & 0o777 == 0o644
    with public_folder(0o777) as home:
        assert as_nobody(lambda: made(home / "disk", of_entries(FILES), EFI_DISK).size) == str(46 * MIB)
        assert (home / "disk").read_bytes() == (tmp_path / "masked").read_bytes()


@pytest.mark.parametrize("image", [EFI_DISK, layout("hybrid"), WITH_FREE])
def test_pieces_are_in_the_order_of_their_offsets(image: Image) -> None:
    found, end = plan(image, installer=FakeInstaller(code=b"x", embedded=(_core(20_000),))), 0
    with Reader() as reader:
        for piece in found.pieces(reader):
            assert piece.offset >= end
            end = piece.offset + (len(piece.data) if isinstance(piece, Bytes) else piece.size)
    assert end == found.size


def test_a_disk_does_not_go_into_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot go to standard output"):
        made(Path(STANDARD_OUTPUT), SYSTEM, MBR_DISK)


def test_files_of_any_size_are_copied_in_bounded_memory(tmp_path: Path) -> None:
    with open(tmp_path / "source", "wb") as file:
        file.write(noise(MIB) * 64)
    of = of_entries((File(b"large", Slice(str(tmp_path / "source"), 0, 64 * MIB)), *FILES))
    tracemalloc.start()
    made(tmp_path / "disk", of, EFI_DISK)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MIB


def test_nothing_is_left_when_a_source_vanishes(tmp_path: Path) -> None:
    of = of_entries((File(b"gone", Slice(str(tmp_path / "gone"), 0, 9 * MIB)),))
    with pytest.raises(PackError):
        made(tmp_path / "disk", of, EFI_DISK)
    assert os.listdir(tmp_path) == []

"""Whole disks, read by those who partition, check and mount them."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from formats.boards import BOARDS
from formats.image import BOOT, ESP, UNFORMATTED, Image, Partition
from formats.image_types import EFI_DISK, HURD_DISK, LAYOUTS, MBR_DISK, board_disk, layout
from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.oracle import ext4, fat
from tests.oracle import partitions as tables
from tests.support.entries import ALL_KINDS
from tests.support.images import FakeInstaller, made, of_entries
from tests.support.images import partitions as extracted
from tests.support.processes import needs_root
from tests.support.volumes import MIB, tree_of

_ENTRIES: tuple[Entry, ...] = (
    *ALL_KINDS,
    File(b"boot/vmlinuz-6.1", Data(b"kernel" * 100_000)),
    Directory(b"home/ada", Meta(0o750, 1000, 1000)),
    File(b"home/ada/notes", Data(b"hello"), Meta(0o600, 1000, 1000)),
)

_ROOT = Partition("root", mount_point="/")


def _entries(image: Image) -> tuple[Entry, ...]:
    """Those above, and what the firmware starts."""
    places = [partition.mount_point.strip("/") for partition in image.partitions if ESP in partition.flags]
    return (*_ENTRIES, *(File(f"{place}/EFI/BOOT/BOOTX64.EFI".encode(), Data(b"MZ" * 5000)) for place in places))


#: Disks with their mount points by the number of the partition.
DISKS: dict[str, Image] = {
    **{name: replace(layout(name), additional_space=MIB) for name in LAYOUTS},
    "mbr-raw": MBR_DISK,
    "efi-raw": EFI_DISK,
    "hurd-raw": HURD_DISK,
    **{f"{board.name}-raw": board_disk(board) for board in BOARDS.values()},
    "with a size": replace(EFI_DISK, size=100 * MIB),
    "of ext2 and ext3": Image(
        partitions=(
            replace(_ROOT, file_system="ext2"),
            Partition("home", None, None, "ext3", mount_point="/home"),
            Partition("swap", 4 * MIB, file_system="swap"),
            Partition("free", MIB, file_system=UNFORMATTED),
        )
    ),
    "hybrid MBR": Image(
        partitions=(
            Partition("boot", 64 * MIB, file_system="fat32", mount_point="/boot", flags=frozenset({BOOT})),
            _ROOT,
        ),
        partition_table_type="hybrid",
    ),
    "one in another": Image(
        partitions=(
            _ROOT,
            Partition("boot", mount_point="/boot"),
            Partition("ESP", 4 * MIB, file_system="vfat", mount_point="/boot/efi", flags=frozenset({ESP})),
        ),
        partition_table_type="gpt",
    ),
    "many": Image(
        partitions=(_ROOT, *(Partition(f"p{number}", MIB, file_system="vfat") for number in range(20))),
        partition_table_type="gpt",
    ),
    "last first": Image(
        size=64 * MIB,
        partitions=(replace(_ROOT, offset=32 * MIB), Partition("home", None, MIB, mount_point="/home")),
        partition_table_type="gpt",
    ),
}


def _volumes(disk: Path, image: Image) -> list[Path]:
    return [disk] if image.partition_table_type == "none" else extracted(disk)


@needs_root
@pytest.mark.parametrize("name", DISKS)
def test_every_reader_finds_what_was_packed(name: str, tmp_path: Path) -> None:
    image, disk = DISKS[name], tmp_path / "disk.raw"
    artefact = made(disk, of_entries(_entries(image)), image)
    assert disk.stat().st_size == artefact.size == artefact.facts["file-size"]
    if image.partition_table_type != "none":
        assert not tables.complaints(disk)
    mounts = [partition.mount_point.strip("/") for partition in image.partitions]
    for partition, volume in zip(image.partitions, _volumes(disk, image), strict=True):
        if partition.file_system.startswith("ext"):
            assert not ext4.complaints(volume)
            _compare(volume, partition.mount_point.strip("/"), mounts, image)
        elif "fat" in partition.file_system:
            assert not fat.complaints(volume)
            assert fat.identity(volume)["LABEL"] == partition.label
        elif partition.file_system == "swap":
            assert fat.identity(volume)["TYPE"] == "swap"
        else:
            assert not volume.read_bytes().strip(b"\0")


def _compare(volume: Path, mount: str, mounts: list[str], image: Image) -> None:
    """What the kernel sees, next to the entries below a mount point and no other."""
    inside: list[Entry] = []
    for entry in tree_of(_entries(image)):
        path = entry.path.decode(errors="surrogateescape")
        deepest = max((m for m in mounts if not m or path.startswith(f"{m}/")), key=len, default=None)
        if deepest == mount:
            start = len(mount.encode()) + 1 if mount else 0
            if isinstance(entry, Hardlink):
                entry = replace(entry, target=entry.target[start:])
            inside.append(replace(entry, path=entry.path[start:]))
    with ext4.mounted(volume) as place:
        assert ext4.seen(place) == ext4.expected(tree_of(inside), 1)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("none", []),
        ("legacy", [(1, None, "83")]),
        ("legacy+boot", [(1, 256, "c"), (256, None, "83")]),
        ("legacy+gpt", [(1, 2, "21686148-6449-6E6F-744E-656564454649"), (2, None, "LINUX")]),
        ("efi", [(8, 256, "ESP"), (256, None, "LINUX")]),
        ("efixbootldr", [(8, 100, "ESP"), (100, 256, "BC13C2FF-59E6-4262-A352-B275FD6F7172"), (256, None, "LINUX")]),
        (
            "hybrid",
            [(8, 256, "ESP"), (17 / 1024, 1, "21686148-6449-6E6F-744E-656564454649"), (256, None, "LINUX")],
        ),
        ("mbr-raw", [(1, None, "83")]),
        ("efi-raw", [(1, 41, "ESP"), (41, None, "LINUX")]),
    ],
)  # fmt: skip
def test_layouts_are_those_of_nixpkgs_and_guix(
    name: str, places: list[tuple[float, float | None, str]], tmp_path: Path
) -> None:
    types = {"ESP": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "LINUX": "0FC63DAF-8483-4772-8E79-3D69D8477DE4"}
    disk = tmp_path / "disk.raw"
    artefact = made(disk, of_entries(_entries(DISKS[name])), DISKS[name])
    if not places:
        assert fat.identity(disk)["LABEL"] == "root"
        return
    end = (artefact.size - (33 * 512 if tables.is_gpt(disk) else 0)) // MIB
    for found, (first, last, kind) in zip(tables.dump(disk)["partitions"], places, strict=True):
        assert found["start"] * 512 == first * MIB
        assert (found["start"] + found["size"]) * 512 == (end if last is None else last) * MIB
        assert found["type"] == types.get(kind, kind)


def test_flags_are_on_the_disk(tmp_path: Path) -> None:
    of = of_entries(_ENTRIES)
    made(tmp_path / "gpt", of, DISKS["efi-raw"])
    made(tmp_path / "mbr", of, DISKS["legacy+boot"])
    made(tmp_path / "hybrid", of, DISKS["hybrid"])
    assert [part.get("attrs") for part in tables.dump(tmp_path / "gpt")["partitions"]] == [None, "LegacyBIOSBootable"]
    assert [part.get("bootable") for part in tables.dump(tmp_path / "mbr")["partitions"]] == [True, None]
    assert "bios_grub" in tables.parted(tmp_path / "hybrid")


def test_identifiers_can_be_given(tmp_path: Path) -> None:
    disk_uuid, uuid, other = (UUID(int=number) for number in (1, 2, 3))
    image = replace(
        EFI_DISK,
        disk_uuid=disk_uuid,
        partitions=(
            replace(EFI_DISK.partitions[0], uuid=UUID("1a2b3c4d-0000-0000-0000-000000000000")),
            replace(EFI_DISK.partitions[1], uuid=uuid, partition_uuid=other, type=UUID(int=4), label="own"),
        ),
    )
    made(tmp_path / "disk", of_entries(_entries(image)), image)
    table = tables.dump(tmp_path / "disk")
    esp, root = extracted(tmp_path / "disk")
    assert UUID(table["id"]) == disk_uuid
    assert UUID(table["partitions"][1]["uuid"]) == other
    assert UUID(table["partitions"][1]["type"]) == UUID(int=4)
    assert fat.identity(esp)["UUID"] == "1A2B-3C4D"
    assert fat.identity(root)["UUID"] == str(uuid)


def _identifiers(disk: Path) -> set[str]:
    table = tables.dump(disk)
    return {
        table["id"],
        *(part.get("uuid", "") for part in table["partitions"]),
        *(fat.identity(part)["UUID"] for part in extracted(disk)),
    }


@pytest.mark.parametrize(
    ("entries", "image"),
    [
        ((*_ENTRIES, File(b"one", Data(b"more"))), EFI_DISK),
        (_ENTRIES, replace(EFI_DISK, size=128 * MIB)),
        (_ENTRIES, replace(EFI_DISK, volatile_root=True)),
    ],
)  # fmt: skip
def test_another_disk_has_other_identifiers(entries: tuple[Entry, ...], image: Image, tmp_path: Path) -> None:
    made(tmp_path / "a", of_entries(_ENTRIES), EFI_DISK)
    made(tmp_path / "b", of_entries(entries), image)
    one, other = _identifiers(tmp_path / "a"), _identifiers(tmp_path / "b")
    assert len(one) == len(other) == 5
    assert not one & other


def test_another_customization_is_another_disk(tmp_path: Path) -> None:
    of = of_entries(_ENTRIES)
    file = File(b"etc/motd", Data(b"hello"))
    made(tmp_path / "a", of, EFI_DISK)
    made(tmp_path / "b", replace(of, customization=(Directory(b"etc"), file)), EFI_DISK)
    assert not _identifiers(tmp_path / "a") & _identifiers(tmp_path / "b")


def test_file_systems_of_a_disk_have_nothing_in_common(tmp_path: Path) -> None:
    image = Image(partitions=(_ROOT, Partition("root", mount_point="/home")))
    made(tmp_path / "disk", of_entries(_ENTRIES), image)
    one, other = (ext4.header(volume) for volume in extracted(tmp_path / "disk"))
    for name in ("Filesystem UUID", "Directory Hash Seed"):
        assert one[name] != other[name]


def test_what_an_installer_adds_goes_where_it_belongs(tmp_path: Path) -> None:
    installer = FakeInstaller(
        entries=(
            File(b"boot/efi/EFI/BOOT/grub.cfg", Data(b"menu")),
            File(b"etc/fstab", Data(b"lines")),
            File(b"lib/modules/6.1/modules.dep", Data(b"dep")),
        ),
        code=b"\xeb" * 440,
    )
    entries = (*_ENTRIES, Symlink(b"lib", b"usr/lib"), Directory(b"usr/lib"))
    made(tmp_path / "disk", of_entries(entries), EFI_DISK, installer)
    assert (tmp_path / "disk").read_bytes()[:440] == b"\xeb" * 440
    assert not tables.complaints(tmp_path / "disk")
    esp, root = extracted(tmp_path / "disk")
    assert (
        "grub.cfg" in ext4.debugfs(root, "ls /boot/efi")
        or fat.said("mtype", "-i", esp, "::/EFI/BOOT/grub.cfg") == "menu"
    )
    assert ext4.debugfs(root, "cat /etc/fstab") == "lines"
    assert ext4.debugfs(root, "cat /usr/lib/modules/6.1/modules.dep") == "dep"
    assert "EFI" not in ext4.debugfs(root, "ls /boot/efi")


def test_a_mount_point_can_be_new_and_behind_a_link(tmp_path: Path) -> None:
    image = Image(
        partitions=(
            _ROOT,
            Partition("srv", mount_point="/srv/data"),
            Partition("lib", mount_point="/lib/firmware"),
            Partition("deep", mount_point="/alias"),
        )
    )
    entries = (
        Symlink(b"lib", b"usr/lib"),
        File(b"usr/lib/firmware/blob", Data(b"blob")),
        Symlink(b"alias", b"/var/deep"),
        File(b"var/deep/file", Data(b"deep")),
    )
    made(tmp_path / "disk", of_entries(entries), image)
    root, srv, lib, deep = extracted(tmp_path / "disk")
    assert "Type: directory" in ext4.debugfs(root, "stat /srv/data")
    assert "blob" not in ext4.debugfs(root, "ls /usr/lib/firmware")
    assert ext4.debugfs(lib, "cat /blob") == "blob"
    assert ext4.debugfs(deep, "cat /file") == "deep"
    assert not ext4.complaints(srv)


@needs_root
def test_hard_links_do_not_leave_their_partition(tmp_path: Path) -> None:
    entries = (
        File(b"a", Data(b"content"), Meta(0o640, 7, 8)),
        Hardlink(b"home/b", b"a"),
        Hardlink(b"home/c/d", b"a"),
        Hardlink(b"z", b"a"),
    )
    image = Image(partitions=(_ROOT, Partition("home", mount_point="/home")))
    made(tmp_path / "disk", of_entries(entries), image)
    root, home = extracted(tmp_path / "disk")
    in_root: list[Entry] = [entries[0], Directory(b"home"), entries[3]]
    in_home: list[Entry] = [replace(entries[0], path=b"b"), Hardlink(b"c/d", b"b")]
    for volume, expected in ((root, in_root), (home, in_home)):
        assert not ext4.complaints(volume)
        with ext4.mounted(volume) as place:
            assert ext4.seen(place) == ext4.expected(tree_of(expected), 1)


def test_the_root_of_a_partition_is_the_folder_that_it_is_mounted_at(tmp_path: Path) -> None:
    entries = (Directory(b"home", Meta(0o1777, 5, 6)), File(b"home/x"))
    made(tmp_path / "disk", of_entries(entries), Image(partitions=(_ROOT, Partition("home", mount_point="/home"))))
    for volume, path in zip(extracted(tmp_path / "disk"), ("/home", "/"), strict=True):
        stat = ext4.debugfs(volume, f"stat {path}")
        assert "Mode:  01777" in stat
        assert "User:     5   Group:     6" in stat

"""Whole tables, read by sfdisk, fdisk, sgdisk and parted, and compared with theirs."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from uuid import UUID

import pytest

from formats.partition import Disk, Partition, gpt, mbr
from formats.partition.types import BIOS_BOOT, ESP, FAT16, FAT32, LINUX, ROOTS, SWAP, XBOOTLDR, PartitionType
from formats.platform import PLATFORMS
from layers.digest import Digest
from layers.errors import InputError
from tests.oracle.partitions import complaints, dump, everything, parted, primary_and_backup
from tests.support.disks import IDENTITY, damaged, write_disk
from tests.support.processes import as_nobody, public_folder
from tests.support.volumes import GIB, MIB


def root(platform: str) -> PartitionType:
    """The type of a root file system."""
    return PartitionType(UUID(ROOTS[platform]), LINUX.mbr)


BIOS = Partition("bios", 34 * 512, 2014 * 512, BIOS_BOOT)
EFI = Partition("GNU-ESP", MIB, 40 * MIB, ESP)
ROOT = Partition("Guix_image", 41 * MIB, 100 * MIB, root("x86_64-linux"), bootable=True)
LAST = Partition("SWAP", 141 * MIB, MIB, SWAP)
DISK = Disk(IDENTITY, 200 * MIB, (BIOS, EFI, ROOT, LAST))
HYBRID = replace(DISK, partitions=(BIOS, replace(EFI, hybrid=True), replace(ROOT, hybrid=True), LAST))
MBR = replace(DISK, partitions=(EFI, ROOT, LAST))


def many(count: int) -> list[Partition]:
    return [Partition(f"p{number}", (number + 1) * MIB, MIB, LINUX) for number in range(count)]


DISKS = {
    "mbr": (mbr, MBR),
    "mbr, empty": (mbr, replace(DISK, partitions=())),
    "mbr, full": (mbr, replace(DISK, size=142 * MIB, partitions=MBR.partitions)),
    "mbr, large": (mbr, Disk(IDENTITY, 2048 * GIB, (replace(ROOT, size=2000 * GIB),))),
    "gpt": (gpt, DISK),
    "gpt, empty": (gpt, replace(DISK, partitions=())),
    "gpt, full": (gpt, replace(DISK, size=142 * MIB + 33 * 512)),
    "gpt, large": (gpt, Disk(IDENTITY, 4096 * GIB, (EFI, replace(ROOT, size=3000 * GIB)))),
    "gpt, not in order": (gpt, replace(DISK, partitions=(EFI, BIOS, LAST, ROOT))),
    "gpt, 128": (
        gpt, replace(DISK, partitions=many(128)),
    ),
    "hybrid": (gpt, HYBRID),
    "hybrid, of all": (gpt, replace(DISK, partitions=[replace(part, hybrid=True) for part in MBR.partitions])),
}  # fmt: skip


def guid(value: UUID | None) -> str:
    return str(value).upper()


@pytest.mark.parametrize("name", DISKS)
def test_nobody_has_anything_against_a_table(tmp_path: Path, name: str) -> None:
    table, disk = DISKS[name]
    path = write_disk(tmp_path / "disk", table, disk)
    assert path.stat().st_size == disk.size
    assert path.stat().st_blocks <= 128
    assert complaints(path) == ""
    found = dump(path)
    assert found["label"] == ("gpt" if table is gpt else "dos")
    parts = found.get("partitions", [])
    assert [(part["start"] * 512, part["size"] * 512) for part in parts] == [(p.start, p.size) for p in disk.partitions]
    assert len(parted(path).splitlines()) == 2 + len(disk.partitions)
    if table is gpt:
        assert [(p["type"], p["name"]) for p in parts] == [(guid(p.type.guid), p.name) for p in disk.partitions]
        assert [p.get("attrs") == "LegacyBIOSBootable" for p in parts] == [p.bootable for p in disk.partitions]
        assert primary_and_backup(path)
    else:
        assert [(int(p["type"], 16), p.get("bootable", False)) for p in parts] == [
            (part.type.mbr, part.bootable) for part in disk.partitions
        ]


def by_sgdisk(path: Path, disk: Disk, found: Sequence[dict[str, str]], disk_guid: str) -> None:
    command = ["sgdisk", "--clear", "--set-alignment=1"]
    for number, (part, seen) in enumerate(zip(disk.partitions, found, strict=True), 1):
        command += [
            f"--new={number}:{part.first_sector}:{part.first_sector + part.sectors - 1}",
            f"--typecode={number}:{guid(part.type.guid)}", f"--change-name={number}:{part.name}",
            f"--partition-guid={number}:{seen['uuid']}",
        ]  # fmt: skip
        command += [f"--attributes={number}:set:2"] if part.bootable else []
    subprocess.run([*command, f"--disk-guid={disk_guid}", path], check=True, capture_output=True)


def by_sfdisk(path: Path, disk: Disk, found: Sequence[dict[str, str]], disk_guid: str) -> None:
    script = f"label: gpt\nlabel-id: {disk_guid}\nfirst-lba: 34\ntable-length: 128\n"
    for part, seen in zip(disk.partitions, found, strict=True):
        script += f"start={part.first_sector}, size={part.sectors}, type={guid(part.type.guid)}, uuid={seen['uuid']}"
        script += f', name="{part.name}"{", attrs=LegacyBIOSBootable" if part.bootable else ""}\n'
    subprocess.run(["sfdisk", "--quiet", path], input=script, text=True, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "other"), [("gpt", by_sgdisk), ("gpt, not in order", by_sgdisk), ("gpt, large", by_sfdisk)]
)
def test_a_gpt_is_to_the_byte_what_others_write(tmp_path: Path, name: str, other: Callable[..., None]) -> None:
    """Beyond what CHS can say, sgdisk has bytes of its own; below, sfdisk."""
    disk = DISKS[name][1]
    path = write_disk(tmp_path / "disk", gpt, disk)
    theirs = tmp_path / "theirs"
    with open(theirs, "wb") as file:
        file.truncate(disk.size)
    found = dump(path)
    other(theirs, disk, found["partitions"], found["id"])
    assert ends(theirs, disk.size) == ends(path, disk.size)


def ends(path: Path, size: int) -> tuple[bytes, bytes]:
    with open(path, "rb") as file:
        first = file.read(34 * 512)
        file.seek(size - 33 * 512)
        return first, file.read()


@pytest.mark.parametrize(
    "disk",
    [
        MBR,
        replace(
            MBR, size=8 * GIB, partitions=(replace(ROOT, size=3 * GIB), replace(LAST, start=5 * GIB, size=2 * GIB))
        ),
        replace(MBR, size=40 * GIB, partitions=(replace(ROOT, size=9 * GIB), replace(LAST, start=20 * GIB))),
    ],
)
def test_an_mbr_is_to_the_byte_what_sfdisk_writes(tmp_path: Path, disk: Disk) -> None:
    path = write_disk(tmp_path / "disk", mbr, disk)
    script = subprocess.run(["sfdisk", "--dump", path], capture_output=True, text=True, check=True).stdout
    theirs = tmp_path / "theirs"
    with open(theirs, "wb") as file:
        file.truncate(disk.size)
    subprocess.run(["sfdisk", "--quiet", theirs], input=script, text=True, check=True, capture_output=True)
    with open(theirs, "rb") as other, open(path, "rb") as ours:
        assert other.read(512) == ours.read(512)


def test_a_hybrid_mbr_has_what_asks_for_it_behind_what_protects_the_table(tmp_path: Path) -> None:
    said = everything(write_disk(tmp_path / "disk", gpt, HYBRID))
    table = [" ".join(line.split()) for line in said.splitlines() if line.endswith(("0xEE", "0xEF", "0x83"))]
    assert table[:3] == ["1 1 2047 primary 0xEE", "2 2048 83967 primary 0xEF", "3 * 83968 288767 primary 0x83"]


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (ESP, "EFI System"), (BIOS_BOOT, "BIOS boot"), (XBOOTLDR, "Linux extended boot"), (SWAP, "Linux swap"),
        (LINUX, "Linux filesystem"), (FAT16, "Microsoft basic data"), (FAT32, "Microsoft basic data"),
        (root("x86_64-linux"), "Linux root (x86-64)"), (root("i686-linux"), "Linux root (x86)"),
        (root("aarch64-linux"), "Linux root (ARM-64)"), (root("armhf-linux"), "Linux root (ARM)"),
        (root("riscv64-linux"), "Linux root (RISC-V-64)"),
        (root("ppc64le-linux"), "Linux root (PPC64LE)"),
        (root("s390x-linux"), "Linux root (S390X)"),
        (root("mips64el-linux"), "Linux root (MIPS-64 LE)"),
    ],
)  # fmt: skip
def test_types_mean_what_fdisk_says(tmp_path: Path, type_: PartitionType, name: str) -> None:
    path = write_disk(tmp_path / "disk", gpt, replace(DISK, partitions=(replace(EFI, type=type_),)))
    said = subprocess.run(["fdisk", "-l", "-o", "Type", path], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == name


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (ESP, "EFI (FAT-12/16/32)"), (XBOOTLDR, "Linux extended boot"), (SWAP, "Linux swap / Solaris"),
        (LINUX, "Linux"), (FAT16, "W95 FAT16 (LBA)"), (FAT32, "W95 FAT32 (LBA)"),
        (root("x86_64-linux"), "Linux"),
    ],
)  # fmt: skip
def test_bytes_mean_what_fdisk_says(tmp_path: Path, type_: PartitionType, name: str) -> None:
    path = write_disk(tmp_path / "disk", mbr, replace(DISK, partitions=(replace(EFI, type=type_),)))
    said = subprocess.run(["fdisk", "-l", "-o", "Type", path], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == name


def test_every_platform_has_a_root() -> None:
    assert len(set(ROOTS.values())) == len(ROOTS)
    assert {platform for platform in PLATFORMS if platform.endswith("-linux")} == ROOTS.keys()


@pytest.mark.parametrize(
    ("table", "partitions", "message"),
    [
        (mbr, many(5), "has room for 4 partitions, and there are 5"),
        (mbr, [BIOS], "the partition 'bios' has a type that an MBR does not know"),
        (mbr, [replace(EFI, bootable=True), ROOT], "can be bootable, and 'GNU-ESP', 'Guix_image' are"),
        (mbr, [replace(ROOT, size=2048 * GIB)], "the partition 'Guix_image' ends beyond 2 TiB"),
        (mbr, [replace(ROOT, size=2048 * GIB, name="")], "partition 1 ends beyond 2 TiB"),
        (gpt, many(129), "for 128 partitions, and there are 129"),
        (gpt, [replace(EFI, name="n" * 37)], "does not fit into 36 characters"),
        (gpt, [replace(EFI, name="\U0001f427" * 19)], "does not fit into 36 characters"),
        (gpt, [replace(EFI, name="nul\0")], "does not fit into 36 characters"),
        (gpt, [replace(EFI, uuid=UUID(int=1)), replace(ROOT, uuid=UUID(int=1))], "have the same UUID"),
        (gpt, [replace(EFI, start=33 * 512)], "'GNU-ESP' begins at 16896, and the table ends at 17408"),
        (gpt, [replace(p, hybrid=True) for p in many(4)], "room for 3"),
        (gpt, [replace(BIOS, hybrid=True)], "'bios' has a type that an MBR does not know"),
    ],
)  # fmt: skip
def test_what_a_table_cannot_say_is_refused(table: ModuleType, partitions: list[Partition], message: str) -> None:
    size = 4096 * GIB if partitions[0].size > GIB else 200 * MIB
    with pytest.raises(InputError) as caught:
        list(table.pieces(Disk(IDENTITY, size, partitions)))
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["n" * 36, "\U0001f427" * 18, "Größe"])
def test_names_are_utf_16(tmp_path: Path, name: str) -> None:
    path = write_disk(tmp_path / "disk", gpt, replace(DISK, partitions=(replace(EFI, name=name),)))
    assert dump(path)["partitions"][0]["name"] == name


def test_identifiers_are_given_or_derived(tmp_path: Path) -> None:
    given = replace(DISK, uuid=UUID(int=5), partitions=(replace(EFI, uuid=UUID(int=6)),))
    found = dump(write_disk(tmp_path / "given", gpt, given))
    assert (found["id"], found["partitions"][0]["uuid"]) == (guid(UUID(int=5)), guid(UUID(int=6)))
    seen = set()
    for identity in (IDENTITY, Digest.of(b"another disk")):
        found = dump(write_disk(tmp_path / "derived", gpt, replace(DISK, identity=identity)))
        seen |= {found["id"], *(part["uuid"] for part in found["partitions"])}
        seen.add(dump(write_disk(tmp_path / "derived", mbr, replace(MBR, identity=identity)))["id"])
    assert len(seen) == 2 * 6


@pytest.mark.parametrize(("table", "after"), [(mbr, 0), (gpt, gpt.AFTER_LAST)])
def test_the_least_disk_is_enough(table: ModuleType, after: int) -> None:
    least = MBR.partitions[-1].end + after
    assert list(table.pieces(Disk(IDENTITY, least, MBR.partitions)))
    with pytest.raises(InputError, match="'SWAP' ends"):
        list(table.pieces(Disk(IDENTITY, least - 512, MBR.partitions)))


def test_boot_code_is_left_alone() -> None:
    assert [piece.offset for table in (mbr, gpt) for piece in table.pieces(MBR)][:2] == [440, 440]


@pytest.mark.parametrize("name", ["mbr", "hybrid"])
def test_an_unprivileged_user_writes_the_same_bytes(tmp_path: Path, name: str) -> None:
    table, disk = DISKS[name]
    mine = Digest.of(write_disk(tmp_path / "mine", table, disk).read_bytes())
    with public_folder(0o777) as folder:
        assert as_nobody(lambda: Digest.of(write_disk(folder / "disk", table, disk).read_bytes())) == str(mine)


#: Where a structure is: its first byte, and how many of its bytes mean something.
END = DISK.size
PLACES = {
    "mbr signature": ("mbr", 440, 4),
    "mbr entries": ("mbr", 446, 48),
    "mbr magic": ("mbr", 510, 2),
    "hybrid signature": ("hybrid", 440, 4),
    "hybrid entries": ("hybrid", 446, 48),
    "protective entry": ("gpt", 446, 16),
    "magic of a protective mbr": ("gpt", 510, 2),
    "header": ("gpt", 512, 92),
    "entries": ("gpt", 1024, 128 * 128),
    "used entries": ("gpt", 1024, 4 * 128),
    "entries again": ("gpt", END - 33 * 512, 128 * 128),
    "header again": ("gpt", END - 512, 92),
}


@pytest.mark.parametrize("structure", PLACES)
def test_a_damaged_byte_is_noticed(tmp_path: Path, structure: str) -> None:
    name, start, size = PLACES[structure]
    path = write_disk(tmp_path / "disk", *DISKS[name])
    sound = everything(path)

    def noticed() -> bool:
        return bool(complaints(path)) or everything(path) != sound

    assert not noticed()
    for seed in range(4):
        position = int(Digest.of(f"{structure} {seed}".encode()).hex, 16) % size
        with damaged(path, start + position):
            assert noticed(), f"byte {position} of {structure}"

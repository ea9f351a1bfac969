"""Disks with a small system, started by emulated machines: each says what it is, and powers itself off."""

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest

from formats.disk.plan import DiskPlan
from formats.image import Image
from formats.image_types import EFI_DISK, MBR_DISK, layout
from formats.platform import PLATFORMS
from formats.system import Boot, System
from layers.entry import Data, File
from tests.formats.filesystem.ext4.test_growth import KINDS
from tests.oracle import ext4
from tests.oracle.qemu import BIOS, UEFI, UEFI32, Drive, Firmware, started
from tests.support.bootable import write_bootable
from tests.support.entries import ALL_KINDS, noise
from tests.support.guix_store import DATABASE
from tests.support.guix_system import guix_items, guix_system
from tests.support.nix_program import Nix, nar_hash
from tests.support.nix_store import SmallStore
from tests.support.nix_system import nix_system
from tests.support.small_debian import END, MARKER
from tests.support.sqlite_libraries import ask
from tests.support.volumes import GIB, MIB, write_ext4

#: Ways to name the root that Linux has, and its file system has not.
BY_PARTITION = UUID("6f3b7d5c-8a51-4c3e-9f01-2233445566aa")


#: What a store's database has: items, and what each needs.
REGISTERED = (
    "SELECT path, hash, narSize, deriver FROM ValidPaths ORDER BY path",
    """SELECT a.path, b.path FROM Refs JOIN ValidPaths a ON referrer = a.id JOIN ValidPaths b ON reference = b.id
    ORDER BY 1, 2""",
)


def small(image: Image) -> Image:
    """An image with little room to spare."""
    return replace(image, additional_space=32 * MIB)


MBR = small(MBR_DISK)
EFI = small(EFI_DISK)
HYBRID = small(layout("hybrid"))
EFI32 = replace(EFI, firmware=PLATFORMS["i686-linux"])
SYSTEMD_BOOT = replace(EFI, boot_loader="systemd-boot", efi_variables=True)


def identified(image: Image) -> Image:
    """An image whose root is in a partition of a known GUID."""
    *others, root = image.partitions
    return replace(image, partitions=(*others, replace(root, partition_uuid=BY_PARTITION)))


def said(serial: str) -> dict[str, str]:
    """What the system has told of itself, if nobody had to complain before."""
    assert "error:" not in serial
    start = serial.index(MARKER)
    return dict(re.findall(r"^(\w+): (.*?)\s*$", serial[start : serial.index(END, start)], re.MULTILINE))


def dumped(disk: Path, plan: DiskPlan, path: str, folder: Path) -> Path:
    """A folder of the root, which is the last partition, copied below a folder."""
    copy = folder / "copy"
    copy.mkdir(exist_ok=True)
    ext4.debugfs(Path(f"{disk}?offset={plan.partitions[-1].start}"), f"rdump {path} {copy}")
    return copy


@pytest.mark.parametrize(
    ("image", "firmware", "expected"),
    [
        (replace(small(layout("legacy+gpt")), format="qcow2-compressed"), BIOS, "BIOS"),
        (replace(small(layout("legacy+boot")), format="vdi"), BIOS, "BIOS"),
        (replace(HYBRID, format="vpc"), BIOS, "BIOS"),
        (HYBRID, UEFI, "UEFI 64"),
        (EFI, UEFI, "UEFI 64"),
        (small(layout("efixbootldr")), UEFI, "UEFI 64"),
        (EFI32, UEFI32, "UEFI 32"),
    ],
    ids=["legacy+gpt-qcow2", "legacy+boot-vdi", "hybrid-bios-vpc", "hybrid-uefi", "efi", "efixbootldr", "efi32"],
)
def test_a_disk_starts(
    image: Image, firmware: Firmware, expected: str, bootable_debian: System, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    write_bootable(disk, image, bootable_debian)
    found = said(started(tmp_path, Drive(disk, image.format.removesuffix("-compressed")), firmware=firmware))
    assert found["firmware"] == expected
    assert (found["root"], found["starts"], found["checked"], found["driver"]) == ("ext4", "1", "yes", "loaded")


CONTENT = noise(3 * MIB)
GROWN = 40 * GIB


@dataclass(frozen=True)
class Started:
    """A disk that was started once, with other disks beside it.

    Attributes:
        disk: its file.
        before: its bytes before that.
        volumes: the other disks, by the kinds of their file systems.
        found: what it has said.
    """

    disk: Path
    before: bytes
    volumes: Mapping[str, Path]
    found: dict[str, str]


@pytest.fixture(scope="module")
def volatile(bootable_debian: System, tmp_path_factory: pytest.TempPathFactory) -> Started:
    """A disk with a volatile root, beside small file systems on disks with more room."""
    folder = tmp_path_factory.mktemp("volatile")
    disk, volumes = folder / "disk", {kind: folder / kind for kind in KINDS}
    write_bootable(disk, replace(MBR, volatile_root=True), bootable_debian)
    for kind, volume in volumes.items():
        write_ext4(volume, [File(b"file", Data(CONTENT)), *ALL_KINDS], 16 * MIB, KINDS[kind])
        os.truncate(volume, GROWN)
    before = disk.read_bytes()
    found = said(started(folder, Drive(disk), *map(Drive, volumes.values())))
    return Started(disk, before, volumes, found)


def test_a_volatile_root_forgets(volatile: Started) -> None:
    assert (volatile.found["root"], volatile.found["starts"]) == ("overlay", "1")
    assert volatile.disk.read_bytes() == volatile.before


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_system_grows_while_it_is_mounted(kind: str, volatile: Started) -> None:
    letter = "bcdef"[list(KINDS).index(kind)]
    assert volatile.found[f"vd{letter}"] == f"{hashlib.sha256(CONTENT).hexdigest()}  /mnt/file"
    volume = volatile.volumes[kind]
    assert not ext4.complaints(volume)
    assert int(ext4.header(volume)["Block count"]) * 4096 == GROWN
    assert ext4.debugfs(volume, "cat more") == "more\n"


def test_a_root_is_repaired_and_remembers(bootable_debian: System, tmp_path: Path) -> None:
    """The first start repairs a wrong number of links, and begins anew; the second one is from another kind of disk."""
    disk = tmp_path / "disk"
    arguments = (*bootable_debian.boot.kernel_arguments, "fsck.mode=force")
    write_bootable(disk, MBR, replace(bootable_debian, boot=Boot(kernel_arguments=arguments)))
    root = f"{disk}?offset={MIB}"
    subprocess.run(["debugfs", "-w", "-R", "set_inode_field /etc links_count 9", root], check=True, capture_output=True)
    serial = started(tmp_path, Drive(disk))
    assert "initrd: the root file system was repaired" in serial
    assert MARKER not in serial
    found = said(started(tmp_path, Drive(disk, interface="ide")))
    assert (found["root"], found["starts"], found["checked"]) == ("ext4", "1", "yes")
    done = subprocess.run(["debugfs", "-R", "cat /starts", root], check=True, capture_output=True, text=True)
    assert done.stdout == "x\n"


@pytest.mark.parametrize("root", [f"PARTUUID={BY_PARTITION}", "PARTLABEL=root"], ids=["uuid", "label"])
def test_a_root_is_found_by_its_partition(root: str, bootable_debian: System, tmp_path: Path) -> None:
    arguments = (*bootable_debian.boot.kernel_arguments, f"root={root}")
    image = identified(small(layout("legacy+gpt")))
    write_bootable(tmp_path / "disk", image, replace(bootable_debian, boot=Boot(kernel_arguments=arguments)))
    found = said(started(tmp_path, Drive(tmp_path / "disk")))
    assert found["root"] == "ext4"
    assert f" root={root} " in found["arguments"] + " "


def test_what_is_missing_is_said_on_the_console(bootable_debian: System, tmp_path: Path) -> None:
    arguments = (*bootable_debian.boot.kernel_arguments, "root=PARTLABEL=gone", "rootdelay=1", "panic=1")
    write_bootable(tmp_path / "disk", MBR, replace(bootable_debian, boot=Boot(kernel_arguments=arguments)))
    serial = started(tmp_path, Drive(tmp_path / "disk"))
    assert "initrd: there is no root file system PARTLABEL=gone after 1 seconds" in serial
    assert " vda1\n" in serial
    assert MARKER not in serial


def test_a_system_of_nix_starts_by_an_entry_of_the_firmware(
    bootable_debian: System, nix_store: SmallStore, tmp_path: Path
) -> None:
    """A program of the store runs; afterwards, Nix finds the store on the disk whole, with its database."""
    source, system = nix_system(tmp_path, bootable_debian, nix_store)
    disk, top = tmp_path / "disk", system.closure.roots[0]
    expected = sorted(source.store("-qR", top))
    plan = write_bootable(disk, SYSTEMD_BOOT, system)
    serial = started(tmp_path, Drive(disk), firmware=replace(UEFI, variables=disk.with_suffix(".fd")))
    assert 'BdsDxe: starting Boot0000 "Linux Boot Manager" from HD(1,GPT,' in serial
    found = said(serial)
    assert (found["root"], found["items"]) == ("ext4", str(len(expected)))
    assert f"init={top}/init " in found["arguments"]
    nix = Nix(dumped(disk, plan, "/nix", tmp_path))
    known = ask(nix.database, *REGISTERED)
    assert [path for path, *_ in known[0]] == expected
    assert known == [[row for row in rows if row[0] in expected] for rows in ask(source.database, *REGISTERED)]
    assert sorted(nix.store("-qR", top)) == expected
    nix.store("--verify", "--check-contents")
    assert ask(nix.database, *REGISTERED) == known  # it would forget what is missing


def test_a_system_of_guix_starts(bootable_debian: System, tmp_path: Path) -> None:
    """By GRUB, which reads the store; afterwards, items are on the disk as its database has them."""
    items = guix_items(bootable_debian)
    system = guix_system(tmp_path, items)
    disk = tmp_path / "disk"
    plan = write_bootable(disk, MBR, system)
    found = said(started(tmp_path, Drive(disk)))
    assert found["root"] == "ext4"
    assert f" gnu.system={system.closure.roots[0]} gnu.load={system.closure.roots[0]}/boot " in found["arguments"]
    assert "Filesystem volume name:   Guix_image\n" in ext4.debugfs(Path(f"{disk}?offset={MIB}"), "stats")
    copy = dumped(disk, plan, "/gnu", tmp_path)
    paths, references = ask(dumped(disk, plan, "/var", tmp_path) / DATABASE, *REGISTERED)
    assert paths == [(item.path, str(item.nar_hash), item.nar_size, item.deriver or None) for item in items]
    assert references == [(item.path, other) for item in items for other in item.references]
    for path, registered, *_ in paths:
        assert registered == f"sha256:{nar_hash(copy / path[1:])}"


@pytest.mark.parametrize(
    ("image", "processor", "firmware", "expected"),
    [(replace(EFI, efi_variables=True), "x86_64-efi", UEFI, "UEFI 64"), (EFI32, "i386-efi", UEFI32, "UEFI 32")],
    ids=["efi", "efi32"],
)
def test_a_system_of_guix_starts_by_a_grub_that_is_made(
    image: Image, processor: str, firmware: Firmware, expected: str, bootable_debian: System, tmp_path: Path
) -> None:
    """Its items have nothing that UEFI firmware could start, and nothing for a BIOS."""
    system = guix_system(tmp_path, guix_items(bootable_debian, processor))
    disk = tmp_path / "disk"
    write_bootable(disk, image, system)
    if image.efi_variables:
        firmware = replace(firmware, variables=disk.with_suffix(".fd"))
    serial = started(tmp_path, Drive(disk), firmware=firmware)
    if image.efi_variables:
        assert 'BdsDxe: starting Boot0000 "GRUB" from HD(1,GPT,' in serial
    found = said(serial)
    assert (found["firmware"], found["root"]) == (expected, "ext4")
    assert f" gnu.system={system.closure.roots[0]} " in found["arguments"]


def test_a_system_of_guix_starts_with_the_store_of_its_host(bootable_debian: System, tmp_path: Path) -> None:
    """Which has it on a disk of its own, of which GRUB reads nothing."""
    system = guix_system(tmp_path, guix_items(bootable_debian))
    disk, store = tmp_path / "disk", tmp_path / "store"
    write_bootable(disk, replace(MBR, shared_store=True), system)
    write_bootable(store, replace(small(layout("none")), store_only=True), system)
    found = said(started(tmp_path, Drive(disk), Drive(store)))
    name = os.path.basename(system.closure.roots[0])
    assert f"BOOT_IMAGE=/boot/{name}/bzImage " in found["arguments"]
    assert found["root"] == "ext4"

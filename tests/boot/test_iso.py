"""ISO 9660 images with a small system, started from a CD and from a disk, by a BIOS and by UEFI firmware."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import pytest

from formats.image import Image
from formats.image_types import ISO
from formats.system import System
from layers.entry import PROGRAM, Data, Entry, File, Symlink
from layers.reader import Reader
from packer.boot.cpio import archive
from packer.boot.initrd import initrd
from packer.boot.modules import read_modules
from tests.boot.test_disks import said
from tests.oracle.iso9660 import identity, is_sound
from tests.oracle.qemu import BIOS, UEFI, Cd, Drive, Firmware, started
from tests.support.bootable import system_of, write_iso
from tests.support.small_debian import grub_files
from tests.support.small_debian import init as script_of
from tests.support.volumes import tree_of

PLAIN = replace(ISO, compression=False)

#: Guix's initrd knows a UUID by its looks, and what to start; how a root is laid under memory is its own matter.
AS_GUIX = {
    "/dev/disk/by-uuid/*) root=UUID=${root##*/} ;;": "????-??-??-*) root=UUID=$root ;;",
    "init=*) init=$value ;;": "gnu.load=*) init=$value ;;",
    "volatile=\n    for": "volatile=overlay\n    for",
}


@pytest.mark.parametrize(
    ("image", "firmware", "cd", "expected"),
    [
        (ISO, BIOS, "ide", "BIOS"),
        (PLAIN, BIOS, "", "BIOS"),
        (PLAIN, UEFI, "scsi", "UEFI 64"),
        (ISO, UEFI, "", "UEFI 64"),
    ],
    ids=["zisofs-bios-cd", "plain-bios-disk", "plain-uefi-cd", "zisofs-uefi-disk"],
)
def test_an_image_starts(
    image: Image, firmware: Firmware, cd: str, expected: str, bootable_debian: System, tmp_path: Path
) -> None:
    path = tmp_path / "image.iso"
    write_iso(path, image, bootable_debian)
    assert is_sound(path)
    before = path.read_bytes()
    found = said(started(tmp_path, Cd(path, cd) if cd else Drive(path), firmware=firmware))
    assert (found["firmware"], found["root"], found["starts"]) == (expected, "overlay", "1")
    assert re.search(rf"root=UUID={identity(path)['UUID']} ro systemd.volatile=overlay", found["arguments"])
    assert path.read_bytes() == before


@dataclass(frozen=True)
class Files:
    """What systems of stores have of Debian's here."""

    kernel: File
    busybox: File
    systemd_boot: File
    grub: list[File]
    initrd: bytes


@pytest.fixture(scope="module")
def files(bootable_debian: System) -> Files:
    """Files of the small system, and an initrd for a root of ISO 9660."""
    tree = bootable_debian.tree
    (kernel,) = (entry for entry in tree.below(b"boot") if b"vmlinuz-" in entry.path)
    busybox, systemd_boot = map(tree.follow, (b"usr/bin/busybox", b"usr/lib/systemd/boot/efi/systemd-bootx64.efi"))
    assert isinstance(kernel, File)
    assert isinstance(busybox, File)
    assert isinstance(systemd_boot, File)
    with Reader() as reader:
        modules = read_modules(tree, kernel.path.partition(b"-")[2].decode(), reader)
        made = initrd(modules, tree, reader, file_system="iso9660", volatile=True, epoch=1)
    return Files(kernel, busybox, systemd_boot, grub_files(tree), made)


def of_store(item: bytes, profile: bytes, files: Files, init: bytes, entries: Iterable[Entry]) -> System:
    """A system whose root is an item, with GRUB's modules and a program to start."""
    grub = (replace(entry, path=item + entry.path.removeprefix(b"usr")) for entry in files.grub)
    script = script_of("#!/bin/busybox sh", "b=/bin/busybox")
    return system_of(
        tree_of(
            [
                replace(files.busybox, path=b"bin/busybox"),
                Symlink(profile, b"/" + item),
                File(item + b"/" + init, Data(script.encode()), PROGRAM),
                *(replace(entry, path=item + b"/" + entry.path) for entry in entries),
                *grub,
            ]
        )
    )


def test_a_system_of_nix_starts_by_systemd_boot(files: Files, tmp_path: Path) -> None:
    """From a CD under UEFI: what it reads is in the volume that firmware sees."""
    item = b"nix/store/00000000000000000000000000000000-nixos-system"
    arguments = b"console=ttyS0 quiet systemd.volatile=overlay"
    entries = (
        replace(files.kernel, path=b"kernel"),
        File(b"initrd", Data(files.initrd)),
        File(b"kernel-params", Data(arguments)),
        replace(files.systemd_boot, path=b"sw/lib/systemd/boot/efi/systemd-bootx64.efi"),
    )
    system = of_store(item, b"nix/var/nix/profiles/system", files, b"init", entries)
    path = tmp_path / "image.iso"
    write_iso(path, ISO, system)
    assert is_sound(path)
    found = said(started(tmp_path, Cd(path, "scsi"), firmware=UEFI))
    assert (found["firmware"], found["root"]) == ("UEFI 64", "overlay")
    assert f"init=/{item.decode()}/init root=UUID={identity(path)['UUID']} console=ttyS0" in found["arguments"]


@pytest.mark.parametrize(
    ("firmware", "cd", "expected"),
    [(BIOS, "", "BIOS"), (UEFI, "scsi", "UEFI 64"), (UEFI, "", "UEFI 64")],
    ids=["bios-disk", "uefi-cd", "uefi-disk"],
)
def test_a_system_of_guix_starts(firmware: Firmware, cd: str, expected: str, files: Files, tmp_path: Path) -> None:
    """By GRUB, which is made of its modules for either firmware."""
    item = b"gnu/store/00000000000000000000000000000000-system"
    script = resources.files("packer.boot").joinpath("init.sh").read_text()
    for ours, theirs in AS_GUIX.items():
        assert ours in script
        script = script.replace(ours, theirs)
    with Reader() as reader:
        over = b"".join(archive([File(b"init", Data(script.encode()), PROGRAM)], reader, 1))
    parameters = (
        f'(boot-parameters (version 0) (label "GNU") (kernel "/{item.decode()}/bzImage")'
        f' (kernel-arguments ("console=ttyS0" "quiet")) (initrd "/{item.decode()}/initrd.cpio"))'
    )
    entries = (
        replace(files.kernel, path=b"bzImage"),
        File(b"initrd.cpio", Data(files.initrd + over)),
        File(b"parameters", Data(parameters.encode())),
    )
    path = tmp_path / "image.iso"
    write_iso(path, ISO, of_store(item, b"var/guix/profiles/system", files, b"boot", entries))
    assert is_sound(path)
    found = said(started(tmp_path, Cd(path, cd) if cd else Drive(path), firmware=firmware))
    assert (found["firmware"], found["root"]) == (expected, "overlay")
    assert f"root={identity(path)['UUID']} gnu.system=/{item.decode()}" in found["arguments"]

from dataclasses import replace
from pathlib import Path

import pytest

from formats.boot import Installed
from formats.image import Image, Partition
from formats.image_types import EFI_DISK, MBR_DISK, layout
from formats.system import System
from layers.entry import Data, Directory, File
from layers.errors import InputError
from layers.reader import Reader
from packer.boot.installer import BootInstaller
from tests.support.bootable import layout_of, system_of
from tests.support.operating_systems import tree

EMPTY = {"etc/fstab": "", "boot/config": ""}


def installed(image: Image, system: System) -> Installed:
    with Reader() as reader:
        return BootInstaller().install(layout_of(image, system), reader)


def paths(made: Installed) -> set[str]:
    return {entry.path.decode() for entry in made.entries if isinstance(entry, File)}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (MBR_DISK, {"boot/grub/grub.cfg"}),
        (EFI_DISK, {"boot/grub/grub.cfg", "boot/efi/EFI/BOOT/BOOTX64.EFI", "boot/efi/EFI/debian/grub.cfg"}),
        (replace(MBR_DISK, boot_loader="none"), set()),
        (layout("none"), set()),
        (
            layout("efixbootldr"),
            {"efi/EFI/BOOT/BOOTX64.EFI", "efi/EFI/systemd/systemd-bootx64.efi", "efi/loader/loader.conf",
             "boot/loader/entries/small-VERSION.conf"},
        ),
    ],
    ids=["mbr", "efi", "no loader", "no table", "efixbootldr"],
)  # fmt: skip
def test_all_that_a_disk_needs(image: Image, expected: set[str], bootable_debian: System) -> None:
    names = [entry.path for entry in bootable_debian.tree.below(b"boot") if b"vmlinuz-" in entry.path]
    version = names[0].partition(b"-")[2].decode()
    found = paths(installed(image, bootable_debian))
    tables = {path for path in found if path.startswith("usr/lib/modules/")}
    assert {path.rpartition("/")[2] for path in tables} >= {"modules.dep.bin", "modules.alias.bin"}
    companions = {"etc/fstab", f"boot/initrd.img-{version}"}
    assert installed(image, bootable_debian).loaded == {
        path.encode() for path in (f"boot/initrd.img-{version}", f"boot/vmlinuz-{version}")
    }
    assert found - tables == companions | {path.replace("VERSION", version) for path in expected}


@pytest.mark.parametrize(("there", "missing"), [({}, "dev proc run sys"), ({"dev/x": "", "run": "a file"}, "proc sys")])
def test_there_are_mount_points(there: dict[str, str], missing: str) -> None:
    made = installed(replace(MBR_DISK, boot_loader="none"), system_of(tree({**EMPTY, **there})))
    assert [entry.path.decode() for entry in made.entries if isinstance(entry, Directory)] == missing.split()


def test_it_is_the_same_every_time(bootable_debian: System) -> None:
    assert installed(EFI_DISK, bootable_debian).entries == installed(EFI_DISK, bootable_debian).entries


def test_it_is_the_same_with_a_cache(bootable_debian: System, tmp_path: Path) -> None:
    layout = replace(layout_of(EFI_DISK, bootable_debian), cache=str(tmp_path))
    with Reader() as reader:
        made = [BootInstaller().install(layout, reader).entries for _ in range(2)]
    assert made == [installed(EFI_DISK, bootable_debian).entries] * 2
    assert list(tmp_path.glob("kernel-modules/*"))


def test_tables_of_modules_that_are_there_stay(bootable_debian: System) -> None:
    entries = bootable_debian.tree.by_path()
    folder = next(path for path in entries if path.endswith(b"/modules.order")).removesuffix(b"/modules.order")
    with_tables = tree(
        {**{path.decode(): each for path, each in entries.items()}, f"{folder.decode()}/modules.dep": ""}
    )
    found = paths(installed(MBR_DISK, replace(bootable_debian, tree=with_tables)))
    assert not {path for path in found if path.startswith("usr/lib/modules/")}


def test_a_disk_with_a_store_alone_gets_nothing() -> None:
    alone = Image(partitions=(Partition("nix-store", mount_point="/nix/store"),), boot_loader="none")
    assert installed(alone, system_of(tree({"nix/store/x/y": ""}))) == Installed()


def test_a_system_without_a_kernel_is_told_of_its_disk_if_it_needs_no_loader() -> None:
    made = installed(replace(MBR_DISK, boot_loader="none"), system_of(tree(EMPTY)))
    (file,) = (entry for entry in made.entries if entry.path == b"etc/fstab")
    assert isinstance(file, File)
    assert isinstance(file.content, Data)
    assert file.content.data.endswith(b" / ext4 errors=remount-ro 0 1\n")


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (MBR_DISK, "the system has no kernel"),
        (replace(MBR_DISK, boot_loader="lilo"), "there is no boot loader 'lilo'"),
    ],
)
def test_what_is_missing_is_said(image: Image, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        installed(image, system_of(tree(EMPTY)))

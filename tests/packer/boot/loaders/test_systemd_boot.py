from dataclasses import replace

import pytest

from formats.image import BLS_BOOT, ESP, Image, Partition
from formats.platform import PLATFORMS
from layers.entry import Data, File
from layers.errors import InputError
from layers.reader import Reader
from packer.boot.kernel import Kernel
from packer.boot.loaders import systemd_boot
from tests.support.bootable import layout_of, system_of
from tests.support.operating_systems import tree

MIB = 1 << 20
ROOT = Partition("root", 300 * MIB, mount_point="/")
FIRMWARE = Partition("ESP", 40 * MIB, MIB, "vfat", flags=frozenset({ESP}), mount_point="/boot/efi")
BOOT = Partition("BOOT", 40 * MIB, None, "fat32", flags=frozenset({BLS_BOOT}), mount_point="/boot")
EFI = Image(partitions=(FIRMWARE, ROOT), partition_table_type="gpt")
EFI_AT_BOOT = replace(EFI, partitions=(replace(FIRMWARE, mount_point="/boot"), ROOT))
XBOOTLDR = replace(EFI, partitions=(replace(FIRMWARE, mount_point="/efi"), BOOT, ROOT))

SYSTEM = {
    "usr/lib/systemd/boot/efi/systemd-bootx64.efi": "x64",
    "usr/lib/systemd/boot/efi/systemd-bootaa64.efi": "aa64",
    "etc/os-release": "ID=debian\n",
}
KERNEL = Kernel(
    "Debian, Linux 6.1",
    "6.1",
    File(b"boot/vmlinuz-6.1", Data(b"linux")),
    File(b"boot/initrd.img-6.1", Data(b"initrd")),
    ("root=UUID=1", "ro"),
)
NIX = replace(KERNEL, version="a-nixos", file=File(b"nix/store/b/bzImage"), initrd=File(b"nix/store/c/initrd"))


def made(image: Image, *kernels: Kernel, system: dict[str, str] | None = None) -> dict[str, str]:
    with Reader() as reader:
        layout = layout_of(image, system_of(tree(SYSTEM if system is None else system)))
        entries = systemd_boot.install(layout, kernels or [KERNEL], reader).entries
    return {
        entry.path.decode(): entry.content.data.decode()
        for entry in entries
        if isinstance(entry, File) and isinstance(entry.content, Data)
    }


PROGRAMS = {"EFI/BOOT/BOOTX64.EFI": "x64", "EFI/systemd/systemd-bootx64.efi": "x64"}


def entry(linux: str, initrd: str) -> str:
    return f"title    Debian, Linux 6.1\nversion  6.1\nlinux    {linux}\ninitrd   {initrd}\noptions  root=UUID=1 ro\n"


@pytest.mark.parametrize(
    ("image", "esp", "boot", "copies", "linux", "initrd"),
    [
        (EFI, "boot/efi", "boot/efi", {"debian/6.1/linux": "linux", "debian/6.1/initrd": "initrd"},
         "/debian/6.1/linux", "/debian/6.1/initrd"),
        (EFI_AT_BOOT, "boot", "boot", {}, "/vmlinuz-6.1", "/initrd.img-6.1"),
        (XBOOTLDR, "efi", "boot", {}, "/vmlinuz-6.1", "/initrd.img-6.1"),
    ],
)  # fmt: skip
def test_what_is_where(image: Image, esp: str, boot: str, copies: dict[str, str], linux: str, initrd: str) -> None:
    expected = {f"{esp}/{path}": data for path, data in PROGRAMS.items()}
    expected |= {f"{boot}/{path}": data for path, data in copies.items()}
    expected[f"{esp}/loader/loader.conf"] = "default debian-6.1.conf\ntimeout 1\n"
    expected[f"{boot}/loader/entries/debian-6.1.conf"] = entry(linux, initrd)
    assert made(image) == expected


def test_several_kernels_are_in_a_menu() -> None:
    found = made(EFI_AT_BOOT, replace(KERNEL, version="6.2~rc1"), KERNEL)
    assert found["boot/loader/loader.conf"] == "default debian-6.2_rc1.conf\ntimeout 5\n"
    assert {path for path in found if "entries" in path} == {
        "boot/loader/entries/debian-6.2_rc1.conf", "boot/loader/entries/debian-6.1.conf",
    }  # fmt: skip


def test_another_processor() -> None:
    found = made(replace(EFI, firmware=PLATFORMS["aarch64-linux"]))
    assert found["boot/efi/EFI/BOOT/BOOTAA64.EFI"] == "aa64"


def test_an_item_of_a_store_may_have_it() -> None:
    system = {"nix/store/x-systemd/lib/systemd/boot/efi/systemd-bootx64.efi": "of nix"}
    found = made(EFI_AT_BOOT, NIX, system=system)
    assert found["boot/EFI/BOOT/BOOTX64.EFI"] == "of nix"
    assert {"boot/small/a-nixos/linux", "boot/small/a-nixos/initrd"} <= found.keys()


@pytest.mark.parametrize(
    ("image", "complaint", "hint"),
    [
        (replace(EFI, partitions=(ROOT,)), "needs an EFI system partition", "grub"),
        (replace(EFI, firmware=PLATFORMS["i686-linux"]), "no systemd-boot: .*systemd-bootia32.efi", "systemd-boot-efi"),
    ],
)
def test_what_is_missing_is_named(image: Image, complaint: str, hint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        made(image)
    assert hint in caught.value.hint

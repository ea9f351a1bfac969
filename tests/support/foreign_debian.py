"""Small systems of Debian's packages for processors that this machine has not, assembled with nothing executed."""

from dataclasses import replace
from pathlib import Path

from formats.system import System
from layers.tree import Tree
from packer.debian.sources import Host
from tests.support.small_debian import init, produced

#: Platform -> its kernel, boot loaders for UEFI, and the packages of its boards' U-Boot.
PACKAGES = {
    "aarch64-linux": (
        "linux-image-arm64",
        "grub-efi-arm64-bin",
        "systemd-boot-efi",
        "u-boot-rockchip",
        "u-boot-sunxi",
    ),
    "armhf-linux": ("linux-image-armmp", "u-boot-imx", "u-boot-sunxi"),
    "riscv64-linux": ("linux-image-riscv64", "systemd-boot-efi", "u-boot-sifive"),
}

#: What of a kernel's modules a start in QEMU needs, and the boards' disks; the others would take most of the time.
_MODULES = (
    b"/ext4/", b"/jbd2/", b"mbcache", b"crc", b"virtio", b"/mmc/", b"/regulator/", b"/mfd/", b"/i2c/busses/", b"/spi/",
    b"/gpio/", b"/dma/", b"/reset/", b"/soc/rockchip/", b"/phy/allwinner/", b"/phy/rockchip/", b"/base/",
)  # fmt: skip

_INIT = init("#!/bin/busybox sh", "b=/bin/busybox", 'echo; echo "machine: $($b uname -m)"')


def main_mirror() -> str:
    """The host's mirror of Debian, without its other pockets: they may have no packages for other processors."""
    return next(address for address in Host().sources().addresses if address.rstrip("/").endswith("/debian"))


def foreign_debian(folder: Path, platform: str) -> System:
    """Assemble it, of the suite that has all these processors; GRUB has its modules alone, and no program to copy."""
    declaration = f"""\
name = "small"
platform = "{platform}"
[store]
type = "debian"
mirror = "{main_mirror()}"
suite = "trixie"
packages = {["busybox-static", *PACKAGES[platform]]!r}
[os]
files = [{{ target = "/usr/sbin/init", text = '''{_INIT}''', mode = "0755" }}]
"""
    made = produced(declaration, folder)
    entries = {
        path: entry
        for path, entry in made.tree.by_path().items()
        if (b".ko" not in path or any(name in path for name in _MODULES)) and b"/monolithic/" not in path
    }
    return replace(made, tree=Tree(entries))

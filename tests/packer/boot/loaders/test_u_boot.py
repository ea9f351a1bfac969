import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from formats.boards import BOARDS
from formats.boot import Installed
from formats.image import BOOT, ESP, Image, Partition
from formats.image_types import board_disk
from layers.entry import Data, Directory, Entry, File, Hardlink
from layers.errors import InputError
from layers.item import Closure, StoreItem
from layers.reader import Reader
from packer.boot.kernel import Kernel
from packer.boot.loaders import u_boot
from tests.support.bootable import layout_of, system_of
from tests.support.nar_items import nar_item
from tests.support.operating_systems import tree

MIB = 1 << 20
ROOT = Partition("root", 300 * MIB, MIB, mount_point="/", flags=frozenset({BOOT}))
DISK = Image(partitions=(ROOT,))
WITH_BOOT = Image(
    partitions=(
        Partition("boot", 100 * MIB, MIB, mount_point="/boot", flags=frozenset({BOOT})),
        replace(ROOT, flags=frozenset(), offset=None),
    )
)

KERNEL = Kernel(
    "Debian\n13, Linux 6.12",
    "6.12+x",
    File(b"boot/vmlinuz-6.12+x", Data(b"linux")),
    File(b"boot/initrd.img-6.12+x", Data(b"initrd")),
    ("root=UUID=1", "ro"),
)
NIX = replace(KERNEL, version="a nixos", file=File(b"nix/store/b/Image"), initrd=File(b"nix/store/c/initrd"))

_FIT, _IVT, _EGON = b"\xd0\x0d\xfe\xed", b"\xd1\x00\x20\x40", b"\x16\x00\x00\xeaeGON.BT0"
_TREES = "usr/lib/linux-image-6.12+x"

#: What Debian's packages of U-Boot have, in short.
FILES: dict[str, str | Entry] = {
    f"usr/lib/u-boot/{name}": File(f"usr/lib/u-boot/{name}".encode(), Data(data))
    for name, data in {
        "pine64-lts/u-boot-sunxi-with-spl.bin": _EGON,
        "rock64-rk3328/idbloader.img": b"\x3b\x8c\xdc\xfc",
        "rock64-rk3328/u-boot.itb": _FIT,
        "novena-rawsd/SPL": _IVT,
        "novena-rawsd/u-boot.img": b"\x27\x05\x19\x56",
        "sifive_unmatched/u-boot-spl.bin": b"any",
        "sifive_unmatched/u-boot.itb": _FIT,
    }.items()
}
TREES: dict[str, str | Entry] = {
    f"{_TREES}/sifive/hifive-unmatched-a00.dtb": "unmatched",
    f"{_TREES}/other.dtb": Hardlink(f"{_TREES}/other.dtb".encode(), f"{_TREES}/same.dtb".encode()),
    f"{_TREES}/same.dtb": "same",
}


def installed(
    image: Image,
    *kernels: Kernel,
    files: dict[str, str | Entry] | None = None,
    platform: str = "aarch64-linux",
    items: Iterable[StoreItem] = (),
) -> Installed:
    system = system_of(tree(FILES | TREES if files is None else files), platform=platform, closure=Closure(items))
    with Reader() as reader:
        return u_boot.install(layout_of(image, system), kernels or [KERNEL], reader)


def board(name: str) -> Image:
    """Its disk, with a size."""
    image = board_disk(BOARDS[name])
    *others, root = image.partitions
    return replace(image, partitions=(*others, replace(root, size=300 * MIB)))


def contents(made: Installed) -> dict[str, str]:
    return {
        entry.path.decode(): entry.content.data.decode()
        for entry in made.entries
        if isinstance(entry, File) and isinstance(entry.content, Data)
    }


def menu(made: Installed) -> str:
    return contents(made)["boot/extlinux/extlinux.conf"]


def test_the_menu_of_one_kernel() -> None:
    assert contents(installed(DISK)) == {
        "boot/extlinux/extlinux.conf": """\
MENU TITLE U-Boot
PROMPT 0
TIMEOUT 10

LABEL 6.12+x
    MENU LABEL Debian 13, Linux 6.12
    KERNEL /boot/vmlinuz-6.12+x
    INITRD /boot/initrd.img-6.12+x
    FDTDIR /usr/lib/linux-image-6.12+x
    APPEND root=UUID=1 ro
"""
    }
    assert not installed(DISK).embedded


def test_several_kernels_wait_longer() -> None:
    found = menu(installed(DISK, replace(KERNEL, version="6.13"), KERNEL))
    assert "TIMEOUT 50" in found
    assert [line.split()[1] for line in found.splitlines() if line.startswith("LABEL")] == ["6.13", "6.12+x"]


def test_a_partition_of_its_own_gets_what_the_menu_names() -> None:
    made = installed(WITH_BOOT)
    found = contents(made)
    assert "    KERNEL /vmlinuz-6.12+x\n    INITRD /initrd.img-6.12+x\n" in menu(made)
    assert "    FDTDIR /6.12+x/linux-image-6.12+x\n" in menu(made)
    copied = {path.removeprefix("boot/6.12+x/linux-image-6.12+x/"): data for path, data in found.items()}
    assert (copied["sifive/hifive-unmatched-a00.dtb"], copied["other.dtb"], copied["same.dtb"]) == (
        "unmatched", "same", "same",
    )  # fmt: skip
    assert any(isinstance(entry, Directory) and entry.path.endswith(b"/sifive") for entry in made.entries)


def test_what_is_in_a_store_of_the_host_is_copied() -> None:
    items = [nar_item("/nix/store/b"), nar_item("/nix/store/c")]
    made = installed(replace(DISK, shared_store=True), NIX, files={"nix/store/b/dtbs/x.dtb": "x"}, items=items)
    assert set(contents(made)) >= {"boot/a_nixos/Image", "boot/a_nixos/initrd", "boot/a_nixos/dtbs/x.dtb"}
    assert "    KERNEL /boot/a_nixos/Image\n    INITRD /boot/a_nixos/initrd\n" in menu(made)
    assert "    FDTDIR /boot/a_nixos/dtbs\n" in menu(made)


@pytest.mark.parametrize("folder", ["dtbs", "lib/dtbs"])
def test_an_item_of_a_store_has_device_trees_beside_its_kernel(folder: str) -> None:
    found = menu(installed(DISK, NIX, files={f"nix/store/b/{folder}/x.dtb": ""}))
    assert "LABEL a_nixos\n" in found
    assert f"    FDTDIR /nix/store/b/{folder}\n" in found


@pytest.mark.parametrize(
    ("name", "platform", "code"),
    [
        ("pine64", "aarch64-linux", [("u-boot-sunxi-with-spl.bin", 8192)]),
        ("rock64", "aarch64-linux", [("idbloader.img", 32768), ("u-boot.itb", 8 * MIB)]),
        ("novena", "armhf-linux", [("SPL", 1024), ("u-boot.img", 70656)]),
        ("unmatched", "riscv64-linux", [("u-boot-spl.bin", 17408), ("u-boot.itb", 1065984)]),
    ],
)
def test_a_board_gets_its_u_boot_and_its_console(name: str, platform: str, code: list[tuple[str, int]]) -> None:
    made = installed(board(name), platform=platform)
    assert [(each.name, each.offset) for each in made.embedded] == [(f"{file} of U-Boot", at) for file, at in code]
    assert menu(made).endswith(f"    APPEND root=UUID=1 ro {BOARDS[name].console}\n")
    told = installed(board(name), replace(KERNEL, arguments=("console=tty1",)), platform=platform)
    assert menu(told).endswith("    APPEND console=tty1\n")


def test_a_board_whose_u_boot_does_not_know_its_device_tree_is_told() -> None:
    found = menu(installed(board("unmatched"), platform="riscv64-linux"))
    assert f"    FDT /{_TREES}/sifive/hifive-unmatched-a00.dtb\n" in found


def test_u_boot_may_be_cut_in_two() -> None:
    folder = "usr/lib/u-boot/pine64-lts"
    names = {"sunxi-spl.bin": _EGON, "u-boot-sunxi-with-spl.fit.itb": _FIT}
    files: dict[str, str | Entry] = {
        f"{folder}/{name}": File(f"{folder}/{name}".encode(), Data(data)) for name, data in names.items()
    }
    made = installed(board("pine64"), files=files)
    assert [(each.offset, each.content) for each in made.embedded] == [(8192, Data(_EGON)), (40960, Data(_FIT))]


@pytest.mark.parametrize("place", ["gnu/store/x-u-boot/libexec", "nix/store/x-uboot"])
def test_an_item_of_a_store_may_have_it(place: str) -> None:
    path = f"{place}/u-boot-sunxi-with-spl.bin"
    made = installed(board("pine64"), files={path: File(path.encode(), Data(_EGON))})
    assert [each.content for each in made.embedded] == [Data(_EGON)]


def _with(name: str, data: bytes) -> dict[str, str | Entry]:
    path = f"usr/lib/u-boot/{name}"
    return {**FILES, path: File(path.encode(), Data(data))}


_SPL = "sifive_unmatched/u-boot-spl.bin"


@pytest.mark.parametrize(
    ("image", "files", "platform", "complaint"),
    [
        (replace(DISK, board="pine65"), FILES, "aarch64-linux", "no board 'pine65'\n  There are pine64, rock64"),
        (board("novena"), FILES, "aarch64-linux", "the system is for aarch64-linux, and the Novena is armhf-linux"),
        (board("pine64"), {}, "aarch64-linux", "no U-Boot for the Pine A64 LTS: .*\n  Debian: .* u-boot-sunxi"),
        (board("pinebook-pro"), FILES, "aarch64-linux", "no U-Boot for the Pinebook Pro: /usr/lib/u-boot/pinebook"),
        (
            board("pine64"), _with("pine64-lts/u-boot-sunxi-with-spl.bin", b"\x16\x00\x00\xeaeGON.BT1"),
            "aarch64-linux", "is not what the Pine A64 LTS starts: it has not the bytes 65 47 4f 4e 2e 42 54 30 at 4",
        ),
        (board("rock64"), _with("rock64-rk3328/u-boot.itb", b""), "aarch64-linux", "not the bytes d0 0d fe ed at 0"),
        (board("unmatched"), _with(_SPL, bytes(MIB + 1)), "riscv64-linux", "1048577 bytes, and its partition 'spl'"),
        (
            Image(partitions=(replace(ROOT, flags=frozenset()), Partition("x", MIB, flags=frozenset({BOOT})))),
            FILES, "aarch64-linux", "U-Boot would not find its menu",
        ),
    ],
)  # fmt: skip
def test_what_cannot_start_is_refused(
    image: Image, files: dict[str, str | Entry], platform: str, complaint: str
) -> None:
    with pytest.raises(InputError) as caught:
        installed(image, files=files, platform=platform)
    assert re.search(complaint, str(caught.value))


@pytest.mark.parametrize(
    ("image", "platform", "expected"),
    [
        (DISK, "aarch64-linux", True),
        (DISK, "armhf-linux", True),
        (DISK, "riscv64-linux", True),
        (DISK, "x86_64-linux", False),
        (Image(partitions=(Partition("esp", MIB, flags=frozenset({ESP})), ROOT)), "aarch64-linux", False),
        (replace(DISK, board="pine64"), "aarch64-linux", True),
    ],
)
def test_it_fits_to_disks_without_firmware(image: Image, platform: str, *, expected: bool) -> None:
    assert u_boot.fits(layout_of(image, system_of(tree({}), platform=platform))) == expected

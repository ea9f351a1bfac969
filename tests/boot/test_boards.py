"""Disks of boards and for other processors, assembled on this one, and started by emulated machines."""

import gzip
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from formats.boards import BOARDS
from formats.image import Image
from formats.image_types import EFI_DISK, board_disk
from formats.system import Boot, System
from layers.entry import File
from layers.reader import Reader
from tests.oracle.busybox import extracted, loaded
from tests.oracle.ext4 import by_debugfs, complaints
from tests.oracle.qemu import printed
from tests.support.bootable import write_bootable
from tests.support.foreign_debian import foreign_debian
from tests.support.images import partitions
from tests.support.processes import needs_root
from tests.support.small_debian import END, MARKER

MIB = 1 << 20

Systems = Callable[[str], System]
Disks = Callable[[str], Path]

_U_BOOT = "/usr/lib/u-boot"
_VIRTIO = ("-device", "virtio-blk-pci,drive=disk")

#: What starts a disk: processors with firmware that looks for it on virtio.
MACHINES: dict[str, tuple[str, ...]] = {
    "arm64 with UEFI": (
        "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "1024", *_VIRTIO,
        "-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    ),
    "arm64 with U-Boot": (
        "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-m", "1024", *_VIRTIO,
        "-bios", f"{_U_BOOT}/qemu_arm64/u-boot.bin",
    ),
    "arm with U-Boot": (
        "qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-m", "512", "-device", "virtio-blk-device,drive=disk",
        "-bios", f"{_U_BOOT}/qemu_arm/u-boot.bin",
    ),
    "riscv64 with U-Boot": (
        "qemu-system-riscv64", "-M", "virt", "-m", "1024", *_VIRTIO,
        "-kernel", f"{_U_BOOT}/qemu-riscv64_smode/uboot.elf",
    ),
}  # fmt: skip

#: The unmatched's disk for a machine that has another device tree: its root is the third partition of a GPT.
THIRD_OF_GPT = replace(board_disk(BOARDS["unmatched"]), board="", additional_space=MIB)
SMALL_EFI = replace(EFI_DISK, additional_space=MIB)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Systems:
    """Small systems by platform; kernels print on the serial port of QEMU's machines."""

    @cache
    def system(platform: str) -> System:
        made = foreign_debian(tmp_path_factory.mktemp(platform), platform)
        console = "ttyS0" if platform == "riscv64-linux" else "ttyAMA0"
        return replace(made, boot=Boot(kernel_arguments=(f"console={console}", "quiet")))

    return system


@pytest.fixture(scope="module")
def disks(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Disks:
    """The disk of each board."""
    folder = tmp_path_factory.mktemp("disks")

    @cache
    def disk(name: str) -> Path:
        board = BOARDS[name]
        image = replace(board_disk(board), additional_space=MIB)
        write_bootable(folder / name, image, systems(board.platform.name))
        return folder / name

    return disk


def _start(
    folder: Path,
    machine: tuple[str, ...],
    disk: Path,
    interface: str = "none,id=disk",
    until: str = "",
    typed: str = "",
) -> str:
    """What a machine prints; it cannot change the disk."""
    (folder / "typed").write_text(typed)
    common = ("-accel", "tcg", "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none")
    drive = ("-drive", f"if={interface},format=raw,snapshot=on,file={disk}")
    kind = "stdio,signal=off" if typed else "null"
    terminal = ("-chardev", f"{kind},id=terminal,logfile={folder / 'serial'}", "-serial", "chardev:terminal")
    return printed(folder, [*machine, *common, *drive, *terminal], until=until, typed=folder / "typed")


def _told(serial: str) -> dict[str, str]:
    """What the system has told of itself."""
    assert MARKER in serial
    assert END in serial
    return dict(re.findall(r"^(\w+): (.*?)\s*$", serial, re.MULTILINE))


@pytest.mark.parametrize(
    ("image", "platform", "machine", "processor"),
    [
        (SMALL_EFI, "aarch64-linux", "arm64 with UEFI", "aarch64"),
        (replace(SMALL_EFI, boot_loader="grub"), "aarch64-linux", "arm64 with UEFI", "aarch64"),
        (SMALL_EFI, "riscv64-linux", "riscv64 with U-Boot", "riscv64"),
        (THIRD_OF_GPT, "riscv64-linux", "riscv64 with U-Boot", "riscv64"),
    ],
    ids=["arm64-efi", "arm64-grub", "riscv64-efi", "riscv64-u-boot"],
)
def test_a_disk_starts(
    image: Image, platform: str, machine: str, processor: str, systems: Systems, tmp_path: Path
) -> None:
    write_bootable(tmp_path / "disk", image, systems(platform))
    found = _told(_start(tmp_path, MACHINES[machine], tmp_path / "disk"))
    assert (found["machine"], found["root"]) == (processor, "ext4")


@pytest.mark.parametrize(
    ("board", "machine", "processor"),
    [("rock64", "arm64 with U-Boot", "aarch64"), ("novena", "arm with U-Boot", "armv7l")],
)
def test_the_disk_of_a_board_starts(board: str, machine: str, processor: str, disks: Disks, tmp_path: Path) -> None:
    """In a machine of the same processor that has U-Boot as firmware."""
    found = _told(_start(tmp_path, MACHINES[machine], disks(board)))
    assert (found["machine"], found["root"]) == (processor, "ext4")


#: Where processors and U-Boot's first stage look for a header on the disk, and what has to be there.
HEADERS = [
    ("pine64", 8 * 1024 + 4, b"eGON.BT0"),
    ("pine64", 40 * 1024, b"\xd0\x0d\xfe\xed"),
    ("rock64", 64 * 512, b"\x3b\x8c\xdc\xfc"),
    ("rock64", 16384 * 512, b"\xd0\x0d\xfe\xed"),
    ("pinebook-pro", 64 * 512, b"\x3b\x8c\xdc\xfc"),
    ("pinebook-pro", 16384 * 512, b"\xd0\x0d\xfe\xed"),
    ("novena", 1024, b"\xd1\x00\x20\x40"),
    ("novena", 69 * 1024, b"\x27\x05\x19\x56"),
    ("unmatched", 2082 * 512, b"\xd0\x0d\xfe\xed"),
]


@pytest.mark.parametrize(("board", "offset", "expected"), HEADERS)
def test_headers_are_where_they_are_looked_for(board: str, offset: int, expected: bytes, disks: Disks) -> None:
    assert _bytes(disks(board), offset, len(expected)) == expected


@pytest.mark.parametrize("name", BOARDS)
def test_u_boot_is_the_packages(name: str, disks: Disks, systems: Systems) -> None:
    """By the list of checksums that the package has, and at the sector that its configuration names."""
    board = BOARDS[name]
    system = systems(board.platform.name)
    listed = _text(system, f"var/lib/dpkg/info/{board.package}:{board.platform.debian}.md5sums")
    sums = {path: digest for digest, path in (line.split("  ", 1) for line in listed.splitlines())}
    for stage in board.stages[0]:
        path = f"usr/lib/u-boot/{board.folder}/{stage.file}"
        file = system.tree.follow(path.encode())
        assert isinstance(file, File)
        digest = hashlib.md5(_bytes(disks(name), stage.offset, file.content.size)).hexdigest()
        assert digest in (sums.get(path), sums.get(file.path.decode()))
    configured = _text(system, f"usr/share/doc/{board.package}/configs/config.{board.folder}.gz")
    sector = re.search(r"^CONFIG_SYS_MMCSD_RAW_MODE_U_BOOT_SECTOR=(\S+)$", configured, re.MULTILINE)
    if sector and len(board.stages[0]) > 1:
        assert board.stages[0][-1].offset == int(sector[1], 0) * 512


@pytest.mark.parametrize("name", BOARDS)
def test_the_root_of_a_board_is_clean(name: str, disks: Disks) -> None:
    assert not complaints(partitions(disks(name))[-1])


def test_a_processor_of_allwinner_finds_u_boot(
    systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its boot ROM to the system: the SPL is where the pine64 has it, and so is the driver of cards."""
    platform = BOARDS["novena"].platform
    orange = replace(
        BOARDS["pine64"], name="orange", folder="orangepi_plus", platform=platform, console="console=ttyS0,115200"
    )
    monkeypatch.setitem(BOARDS, "orange", orange)
    system = replace(systems(platform.name), boot=Boot(kernel_arguments=("quiet",)))
    image = replace(board_disk(orange), size=512 * MIB)  # a card has a power of two
    write_bootable(tmp_path / "disk", image, system)
    machine = ("qemu-system-arm", "-M", "orangepi-pc", "-m", "1G")
    serial = _start(tmp_path, machine, tmp_path / "disk", "sd", until=END)
    assert "U-Boot SPL 20" in serial
    assert "Trying to boot from MMC1" in serial
    found = _told(serial)
    assert (found["machine"], found["root"]) == ("armv7l", "ext4")
    assert "console=ttyS0,115200" in found["arguments"]


def test_a_processor_of_sifive_finds_u_boot_and_its_menu(
    systems: Systems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In partitions of a GPT. QEMU's card answers only when it is asked twice, which U-Boot does not do by itself."""
    unleashed = replace(BOARDS["unmatched"], name="unleashed", folder="sifive_unleashed", device_tree="")
    monkeypatch.setitem(BOARDS, "unleashed", unleashed)
    system = systems(unleashed.platform.name)
    write_bootable(tmp_path / "disk", replace(board_disk(unleashed), size=512 * MIB), system)
    firmware = tmp_path / "u-boot-spl.bin"  # QEMU puts into memory what the boot ROM of the processor reads by its GUID
    firmware.write_bytes(_bytes(tmp_path / "disk", 34 * 512, 2048 * 512))
    machine = ("qemu-system-riscv64", "-M", "sifive_u,msel=11", "-smp", "5", "-m", "8G", "-bios", str(firmware))
    asked = "\n" * 16 + "mmc dev 0\nsetenv devtype mmc; setenv devnum 0; run scan_dev_for_boot_part\n"
    serial = _start(tmp_path, machine, tmp_path / "disk", "sd", until="Retrieving file: /boot/vmlinu", typed=asked)
    assert "U-Boot SPL 20" in serial
    assert "Trying to boot from MMC1" in serial


#: Of each board, devices on the way to its disk, and what drives them: those of its device tree by what it has as
#: `compatible`, parts of chips as `drivers/mfd` calls them.
DRIVERS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "pine64": (
        "allwinner/sun50i-a64-pine64-lts.dtb",
        [
            ("allwinner,sun50i-a64-mmc", "sunxi_mmc"),
            ("allwinner,sun50i-a64-emmc", "sunxi_mmc"),
            ("x-powers,axp803", "axp20x_rsb"),
            ("platform:axp20x-regulator", "axp20x_regulator"),
        ],
    ),
    "rock64": (
        "rockchip/rk3328-rock64.dtb",
        [
            ("rockchip,rk3328-dw-mshc rockchip,rk3288-dw-mshc", "dw_mmc_rockchip"),
            ("rockchip,rk3328-i2c rockchip,rk3399-i2c", "i2c_rk3x"),
            ("rockchip,gpio-bank", "gpio_rockchip"),
            ("rockchip,rk3328-io-voltage-domain", "io_domain"),
            ("platform:rk808-regulator", "rk808_regulator"),
        ],
    ),
    "pinebook-pro": (
        "rockchip/rk3399-pinebook-pro.dtb",
        [
            ("rockchip,rk3399-sdhci-5.1 arasan,sdhci-5.1", "sdhci_of_arasan"),
            ("rockchip,rk3399-dw-mshc rockchip,rk3288-dw-mshc", "dw_mmc_rockchip"),
            ("rockchip,rk3399-emmc-phy", "phy_rockchip_emmc"),
            ("regulator-fixed", "fixed"),
        ],
    ),
    "novena": (
        "imx6q-novena.dtb",
        [
            ("fsl,imx6q-usdhc", "sdhci_esdhc_imx"),
            ("fsl,imx6q-gpio fsl,imx35-gpio", "gpio_mxc"),
            ("fsl,imx6q-i2c fsl,imx21-i2c", "i2c_imx"),
            ("fsl,pfuze100", "pfuze100_regulator"),
        ],
    ),
    "unmatched": (
        "sifive/hifive-unmatched-a00.dtb",
        [
            ("mmc-spi-slot", "mmc_spi"),
            ("sifive,fu740-c000-spi sifive,spi0", "spi_sifive"),
            ("sifive,fu740-c000-i2c sifive,i2c0", "i2c_ocores"),
            ("platform:da9063-regulators", "da9063_regulator"),
        ],
    ),
}


@needs_root
@pytest.mark.parametrize("name", DRIVERS)
def test_an_initrd_finds_the_drivers_of_the_board(name: str, disks: Disks, systems: Systems, tmp_path: Path) -> None:
    (path,) = (
        entry.path for entry in systems(BOARDS[name].platform.name).tree.below(b"boot") if b"vmlinu" in entry.path
    )
    version = path.partition(b"-")[2].decode()
    root = partitions(disks(name))[-1]
    device_tree, rows = DRIVERS[name]
    described = by_debugfs(root, f"/usr/lib/linux-image-{version}/{device_tree}")
    (tmp_path / "initrd").mkdir()
    initrd = extracted(by_debugfs(root, f"/boot/initrd.img-{version}"), tmp_path / "initrd")
    for device, driver in rows:
        alias = device
        if not device.startswith("platform:"):
            assert device.replace(" ", "\0").encode() + b"\0" in described
            alias = f"of:NnameT(null)C{device.replace(' ', 'C')}"
        assert driver in loaded(initrd, [alias])


def _bytes(disk: Path, offset: int, size: int) -> bytes:
    with open(disk, "rb") as file:
        file.seek(offset)
        return file.read(size)


def _text(system: System, path: str) -> str:
    entry = system.tree.follow(path.encode())
    assert isinstance(entry, File), path
    with Reader() as reader:
        data = reader.read(entry.content)
    return (gzip.decompress(data) if path.endswith(".gz") else data).decode()

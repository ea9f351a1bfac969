import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from formats.partition import Disk, Partition, gpt, mbr, types
from layers.entry import Entry
from layers.errors import InputError
from layers.reader import Reader
from packer.boot.initrd import initrd
from packer.boot.modules import read_modules
from tests.oracle import busybox
from tests.oracle.busybox import extracted
from tests.oracle.partitions import dump
from tests.support.disks import IDENTITY, write_disk
from tests.support.kernel_modules import module
from tests.support.operating_systems import tree
from tests.support.processes import needs_root

STATIC = Path("/bin/busybox").read_bytes()  # of busybox-static
DYNAMIC = Path("/bin/cat").read_bytes()

SYSTEM: Mapping[str, bytes] = {
    "usr/bin/busybox": STATIC,
    "lib/modules/6.1/kernel/ext4.ko": module(["depends=jbd2"]),
    "lib/modules/6.1/kernel/jbd2.ko": module([]),
    "lib/modules/6.1/kernel/overlay.ko": module([]),
    "lib/modules/6.1/kernel/virtio_blk.ko": module([]),
    "lib/modules/6.1/kernel/snd.ko": module([]),
    "lib/modules/6.1/modules.builtin": b"kernel/fs/isofs/isofs.ko\n",
}

_DRIVERS = "lib/modules/6.1/kernel/drivers"

#: With drivers of boards, and others beside them.
BOARDS: Mapping[str, bytes] = {
    **SYSTEM,
    f"{_DRIVERS}/mmc/host/sunxi-mmc.ko": module(["alias=of:N*T*Callwinner,sun7i-mmcC*", "alias=of:N*T*Callwinner,a64"]),
    f"{_DRIVERS}/regulator/axp20x-regulator.ko": module(["alias=platform:axp20x-regulator", "depends=axp20x"]),
    f"{_DRIVERS}/mfd/axp20x.ko": module([]),
    f"{_DRIVERS}/mfd/axp20x-i2c.ko": module(["alias=i2c:axp209", "depends=axp20x"]),
    f"{_DRIVERS}/mmc/host/of-a-laptop.ko": module(["alias=pci:v000010ECd*"]),
    f"{_DRIVERS}/gpu/lima.ko": module(["alias=of:N*T*Carm,mali-400"]),
    f"{_DRIVERS}/phy/phy-of-a-screen.ko": module(["alias=of:N*T*Cscreen", "depends=drm"]),
    f"{_DRIVERS}/gpu/drm/drm.ko": module([]),
}


def made(
    files: Mapping[str, str | bytes | Entry] = SYSTEM,
    *,
    file_system: str = "ext4",
    volatile: bool = False,
    boards: bool = False,
) -> bytes:
    root = tree(files)
    with Reader() as reader:
        modules = read_modules(root, "6.1", reader)
        return initrd(modules, root, reader, file_system=file_system, volatile=volatile, boards=boards, epoch=1)


@pytest.mark.parametrize(
    ("file_system", "volatile", "expected"),
    [
        ("ext4", False, ["virtio_blk", "jbd2", "ext4 jbd2"]),
        ("ext2", False, ["virtio_blk", "jbd2", "ext4 jbd2"]),
        ("ext4", True, ["virtio_blk", "jbd2", "ext4 jbd2", "overlay"]),
        ("iso9660", True, ["virtio_blk", "overlay"]),
    ],
)
def test_it_has_what_the_root_needs(file_system: str, volatile: bool, expected: list[str], tmp_path: Path) -> None:
    root = extracted(made(file_system=file_system, volatile=volatile), tmp_path)
    assert (root / "etc/modules").read_text().splitlines() == expected
    assert sorted(path.stem for path in (root / "lib/modules").iterdir()) == sorted(
        line.split()[0] for line in expected
    )
    assert (root / "lib/modules/virtio_blk.ko").read_bytes() == SYSTEM["lib/modules/6.1/kernel/virtio_blk.ko"]
    assert (root / "bin/busybox").read_bytes() == STATIC


def test_it_has_what_boards_ask_for(tmp_path: Path) -> None:
    always, found = ["virtio_blk", "jbd2", "ext4"], ["sunxi_mmc", "axp20x_regulator", "axp20x", "axp20x_i2c"]
    root = extracted(made(BOARDS, boards=True), tmp_path)
    assert [line.split()[0] for line in (root / "etc/modules").read_text().splitlines()] == always
    assert {path.stem for path in (root / "lib/modules").glob("*.ko")} == {*always, *found}


def test_without_device_trees_nobody_asks(tmp_path: Path) -> None:
    assert made(BOARDS) == made()
    assert not list((extracted(made(BOARDS), tmp_path) / "lib/modules").glob("modules.*"))


@needs_root
@pytest.mark.parametrize(
    ("devices", "loaded"),
    [
        (["of:NmmcT(null)Callwinner,sun7i-mmcCallwinner,sun5i-mmc"], ["sunxi_mmc"]),
        (["of:NmmcT(null)Callwinner,a64"], ["sunxi_mmc"]),
        (["platform:axp20x-regulator"], ["axp20x", "axp20x_regulator"]),
        (["i2c:axp209", "of:Nx", "platform:axp20x-regulator"], ["axp20x", "axp20x_i2c", "axp20x", "axp20x_regulator"]),
        (["of:NmmcT(null)Callwinner,sun4i-mmc", "of:NgpuT(null)Carm,mali-400"], []),
    ],
)
def test_busybox_finds_the_drivers_of_devices(devices: list[str], loaded: list[str], tmp_path: Path) -> None:
    assert busybox.loaded(extracted(made(BOARDS, boards=True), tmp_path), devices) == loaded


def test_its_script_is_one(tmp_path: Path) -> None:
    root = extracted(made(), tmp_path)
    assert (root / "init").stat().st_mode & 0o111
    subprocess.run(["/bin/busybox", "sh", "-n", root / "init"], check=True)


@pytest.mark.parametrize(
    ("changes", "complaint", "hint"),
    [
        ({"usr/bin/busybox": None}, "no busybox", "busybox-static"),
        ({"usr/bin/busybox": DYNAMIC}, "/usr/bin/busybox needs libraries", "busybox-static"),
        ({"lib/modules/6.1/kernel/ext4.ko": None}, "the kernel 6.1 has no module ext4 in /lib/modules/6.1", "Take"),
    ],
)
def test_what_is_missing_is_named(changes: Mapping[str, bytes | None], complaint: str, hint: str) -> None:
    files = {path: data for path, data in {**SYSTEM, **changes}.items() if data is not None}
    with pytest.raises(InputError, match=complaint) as caught:
        made(files)
    assert hint in caught.value.hint


def test_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    assert made() == made({path: SYSTEM[path] for path in reversed(list(SYSTEM))})


def run(script: str, tmp_path: Path) -> str:
    """What functions of the script say, without what it does when it is run."""
    text = extracted(made(), tmp_path).joinpath("init").read_text()
    functions = text[text.index("# Bytes of a device") : text.index("# The device of a partition")]
    done = subprocess.run(["/bin/busybox", "sh", "-c", functions + script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("option", [[], ["--modification-date=2001090901464000"]], ids=["made", "changed"])
def test_volumes_of_cds_have_the_identifier_that_others_read(option: list[str], tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/one").touch()
    image = tmp_path / "image"
    command = ["xorriso", "-as", "mkisofs", "-quiet", *option, "-o", str(image), str(tmp_path / "files")]
    subprocess.run(command, check=True, capture_output=True)
    said = subprocess.run(
        ["blkid", "-c", "/dev/null", "-s", "UUID", "-o", "value", image], capture_output=True, text=True, check=True
    )
    assert run(f"iso_uuid {image}", tmp_path) == said.stdout.strip()
    assert said.stdout.startswith("2001-09-09-01-46-40-00" if option else "20")


def test_other_volumes_have_none(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(40_000))
    assert run(f"iso_uuid {tmp_path / 'image'} || true", tmp_path) == ""


def test_partitions_have_the_identifiers_that_others_read(tmp_path: Path) -> None:
    partitions = [Partition(f"p{rank}", (rank + 1) << 20, 1 << 20, types.LINUX) for rank in range(3)]
    for name, table in (("mbr", mbr), ("gpt", gpt)):
        disk = write_disk(tmp_path / name, table, Disk(IDENTITY, 6 << 20, partitions))
        said = dump(disk)
        for number, partition in enumerate(said["partitions"], 1):
            expected = partition.get("uuid") or f"{said['id'].removeprefix('0x')}-{number:02x}"
            assert run(f"partition_uuid {disk} {number}", tmp_path) == expected.lower()

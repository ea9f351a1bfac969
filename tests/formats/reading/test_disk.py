"""What a disk is, before its files are read."""

from pathlib import Path
from types import ModuleType

import pytest

from formats.partition import Disk, Partition, gpt, mbr
from formats.partition.types import LINUX
from formats.reading.disk import StoredDisk, open_disk
from layers.digest import Digest
from tests.oracle.ext4 import run
from tests.support.disks import IDENTITY, write_disk
from tests.support.inspections import inspected
from tests.support.volumes import MIB


def _open(path: Path) -> StoredDisk:
    found = open_disk(str(path), "it")
    assert found
    return found


def _with(path: Path, offset: int, data: bytes) -> Path:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


@pytest.mark.parametrize("table", [gpt, mbr])
def test_code_that_is_in_no_file_system(tmp_path: Path, table: ModuleType) -> None:
    small, large = Partition("a", MIB, MIB, LINUX), Partition("b", 2 * MIB, 20 * MIB, LINUX)
    path = write_disk(tmp_path / "it", table, Disk(IDENTITY, 32 * MIB, [small, large]))
    found = _open(path)
    assert found.boot_code is None
    assert [one.digest for one in found.partitions] == [Digest.of(bytes(MIB)), None]
    codes = [_open(_with(path, offset, b"code")).boot_code for offset in (0, 436, 20_000, MIB - 4)]
    assert len(set(codes)) == 4
    assert _open(_with(path, 440, b"name")).boot_code == codes[-1]
    changed = _open(_with(path, 2 * MIB - 4, b"code"))
    assert (changed.boot_code, changed.partitions[0].digest) == (codes[-1], Digest.of(bytes(MIB - 4) + b"code"))


def test_a_partition_that_is_cut_off(tmp_path: Path) -> None:
    disk = Disk(IDENTITY, 32 * MIB, [Partition("a", MIB, 30 * MIB, LINUX)])
    path = write_disk(tmp_path / "it", mbr, disk)
    with open(path, "r+b") as file:
        file.truncate(21 * MIB)
    assert _open(path).notes == (f"partition 1 ends {10 * MIB} bytes after the disk",)


@pytest.mark.parametrize(
    ("kind", "offset", "magic"),
    [
        ("btrfs", 0x10040, b"_BHRfS_M"), ("crypto_LUKS", 0, b"LUKS\xba\xbe"), ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
        ("exfat", 3, b"EXFAT   "), ("f2fs", 1024, b"\x10\x20\xf5\xf2"), ("ntfs", 3, b"NTFS    "),
        ("xfs", 0, b"XFSB"),
    ],
)  # fmt: skip
def test_what_is_not_looked_into(tmp_path: Path, kind: str, offset: int, magic: bytes) -> None:
    path = write_disk(tmp_path / "it", gpt, Disk(IDENTITY, 8 * MIB, [Partition("a", MIB, 4 * MIB, LINUX)]))
    found = inspected(_with(path, MIB + offset, magic))
    assert found.notes == (f"partition 1 is {kind}, which is not looked into",)
    assert not found.tree.nodes


def test_a_swap_space(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(bytes(MIB))
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    run("mkswap", "-L", "label", "-U", uuid, tmp_path / "it")
    (swap,) = _open(tmp_path / "it").partitions
    assert (swap.file_system, swap.label, swap.uuid) == ("swap", "label", uuid)


@pytest.mark.parametrize("data", [b"", b"x" * 5000, bytes(MIB)])
def test_what_is_no_disk(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "it").write_bytes(data)
    assert open_disk(str(tmp_path / "it"), "it") is None

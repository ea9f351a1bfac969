"""Partition tables, read: those that we write, those of sgdisk and sfdisk, and such as are damaged."""

import subprocess
from pathlib import Path

import pytest

from formats.partition import Disk, Partition, gpt, mbr
from formats.partition.types import BIOS_BOOT, ESP, FAT32, LINUX
from formats.reading.artefact import ArtefactError
from formats.reading.partition import Table, read_table
from formats.reading.source import FileSource
from tests.oracle.partitions import dump
from tests.support.disks import IDENTITY, damaged, write_disk
from tests.support.volumes import MIB

_PARTITIONS = [
    Partition("ESP", MIB, 40 * MIB, ESP),
    Partition("code", 41 * MIB, 512, BIOS_BOOT, bootable=True),
    Partition("Wurzel 根", 42 * MIB, 20 * MIB, LINUX),
]


def _read(path: Path) -> Table:
    with FileSource(str(path), "it") as disk:
        table = read_table(disk)
        assert table
        return table


def _by_sfdisk(path: Path) -> list[tuple[int, int, str, str, bool]]:
    """Offset, size, type, label, and whether it is bootable."""
    known, sector = dump(path), dump(path).get("sectorsize", 512)
    return [
        (
            one["start"] * sector, one["size"] * sector,
            one["type"].lower() if known["label"] == "gpt" else f"0x{int(one['type'], 16):02x}",
            one.get("name", ""), one.get("bootable", False) or "LegacyBIOSBootable" in one.get("attrs", ""),
        )
        for one in known["partitions"]
    ]  # fmt: skip


def _as_sfdisk(table: Table) -> list[tuple[int, int, str, str, bool]]:
    return [(one.offset, one.size, one.type, one.label, one.bootable) for one in table.partitions]


def test_a_gpt_of_ours(tmp_path: Path) -> None:
    path = write_disk(tmp_path / "it", gpt, Disk(IDENTITY, 64 * MIB, _PARTITIONS))
    found, known = _read(path), dump(path)
    assert (found.kind, found.uuid, found.notes) == ("gpt", known["id"].lower(), ())
    assert _as_sfdisk(found) == _by_sfdisk(path)
    assert [one.uuid for one in found.partitions] == [one["uuid"].lower() for one in known["partitions"]]
    assert [one.label for one in found.partitions] == [one.name for one in _PARTITIONS]


def test_a_hybrid_mbr_stands_for_a_gpt(tmp_path: Path) -> None:
    partitions = [Partition("boot", MIB, MIB, FAT32, hybrid=True)]
    path = write_disk(tmp_path / "it", gpt, Disk(IDENTITY, 64 * MIB, partitions))
    assert _as_sfdisk(_read(path)) == _by_sfdisk(path)


def test_an_mbr_of_ours(tmp_path: Path) -> None:
    partitions = [Partition("a", MIB, MIB, FAT32), Partition("b", 3 * MIB, 7 * MIB, LINUX, bootable=True)]
    path = write_disk(tmp_path / "it", mbr, Disk(IDENTITY, 64 * MIB, partitions))
    found, known = _read(path), dump(path)
    assert (found.kind, f"0x{found.uuid}") == ("mbr", known["id"])
    assert _as_sfdisk(found) == _by_sfdisk(path)
    assert [one.uuid for one in found.partitions] == [f"{found.uuid}-01", f"{found.uuid}-02"]


def _scripted(path: Path, script: str) -> Path:
    with open(path, "wb") as file:
        file.truncate(64 * MIB)
    subprocess.run(["sfdisk", "-q", path], input=script.encode(), check=True)
    return path


_LOGICAL = "label: dos\n,1M,c\n,1M,82\n,40M,5\n,1M,83,*\n,2M,83\n,3M,83\n,4M,7\n"


def test_logical_partitions(tmp_path: Path) -> None:
    path = _scripted(tmp_path / "it", _LOGICAL)
    found = _read(path)
    assert [one.number for one in found.partitions] == [1, 2, 3, 4, 5, 6, 7]
    assert _as_sfdisk(found) == _by_sfdisk(path)


def test_a_gpt_of_sfdisk_and_sgdisk(tmp_path: Path) -> None:
    script = 'label: gpt\nsize=1M,type=U,name="one"\nsize=2M,type=S,name="two"\nsize=20M\n'
    path = _scripted(tmp_path / "it", script)
    assert [one.label for one in _read(path).partitions] == ["one", "two", ""]
    assert _as_sfdisk(_read(path)) == _by_sfdisk(path)
    subprocess.run(["sgdisk", "-n", "7:0:+1M", "-c", "7:seven", path], check=True, stdout=subprocess.DEVNULL)
    assert [(one.number, one.label) for one in _read(path).partitions][-1] == (7, "seven")
    assert _as_sfdisk(_read(path)) == _by_sfdisk(path)


def test_a_gpt_of_a_disk_with_sectors_of_4_kib(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(bytes(16 * MIB))
    commands = b"g\nn\n1\n\n+1M\nn\n2\n\n+2M\nw\n"
    subprocess.run(["fdisk", "-b", "4096", tmp_path / "it"], input=commands, check=True, stdout=subprocess.DEVNULL)
    assert [(one.offset, one.size) for one in _read(tmp_path / "it").partitions] == [(MIB, MIB), (2 * MIB, 2 * MIB)]


def test_what_is_no_table(tmp_path: Path) -> None:
    for data in (b"", bytes(512), bytes(510) + b"\x55\xaa", b"\x55" * 510 + b"\x55\xaa"):
        (tmp_path / "it").write_bytes(data)
        with FileSource(str(tmp_path / "it"), "it") as disk:
            assert read_table(disk) is None


_HEADER, _ENTRIES = 512, 1024


@pytest.mark.parametrize(
    ("offset", "problem"),
    [
        (_HEADER + 40, "the table at byte 512 has a header with a wrong checksum"),
        (_HEADER + 13, "the table at byte 512 has a header of .* bytes"),
        (_ENTRIES + 60, "the table at byte 512 has entries with a wrong checksum"),
        (_HEADER, ""),
    ],
)
def test_of_a_damaged_gpt_the_copy_is_read(tmp_path: Path, offset: int, problem: str) -> None:
    path = write_disk(tmp_path / "it", gpt, Disk(IDENTITY, 64 * MIB, _PARTITIONS))
    whole, last = _read(path), 64 * MIB - 512
    with damaged(path, offset):
        found = _read(path)
        assert found.partitions == whole.partitions
        assert bool(found.notes) == bool(problem)
        with (
            damaged(path, last + 40),
            pytest.raises(ArtefactError, match=f"{problem}.*the copy of the table at byte {last}"),
        ):
            _read(path)
        with damaged(path, last), pytest.raises(ArtefactError, match=problem or "and there is none"):
            _read(path)


def test_a_circle_of_logical_partitions(tmp_path: Path) -> None:
    path = _scripted(tmp_path / "it", _LOGICAL)
    extended = _read(path).partitions[2].offset
    with open(path, "r+b") as file:
        second = int.from_bytes(path.read_bytes()[extended + 446 + 16 + 8 :][:4], "little")
        file.seek(extended + second * 512 + 446 + 16 + 8)
        file.write(second.to_bytes(4, "little"))
    with pytest.raises(ArtefactError, match="the chain of logical partitions leads nowhere"):
        _read(path)

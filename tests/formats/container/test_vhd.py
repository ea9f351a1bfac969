"""VHD: its footer and header, field by field as Microsoft's specification 1.0 has them."""

import struct
from pathlib import Path
from typing import Any

import pytest

from formats.container.vhd import Vhd, geometry
from formats.identifiers import derived_uuid
from tests.oracle.containers import facts
from tests.support import containers
from tests.support.containers import EXAMPLES, IDENTITY, Example, write_container
from tests.support.volumes import GIB, MIB

NOWHERE = 0xFFFFFFFFFFFFFFFF

FOOTER = (
    *("cookie", "features", "version", "data_offset", "time", "creator", "creator_version", "creator_system"),
    *("original_size", "current_size", "cylinders", "heads", "sectors", "type", "checksum", "uuid", "saved_state"),
)


def footer(data: bytes) -> dict[str, Any]:
    """Section "Hard Disk Footer Format"; what is reserved has to be zeros, and the checksum right."""
    assert data[85:] == bytes(427)
    fields = dict(zip(FOOTER, struct.unpack(">8sIIQI4sI4sQQHBBII16sB", data[:85]), strict=True))
    assert fields.pop("checksum") == checksum(data, 64)
    return fields


def checksum(data: bytes, place: int) -> int:
    """The one's complement of the sum of all bytes but the checksum's own."""
    total = 0
    for byte in data[:place] + data[place + 4 :]:
        total += byte
    return ~total % (1 << 32)


@pytest.mark.parametrize("fixed", [False, True])
def test_what_the_footer_says(tmp_path: Path, fixed: bool) -> None:
    path = write_container(tmp_path / "disk.vhd", Vhd(fixed), EXAMPLES["one byte at the end"])
    data = path.read_bytes()
    assert footer(data[-512:]) == {
        "cookie": b"conectix",
        "features": 2,
        "version": 0x00010000,
        "data_offset": NOWHERE if fixed else 512,
        "time": 1_000_000_000 - 946_684_800,
        "creator": b"win ",
        "creator_version": 0x000A0000,
        "creator_system": b"Wi2k",
        "original_size": 10 * MIB,
        "current_size": 10 * MIB,
        "cylinders": 301,
        "heads": 4,
        "sectors": 17,
        "type": 2 if fixed else 3,
        "uuid": derived_uuid(IDENTITY, "vhd").bytes,
        "saved_state": 0,
    }
    if fixed:
        assert len(data) == 10 * MIB + 512
    else:
        assert data[:512] == data[-512:]


def test_what_the_header_says(tmp_path: Path) -> None:
    data = write_container(tmp_path / "disk.vhd", Vhd(), EXAMPLES["one byte at the end"]).read_bytes()
    header = data[512:1536]
    cookie, data_offset, table_offset, version, entries, block_size = struct.unpack_from(">8sQQIII", header)
    assert (cookie, data_offset, table_offset, version) == (b"cxsparse", NOWHERE, 1536, 0x00010000)
    assert (entries, block_size) == (5, 2 * MIB)
    assert struct.unpack_from(">I", header, 36)[0] == checksum(header, 36)
    assert header[40:] == bytes(984)
    assert data[1536:2048] == b"\xff" * 16 + struct.pack(">I", 4) + b"\xff" * 492
    bitmap, block = data[2048:2560], data[2560:-512]
    assert bitmap == b"\xff" * 512
    assert block == bytes(2 * MIB - 1) + b"x"


@pytest.mark.parametrize(
    ("epoch", "time"),
    [(0, 0), (946_684_799, 0), (946_684_801, 1), (1 << 33, (1 << 33) - 946_684_800), (1 << 40, (1 << 32) - 1)],
)
def test_times_are_seconds_since_2000(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int, time: int) -> None:
    monkeypatch.setattr(containers, "EPOCH", epoch)
    data = write_container(tmp_path / "disk.vhd", Vhd(), EXAMPLES["empty"]).read_bytes()
    assert footer(data[:512])["time"] == min(time, (1 << 32) - 1)


def by_the_appendix(total: int) -> tuple[int, int, int]:
    """The appendix "CHS Calculation", step by step."""
    total = min(total, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        sectors, heads = 255, 16
        cylinder_times_heads = total // sectors
    else:
        sectors = 17
        cylinder_times_heads = total // sectors
        heads = (cylinder_times_heads + 1023) // 1024
        if heads < 4:
            heads = 4
        if cylinder_times_heads >= heads * 1024 or heads > 16:
            sectors, heads = 31, 16
            cylinder_times_heads = total // sectors
        if cylinder_times_heads >= heads * 1024:
            sectors, heads = 63, 16
            cylinder_times_heads = total // sectors
    return cylinder_times_heads // heads, heads, sectors


def test_the_geometry_is_that_of_the_appendix() -> None:
    edges = [17 * 4 * 1024, 17 * 16 * 1024, 31 * 16 * 1024, 65535 * 16 * 63, 65535 * 16 * 255, 2040 << 21]
    totals = [edge + more for edge in edges for more in range(-700, 700)] + [n * n for n in range(1, 60000, 7)]
    assert [geometry(total) for total in totals] == [by_the_appendix(total) for total in totals]


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("size", [MIB, 3 * MIB + 512, 100 * MIB, 4 * GIB, 127 * GIB, 128 * GIB, 2040 * GIB])
def test_the_size_is_what_was_asked_for_not_what_the_geometry_says(tmp_path: Path, size: int, fixed: bool) -> None:
    disk = Example(size, EXAMPLES["empty"].pieces)
    path = write_container(tmp_path / "disk.vhd", Vhd(fixed), disk)
    assert facts(path)["virtual-size"] == size
    with open(path, "rb") as file:
        file.seek(-512, 2)
        fields = footer(file.read())
    assert fields["current_size"] == size
    assert fields["cylinders"] * fields["heads"] * fields["sectors"] * 512 <= size

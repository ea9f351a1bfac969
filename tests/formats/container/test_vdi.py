"""VDI: its header, field by field as VirtualBox's VDICore.h has it."""

import struct
from pathlib import Path
from uuid import UUID

from formats.container.vdi import Vdi
from formats.identifiers import derived_uuid
from tests.support.containers import EXAMPLES, IDENTITY, write_container
from tests.support.volumes import GIB, MIB


def test_what_the_header_says(tmp_path: Path) -> None:
    path = write_container(tmp_path / "disk.vdi", Vdi(), EXAMPLES["40 GiB"])
    with open(path, "rb") as file:
        preheader, header = file.read(72), file.read(400)
        assert file.read(40) == bytes(40)
        blocks = struct.unpack(f"<{40 * 1024}I", file.read(40 * 1024 * 4))
    text, signature, version = struct.unpack("<64sII", preheader)
    assert text.rstrip(b"\0") == b"<<< ocipack Disk Image >>>\n"
    assert (signature, version) == (0xBEDA107F, 0x00010001)
    size, kind, flags, comment, map_offset, data_offset = struct.unpack_from("<III256sII", header)
    assert (size, kind, flags, comment) == (400, 1, 0, bytes(256))
    assert map_offset == 512
    assert data_offset == MIB
    assert struct.unpack_from("<IIIII", header, 276) == (0, 0, 0, 512, 0)
    assert struct.unpack_from("<QIIII", header, 296) == (40 * GIB, MIB, 0, 40 * 1024, len(set(blocks)) - 1)
    uuids = [UUID(bytes_le=header[start : start + 16]) for start in range(320, 384, 16)]
    assert uuids[:2] == [derived_uuid(IDENTITY, "vdi image"), derived_uuid(IDENTITY, "vdi modification")]
    assert uuids[2:] == [UUID(int=0)] * 2
    assert header[384:] == bytes(16)


def test_blocks_are_in_the_order_of_the_disk(tmp_path: Path) -> None:
    path = write_container(tmp_path / "disk.vdi", Vdi(), EXAMPLES["40 GiB"])
    with open(path, "rb") as file:
        file.seek(512)
        blocks = struct.unpack(f"<{40 * 1024}I", file.read(40 * 1024 * 4))
    used = [block for block in blocks if block != 0xFFFFFFFF]
    assert used == list(range(len(used)))
    assert path.stat().st_size == MIB + len(used) * MIB

"""Damage is noticed; bytes are the same whoever writes them, and wherever contents are."""

import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from formats.filesystem.fat import Fat
from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.iso9660.boot import Boot
from formats.filesystem.iso9660.checksums import place_attribute
from formats.filesystem.pieces import size_of
from layers.digest import Digest
from layers.entry import Data, Entry, File, Slice
from layers.reader import Reader
from layers.shares import WHOLE
from tests.formats.filesystem.iso9660.trees import TREES
from tests.oracle import linux
from tests.oracle.iso9660 import header, is_sound
from tests.support.disks import damaged
from tests.support.entries import noise
from tests.support.processes import as_nobody, public_folder
from tests.support.volumes import GIB, MIB, VOLUME, tree_of, write_volume

ISO = Iso9660(VOLUME)
DAMAGED: list[Entry] = [File(b"file", Data(noise(10_000))), File(b"folder/" + b"long" * 50, Data(noise(5000)))]


def starts(volume: bytes) -> dict[str, tuple[int, int]]:
    """Structure -> where it begins, and how many of its bytes mean something."""
    tables, root = (struct.unpack_from("<I", volume, 16 * 2048 + at)[0] * 2048 for at in (140, 158))
    big_table = struct.unpack_from(">I", volume, 16 * 2048 + 148)[0] * 2048
    return {
        "system area": (0, 16 * 2048),
        "primary descriptor": (16 * 2048 + 8, 875),
        "terminator": (18 * 2048 - 2048, 2048),
        "path table": (tables, 20),
        "path table, big-endian": (big_table, 20),
        "root folder": (root, 500),
        "continuation": (root + 2048, 100),
        "content": (volume.index(noise(10_000)), 10_000),
    }


@pytest.mark.parametrize("structure", starts(noise(10_000).rjust(60_000)))
def test_a_damaged_byte_is_noticed(tmp_path: Path, structure: str) -> None:
    volume = write_volume(tmp_path / "volume", ISO, DAMAGED)
    start, size = starts(volume.read_bytes())[structure]
    assert is_sound(volume)
    for seed in range(4):
        position = int(Digest.of(f"{structure} {seed}".encode()).hex, 16) % size
        with damaged(volume, start + position):
            assert not is_sound(volume), f"byte {position} of {structure}"


def test_a_truncated_volume_is_noticed(tmp_path: Path) -> None:
    volume = write_volume(tmp_path / "volume", ISO, TREES["sizes"])
    size = volume.stat().st_size
    assert int(header(volume)["Volume size is"]) * 2048 == size
    os.truncate(volume, size - 160 * 2048)
    assert int(header(volume)["Volume size is"]) * 2048 != volume.stat().st_size
    assert not is_sound(volume)


def test_without_checksums_there_are_none(tmp_path: Path) -> None:
    volume = write_volume(tmp_path / "volume", Iso9660(VOLUME, checksums=False), TREES["sizes"])
    assert not is_sound(volume)
    assert b"libisofs" not in volume.read_bytes()


def test_the_place_of_the_checksums_is_as_its_description_says() -> None:
    """libisofs, doc/susp_aaip_isofs_names.txt: from block 0 to 1000000, 520 of them."""
    value = bytes((4, 0, 0, 0, 0, 4, 0, 15, 66, 64, 4, 0, 0, 2, 8, 1, 16)) + b"MD5"
    assert place_attribute(1_000_000, 518) == (b"isofs.ca", value)


def test_a_file_of_more_than_4_gib(tmp_path: Path, debian_linux: linux.Linux) -> None:
    """It has two extents, and takes no room where it is zeros."""
    size = 4 * GIB + 1
    with open(tmp_path / "source", "wb") as file:
        file.write(b"begin")
        file.seek(size - 5_000)
        file.write(noise(5_000))
    entries: list[Entry] = [File(b"after", Data(b"after\n")), File(b"large", Slice(str(tmp_path / "source"), 0, size))]
    volume = write_volume(tmp_path / "volume", ISO, entries)
    assert volume.stat().st_blocks * 512 < MIB
    assert is_sound(volume)
    more = "stat -c %s large; cat after; tail -c 5000 large | sha256sum; head -c 5 large"
    answers = debian_linux.look_at({"volume": linux.Volume(volume, more=more)}, tmp_path)
    digest = Digest.of(noise(5_000)).hex
    assert answers["volume.more"].decode() == f"{size}\nafter\n{digest}  -\nbegin"


def written(path: Path, entries: list[Entry]) -> bytes:
    return write_volume(path, ISO, entries).read_bytes()


def test_bytes_do_not_depend_on_who_writes_nor_on_where_contents_are(tmp_path: Path) -> None:
    mine = written(tmp_path / "mine", TREES["sizes"])
    with public_folder(0o777) as folder:
        assert as_nobody(lambda: Digest.of(written(folder / "it", TREES["sizes"]))) == str(Digest.of(mine))
    entries: list[Entry] = []
    for number, entry in enumerate(TREES["sizes"]):
        assert isinstance(entry, File) and isinstance(entry.content, Data)
        (tmp_path / str(number)).write_bytes(b"before" + entry.content.data)
        entries.append(replace(entry, content=Slice(str(tmp_path / str(number)), 6, entry.content.size)))
    assert written(tmp_path / "slices", entries) == mine


@pytest.mark.parametrize("checksums", [False, True])
@pytest.mark.parametrize("observed", [False, True])
def test_pieces_are_in_order_and_all_that_is_read_is_seen(tmp_path: Path, observed: bool, checksums: bool) -> None:
    whole = noise(600_000) + bytes(300_000) + b"end"
    (tmp_path / "source").write_bytes(whole)
    sizes = (900_003, 0, 5, 70_000, 300_000, 900_001)
    entries: list[Entry] = [File(b"%d" % n, Slice(str(tmp_path / "source"), 0, size)) for n, size in enumerate(sizes)]
    seen = bytearray()
    with Reader() as reader:
        efi = Fat(VOLUME, 16).prepare(tree_of([]), reader).plan(4 * MIB)
        iso = Iso9660(VOLUME, Boot(noise(5000), efi, noise(440)), checksums=checksums)
        plan = iso.prepare(tree_of(entries), reader).plan(40 * MIB)
        reader.observe(seen.extend if observed else None)
        front, files = plan.front(reader), plan.files(WHOLE, reader)
        end = 0
        for piece in (*front.pieces(), *files.pieces()):
            assert piece.offset >= end
            end = piece.offset + size_of(piece)
        *array, table = front.rest(files.digests)
        assert len(array) == (2 if checksums else 0)
        assert table.offset > end
        assert table.offset + size_of(table) == plan.size
    if observed:
        assert seen == b"".join(whole[:size] for size in sizes)

"""Damaged disks and ISO images are read or refused, whatever is damaged: never a traceback, never a hang."""

import contextlib
import os
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from formats.filesystem.ext4.features import EXT2, EXT4, Feature
from formats.filesystem.fat import Fat
from formats.filesystem.iso9660 import Iso9660
from formats.partition import Disk, Partition, gpt, mbr
from formats.partition.types import LINUX
from formats.reading.artefact import ArtefactError
from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from tests.support.disks import IDENTITY, write_disk
from tests.support.entries import ACL
from tests.support.inspections import compare_all, look
from tests.support.volumes import MIB, VOLUME, write_ext4, write_volume

_FILES: list[Entry] = [
    File(b"etc/fstab", Data(b"LABEL=volume / ext4 defaults 0 1\nLABEL=x /srv ext4 defaults 0 2\n")),
    File(b"etc/os-release", Data(b'PRETTY_NAME="Debian"\n')),
    File(b"A Long Name of a File.text", Data(b"x" * 20_000)),
    Directory(b"deep/er/and/deeper"),
    *(File(b"many/%03d" % number) for number in range(70)),
]
_ALL: list[Entry] = [
    *_FILES,
    File(b"fragmented", Data(b"".join(b"x" * 4096 + bytes(8192) for _ in range(20)))),
    Hardlink(b"link", b"etc/fstab"),
    Symlink(b"short", b"../there"),
    Symlink(b"long", b"/".join([b"there"] * 30)),
    Device(b"null", DeviceKind.CHARACTER, 1, 3),
    File(b"acl", meta=Meta(0o770, xattrs=((b"system.posix_acl_access", ACL), (b"user.large", b"v" * 3000)))),
    File(b"small", meta=Meta(0o644, xattrs=((b"user.small", b"v"),))),
]
_EXT4 = EXT4.without(Feature.HAS_JOURNAL)


def _disk(path: Path, table: object) -> None:
    """A disk with a volume, which begins after the table."""
    volume = write_ext4(path.with_name("volume"), _ALL, features=EXT2)
    size = volume.stat().st_size
    disk = Disk(IDENTITY, size + 2 * MIB, [Partition("a", MIB, size, LINUX)])
    write_disk(path, gpt if table is gpt else mbr, disk)
    with open(path, "r+b") as file:
        file.seek(MIB)
        file.write(volume.read_bytes())


def _container(path: Path, *arguments: str) -> None:
    volume = write_ext4(path.with_name("volume"), _ALL, features=EXT2)
    subprocess.run(["qemu-img", "convert", "-f", "raw", *arguments, volume, path], check=True)


#: What is damaged; how much of it at the beginning and at the end, or all.
_DAMAGED: dict[str, tuple[Callable[[Path], object], int, int]] = {
    "ext2": (lambda path: write_ext4(path, _ALL, features=EXT2), 1 << 40, 0),
    "ext4": (lambda path: write_ext4(path, _ALL, features=_EXT4), 1 << 40, 0),
    "ext4 without checksums": (
        lambda path: write_ext4(path, _ALL, features=_EXT4.without(Feature.METADATA_CSUM)), 1 << 40, 0,
    ),
    "fat": (lambda path: write_volume(path, Fat(VOLUME), _FILES), 1 << 40, 0),
    "fat32": (lambda path: write_volume(path, Fat(VOLUME, bits=32), _FILES), 1 << 40, 0),
    "iso9660": (lambda path: write_volume(path, Iso9660(VOLUME), _ALL), 1 << 40, 0),
    "gpt": (lambda path: _disk(path, gpt), 34 * 512, 33 * 512),
    "mbr": (lambda path: _disk(path, mbr), 512, 0),
    "qcow2": (lambda path: _container(path, "-c", "-O", "qcow2", "-o", "cluster_size=4096"), 1 << 40, 0),
    "vdi": (lambda path: _container(path, "-O", "vdi"), 600, 0),
    "vpc": (lambda path: _container(path, "-O", "vpc"), 2560, 512),
}  # fmt: skip


def _places(data: bytes, begin: int, end: int) -> Sequence[int]:
    """Bytes that may mean something: not those of contents, and not those among zeros or in bitmaps."""
    parts = [range(0, min(begin, len(data)), 8), range(max(0, len(data) - end), len(data) if end else 0, 8)]
    dull = [letter * 8 for letter in (b"\0", b"\xff", b"x", b"v")]
    starts = [start for part in parts for start in part if data[start : start + 8] not in dull]
    return [place for start in starts for place in range(start, min(start + 8, len(data)))]


@contextlib.contextmanager
def _spoilt(path: Path, places: Sequence[int], chance: random.Random) -> Iterator[None]:
    """The file with some bytes damaged."""
    with open(path, "r+b", buffering=0) as file:
        before = []
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice(places)
            byte = os.pread(file.fileno(), 1, at)
            before.append((byte, at))
            flipped = byte[0] ^ 1 << chance.randrange(8)
            damaged = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF, flipped, chance.randrange(256)))
            os.pwrite(file.fileno(), bytes((damaged,)), at)
        yield
        for byte, at in reversed(before):
            os.pwrite(file.fileno(), byte, at)


@pytest.mark.parametrize("what", _DAMAGED)
def test_mutations(tmp_path: Path, what: str) -> None:
    """300 of each; 10,000 were once."""
    make, begin, end = _DAMAGED[what]
    path, chance, refused = tmp_path / "it", random.Random(17), 0
    make(path)
    places = _places(path.read_bytes(), begin, end)
    with ThreadPoolExecutor(2) as executor:
        unspoilt = look(path, executor)
        assert len(unspoilt.tree.nodes) > 70
        for _ in range(300):
            with _spoilt(path, places, chance):
                try:
                    compare_all(unspoilt, look(path, executor))
                except ArtefactError:
                    refused += 1
    assert 10 < refused < 300

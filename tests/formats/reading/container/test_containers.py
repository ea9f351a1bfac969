"""Containers, read: the disks that we write, and that qemu-img writes."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from formats.container import Container
from formats.container.kinds import CONTAINERS
from formats.container.qcow2 import HEADER, Qcow2
from formats.container.vdi import HEADER as VDI_HEADER
from formats.container.vdi import PREHEADER
from formats.container.vhd import Vhd
from formats.reading.artefact import ArtefactError
from formats.reading.container import open_container
from formats.reading.source import FileSource, pieces
from tests.support.containers import EXAMPLES, write_container, write_plain
from tests.support.entries import noise
from tests.support.volumes import MIB

_OURS: dict[str, Container] = {
    **CONTAINERS,
    "qcow2 with zlib": Qcow2("zlib"),
    "qcow2 with zstd": Qcow2("zstd"),
    "qcow2 with small clusters": Qcow2("zlib", cluster_size=4096),
    "fixed vpc": Vhd(fixed=True),
}


_SMALL = [name for name, disk in EXAMPLES.items() if disk.size <= 64 * MIB and disk.size % 512 == 0]


def _assert_equal(raw: Path, path: Path, kind: str) -> None:
    """The whole disk, and thirty ranges of it."""
    chance, expected = random.Random(7), raw.read_bytes()
    with FileSource(str(path), "it") as file:
        name, disk = open_container(file)
        assert (name, disk.size) == (kind, len(expected))
        assert b"".join(pieces(disk, 0, disk.size)) == expected
        for _ in range(30):
            start = chance.randrange(len(expected))
            size = min(chance.randrange(1, MIB), len(expected) - start)
            assert disk.read(start, size) == expected[start : start + size]


@pytest.mark.parametrize("example", _SMALL)
@pytest.mark.parametrize("name", _OURS)
def test_what_we_write(tmp_path: Path, name: str, example: str) -> None:
    disk, container = EXAMPLES[example], _OURS[name]
    path = write_container(tmp_path / f"disk{container.suffix}", container, disk)
    _assert_equal(write_plain(tmp_path / "plain", disk), path, container.suffix[1:])


_THEIRS = {
    "qcow2": "qcow2",
    "qcow2 with zlib": "qcow2 -c",
    "qcow2 with zstd and large clusters": "qcow2 -c -o compression_type=zstd,cluster_size=2M",
    "qcow2 of version 2": "qcow2 -o compat=0.10",
    "qcow2 with its metadata made before": "qcow2 -o preallocation=metadata",
    "vdi": "vdi",
    "fixed vdi": "vdi -o static=on",
    "vpc": "vpc -o force_size=on",
    "fixed vpc": "vpc -o subformat=fixed,force_size=on",
}


@pytest.mark.parametrize("name", _THEIRS)
def test_what_qemu_img_writes(tmp_path: Path, name: str) -> None:
    raw, (form, *options) = tmp_path / "raw", _THEIRS[name].split()
    raw.write_bytes(noise(5_000_192) + bytes(3 * MIB) + b"x" * 100_352 + bytes(6 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, tmp_path / "it"], check=True)
    _assert_equal(raw, tmp_path / "it", {"vpc": "vhd"}.get(form, form))


def test_zeros_that_are_said_to_be_zeros(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"x" * MIB + bytes(MIB) + b"x" * MIB)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "it", "3M"], check=True)
    commands = ["-c", "write -P 0x78 0 3M", "-c", "write -z 1M 1M"]
    subprocess.run(["qemu-io", *commands, tmp_path / "it"], check=True, stdout=subprocess.DEVNULL)
    _assert_equal(tmp_path / "raw", tmp_path / "it", "qcow2")


def _made(form: str, *options: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.with_name("raw").write_bytes(b"x" * (4 * MIB))
        command: list[str | Path] = [
            "qemu-img",
            "convert",
            "-f",
            "raw",
            "-O",
            form,
            *options,
            path.with_name("raw"),
            path,
        ]
        subprocess.run(command, check=True)

    return make


def _backed(form: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        subprocess.run(["qemu-img", "create", "-q", "-f", form, path.with_name("below"), "4M"], check=True)
        command: list[str | Path] = ["qemu-img", "create", "-q", "-f", form, "-b", "below", "-F", form, path]
        subprocess.run(command, check=True)

    return make


def _changed(make: Callable[[Path], None], offset: int, data: bytes) -> Callable[[Path], None]:
    def changed(path: Path) -> None:
        make(path)
        whole = bytearray(path.read_bytes())
        whole[offset : offset + len(data) if data else None] = data
        path.write_bytes(whole)

    return changed


_QCOW2, _VDI, _VPC = _made("qcow2"), _made("vdi"), _made("vpc")
_WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "over another": (_backed("qcow2"), "lies over another disk"),
    "encrypted": (_changed(_QCOW2, HEADER.offset("encryption") + 3, b"\x01"), "is an encrypted qcow2"),
    "another version": (_changed(_QCOW2, 7, b"\x04"), "a qcow2 of version 4"),
    "clusters of no size": (_changed(_QCOW2, 23, b"\x30"), "clusters of 2.48 bytes"),
    "features that nobody knows": (_changed(_QCOW2, HEADER.offset("incompatible") + 7, b"\x10"), "knows: 0x10"),
    "a table that is too small": (_changed(_QCOW2, HEADER.offset("l1_entries"), bytes(4)), "an L1 table of 0 entries"),
    "a table beyond the end": (_changed(_QCOW2, HEADER.offset("l1_offset"), b"\x01"), "bytes .* are asked for"),
    "compressed bytes": (_changed(_made("qcow2", "-c"), 0x50000, b"\xff" * 5000), "cluster at byte 327680"),
    "vdi of another version": (_changed(_VDI, PREHEADER.offset("version") + 2, b"\x02"), "a VDI of version 2"),
    "vdi over another": (_changed(_VDI, PREHEADER.size + VDI_HEADER.offset("type"), b"\x04"), "lies over another disk"),
    "vdi with blocks of no size": (
        _changed(_VDI, PREHEADER.size + VDI_HEADER.offset("block_size"), bytes(4)), "4 blocks of 0 bytes",
    ),
    "vdi with a map beyond the end": (
        _changed(_VDI, PREHEADER.size + VDI_HEADER.offset("map_offset"), b"\xff" * 4), "bytes .* are asked for",
    ),
    "vpc without its end": (_changed(_VPC, -512, b""), "without its end"),
    "vpc's footer": (_changed(_VPC, -300, b"x"), "the footer of a VHD has a wrong checksum"),
    "vpc's header": (_changed(_VPC, 600, b"x"), "the header of a VHD has a wrong checksum"),
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    make, message = _WRONG[name]
    make(tmp_path / "it")
    with pytest.raises(ArtefactError, match=message), FileSource(str(tmp_path / "it"), "it") as file:
        _, disk = open_container(file)
        for _ in pieces(disk, 0, disk.size):
            pass

"""qcow2: what its tables say, with clusters of all sizes; and how much compression gains."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from formats.container.qcow2 import Qcow2
from formats.filesystem.pieces import Bytes
from tests.oracle.containers import complaints, difference, facts, same_by_dissect
from tests.support.containers import EXAMPLES, TEXT, Example, incompressible, write_container, write_plain
from tests.support.volumes import GIB, MIB

#: More than one refcount block with clusters of 16 KiB and less, more than one cluster of their table with 512 bytes.
LARGE = Example(
    GIB,
    lambda *_: (
        Bytes(offset, data) for offset, data in ((3, TEXT), (2 * MIB, incompressible(9 * MIB)), (900 * MIB, TEXT))
    ),
)  # fmt: skip


@pytest.mark.parametrize("codec", ["", "zlib", "zstd"])
@pytest.mark.parametrize("cluster_size", [512, 4096, 16384, 2 * MIB])
def test_clusters_of_all_sizes(tmp_path: Path, cluster_size: int, codec: str) -> None:
    path = write_container(tmp_path / "disk.qcow2", Qcow2(codec, cluster_size=cluster_size), LARGE)
    raw = write_plain(tmp_path / "plain", LARGE)
    assert complaints(path) == ""
    assert difference(raw, path) == ""
    assert same_by_dissect(raw, path, [(0, 12 * MIB), (899 * MIB, 4 * MIB)])
    assert facts(path)["cluster-size"] == cluster_size


@pytest.mark.parametrize("codec", ["", "zlib", "zstd"])
def test_what_the_header_says(tmp_path: Path, codec: str) -> None:
    path = write_container(tmp_path / "disk.qcow2", Qcow2(codec), EXAMPLES["text"])
    more = facts(path)["format-specific"]
    assert more == {
        "type": "qcow2",
        "data": {
            "compat": "1.1",
            "compression-type": codec or "zlib",
            "lazy-refcounts": False,
            "refcount-bits": 16,
            "corrupt": False,
            "extended-l2": False,
        },
    }
    header = path.read_bytes()[:200]
    assert header[:8] == b"QFI\xfb\0\0\0\x03"
    assert struct.unpack_from(">QQQII", header, 72) == (8 if codec == "zstd" else 0, 0, 0, 4, 112)
    assert header[104] == (codec == "zstd")
    extension = (0x6803F857, 48, 0, 3, b"compression type") if codec == "zstd" else (0, 0, 0, 0, b"")
    assert (*struct.unpack_from(">IIBB", header, 112), header[122:168].rstrip(b"\0")) == extension
    assert header[168:] == bytes(32)


def clusters_of(path: Path) -> tuple[int, int]:
    """How many clusters of the disk are in the file, and how many of them compressed."""
    said = subprocess.check_output(["qemu-img", "check", "--output=json", path], text=True)
    found = json.loads(said)
    return found["allocated-clusters"], found.get("compressed-clusters", 0)


def test_what_does_not_become_smaller_is_not_compressed(tmp_path: Path) -> None:
    mixed = write_container(tmp_path / "mixed.qcow2", Qcow2("zstd"), EXAMPLES["mixed"])
    assert clusters_of(mixed) == (24, 12)
    text = write_container(tmp_path / "text.qcow2", Qcow2("zstd"), EXAMPLES["text"])
    assert clusters_of(text) == (-(-(len(TEXT) + 100) // 65536),) * 2


@pytest.mark.parametrize("codec", ["zlib", "zstd"])
@pytest.mark.parametrize("example", ["mixed", "an ext4 volume", "text"])
def test_files_are_about_as_small_as_those_of_qemu(tmp_path: Path, example: str, codec: str) -> None:
    path = write_container(tmp_path / "ours.qcow2", Qcow2(codec, 6 if codec == "zlib" else 3), EXAMPLES[example])
    raw = write_plain(tmp_path / "plain", EXAMPLES[example])
    theirs = tmp_path / "theirs.qcow2"
    options = f"compression_type={codec}"
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, raw, theirs], check=True)
    assert path.stat().st_size <= theirs.stat().st_size * 1.02 + 2 * 65536

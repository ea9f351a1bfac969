"""Whatever is damaged in a container, somebody notices: so the tests of this folder cannot pass over a wrong byte."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from formats.container import Container
from formats.container.qcow2 import Qcow2
from formats.container.vdi import Vdi
from formats.container.vhd import Vhd
from layers.digest import Digest
from tests.oracle.containers import complaints, difference, facts
from tests.support.containers import EXAMPLES, write_container, write_plain
from tests.support.disks import damaged
from tests.support.volumes import MIB

CLUSTER = 65536
EXAMPLE = EXAMPLES["mixed"]  # 12 clusters of text and as many of noise, 64 KiB in turn


@dataclass(frozen=True)
class Structure:
    """Bytes of a file that mean something.

    Attributes:
        container: in whose file they are.
        place: where they begin in a file; of its bytes.
        size: their number.
    """

    container: Container
    place: Callable[[bytes], int]
    size: int


def number(data: bytes, offset: int, size: int = 8) -> int:
    return int.from_bytes(data[offset : offset + size])


def l2(data: bytes) -> int:
    return number(data, CLUSTER) & (1 << 56) - 1 & ~511


def refcount_block(data: bytes) -> int:
    return number(data, number(data, 48))


def entry(data: bytes, cluster: int) -> int:
    """Where a cluster of the disk is, compressed or not."""
    return number(data, l2(data) + 8 * cluster) & (1 << 54) - 1


PLAIN, ZLIB, ZSTD = Qcow2(), Qcow2("zlib"), Qcow2("zstd")

STRUCTURES = {
    "qcow2, magic and version": Structure(PLAIN, lambda _: 0, 8),
    "qcow2, cluster bits": Structure(PLAIN, lambda _: 20, 4),
    "qcow2, size": Structure(PLAIN, lambda _: 24, 7),
    "qcow2, encryption": Structure(PLAIN, lambda _: 32, 4),
    "qcow2, L1's size and place": Structure(PLAIN, lambda _: 36, 12),
    "qcow2, refcounts' place and size": Structure(PLAIN, lambda _: 48, 12),
    "qcow2, snapshots": Structure(PLAIN, lambda _: 60, 4),
    "qcow2, incompatible features": Structure(PLAIN, lambda _: 72, 8),
    "qcow2, refcounts' width": Structure(PLAIN, lambda _: 96, 4),
    "qcow2, L1 table": Structure(PLAIN, lambda _: CLUSTER, 8),
    "qcow2, L2 table": Structure(PLAIN, l2, 24 * 8),
    "qcow2, free entries of the L2 table": Structure(PLAIN, lambda data: l2(data) + 24 * 8, 8 * 8),
    "qcow2, refcount table": Structure(PLAIN, lambda data: number(data, 48), 8),
    "qcow2, refcounts": Structure(PLAIN, refcount_block, 2 * 29),
    "qcow2, clusters": Structure(PLAIN, lambda data: entry(data, 0), 24 * CLUSTER),
    "zlib, L2 table": Structure(ZLIB, l2, 24 * 8),
    "zlib, refcounts": Structure(ZLIB, refcount_block, 2 * 12),
    "zlib, a compressed cluster": Structure(ZLIB, lambda data: entry(data, 1), 6000),
    "zlib, a cluster that is not": Structure(ZLIB, lambda data: entry(data, 0), CLUSTER),
    "zstd, incompatible features and compression": Structure(ZSTD, lambda _: 79, 1),
    "zstd, compression": Structure(ZSTD, lambda _: 104, 1),
    "zstd, L2 table": Structure(ZSTD, l2, 24 * 8),
    "zstd, refcounts": Structure(ZSTD, refcount_block, 2 * 12),
    "zstd, a compressed cluster": Structure(ZSTD, lambda data: entry(data, 1), 6000),
    "vdi, signature and version": Structure(Vdi(), lambda _: 64, 8),
    "vdi, places": Structure(Vdi(), lambda _: 340, 8),
    "vdi, sectors": Structure(Vdi(), lambda _: 360, 4),
    "vdi, size": Structure(Vdi(), lambda _: 369, 7),
    "vdi, size of blocks": Structure(Vdi(), lambda _: 376, 4),
    "vdi, numbers of blocks": Structure(Vdi(), lambda _: 384, 8),
    "vdi, links": Structure(Vdi(), lambda _: 424, 32),
    "vdi, map": Structure(Vdi(), lambda _: 512, 8),
    "vdi, blocks": Structure(Vdi(), lambda _: MIB, 2 * MIB),
    "vpc, footer at the beginning": Structure(Vhd(), lambda _: 0, 512),
    "vpc, header": Structure(Vhd(), lambda _: 512, 8),
    "vpc, size of blocks": Structure(Vhd(), lambda _: 512 + 32, 4),
    "vpc, place of the map": Structure(Vhd(), lambda _: 512 + 16, 8),
    "vpc, map": Structure(Vhd(), lambda _: 1536, 4),
    "vpc, block": Structure(Vhd(), lambda _: 2048 + 512, 2 * MIB),
    "fixed vpc, footer": Structure(Vhd(fixed=True), lambda data: len(data) - 512, 512),
    "fixed vpc, disk": Structure(Vhd(fixed=True), lambda _: 0, 2 * MIB),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("plain") / "plain.raw", EXAMPLE)


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_damaged_byte_is_noticed(tmp_path: Path, plain: Path, name: str) -> None:
    structure = STRUCTURES[name]
    path = write_container(tmp_path / f"disk{structure.container.suffix}", structure.container, EXAMPLE)

    def seen() -> object:
        return facts(path), complaints(path), difference(plain, path)

    sound = seen()
    start = structure.place(path.read_bytes())
    for seed in range(4):
        position = int(Digest.of(f"{name} {seed}".encode()).hex, 16) % structure.size
        with damaged(path, start + position):
            assert seen() != sound, f"byte {position} of {name}"

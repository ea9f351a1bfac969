"""Every container with every disk: read by qemu-img and dissect, and the same bytes whoever gives the disk."""

from pathlib import Path

import pytest

from formats.container import Container
from formats.container.kinds import CONTAINERS
from formats.container.qcow2 import Qcow2
from formats.container.vhd import Vhd
from formats.filesystem.pieces import size_of
from layers.digest import Digest
from layers.errors import InputError
from layers.output import OutputError
from layers.reader import Reader
from tests.oracle.containers import complaints, difference, facts, same_by_dissect
from tests.support.containers import EXAMPLES, Example, in_parts, write_container, write_plain
from tests.support.processes import as_nobody, memory_disk, needs_root, public_folder, python
from tests.support.volumes import GIB, MIB

TIB = 1 << 40

ALL: dict[str, Container] = {
    **CONTAINERS,
    "qcow2 with zlib": Qcow2("zlib"),
    "qcow2 with zlib's level 9": Qcow2("zlib", 9),
    "qcow2 with zstd's level 12": Qcow2("zstd", 12),
    "fixed vpc": Vhd(fixed=True),
}


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("name", ALL)
def test_others_read_the_same_disk(tmp_path: Path, name: str, example: str) -> None:
    disk = EXAMPLES[example]
    path = write_container(tmp_path / f"disk{ALL[name].suffix}", ALL[name], disk)
    raw = write_plain(tmp_path / "plain", disk)
    assert complaints(path) == ""
    assert difference(raw, path) == ""
    assert facts(path)["virtual-size"] == raw.stat().st_size
    if path.suffix == ".raw":
        assert path.stat().st_size == disk.size
    else:
        assert same_by_dissect(raw, path, ranges(tmp_path, disk))


def ranges(folder: Path, disk: Example) -> list[tuple[int, int]]:
    """The whole disk; of a large one the pieces, and something before and after them."""
    if disk.size <= 64 * MIB:
        return [(0, disk.size)]
    with Reader() as reader:
        return [(max(0, piece.offset - MIB), size_of(piece) + 2 * MIB) for piece in disk.pieces(folder, reader)]


@pytest.mark.parametrize("example", ["mixed", "text", "ranges of a file", "a file with holes", "an ext4 volume"])
@pytest.mark.parametrize("name", ALL)
def test_the_same_disk_is_the_same_file(tmp_path: Path, name: str, example: str) -> None:
    disk = EXAMPLES[example]
    path = tmp_path / "disk"

    def digest(disk: Example, jobs: int) -> Digest:
        return Digest.of(write_container(path, ALL[name], disk, jobs).read_bytes())

    expected = digest(disk, 2)
    assert [digest(disk, jobs) for jobs in (1, 7)] == [expected] * 2
    assert [digest(in_parts(disk, size), 2) for size in (1000, 65536, 300_001)] == [expected] * 3


@pytest.mark.parametrize("name", ALL)
def test_what_is_zeros_takes_no_room(tmp_path: Path, name: str) -> None:
    path = write_container(tmp_path / "disk", ALL[name], EXAMPLES["zeros"])
    assert path.stat().st_blocks * 512 <= 300_000  # of metadata
    path = write_container(tmp_path / "disk", ALL[name], EXAMPLES["40 GiB"])
    assert path.stat().st_blocks * 512 < 40 * 5 * 65536


@pytest.mark.parametrize(
    ("container", "size"),
    [(CONTAINERS["raw"], 8 * TIB), (CONTAINERS["qcow2"], 512 * TIB), (CONTAINERS["qcow2-compressed"], 64 * TIB),
     (CONTAINERS["vdi"], 4 * TIB), (CONTAINERS["vpc"], 2040 * GIB), (Vhd(fixed=True), 2040 * GIB)],
)  # fmt: skip
def test_large_disks_cost_little_memory(tmp_path: Path, container: Container, size: int) -> None:
    code = """
import resource, sys
from pathlib import Path
from formats.container.kinds import CONTAINERS
from formats.container.qcow2 import Qcow2
from formats.container.raw import Raw
from formats.container.vdi import Vdi
from formats.container.vhd import Vhd
from formats.filesystem.pieces import Bytes
from tests.support.containers import Example, write_container

container, size = eval(sys.argv[2]), int(sys.argv[3])
places = [number * (size // 10) for number in range(10)]
disk = Example(size, lambda *_: (Bytes(place, b"%d" % place) for place in [*places, size - 20]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_container(Path(sys.argv[1]), container, disk)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    path = tmp_path / f"disk{container.suffix}"
    said, errors = python(code, path, repr(container), str(size)).communicate()
    assert errors == ""
    assert int(said) < 60 << 10
    assert facts(path)["virtual-size"] == size
    assert complaints(path) == ""


@pytest.mark.parametrize(
    ("container", "size", "message"),
    [(Qcow2(), 2048 * TIB + 1, "at most 2251799813685248 bytes"),
     (Qcow2(cluster_size=512), 128 * GIB + 1, "clusters of 512 bytes has at most 137438953472"),
     (Qcow2(cluster_size=1000), MIB, "no clusters of 1000 bytes"),
     (Qcow2("lzma"), MIB, "no compression 'lzma'"),
     (Qcow2("zstd", 99), MIB, "no level 99"),
     (CONTAINERS["vdi"], 0x3FFFFFFF * MIB + 1, "at most 1125899905794048 bytes"),
     (CONTAINERS["vpc"], 2040 * GIB + 1, "at most 2190433320960 bytes"),
     (Vhd(fixed=True), 2040 * GIB + 1, "2040 GiB")],
)  # fmt: skip
def test_what_a_container_cannot_have_is_refused(tmp_path: Path, container: Container, size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_container(tmp_path / "disk", container, Example(size, EXAMPLES["empty"].pieces))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ALL)
def test_an_unprivileged_user_writes_the_same_bytes(tmp_path: Path, name: str) -> None:
    mine = write_container(tmp_path / "disk", ALL[name], EXAMPLES["ranges of a file"]).read_bytes()

    with public_folder(0o777) as folder:
        written = as_nobody(
            lambda: Digest.of(write_container(folder / "disk", ALL[name], EXAMPLES["ranges of a file"]).read_bytes())
        )
    assert written == str(Digest.of(mine))


@needs_root
@pytest.mark.parametrize("name", ALL)
def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    with memory_disk(tmp_path / "disk", "size=1m") as folder:
        with pytest.raises(OutputError, match="No space left"):
            write_container(folder / "disk", ALL[name], EXAMPLES["dense"])
        assert list(folder.iterdir()) == []

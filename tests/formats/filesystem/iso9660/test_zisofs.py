"""Files that are compressed in the volume, decompressed by xorriso, libarchive and Linux."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.iso9660.zisofs import Packed, Zisofs, worthwhile
from formats.filesystem.pieces import write_pieces
from layers.digest import Digest
from layers.entry import Data, Entry, File, Slice
from layers.errors import ChangedError, InputError
from layers.output import PendingFile, Spool
from layers.pipeline import Pipeline
from layers.reader import Reader
from tests.oracle import linux
from tests.oracle.ext4 import expected, seen
from tests.oracle.iso9660 import extracted_by_tar, extracted_by_xorriso, is_sound
from tests.support.entries import noise
from tests.support.processes import needs_root
from tests.support.volumes import VOLUME, tree_of

RANDOM = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(50_000))  # 3.2 MB that stay so large

TREE: list[Entry] = [
    *(File(b"sizes/%d" % size, Data(noise(size))) for size in (0, 1, 2048, 2049, 131_071, 131_072, 131_073, 1 << 20)),
    File(b"large", Data(noise((3 << 20) + 12_345))),
    File(b"large with zeros", Data(noise(1 << 20) + bytes(1 << 20) + b"end")),
    File(b"nothing", Data(bytes(3 << 20))),
    File(b"little in random", Data(RANDOM[:500_000] + bytes(4096))),
    File(b"random", Data(RANDOM)),
    File(b"small random", Data(RANDOM[:200_000])),
    File(b"boot/vmlinuz", Data(noise(300_000))),
    File(b"usr/share/man.gz", Data(noise(300_000))),
    File(b"a name that is " + b"long " * 30, Data(noise(100_000))),
]
PLAIN = {b"sizes/0", b"sizes/1", b"sizes/2048", b"random", b"small random", b"boot/vmlinuz", b"usr/share/man.gz"}


DEFAULT = Zisofs()


def compress(entries: Sequence[Entry], output: Path, zisofs: Zisofs = DEFAULT, jobs: int = 2) -> tuple[Packed, Path]:
    """A volume with compressed files, and what was compressed."""
    tree = tree_of(entries)
    with Reader() as reader, Spool(str(output)) as spool, ThreadPoolExecutor(jobs) as executor:
        packed = zisofs.compress(tree, spool, Pipeline(executor, 2 * jobs), reader)
        prepared = Iso9660(VOLUME, compressed=packed.compressed).prepare(packed.tree, reader)
        plan = prepared.plan(prepared.minimum_size())
        with PendingFile(str(output.parent)) as file:
            write_pieces(plan.pieces(reader), file, 0, plan.size, reader)
            file.publish(output.name, durable=False)
    return packed, output


@needs_root
@pytest.mark.parametrize("block_bits", [15, 16, 17])
@pytest.mark.parametrize("level", [1, 3, 9])
def test_what_is_decompressed_is_the_tree(tmp_path: Path, level: int, block_bits: int) -> None:
    zisofs = Zisofs(level=level, block_bits=block_bits)
    packed, volume = compress(TREE, tmp_path / "volume", zisofs)
    assert packed.compressed.keys() == {entry.path for entry in TREE} - PLAIN
    assert is_sound(volume)
    assert contents(extracted_by_tar(volume, tmp_path / "tar")) == wanted(TREE)
    assert contents(extracted_by_xorriso(volume, tmp_path / "xorriso")) == wanted(TREE)


def contents(folder: Path) -> dict[bytes, bytes]:
    return {path: one.content for path, one in seen(folder).items()}


def wanted(entries: Sequence[Entry]) -> dict[bytes, bytes]:
    return {path: one.content for path, one in expected(tree_of(entries), 0).items()}


def test_linux_decompresses(tmp_path: Path, debian_linux: linux.Linux) -> None:
    levels = {f"bits-{bits}": Zisofs(block_bits=bits) for bits in (15, 16, 17)} | {"level-9": Zisofs(level=9)}
    volumes = {name: linux.Volume(compress(TREE, tmp_path / name, zisofs)[1]) for name, zisofs in levels.items()}
    answers = debian_linux.look_at(volumes, tmp_path)
    for name in volumes:
        assert linux.seen(answers, name) == expected(tree_of(TREE), VOLUME.epoch)


@pytest.mark.parametrize(
    ("path", "is_compressed"),
    [
        ("usr/bin/bash", True), ("boot/vmlinuz", False), ("bootstrap", True), ("System/x", False), ("x.gz", False),
        ("usr/x.png", False), ("gz", True), ("gnu/store/x-linux/bzImage", False), ("boot.d/x", True),
        ("usr/share/grub/unicode.pf2", False),
    ],
)  # fmt: skip
def test_what_boot_loaders_read_and_what_is_compressed_is_not(path: str, is_compressed: bool) -> None:
    assert worthwhile(File(path.encode())) == is_compressed


def test_bytes_do_not_depend_on_jobs(tmp_path: Path) -> None:
    digests = {Digest.of(compress(TREE, tmp_path / str(jobs), jobs=jobs)[1].read_bytes()) for jobs in (1, 2, 7)}
    assert len(digests) == 1


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    compress(TREE, tmp_path / "volume")
    assert [path.name for path in tmp_path.iterdir()] == ["volume"]


@pytest.mark.parametrize("zisofs", [Zisofs(level=0), Zisofs(level=10), Zisofs(block_bits=14), Zisofs(block_bits=18)])
def test_options_that_linux_does_not_read_are_refused(tmp_path: Path, zisofs: Zisofs) -> None:
    with pytest.raises(InputError, match="zisofs has no level"):
        compress(TREE, tmp_path / "volume", zisofs)


def test_who_observes_sees_all_contents_once(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(RANDOM)
    sizes = (0, 5, 300_000, len(RANDOM))
    entries = [File(b"%d" % size, Slice(str(tmp_path / "source"), 0, size)) for size in sizes]
    entries.append(File(b"boot/plain", Slice(str(tmp_path / "source"), 0, 700_000)))
    output = bytearray()
    with Reader() as reader, Spool(str(tmp_path / "volume")) as spool, ThreadPoolExecutor(2) as executor:
        reader.observe(output.extend)
        packed = Zisofs().compress(tree_of(entries), spool, Pipeline(executor, 4), reader)
    assert output == b"".join(RANDOM[: entry.content.size] for entry in tree_of(entries) if isinstance(entry, File))
    (tmp_path / "source").write_bytes(RANDOM[::-1])
    with pytest.raises(ChangedError), Reader() as reader:
        Iso9660(VOLUME, compressed=packed.compressed).prepare(packed.tree, reader)

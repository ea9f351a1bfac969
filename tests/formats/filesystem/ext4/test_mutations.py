"""Whatever is damaged in a volume, some reader notices: so the tests of this folder cannot pass over a wrong byte."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from formats.filesystem.ext4 import Ext4
from formats.filesystem.ext4.plan import Ext4Plan
from formats.filesystem.ext4.structures import BLOCK, BLOCKS_PER_GROUP, JOURNAL_INODE, RESIZE_INODE, ROOT_INODE
from formats.filesystem.pieces import write_pieces
from layers.digest import Digest
from layers.entry import Data, Entry, File, Meta, Symlink
from layers.output import PendingFile
from layers.reader import Reader
from layers.tree import Tree
from tests.oracle.ext4 import complaints, expected, mounted, seen
from tests.support.disks import damaged
from tests.support.entries import noise
from tests.support.processes import needs_root
from tests.support.volumes import MIB, VOLUME, tree_of

#: Chunks, every second of them zeros: more extents than the inode holds.
FRAGMENTED = b"".join((b"data" + bytes(65532) if number % 2 == 0 else bytes(65536)) for number in range(700))

ENTRIES: list[Entry] = [
    File(b"contents", Data(noise(10_000))),
    File(b"fragmented", Data(FRAGMENTED)),
    File(b"in-inode", meta=Meta(0o644, xattrs=((b"user.small", b"value"),))),
    File(b"in-block", meta=Meta(0o644, xattrs=((b"user.large", b"v" * 1000),))),
    Symlink(b"long-link", b"t" * 100),
    *(File(b"large/%0200d" % number) for number in range(300)),
]


@dataclass(frozen=True)
class Written:
    path: Path
    plan: Ext4Plan
    tree: Tree
    said_of_copy: str


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("mutations")
    tree = tree_of(ENTRIES)
    with Reader() as reader, PendingFile(str(folder)) as output:
        plan = Ext4(VOLUME).prepare(tree, reader).plan(200 * MIB)
        write_pieces(plan.pieces(reader), output, 0, plan.size, reader)
        output.publish("volume", durable=False)
    return Written(folder / "volume", plan, tree, by_copy(folder / "volume"))


def by_copy(path: Path) -> str:
    """What e2fsprogs say when they begin with the second superblock; e2fsck complains then of mke2fs's volumes, too."""
    check: list[str | Path] = ["e2fsck", "-fn", "-b", str(BLOCKS_PER_GROUP), "-B", str(BLOCK), path]
    show: list[str | Path] = ["dumpe2fs", "-o", f"superblock={BLOCKS_PER_GROUP}", "-o", f"blocksize={BLOCK}", path]
    return "".join(
        subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout
        for command in (check, show)
    )


STRUCTURES = (
    *("superblock", "copy of the superblock", "descriptors", "copy of the descriptors", "block bitmap", "inode bitmap"),
    *(
        "root inode",
        "resize inode",
        "journal inode",
        "file's inode",
        "attributes in the inode",
        "attributes in a block",
    ),
    *("folder", "root of a large folder", "leaf of a large folder", "extents", "target of a link", "contents"),
    *("journal", "block of the resize inode", "reserved descriptors"),
)


def place(written: Written, structure: str) -> tuple[int, int]:
    """Where a structure is: its first byte, and how many of its bytes mean something."""
    plan, layout, placement = written.plan, written.plan._layout, written.plan._placement
    numbers = {node.entry.path: node.number for node in plan._nodes.all}

    def inode(number: int) -> int:
        return layout.inode_tables[0] * BLOCK + (number - 1) * 256

    def block(number: int, position: int = 0) -> int:
        return (placement.mapped[number].extents[0].physical + position) * BLOCK

    copy = BLOCKS_PER_GROUP * BLOCK
    descriptors = layout.groups * 64
    return {
        "superblock": (1024, 1024),
        "copy of the superblock": (copy, 1024),
        "descriptors": (BLOCK, descriptors),
        "copy of the descriptors": (copy + BLOCK, descriptors),
        "block bitmap": (layout.block_bitmaps[0] * BLOCK, BLOCK),
        "inode bitmap": (layout.inode_bitmaps[0] * BLOCK, layout.inodes_per_group // 8),
        "root inode": (inode(ROOT_INODE), 160),
        "resize inode": (inode(RESIZE_INODE), 160),
        "journal inode": (inode(JOURNAL_INODE), 160),
        "file's inode": (inode(numbers[b"contents"]), 160),
        "attributes in the inode": (inode(numbers[b"in-inode"]) + 160, 96),
        "attributes in a block": (placement.attribute_blocks[0].number * BLOCK, BLOCK),
        "folder": (block(ROOT_INODE), BLOCK),
        "root of a large folder": (block(numbers[b"large"]), BLOCK // 32),
        "leaf of a large folder": (block(numbers[b"large"], 1), BLOCK),
        "extents": (placement.mapped[numbers[b"fragmented"]].below[0] * BLOCK, BLOCK - 4),
        "target of a link": (block(numbers[b"long-link"]), 100),
        "contents": (block(numbers[b"contents"]), 10_000),
        "journal": (block(JOURNAL_INODE), 8),
        "block of the resize inode": (placement.resize_block * BLOCK + layout.descriptor_blocks * 4, 4),
        "reserved descriptors": ((1 + layout.descriptor_blocks) * BLOCK, 4),
    }[structure]


def noticed(written: Written) -> str:
    """Who notices that something is wrong; nobody if the answer is empty."""
    if complaints(written.path):
        return "e2fsck"
    if by_copy(written.path) != written.said_of_copy:
        return "e2fsck of the copy"
    with mounted(written.path) as place:
        return "" if seen(place) == expected(written.tree, VOLUME.epoch) else "the kernel"


@needs_root
def test_nobody_has_anything_against_the_volume(written: Written) -> None:
    assert noticed(written) == ""


@needs_root
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_damaged_byte_is_noticed(written: Written, structure: str, seed: int) -> None:
    start, size = place(written, structure)
    position = int(Digest.of(f"{structure} {seed}".encode()).hex, 16) % size
    with damaged(written.path, start + position):
        assert noticed(written) != "", f"byte {position} of {structure}"

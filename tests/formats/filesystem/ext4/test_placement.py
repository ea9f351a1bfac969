"""Nodes have the blocks that they would get one by one."""

import pytest

from formats.filesystem.ext4.demands import Demands
from formats.filesystem.ext4.extents import joined
from formats.filesystem.ext4.features import EXT2, EXT4, Features
from formats.filesystem.ext4.groups import Allocator
from formats.filesystem.ext4.mapped import Mapped, mapper
from formats.filesystem.ext4.nodes import survey
from formats.filesystem.ext4.placement import Missing, Placement, place
from formats.filesystem.ext4.structures import JOURNAL_INODE
from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from tests.support.entries import noise
from tests.support.volumes import MIB, VOLUME, tree_of

HOLES = Data(noise(70_000) + bytes(300_000) + noise(5_000))

MIXED: list[Entry] = [
    *(File(b"%d/%d" % (number % 7, number), Data(bytes(number * 7919 % 60_000))) for number in range(400)),
    *(File(b"large/%d" % number, Data(b"x" * (number * MIB))) for number in range(1, 9)),
    *(File(b"holes/%d" % number, HOLES) for number in range(20)),
    Symlink(b"link", b"long" * 50),
]

#: One of them ends wherever free blocks end.
OF_ONE_BLOCK: list[Entry] = [File(b"%d" % number, Data(b"x")) for number in range(36_000)]


def one_by_one(demands: Demands, placement: Placement, features: Features) -> dict[int, Mapped]:
    """The blocks of every node, handed out one after another; nothing has attributes."""
    allocator, needed = Allocator(placement.layout), mapper(features).blocks_needed
    if journal := placement.mapped.get(JOURNAL_INODE):
        allocator.take(journal.blocks)
    if placement.resize_block:
        allocator.take(1)
    found = {}
    for node in demands.nodes:
        extents = joined(node.runs, allocator.take(sum(count for _, count in node.runs)))
        found[node.number] = Mapped(extents, [allocator.take(1)[0][0] for _ in range(needed(extents))])
    return found


@pytest.mark.parametrize("features", [EXT4, EXT2])
@pytest.mark.parametrize(("entries", "size"), [(MIXED, 64), (MIXED, 128), (MIXED, 900), (OF_ONE_BLOCK, 200)])  # MiB
def test_nodes_have_the_blocks_that_they_would_get_one_by_one(
    features: Features, entries: list[Entry], size: int
) -> None:
    with Reader() as reader:
        nodes = survey(tree_of(entries), VOLUME, features, None, bytes(16), reader)
    demands = Demands(nodes, features)
    placement = place(nodes, demands, size * MIB // 4096, 40_000, features)
    assert not isinstance(placement, Missing)
    expected = one_by_one(demands, placement, features)
    assert {number: placement.mapped[number] for number in expected} == expected
    leading = {number for number, mapped in placement.mapped.leading() if number != JOURNAL_INODE}
    assert leading == {number for number, mapped in expected.items() if mapped.below}


def test_what_has_no_blocks_is_nowhere() -> None:
    with Reader() as reader:
        nodes = survey(tree_of([File(b"empty"), Symlink(b"link", b"short")]), VOLUME, EXT4, None, bytes(16), reader)
    placement = place(nodes, Demands(nodes, EXT4), 8 * MIB // 4096, 100, EXT4)
    assert not isinstance(placement, Missing)
    assert [placement.mapped.get(node.number) for node in nodes.all if node.entry.path in (b"empty", b"link")] == [
        None,
        None,
    ]
    with pytest.raises(KeyError):
        placement.mapped[nodes.last + 1]

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.filesystem.ext4.features import EXT2, EXT4, Features
from formats.filesystem.ext4.groups import Allocator, lay_out
from formats.filesystem.ext4.structures import BLOCKS_PER_GROUP

KINDS = st.sampled_from([EXT4, EXT2, EXT4.changed("^64bit,^resize_inode")])


@given(blocks=st.integers(16, 40 * BLOCKS_PER_GROUP), inodes=st.integers(1, 1 << 20), features=KINDS)
def test_metadata_and_free_blocks_are_the_volume(blocks: int, inodes: int, features: Features) -> None:
    layout = lay_out(blocks, inodes, features)
    assert layout.blocks + layout.left_out == blocks
    assert all(start < end < following for (start, end), (following, _) in pairwise(layout.taken))
    size = layout.zone * len(layout.copies) + layout.groups * (2 + layout.table_blocks)
    assert sum(end - start for start, end in layout.taken) == size
    if not layout.missing:
        allocator = Allocator(layout)
        runs = allocator.take(layout.free)
        assert not allocator.missing
        assert sum(count for _, count in runs) == layout.free
        allocator.take(2)
        assert allocator.missing > 1


@given(blocks=st.integers(16, 20 * BLOCKS_PER_GROUP), features=KINDS)
def test_a_remainder_that_is_left_out_becomes_a_group_when_it_is_no_longer_too_short(
    blocks: int, features: Features
) -> None:
    layout = lay_out(blocks, 1000, features)
    if layout.left_out:
        assert lay_out(blocks + layout.short - 1, 1000, features).blocks == layout.blocks
        assert lay_out(blocks + layout.short, 1000, features).left_out == 0


@pytest.mark.parametrize(
    ("groups", "copies"),
    [(1, (0,)), (2, (0, 1)), (10, (0, 1, 3, 5, 7, 9)), (130, (0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125))],
)
def test_copies_stand_in_groups_that_are_powers(groups: int, copies: tuple[int, ...]) -> None:
    assert lay_out(groups * BLOCKS_PER_GROUP, 1000, EXT4).copies == copies


def test_without_flexible_groups_each_group_has_its_own_metadata() -> None:
    layout = lay_out(10 * BLOCKS_PER_GROUP, 100_000, EXT4.changed("^flex_bg"))
    for places in (layout.block_bitmaps, layout.inode_bitmaps, layout.inode_tables):
        assert [place // BLOCKS_PER_GROUP for place in places] == list(range(10))

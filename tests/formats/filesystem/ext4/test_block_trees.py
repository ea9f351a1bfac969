"""What leads to the blocks of a file: extents and block maps."""

import struct
from collections.abc import Iterator
from itertools import count
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.filesystem.ext4 import block_map, extents
from formats.filesystem.ext4.extents import BlockTree, Extent, joined

FIRST_FREE = 1 << 24  # of the blocks of the tree


@st.composite
def some_extents(draw: st.DrawFn) -> list[Extent]:
    """Extents with holes between them, of which a few make a file very long."""
    found, logical, physical = [], 0, 1
    for hole, length, gap in draw(
        st.lists(
            st.tuples(st.sampled_from([0, 1, 5, 1000, 1 << 20]), st.integers(1, 1500), st.integers(0, 9)), max_size=9
        )
    ):
        logical += hole
        found.append(Extent(logical, physical, length))
        logical, physical = logical + length, physical + length + gap
    return found


def pointers(given_extents: list[Extent]) -> dict[int, int]:
    return {extent.logical + i: extent.physical + i for extent in given_extents for i in range(extent.length)}


def read_map(tree: BlockTree) -> dict[int, int]:
    """What a reader of ext2 finds."""
    root = struct.unpack("<15I", tree.root)

    def below(number: int, level: int, logical: int) -> Iterator[tuple[int, int]]:
        if level == 0 or not number:
            yield from [(logical, number)] if number else []
            return
        for place, found in enumerate(struct.unpack("<1024I", tree.blocks[number])):
            yield from below(found, level - 1, logical + place * 1024 ** (level - 1))

    found = {logical: number for logical, number in enumerate(root[:12]) if number}
    found |= dict(below(root[12], 1, 12))
    found |= dict(below(root[13], 2, 12 + 1024))
    return found | dict(below(root[14], 3, 12 + 1024 + 1024**2))


def read_extents(tree: BlockTree) -> dict[int, int]:
    """What a reader of ext4 finds."""

    def node(data: bytes) -> Iterator[tuple[int, int]]:
        magic, entries, most, depth, _ = struct.unpack_from("<HHHHI", data)
        assert magic == 0xF30A and entries <= most
        for start in range(12, 12 + entries * 12, 12):
            if depth:
                _, low, high, _ = struct.unpack_from("<IIHH", data, start)
                below = tree.blocks[high << 32 | low]
                assert struct.unpack_from("<H", below, 6)[0] == depth - 1
                yield from node(below)
            else:
                logical, length, high, low = struct.unpack_from("<IHHI", data, start)
                yield from ((logical + i, (high << 32 | low) + i) for i in range(length))

    return dict(node(tree.root))


@given(some_extents())
def test_a_block_map_leads_to_every_block(given_extents: list[Extent]) -> None:
    tree = block_map.build(given_extents, count(FIRST_FREE), None)
    assert read_map(tree) == pointers(given_extents)
    assert len(tree.blocks) == block_map.blocks_needed(given_extents)


@given(some_extents())
def test_extents_lead_to_every_block(given_extents: list[Extent]) -> None:
    tree = extents.build(given_extents, count(FIRST_FREE), 0)
    assert read_extents(tree) == pointers(given_extents)
    assert len(tree.blocks) == extents.blocks_needed(given_extents)


@pytest.mark.parametrize(("number", "blocks"), [(0, 0), (4, 0), (5, 1), (340, 1), (341, 2), (1360, 4), (1361, 5 + 1)])
def test_the_tree_of_extents_grows_with_them(number: int, blocks: int) -> None:
    many = [Extent(2 * place, 3 * place + 1, 1) for place in range(number)]
    tree = extents.build(many, count(FIRST_FREE), None)
    assert len(tree.blocks) == extents.blocks_needed(many) == blocks
    assert read_extents(tree) == pointers(many)


def test_numbers_above_32_bits_have_their_place_in_extents() -> None:
    many = [Extent(2 * place, (1 << 40) + 3 * place, 1) for place in range(500)]
    assert read_extents(extents.build(many, count(1 << 41), 0)) == pointers(many)


@pytest.mark.parametrize("module", [extents, block_map])
def test_a_file_without_blocks_has_no_tree(module: ModuleType) -> None:
    tree = module.build((), iter(()), None)
    assert not tree.blocks
    assert len(tree.root) == 60


@pytest.mark.parametrize(
    ("logical", "physical", "found"),
    [
        ([], [], []),
        ([(0, 3)], [(10, 3)], [(0, 10, 3)]),
        ([(0, 3)], [(10, 1), (20, 2)], [(0, 10, 1), (1, 20, 2)]),
        ([(0, 3), (16, 2)], [(10, 4), (30, 1)], [(0, 10, 3), (16, 13, 1), (17, 30, 1)]),
        ([(0, 32769)], [(10, 32769)], [(0, 10, 32768), (32768, 32778, 1)]),
    ],
)
def test_runs_of_the_file_and_of_the_volume_are_joined(
    logical: list[tuple[int, int]], physical: list[tuple[int, int]], found: list[tuple[int, int, int]]
) -> None:
    assert joined(logical, physical) == [Extent(*each) for each in found]

import struct

import pytest

from formats.filesystem.ext4 import directories
from formats.filesystem.ext4.directories import Name, build
from layers.errors import EntryError

SEED = bytes(range(16))


def names_in(block: bytes) -> list[tuple[bytes, int, int]]:
    """The entries of a block, as a reader that knows nothing of trees finds them."""
    found, position = [], 0
    while position < len(block):
        inode, length, size, kind = struct.unpack_from("<IHBB", block, position)
        assert length % 4 == 0 and length >= 8 + size
        if inode:
            found.append((block[position + 8 : position + 8 + size], inode, kind))
        position += length
    assert position == len(block)
    return found


DOTS = [directories._entry(name, 2, directories.FOLDER) for name in (b".", b"..")]


@pytest.mark.parametrize("hash_seed", [None, SEED])
@pytest.mark.parametrize("checksum", [None, 0])
@pytest.mark.parametrize("count", [0, 1, 200, 2000, 60000])
def test_a_reader_that_knows_no_trees_finds_every_name(
    count: int, checksum: int | None, hash_seed: bytes | None
) -> None:
    names = [Name(b"name-%d" % number, 12 + number, 1) for number in range(count)]
    made = build(names, 2, 11, checksum, hash_seed)
    assert {len(block) for block in made.blocks} == {4096}
    found = [name for block in made.blocks for name in names_in(block)]
    assert found[:2] == [(b".", 2, 2), (b"..", 11, 2)]
    assert sorted(found[2:]) == sorted((name.name, name.inode, name.kind) for name in names)
    assert made.indexed == (hash_seed is not None and count > 200)


def test_names_of_one_hash_in_several_blocks_are_marked() -> None:
    entry = directories._entry(b"n" * 200, 12, 1)
    hashed = [(8, number, entry) for number in range(60)] + [(10, 0, entry)] * 30
    root = directories._tree(hashed, DOTS, 4096, None)[0]
    _, count, first = struct.unpack_from("<HHI", root, 32)
    pairs = [struct.unpack_from("<II", root, 40 + 8 * place) for place in range(count - 1)]
    assert (count, first) == (5, 1)
    assert pairs == [(8 | 1, 2), (8 | 1, 3), (8 | 1, 4), (10 | 1, 5)]


def test_more_blocks_than_a_tree_can_name_are_refused() -> None:
    leaves = [b""] * (508 * 511 + 1)
    with pytest.raises(EntryError, match="more names than"):
        directories._indexed(leaves, range(0, 2 * len(leaves), 2), DOTS, None)

"""Directories: names and the numbers of their inodes. The kernel's documentation, filesystems/ext4/directory.rst.

    an entry:   inode 4 | length of the entry 2 | length of the name 1 | type 1, or 0 | name, padded to 4
    a block:    entries, the last up to the end or to the checksum | checksum, as an entry without a name, 12

A directory of more than one block is a tree that is sorted by the hash of the names; to a reader that does not know
of it, its inner blocks are empty.

    block 0:      "." | ".." up to the end, in it: 8 bytes of what the tree is, and (hash, block) of the blocks below
    inner block:  an unused entry up to the end, in it: (hash, block) of the blocks below
    the others:   blocks of entries, each with a range of hashes

Of the first pair, the hash would be 0; in its place stand how many pairs there can be, and how many there are.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from formats.filesystem.ext4.checksums import crc32c, stored
from formats.filesystem.ext4.name_hash import HALF_MD4, half_md4
from formats.filesystem.ext4.structures import BLOCK
from layers.errors import EntryError

ENTRY = struct.Struct("<IHBB")
_CHECKSUM = struct.Struct("<I")
TAIL_TYPE = 0xDE
_TAIL = ENTRY.size + _CHECKSUM.size
FOLDER = 2  # file_type

_TREE_INFO = struct.Struct("<IBBBB")  # reserved, hash version, its own length, levels, flags
_LIMITS = struct.Struct("<HHI")  # most pairs, pairs, first block
_PAIR = struct.Struct("<II")  # hash, block
_TREE_TAIL = struct.Struct("<II")  # reserved, checksum
_COLLISION = 1  # in the hash of a pair: the block before ends with names of the same hash


class Name(NamedTuple):
    """An entry of a directory; a tuple, because there is one for each file.

    Attributes:
        name: without a slash.
        inode: its number.
        kind: file_type of the entry; 0 without the feature filetype.
    """

    name: bytes
    inode: int
    kind: int


@dataclass(frozen=True, slots=True)
class Blocks:
    """A directory as it stands in its blocks.

    Attributes:
        blocks: in order.
        indexed: whether they are a tree.
    """

    blocks: list[bytes]
    indexed: bool


def build(
    names: Sequence[Name],
    inode: int,
    parent: int,
    checksum: int | None,
    hash_seed: bytes | None,
    folder: int = FOLDER,
) -> Blocks:
    """Make a directory.

    Args:
        names: in the order in which they shall stand if the directory is no tree.
        inode: its number.
        parent: the number of the directory above; the root's is its own.
        checksum: seed of the inode's checksums, if there are any.
        hash_seed: of the hashes of names, if large directories shall be trees.
        folder: file_type of itself and of the one above.

    Raises:
        EntryError: there are more names than a tree can hold.
    """
    room = BLOCK - (0 if checksum is None else _TAIL)
    dots = [_entry(b".", inode, folder), _entry(b"..", parent, folder)]
    entries = [_entry(name.name, name.inode, name.kind) for name in names]
    if hash_seed is None or sum(map(len, dots + entries)) <= room:
        return Blocks([_leaf(block, room, checksum) for block in _filled(dots + entries, room)], indexed=False)
    hashes = half_md4([name.name for name in names], hash_seed)
    hashed = sorted((*both, entry) for both, entry in zip(hashes, entries, strict=True))
    return Blocks(_tree(hashed, dots, room, checksum), indexed=True)


def _entry(name: bytes, inode: int, kind: int) -> bytes:
    length = (ENTRY.size + len(name) + 3) & ~3
    return (ENTRY.pack(inode, length, len(name), kind) + name).ljust(length, b"\0")


def _filled(entries: Sequence[bytes], room: int) -> Iterator[list[bytes]]:
    """Entries, block by block."""
    block: list[bytes] = []
    filled = 0
    for entry in entries:
        if filled + len(entry) > room:
            yield block
            block, filled = [], 0
        block.append(entry)
        filled += len(entry)
    yield block


def _leaf(entries: Sequence[bytes], room: int, checksum: int | None) -> bytes:
    """A block of entries; the last of them takes what is left."""
    data = bytearray(b"".join(entries))
    last = len(data) - len(entries[-1])
    struct.pack_into("<H", data, last + 4, room - last)
    data += bytes(room - len(data))
    if checksum is None:
        return bytes(data)
    tail = ENTRY.pack(0, _TAIL, 0, TAIL_TYPE) + _CHECKSUM.pack(stored(crc32c(bytes(data), checksum)))
    return bytes(data) + tail


def _tree(
    hashed: Sequence[tuple[int, int, bytes]], dots: Sequence[bytes], room: int, checksum: int | None
) -> list[bytes]:
    leaves: list[bytes] = []
    hashes: list[int] = []
    position, last = 0, -1
    for block in _filled([entry for _, _, entry in hashed], room):
        first = hashed[position][0]
        hashes.append(first | _COLLISION if first == last else first)
        leaves.append(_leaf(block, room, checksum))
        position += len(block)
        last = hashed[position - 1][0]
    return _indexed(leaves, hashes, dots, checksum)


def _indexed(leaves: list[bytes], hashes: Sequence[int], dots: Sequence[bytes], checksum: int | None) -> list[bytes]:
    """The root, then inner blocks if it needs them, then the leaves."""
    tail = 0 if checksum is None else _TREE_TAIL.size
    root = bytearray(b"".join(dots))
    struct.pack_into("<H", root, len(dots[0]) + 4, BLOCK - len(dots[0]))
    in_root = (BLOCK - len(root) - _TREE_INFO.size - tail) // _PAIR.size
    in_inner = (BLOCK - ENTRY.size - tail) // _PAIR.size
    inner = 0 if len(leaves) <= in_root else -(-len(leaves) // in_inner)
    if inner > in_root:
        raise EntryError(f"a folder has more names than the {in_root * in_inner} blocks of a directory hold")
    pairs = [(hash_, 1 + inner + place) for place, hash_ in enumerate(hashes)]
    unused = ENTRY.pack(0, BLOCK, 0, 0)
    parts = [pairs[start : start + in_inner] for start in range(0, len(pairs), in_inner)] if inner else []
    tops = [(part[0][0], 1 + place) for place, part in enumerate(parts)] or pairs
    info = _TREE_INFO.pack(0, HALF_MD4, _TREE_INFO.size, 1 if inner else 0, 0)
    first = _index(bytes(root) + info, tops, in_root, checksum)
    return [first, *(_index(unused, part, in_inner, checksum) for part in parts), *leaves]


def _index(head: bytes, pairs: Sequence[tuple[int, int]], most: int, checksum: int | None) -> bytes:
    data = head + _LIMITS.pack(most, len(pairs), pairs[0][1]) + b"".join(_PAIR.pack(*pair) for pair in pairs[1:])
    if checksum is None:
        return data.ljust(BLOCK, b"\0")
    value = stored(crc32c(data + bytes(_TREE_TAIL.size), checksum))
    return data.ljust(BLOCK - _TREE_TAIL.size, b"\0") + _TREE_TAIL.pack(0, value)

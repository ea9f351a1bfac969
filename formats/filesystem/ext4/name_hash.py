"""The hash of a name by which large directories are sorted: half of MD4, with a seed of the volume.

The kernel's documentation, filesystems/ext4/directory.rst, and fs/ext4/hash.c; MD4 is RFC 1320. Of its three rounds it
takes eight steps each, over 32 bytes of the name at a time, which are read as unsigned.

All names of a directory are hashed at once: a Python integer has a *lane* of 64 bits for each, of which the lower 32
are used; sums and rotations stay within a lane. That takes 2 µs a name, where one after another takes 20.
"""

import struct
from collections.abc import Sequence

HALF_MD4 = 1  # hash_version of directories and of the superblock

_SEED = struct.Struct("<4I")
_CHUNK = 32
_WORDS = struct.Struct(">8I")
_WORD = 0xFFFFFFFF
_LANE = 8  # bytes
_END = 0x7FFFFFFF << 1  # no name may have it: readers take it for the end of the directory
_SECOND = 0x5A827999  # what rounds 2 and 3 add: RFC 1320, section 3.4
_THIRD = 0x6ED9EBA1

# Of each step: which word, how many bits to rotate by.
_ROUND_1 = tuple(zip(range(8), (3, 7, 11, 19) * 2, strict=True))
_ROUND_2 = tuple(zip((1, 3, 5, 7, 0, 2, 4, 6), (3, 5, 9, 13) * 2, strict=True))
_ROUND_3 = tuple(zip((3, 7, 2, 6, 1, 5, 0, 4), (3, 9, 11, 15) * 2, strict=True))


def half_md4(names: Sequence[bytes], seed: bytes) -> list[tuple[int, int]]:
    """Of each name its hash, without the lowest bit, and a second one that only sorts what has the same first.

    Args:
        names: of a directory's entries, none of them empty.
        seed: 16 bytes, not all zeros.
    """
    by_chunks: dict[int, list[int]] = {}
    for place, name in enumerate(names):
        by_chunks.setdefault(-(-len(name) // _CHUNK), []).append(place)
    hashes = [(0, 0)] * len(names)
    for chunks, places in by_chunks.items():
        for place, found in zip(places, _of_one_length([names[place] for place in places], chunks, seed), strict=True):
            hashes[place] = found
    return hashes


def _of_one_length(names: Sequence[bytes], chunks: int, seed: bytes) -> list[tuple[int, int]]:
    """The hashes of names that have equally many chunks."""
    count = len(names)
    each = _lanes([1] * count)
    state = tuple(word * each for word in _SEED.unpack(seed))
    for start in range(0, chunks * _CHUNK, _CHUNK):
        words = zip(*(_words(name[start : start + _CHUNK], len(name) - start) for name in names), strict=True)
        state = _transform(state, [_lanes(column) for column in words], each)
    first, second = (struct.unpack(f"<{count}Q", half.to_bytes(count * _LANE, "little")) for half in state[1:3])
    return [(_without_end(high), low) for high, low in zip(first, second, strict=True)]


def _without_end(value: int) -> int:
    value &= ~1
    return value if value != _END else _END - 2


def _lanes(values: Sequence[int]) -> int:
    return int.from_bytes(struct.pack(f"<{len(values)}Q", *values), "little")


def _words(piece: bytes, left: int) -> tuple[int, ...]:
    """Eight words of the piece; what is missing is filled with the length of what is left of the name."""
    if len(piece) == _CHUNK:
        return _WORDS.unpack(piece)
    whole, rest = divmod(len(piece), 4)
    fill = bytes([left & 0xFF]) * 4
    if rest:
        # The last bytes of the name come last, after as much of the filling as is missing.
        piece = piece[: whole * 4] + fill[rest:] + piece[whole * 4 :]
    return _WORDS.unpack(piece + fill * ((_CHUNK - len(piece)) // 4))


def _transform(state: tuple[int, ...], words: Sequence[int], each: int) -> tuple[int, ...]:
    """One chunk of all names.

    Args:
        state: four words of each name.
        words: eight of each name.
        each: 1 in every lane.
    """
    mask, second, third = _WORD * each, _SECOND * each, _THIRD * each
    a, b, c, d = state
    for word, turn in _ROUND_1:
        a = (a + (d ^ (b & (c ^ d))) + words[word]) & mask
        a, b, c, d = d, (a << turn | a >> 32 - turn) & mask, b, c
    for word, turn in _ROUND_2:
        a = (a + ((b & c) + ((b ^ c) & d)) + words[word] + second) & mask
        a, b, c, d = d, (a << turn | a >> 32 - turn) & mask, b, c
    for word, turn in _ROUND_3:
        a = (a + (b ^ c ^ d) + words[word] + third) & mask
        a, b, c, d = d, (a << turn | a >> 32 - turn) & mask, b, c
    return tuple((old + new) & mask for old, new in zip(state, (a, b, c, d), strict=True))

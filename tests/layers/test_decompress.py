"""What other people's programs have compressed comes out as it was, or is refused."""

import random
import subprocess
from collections.abc import Iterator

import pytest

from layers.decompress import DecompressionError, compression_of, decompressed
from tests.support.entries import noise

_PROGRAMS = {
    "gzip": ("gzip", "-c"),
    "zstd": ("zstd", "-qc"),
    "xz": ("xz", "-c"),
    "bzip2": ("bzip2", "-c"),
    "lzip": ("lzip", "-c"),
    "none": ("cat",),
}


def _compressed(name: str, data: bytes) -> bytes:
    return subprocess.run(_PROGRAMS[name], input=data, stdout=subprocess.PIPE, check=True).stdout


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _plain(data: bytes, compression: str, size: int = 1 << 16) -> bytes:
    return b"".join(decompressed(_pieces(data, size), compression, "it"))


@pytest.mark.parametrize("name", _PROGRAMS)
@pytest.mark.parametrize("data", [b"", b"x", noise(3_000_000), bytes(5_000_000)], ids=["empty", "x", "noise", "zeros"])
def test_programs_and_we_agree(name: str, data: bytes) -> None:
    compressed = _compressed(name, data)
    assert _plain(compressed, name) == data
    if data or name != "none":
        assert compression_of(compressed[:512]) == name


@pytest.mark.parametrize("name", _PROGRAMS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_streams_follow_each_other_in_pieces_of_any_size(name: str, size: int) -> None:
    parts = [noise(5000), b"", b"end"]
    assert _plain(b"".join(_compressed(name, part) for part in parts), name, size) == b"".join(parts)


@pytest.mark.parametrize("name", sorted(_PROGRAMS.keys() - {"none", "zstd"}))
def test_a_stream_that_was_cut_is_refused_wherever_it_was(name: str) -> None:
    compressed = _compressed(name, noise(3000))
    for end in range(1, len(compressed), 7):
        with pytest.raises(DecompressionError, match=r"^it is damaged: "):
            _plain(compressed[:end], name)


@pytest.mark.parametrize("name", sorted(_PROGRAMS.keys() - {"none"}))
def test_a_flipped_bit_gives_no_other_bytes(name: str) -> None:
    data, chance = noise(3000), random.Random(1)
    compressed = _compressed(name, data)
    refused = 0
    for _ in range(300):
        damaged = bytearray(compressed)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        try:
            assert _plain(bytes(damaged), name) in (data, b"")
        except DecompressionError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("name", sorted(_PROGRAMS.keys() - {"none"}))
def test_no_piece_is_larger_than_a_mebibyte(name: str) -> None:
    compressed = _compressed(name, bytes(50 << 20))
    assert max(map(len, decompressed(iter([compressed]), name, "it"))) <= 1 << 20


@pytest.mark.parametrize(
    ("compression", "data"),
    [
        ("brotli", b""),
        ("gzip", b"\x1f\x8b\x08\0"),
        ("lzip", b"LZIP\x01\xff" + bytes(40)),
        ("lzip", b"LZIP\x01\x01" + bytes(40)),
        ("lzip", b"LZIP\x02\x14" + bytes(40)),
        ("xz", b"no xz"),
    ],
)
def test_what_cannot_be_read_is_refused(compression: str, data: bytes) -> None:
    with pytest.raises(DecompressionError, match=r"^it"):
        _plain(data, compression)

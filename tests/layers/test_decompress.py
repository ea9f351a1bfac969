"""What other people's programs have compressed comes out as it was, or is refused."""

import bz2
import lzma
import random
import subprocess
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from isal import igzip_lib

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
_COMPRESSIONS = sorted(_PROGRAMS.keys() - {"none"})


_LARGE_BLOCK = ((1 << 17) + 1 << 3).to_bytes(3, "little") + bytes((1 << 17) + 1)


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


@pytest.mark.parametrize("name", _COMPRESSIONS)
@pytest.mark.parametrize("data", [b"", noise(300)], ids=["empty", "noise"])
def test_a_stream_that_was_cut_is_refused_wherever_it_was(name: str, data: bytes) -> None:
    compressed = _compressed(name, data)
    for end in range(len(compressed)):
        with pytest.raises(DecompressionError, match=r"^it is damaged: it ends before its end$"):
            _plain(compressed[:end], name)


@pytest.mark.parametrize("name", _COMPRESSIONS)
def test_the_last_of_several_streams_is_refused_if_it_was_cut(name: str) -> None:
    first, second = _compressed(name, b"first"), _compressed(name, b"second")
    for end in range(1, len(second)):
        with pytest.raises(DecompressionError, match=r"^it is damaged: "):
            _plain(first + second[:end], name)


def _skippable(data: bytes) -> bytes:
    return b"\x5a\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize("options", [(), ("--no-check",), ("--single-thread", "--long=24"), ("-1", "-B4096")])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_frames_of_zstd_are_refused_when_cut(options: tuple[str, ...], size: int) -> None:
    data = noise(3000) + bytes(300_000) + noise(200_000)
    command = ["zstd", "-qc", *options]
    frame = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    assert _plain(frame + _skippable(b"") + frame + _skippable(b"skipped"), "zstd", size) == data + data
    for cut in (1, 3, 4, 5, 1000, len(frame) - 1):
        with pytest.raises(DecompressionError, match="it ends before its end"):
            _plain(frame[:-cut], "zstd", size)
    with pytest.raises(DecompressionError, match="it ends before its end"):
        _plain(frame + _skippable(b"skipped")[:-1], "zstd", size)


_XZ, _GZIP = (_compressed(name, b"data") for name in ("xz", "gzip"))
_PADDED: dict[str, tuple[str, bytes]] = {
    "four zeros": ("xz", _XZ + bytes(4)),
    "many zeros": ("xz", _XZ + bytes(20_000)),
    "zeros between": ("xz", _XZ + bytes(8) + _XZ + bytes(4)),
    "three zeros": ("xz", _XZ + bytes(3)),
    "five zeros between": ("xz", _XZ + bytes(5) + _XZ),
    "zeros and more": ("xz", _XZ + bytes(4) + b"more"),
    "zeros first": ("xz", bytes(4) + _XZ),
    "a zero": ("gzip", _GZIP + bytes(1)),
    "many zeros of gzip": ("gzip", _GZIP + _GZIP + bytes(20_000)),
    "zeros and more of gzip": ("gzip", _GZIP + bytes(512) + b"more"),
    "zeros between of gzip": ("gzip", _GZIP + bytes(512) + _GZIP),
    "zero first": ("gzip", bytes(1) + _GZIP),
}


@pytest.mark.parametrize("size", [1, 5000, 1 << 20])
@pytest.mark.parametrize("case", _PADDED)
def test_zeros_behind_a_stream_are_what_they_are_to_programs(case: str, size: int) -> None:
    name, data = _PADDED[case]
    program = subprocess.run([name, "-dc"], input=data, capture_output=True, check=False)
    if program.returncode:
        with pytest.raises(DecompressionError, match=r"^it is damaged: "):
            _plain(data, name, size)
    else:
        assert _plain(data, name, size) == program.stdout


@pytest.mark.parametrize("name", _COMPRESSIONS)
def test_a_stream_may_have_to_be_alone(name: str) -> None:
    stream = _compressed(name, b"alone")
    assert b"".join(decompressed(iter([stream]), name, "it", alone=True)) == b"alone"
    with pytest.raises(DecompressionError, match="something follows its end"):
        list(decompressed(iter([stream, stream]), name, "it", alone=True))


@pytest.mark.parametrize(
    ("name", "module", "decoder"),
    [
        ("gzip", igzip_lib, "IgzipDecompressor"),
        ("xz", lzma, "LZMADecompressor"),
        ("bzip2", bz2, "BZ2Decompressor"),
        ("lzip", lzma, "LZMADecompressor"),
    ],
)
def test_small_streams_are_not_given_all_that_follows_them(
    name: str, module: ModuleType, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    real = getattr(module, decoder)

    class Counting:
        def __init__(self, *arguments: object, **more: object) -> None:
            self._decoder = real(*arguments, **more)

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self._decoder, attribute)

        def decompress(self, data: bytes, size: int) -> Any:
            given.append(len(data))
            return self._decoder.decompress(data, size)

    stream = _compressed(name, b"x")
    count = (1 << 18) // len(stream)
    monkeypatch.setattr(module, decoder, Counting)
    assert _plain(stream * count, name, 1 << 18) == b"x" * count
    assert sum(given) < count * (1 << 13)


@pytest.mark.parametrize("name", _COMPRESSIONS)
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


@pytest.mark.parametrize("name", _COMPRESSIONS)
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
        ("zstd", b"no zstd"),
        ("zstd", b"\x28\xb5\x2f\xfd\0\x58" + _LARGE_BLOCK),
    ],
)
def test_what_cannot_be_read_is_refused(compression: str, data: bytes) -> None:
    with pytest.raises(DecompressionError, match=r"^it"):
        _plain(data, compression)

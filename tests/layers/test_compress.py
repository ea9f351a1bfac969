import bz2
import gzip
import io
import lzma
import subprocess
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import isal
import pytest
import zstandard

from layers.blob import BlobWriter
from layers.codec import Codec
from layers.compress import codec
from layers.digest import Digest
from layers.errors import InputError
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.tar import CHUNK
from tests.support.entries import noise

INPUTS = {
    "empty": b"",
    "one byte": b"x",
    "chunk - 1": noise(CHUNK - 1),
    "chunk": noise(CHUNK),
    "chunk + 1": noise(CHUNK + 1),
    "several chunks": noise(5 * CHUNK + 12345),
    "zeros": bytes(2 * CHUNK),
}

LEVELS = {
    "none": [0],
    "gzip": [1, 2, 3, 4, 6, 9],
    "zstd": [1, 3, 19],
    "xz": [0, 6, 9],
    "lzip": [0, 6, 9],
    "bzip2": [1, 9],
}


def compressed(codec: Codec, data: bytes, folder: Path, workers: int = 2) -> bytes:
    """The data through a codec as blobs go through it."""
    found: list[tuple[Digest, Digest, int]] = []
    with ThreadPoolExecutor(workers) as executor, PendingFile(str(folder)) as file:
        pipeline = Pipeline(executor, 2 * workers)
        writer = BlobWriter(codec, file, pipeline, lambda *facts: found.append(facts))
        for start in range(0, len(data), CHUNK):
            writer.write(bytearray(data[start : start + CHUNK]))
        writer.close()
        pipeline.drain()
        file.file.seek(0)
        blob = file.file.read()
    assert found == [(Digest.of(data), Digest.of(blob), len(blob))]
    return blob


_BLOBS: dict[tuple[str, str], bytes] = {}


def _blob(name: str, given: str, folder: Path) -> bytes:
    """An input, compressed once for all tests: xz takes its time."""
    if (name, given) not in _BLOBS:
        _BLOBS[name, given] = compressed(codec(name), INPUTS[given], folder)
    return _BLOBS[name, given]


def _through(*command: str) -> Callable[[bytes], bytes]:
    def read(blob: bytes) -> bytes:
        return subprocess.run(command, input=blob, capture_output=True, check=True).stdout

    return read


def _zstandard(blob: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blob), read_across_frames=True) as stream:
        return bytes(stream.read())


READERS: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("none", "itself", lambda blob: blob),
    ("gzip", "gzip(1)", _through("gzip", "-dc")),
    ("gzip", "python", gzip.decompress),
    ("zstd", "zstd(1)", _through("zstd", "-dcq")),
    ("zstd", "python-zstandard", _zstandard),
    ("xz", "xz(1)", _through("xz", "-dc")),
    ("xz", "xz(1) with threads", _through("xz", "-T4", "-dc")),
    ("xz", "bsdcat", _through("bsdcat")),
    ("xz", "python lzma", lzma.decompress),
    ("lzip", "lzip(1)", _through("lzip", "-dc")),
    ("lzip", "plzip", _through("plzip", "-dc")),
    ("lzip", "bsdcat's lzip", _through("bsdcat")),
    ("bzip2", "bzip2(1)", _through("bzip2", "-dc")),
    ("bzip2", "bsdcat's bzip2", _through("bsdcat")),
    ("bzip2", "python bz2", bz2.decompress),
]
READER_NAMES = [reader for _, reader, _ in READERS]


@pytest.mark.parametrize(("name", "reader", "read"), READERS, ids=READER_NAMES)
@pytest.mark.parametrize("given", INPUTS)
def test_readers_get_back_what_was_given(
    name: str, reader: str, read: Callable[[bytes], bytes], given: str, tmp_path: Path
) -> None:
    assert read(_blob(name, given, tmp_path)) == INPUTS[given]


@pytest.mark.parametrize(("name", "reader", "read"), READERS, ids=READER_NAMES)
def test_blobs_can_be_joined(name: str, reader: str, read: Callable[[bytes], bytes], tmp_path: Path) -> None:
    order = [*list(INPUTS)[1:], "empty"]  # bsdcat takes an empty member of lzip for the end
    joined = b"".join(_blob(name, given, tmp_path) for given in order)
    assert read(joined) == b"".join(INPUTS[given] for given in order)


@pytest.mark.parametrize(("name", "level"), [(name, level) for name, levels in LEVELS.items() for level in levels])
def test_every_level_is_read_back(name: str, level: int, tmp_path: Path) -> None:
    data = noise(CHUNK + 1)
    read = next(read for reader_of, _, read in READERS if reader_of == name)
    assert read(compressed(codec(name, level), data, tmp_path)) == data


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("workers", [1, 5])
def test_the_number_of_workers_changes_no_byte(name: str, workers: int, tmp_path: Path) -> None:
    data = INPUTS["several chunks"]
    assert compressed(codec(name), data, tmp_path, workers) == _blob(name, "several chunks", tmp_path)


def test_gzip_is_one_member_without_a_time(tmp_path: Path) -> None:
    """What follows the first member would be `unused_data`; some readers of layers stop there."""
    data = INPUTS["several chunks"]
    blob = compressed(codec("gzip"), data, tmp_path)
    state = zlib.decompressobj(wbits=zlib.MAX_WBITS + 16)
    assert state.decompress(blob) == data
    assert state.eof
    assert not state.unused_data
    assert blob[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_zstd_is_a_frame_a_chunk_with_its_size(tmp_path: Path) -> None:
    blob = compressed(codec("zstd"), noise(2 * CHUNK + 5), tmp_path)
    sizes = []
    while blob:
        sizes.append(zstandard.frame_content_size(blob))
        frame = zstandard.ZstdDecompressor().decompressobj()
        frame.decompress(blob)
        blob = frame.unused_data
    assert sizes == [CHUNK, CHUNK, 5]


def test_xz_is_one_stream_of_blocks_with_their_sizes(tmp_path: Path) -> None:
    """Sizes in the headers are what lets xz use several threads to decompress."""
    (tmp_path / "file.xz").write_bytes(_blob("xz", "several chunks", tmp_path))
    listing = subprocess.run(
        ["xz", "--robot", "-lvv", tmp_path / "file.xz"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split("\t") for line in listing.splitlines()]
    (stream,) = (row for row in rows if row[0] == "stream")
    blocks = [row for row in rows if row[0] == "block"]
    assert stream[2] == "2"  # blocks
    assert [int(block[7]) for block in blocks] == [4 * CHUNK, CHUNK + 12345]
    assert {block[12] for block in blocks} == {"cu"}  # both sizes are there
    assert {block[9] for block in blocks} == {"CRC32"}


def test_lzip_is_a_member_a_chunk(tmp_path: Path) -> None:
    (tmp_path / "file.lz").write_bytes(_blob("lzip", "several chunks", tmp_path))
    done = subprocess.run(["lzip", "-lvv", tmp_path / "file.lz"], capture_output=True, text=True, check=True)
    assert " 2 " in done.stdout, done.stdout
    assert subprocess.run(["lzip", "-t", tmp_path / "file.lz"], check=False).returncode == 0


def test_size_of_gzip_is_modulo_4_gib() -> None:
    assert codec("gzip").end(0, 2**32 + 7)[-4:] == (7).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("name", "level"), [("none", 0), ("gzip", 3), ("zstd", 3), ("xz", 6), ("lzip", 6), ("bzip2", 9)]
)
def test_defaults(name: str, level: int) -> None:
    found = codec(name)
    assert (found.name, found.level) == (name, level)
    assert codec(name, level) == found


def test_the_library_that_makes_the_bytes_is_named() -> None:
    assert codec("gzip", 3).library == f"isal {isal.__version__} memory 5"
    assert codec("gzip", 4).library == f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    zstd = "libzstd " + ".".join(str(part) for part in zstandard.ZSTD_VERSION)
    assert codec("zstd").library == codec("zstd", 3).library == f"{zstd} tables 15 14"
    assert codec("zstd", 4).library == zstd


@pytest.mark.parametrize(
    ("name", "level", "complaint"),
    [
        ("lzma", None, "no compression 'lzma'"),
        ("", None, "no compression ''"),
        ("GZIP", None, "There are: none, gzip, zstd, xz, lzip, bzip2"),
        ("none", 1, "none has no level 1"),
        ("gzip", 0, "gzip has no level 0"),
        ("gzip", 10, "It has 1 to 9"),
        ("gzip", -1, "gzip has no level -1"),
        ("zstd", 0, "zstd has no level 0"),
        ("zstd", 20, "It has 1 to 19"),
        ("xz", 10, "It has 0 to 9"),
        ("lzip", -1, "lzip has no level -1"),
        ("bzip2", 0, "It has 1 to 9"),
    ],
)
def test_what_there_is_not_is_refused(name: str, level: int | None, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        codec(name, level)

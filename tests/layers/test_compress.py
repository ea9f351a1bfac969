import gzip
import io
import subprocess
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from layers.blob import BlobWriter
from layers.compress import Codec, codec
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

LEVELS = {"none": [0], "gzip": [1, 2, 3, 4, 6, 9], "zstd": [1, 3, 19]}


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
]
READER_NAMES = [reader for _, reader, _ in READERS]


@pytest.mark.parametrize(("name", "reader", "read"), READERS, ids=READER_NAMES)
@pytest.mark.parametrize("given", INPUTS)
def test_readers_get_back_what_was_given(
    name: str, reader: str, read: Callable[[bytes], bytes], given: str, tmp_path: Path
) -> None:
    assert read(compressed(codec(name), INPUTS[given], tmp_path)) == INPUTS[given]


@pytest.mark.parametrize(("name", "reader", "read"), READERS, ids=READER_NAMES)
def test_blobs_can_be_joined(name: str, reader: str, read: Callable[[bytes], bytes], tmp_path: Path) -> None:
    joined = b"".join(compressed(codec(name), INPUTS[given], tmp_path) for given in INPUTS)
    assert read(joined) == b"".join(INPUTS.values())


@pytest.mark.parametrize("level", LEVELS["gzip"])
def test_every_level_of_gzip_is_read_back(level: int, tmp_path: Path) -> None:
    data = noise(CHUNK + 1)
    assert gzip.decompress(compressed(codec("gzip", level), data, tmp_path)) == data


@pytest.mark.parametrize("level", LEVELS["zstd"])
def test_every_level_of_zstd_is_read_back(level: int, tmp_path: Path) -> None:
    data = noise(CHUNK + 1)
    assert _zstandard(compressed(codec("zstd", level), data, tmp_path)) == data


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("workers", [1, 5])
def test_the_number_of_workers_changes_no_byte(name: str, workers: int, tmp_path: Path) -> None:
    data = INPUTS["several chunks"]
    assert compressed(codec(name), data, tmp_path, workers) == compressed(codec(name), data, tmp_path, 2)


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


def test_size_of_gzip_is_modulo_4_gib() -> None:
    assert codec("gzip").end(0, 2**32 + 7)[-4:] == (7).to_bytes(4, "little")


@pytest.mark.parametrize(("name", "level"), [("none", 0), ("gzip", 3), ("zstd", 3)])
def test_defaults(name: str, level: int) -> None:
    found = codec(name)
    assert (found.name, found.level) == (name, level)
    assert codec(name, level) == found


def test_the_library_that_makes_the_bytes_is_named() -> None:
    assert codec("gzip", 3).library.startswith("isal ")
    assert codec("gzip", 4).library == f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    assert codec("zstd").library == "libzstd " + ".".join(str(part) for part in zstandard.ZSTD_VERSION)


@pytest.mark.parametrize(
    ("name", "level", "complaint"),
    [
        ("xz", None, "no compression 'xz'"),
        ("", None, "no compression ''"),
        ("GZIP", None, "There are: none, gzip, zstd"),
        ("none", 1, "none has no level 1"),
        ("gzip", 0, "gzip has no level 0"),
        ("gzip", 10, "It has 1 to 9"),
        ("gzip", -1, "gzip has no level -1"),
        ("zstd", 0, "zstd has no level 0"),
        ("zstd", 20, "It has 1 to 19"),
    ],
)
def test_what_there_is_not_is_refused(name: str, level: int | None, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        codec(name, level)

import gzip
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import zstandard

from layers import tar
from layers.blob import BlobCache, Layer, LayerRequest, Verbatim, Workshop, layer_key, verbatim_key
from layers.codec import Codec
from layers.compress import Gzip, NoCodec, Zstd, codec
from layers.digest import Digest
from layers.entry import Data, Entry, File, Meta, Slice
from layers.errors import ChangedError, EntryError, PackError
from layers.output import OutputError
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tar import CHUNK
from tests.support.entries import ALL_KINDS, noise, tar_of
from tests.support.processes import as_nobody, memory_disk, needs_root, public_folder, python
from tests.support.systems import workshop


@dataclass
class Asked:
    """A request that counts how often its entries were asked for."""

    key: Digest
    entries: tuple[Entry, ...]
    times: int = 0

    @property
    def request(self) -> LayerRequest:
        size = sum(entry.content.size for entry in self.entries if isinstance(entry, File))
        return LayerRequest("title", self.key, size, self._made)

    def _made(self, _: Reader | None) -> Iterable[Entry]:
        self.times += 1
        return self.entries


def asked(*entries: Entry, key: str = "key") -> Asked:
    return Asked(Digest.of(key.encode()), entries or (File(b"f", Data(b"content")),))


@dataclass
class Watched(NoProgress):
    told: list[tuple[object, ...]] = field(default_factory=list)

    def begin(self, task: str, total: int) -> None:
        self.told.append((task, total))

    def advance(self, what: str, size: int) -> None:
        self.told.append((what, size))

    def end(self) -> None:
        self.told.append(("end",))


def layers(
    cache: Path, *requests: Asked, codec: Codec | None = None, jobs: int = 2, progress: NoProgress | None = None
) -> list[Layer]:
    with ThreadPoolExecutor(jobs) as executor:
        workshop = Workshop(BlobCache(str(cache)), codec or Gzip(), 1, executor, jobs, progress or NoProgress())
        return workshop.layers([asked.request for asked in requests])


def kept(cache: Path) -> list[str]:
    """All files of a cache."""
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if not path.is_dir())


def _zstandard(blob: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blob), read_across_frames=True) as stream:
        return bytes(stream.read())


@pytest.mark.parametrize(
    ("codec", "read"),
    [(NoCodec(), bytes), (Gzip(), gzip.decompress), (Zstd(), _zstandard)],
    ids=["none", "gzip", "zstd"],
)
@pytest.mark.parametrize(
    "entries", [ALL_KINDS, (File(b"f", Data(noise(3 * CHUNK))),), ()], ids=["all", "large", "none"]
)
def test_a_layer_is_the_tar_of_its_entries(
    codec: Codec, read: Callable[[bytes], bytes], entries: tuple[Entry, ...], tmp_path: Path
) -> None:
    (layer,) = layers(tmp_path, Asked(Digest.of(b"key"), entries), codec=codec)
    blob = Path(BlobCache(str(tmp_path)).path(layer.digest)).read_bytes()
    assert read(blob) == tar_of(entries)
    assert layer == Layer(Digest.of(tar_of(entries)), Digest.of(blob), len(blob), codec.name)
    assert (layer.digest == layer.diff_id) == (codec.name == "none")


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    request = asked()
    assert layers(tmp_path, request) == layers(tmp_path, request)
    assert request.times == 1


def test_layers_come_in_the_order_of_the_requests(tmp_path: Path) -> None:
    requests = [
        asked(File(b"%d" % number, Data(noise(size))), key=str(number)) for number, size in enumerate((9, 5, 7))
    ]
    layers(tmp_path, requests[1])
    found = layers(tmp_path, *requests)
    assert [layer.diff_id for layer in found] == [Digest.of(tar_of(request.entries)) for request in requests]
    assert [request.times for request in requests] == [1, 1, 1]


def test_one_key_twice_in_one_run_is_one_layer(tmp_path: Path) -> None:
    first, second = layers(tmp_path, asked(), asked())
    assert first == second
    assert len(kept(tmp_path)) == 2


def test_two_keys_of_one_content_share_a_blob(tmp_path: Path) -> None:
    first, second = layers(tmp_path, asked(key="one"), asked(key="two"))
    assert first == second
    assert [name.partition("/")[0] for name in kept(tmp_path)] == ["blobs", "layers", "layers"]


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_jobs_change_no_byte(jobs: int, tmp_path: Path) -> None:
    requests = [asked(File(b"f", Data(noise(2 * CHUNK + n))), key=str(n)) for n in range(3)]
    assert layers(tmp_path / "some", *requests, jobs=jobs) == layers(tmp_path / "two", *requests, jobs=2)


def test_what_is_kept_is_for_this_user_only_and_read_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        layers(tmp_path / "cache", asked())
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert modes == {0o400}
    assert {stat.S_IMODE((tmp_path / "cache" / name).stat().st_mode) for name in ("layers", "blobs/sha256")} == {0o700}


def _record(cache: Path) -> Path:
    (path,) = (cache / "layers").iterdir()
    path.chmod(0o600)
    return path


def _blob(cache: Path) -> Path:
    (path,) = (cache / "blobs" / "sha256").iterdir()
    path.chmod(0o600)
    return path


def _change_record(key: str, value: object) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        facts = json.loads(_record(cache).read_text())
        _record(cache).write_text(json.dumps({**facts, key: value}))

    return change


def _drop_from_record(key: str) -> Callable[[Path], None]:
    def change(cache: Path) -> None:
        facts = json.loads(_record(cache).read_text())
        del facts[key]
        _record(cache).write_text(json.dumps(facts))

    return change


DAMAGE: dict[str, Callable[[Path], object]] = {
    "record gone": lambda cache: _record(cache).unlink(),
    "record empty": lambda cache: _record(cache).write_bytes(b""),
    "record cut off": lambda cache: os.truncate(_record(cache), 40),
    "record not UTF-8": lambda cache: _record(cache).write_bytes(b'{"digest": "\xff"}'),
    "record a list": lambda cache: _record(cache).write_bytes(b"[]"),
    "record a number": lambda cache: _record(cache).write_bytes(b"7"),
    "record too deep": lambda cache: _record(cache).write_bytes(b"[" * 100_000),
    "size a text": _change_record("size", "7"),
    "size wrong": _change_record("size", 7),
    "digest a number": _change_record("digest", 7),
    "digest a path": _change_record("digest", "sha256:../../layers"),
    "diff_id of another kind": _change_record("diff_id", "sha512:" + "0" * 128),
    "digest of no blob": _change_record("digest", str(Digest.of(b"other"))),
    "no digest": _drop_from_record("digest"),
    "no diff_id": _drop_from_record("diff_id"),
    "no size": _drop_from_record("size"),
    "no compression": _drop_from_record("compression"),
    "blob gone": lambda cache: _blob(cache).unlink(),
    "blob empty": lambda cache: os.truncate(_blob(cache), 0),
    "blob too short": lambda cache: os.truncate(_blob(cache), 9),
    "blob too long": lambda cache: os.truncate(_blob(cache), 10_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_mended(damage: str, tmp_path: Path) -> None:
    request = asked()
    good = layers(tmp_path, request)
    content = _blob(tmp_path).read_bytes()
    DAMAGE[damage](tmp_path)
    assert layers(tmp_path, request) == good
    assert request.times == 2
    assert _blob(tmp_path).read_bytes() == content
    assert layers(tmp_path, request) == good
    assert request.times == 2
    assert len(kept(tmp_path)) == 2


def _fails(entries: Iterable[Entry]) -> Iterator[Entry]:
    yield from entries
    raise EntryError("the last entry is bad")


def test_a_failing_layer_keeps_nothing_and_names_nothing(tmp_path: Path) -> None:
    good = asked(key="good")
    content = File(b"f", Data(noise(3 * CHUNK)))
    bad = LayerRequest("bad", Digest.of(b"bad"), 1, lambda _: _fails([content]))
    with ThreadPoolExecutor(2) as executor:
        workshop = Workshop(BlobCache(str(tmp_path)), Gzip(), 1, executor, 2, NoProgress())
        with pytest.raises(EntryError, match="the last entry"):
            workshop.layers([bad])
        assert kept(tmp_path) == []
        with pytest.raises(EntryError, match="the last entry"):
            workshop.layers([good.request, bad])
        assert BlobCache(str(tmp_path)).find(bad.key) is None
        for name in kept(tmp_path):
            assert name.startswith((f"layers/{good.key.hex}", "blobs/"))
        assert len(workshop.layers([good.request])) == 1


def test_a_file_that_changes_while_it_is_packed_keeps_nothing(tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.write_bytes(noise(1000))

    def entries(_: Reader | None) -> Iterator[Entry]:
        yield File(b"f", Slice(str(host), 0, 1000))
        host.write_bytes(noise(999) + b"!")

    with ThreadPoolExecutor(2) as executor:
        workshop = Workshop(BlobCache(str(tmp_path / "cache")), Gzip(), 1, executor, 2, NoProgress())
        with pytest.raises(PackError, match="written to while it was being packed"):
            workshop.layers([LayerRequest("title", Digest.of(b"key"), 1000, entries)])
    assert kept(tmp_path / "cache") == []


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_layer_that_is_not_what_its_key_stands_for_is_not_kept(tmp_path: Path, compression: str) -> None:
    expected, found = ([File(b"f", Data(data))] for data in (b"AAAA", b"BBBB"))
    digest = Digest.of(tar_of(expected))
    right = LayerRequest("mine", digest, 4, lambda _: expected, digest)
    wrong = replace(right, entries=lambda _: found)
    with ThreadPoolExecutor(2) as executor:
        cache = BlobCache(str(tmp_path))
        workshop = Workshop(cache, codec(compression), 1, executor, 2, NoProgress())
        with pytest.raises(ChangedError, match="the layer mine changed while it was being packed"):
            workshop.layers([wrong])
        assert kept(tmp_path) == []
        with workshop.streams([wrong]) as emits, pytest.raises(ChangedError, match="the layer mine changed"):
            next(emits)(lambda _: None)
        (layer,) = workshop.layers([right])
    assert layer.diff_id == digest


def test_progress_is_told_what_is_made_and_not_what_is_there(tmp_path: Path) -> None:
    there, new = asked(key="there"), asked(File(b"f", Data(b"12345")), key="new")
    layers(tmp_path, there)
    watched = Watched()
    layers(tmp_path, there, new, progress=watched)
    assert watched.told == [("layers", 5), ("title", 5), ("end",)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["a"], Gzip(), 1), (["b"], Gzip(), 1)),
        ((["a"], Gzip(), 1), (["a"], Gzip(), 2)),
        ((["a"], Gzip(), 1), (["a"], Zstd(), 1)),
        ((["a"], Gzip(), 1), (["a"], NoCodec(), 1)),
        ((["a"], Gzip(3), 1), (["a"], Gzip(2), 1)),
        ((["a"], Zstd(3), 1), (["a"], Zstd(4), 1)),
        ((["a", "b"], Gzip(), 1), (["b", "a"], Gzip(), 1)),
        ((["a", "b"], Gzip(), 1), (["ab"], Gzip(), 1)),
    ],
)
def test_what_changes_a_layer_changes_its_key(
    first: tuple[object, Codec, int], second: tuple[object, Codec, int]
) -> None:
    assert layer_key(*first) != layer_key(*second)
    assert layer_key(*first) == layer_key(*first)


def test_the_tar_profile_and_the_codecs_library_change_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = layer_key(["a"], Gzip(), 1)
    with monkeypatch.context() as changed:
        changed.setattr(tar, "PROFILE", tar.PROFILE + 1)
        assert layer_key(["a"], Gzip(), 1) != before
    with monkeypatch.context() as changed:
        changed.setattr(Gzip, "library", "isal 0.0")
        assert layer_key(["a"], Gzip(), 1) != before
    assert layer_key(["a"], codec("gzip"), 1) == before


def test_the_order_of_keys_in_what_a_layer_is_made_of_does_not_matter() -> None:
    assert layer_key({"a": 1, "b": 2}, Gzip(), 1) == layer_key({"b": 2, "a": 1}, Gzip(), 1)


_MAKE_MANY = """
import sys
from concurrent.futures import ThreadPoolExecutor
from layers.blob import BlobCache, LayerRequest, Workshop
from layers.compress import Gzip
from layers.digest import Digest
from layers.entry import Data, File
from layers.progress import NoProgress
with ThreadPoolExecutor(2) as executor:
    workshop = Workshop(BlobCache(sys.argv[1]), Gzip(), 1, executor, 2, NoProgress())
    for number in range(100):
        data = Data(b"%d" % number * 1000)
        request = LayerRequest("title", Digest.of(b"%d" % number), 1, lambda _: [File(b"f", data)])
        print(workshop.layers([request]))
"""


def test_several_processes_may_share_a_cache(tmp_path: Path) -> None:
    processes = [python(_MAKE_MANY, tmp_path) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [complaint for _, complaint in answers] == ["", "", ""]
    assert len({said for said, _ in answers}) == 1
    assert len(kept(tmp_path)) == 200
    for path in (tmp_path / "blobs" / "sha256").iterdir():
        assert Digest.of(path.read_bytes()).hex == path.name


@needs_root
def test_a_full_disk_keeps_nothing_and_the_cache_stays_good(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", "size=1m") as disk:
        small = asked(key="small")
        good = layers(disk, small)
        with pytest.raises(OutputError, match="No space left on device"):
            layers(disk, asked(File(b"f", Data(noise(3 << 20))), key="large"), codec=NoCodec())
        assert len(kept(disk)) == 2
        assert layers(disk, small) == good
        assert small.times == 1


def test_a_cache_that_cannot_be_made_is_named() -> None:
    with public_folder(0o555) as folder:
        answer = as_nobody(lambda: BlobCache(str(folder / "cache")))
    assert answer == (
        f"OutputError: cannot make the cache {folder}/cache: Permission denied"
        "\n  XDG_CACHE_HOME names another place for it."
    )


def test_metadata_reaches_the_layer(tmp_path: Path) -> None:
    (layer,) = layers(tmp_path, asked(File(b"f", Data(b"x"), Meta(0o4755, 7, 8))))
    with tarfile.open(BlobCache(str(tmp_path)).path(layer.digest)) as file:
        (info,) = file.getmembers()
    assert (info.mode, info.uid, info.gid, info.mtime) == (0o4755, 7, 8, 1)


# -- layers that are taken over ------------------------------------------------------------------------------------


def verbatim_request(path: Path, data: bytes) -> LayerRequest:
    path.write_bytes(b"before" + data)
    layer = Layer(Digest.of(b"its tar"), Digest.of(data), len(data), "zstd")
    verbatim = Verbatim(layer, Slice(str(path), 6, len(data)))
    return LayerRequest("base", verbatim_key(layer.digest), len(data), lambda _: (), verbatim=verbatim)


def test_a_layer_is_taken_over_as_it_is(tmp_path: Path) -> None:
    with workshop(tmp_path / "cache") as made:
        request = verbatim_request(tmp_path / "blob", b"bytes of a layer")
        assert request.verbatim
        assert made.described([request]) == [request.verbatim.layer]
        assert kept(tmp_path / "cache") == []  # nobody has asked for its bytes
        assert made.layers([request, request]) == [request.verbatim.layer] * 2
        assert Path(made.cache.path(request.verbatim.layer.digest)).read_bytes() == b"bytes of a layer"
        (tmp_path / "blob").unlink()
        assert made.layers([request]) == [request.verbatim.layer]


def test_a_layer_that_is_another_one_by_now_is_not_taken_over(tmp_path: Path) -> None:
    with workshop(tmp_path / "cache") as made:
        request = verbatim_request(tmp_path / "blob", b"bytes of a layer")
        (tmp_path / "blob").write_bytes(b"beforeother than before")
        with pytest.raises(ChangedError, match="is not the blob sha256:"):
            made.layers([request])
    assert kept(tmp_path / "cache") == []

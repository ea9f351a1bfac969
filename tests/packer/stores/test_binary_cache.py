import base64
import bz2
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from formats.platform import PLATFORMS
from layers.decompress import DecompressionError
from layers.digest import Digest
from layers.entry import Directory, File, Symlink
from layers.errors import InputError, PackError
from layers.item import Closure, NarItem
from layers.nar_reader import NarError
from layers.progress import NoProgress
from layers.reader import Reader
from layers.verify import verified
from packer import fetch_http
from packer.config import parse
from packer.fetch import FetchError
from packer.mistakes import ConfigError
from packer.nix.base32 import encode, sha256_text
from packer.nix.binary_cache import UnknownItemError, UntrustedError
from packer.nix.nar_cache import NarHashError
from packer.nix.narinfo import NarInfo, NarInfoError
from packer.stores import StoreContext
from packer.stores.binary_cache import BinaryCacheStore, Options, open_store
from tests.support.binary_cache import (
    Fault,
    NixStore,
    Server,
    altered,
    endless,
    make_store,
    reset_after,
    serving,
    status,
    without_range,
)  # fmt: skip
from tests.support.command_line import OCIPACK
from tests.support.nars import archive, dump, folder, regular, words
from tests.support.processes import python

OTHER_KEY = "key-1:" + base64.b64encode(bytes(32)).decode()


@pytest.fixture(scope="module")
def nix(tmp_path_factory: pytest.TempPathFactory) -> NixStore:
    return make_store(tmp_path_factory.mktemp("nix"))


@pytest.fixture(scope="module")
def signed(nix: NixStore) -> Path:
    return nix.cache("signed")


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """A cache to spoil."""
    return shutil.copytree(signed, tmp_path / "copy")


@pytest.fixture
def server(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch_http, "_FIRST_WAIT", 0.001)
    with serving(copy) as state:
        yield state


def context(cache: Path, *, refresh: bool = False, environment: dict[str, str] | None = None) -> StoreContext:
    cache.mkdir(exist_ok=True)
    return StoreContext(PLATFORMS["x86_64-linux"], str(cache), "/", 1, refresh, environment or {}, NoProgress())


def store(url: str | Path, cache: Path, *roots: str, keys: tuple[str, ...] = (), **more: Any) -> BinaryCacheStore:
    address = url if isinstance(url, str) else f"file://{url}"
    return open_store(Options(url=address, roots=roots, trusted_public_keys=keys), context(cache, **more))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def assert_is(closure: Closure, nix: NixStore, root: str) -> None:
    """The closure is the one that Nix has, to the last byte: hashed in the way of packing, and compared on disk."""
    assert sorted(item.path for item in closure) == nix.closure(root)
    for item in closure:
        assert isinstance(item, NarItem)
        path = item.path.lstrip("/").encode()
        with Reader() as reader:
            for entry in verified(item.contents.entries(), reader, {path: item}):
                assert_equal(nix.root / os.fsdecode(entry.path), entry, reader)
        assert item.nar_hash == Digest.of(dump(nix.root / item.path.lstrip("/")))


def assert_equal(path: Path, entry: object, reader: Reader) -> None:
    if isinstance(entry, Symlink):
        assert os.fsencode(path.readlink()) == entry.target
    elif isinstance(entry, Directory):
        assert path.is_dir()
        assert path.stat().st_mode & 0o7777 == entry.meta.mode
    else:
        assert isinstance(entry, File)
        data = bytearray(entry.content.size)
        reader.read_into(entry.content, 0, memoryview(data))  # type: ignore[arg-type]  # all are slices
        assert path.read_bytes() == data
        assert path.stat().st_mode & 0o7777 == entry.meta.mode


# -- what a cache has ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["xz", "zstd", "none", "bzip2", "gzip"])
def test_a_signed_closure_over_file(nix: NixStore, tmp_path: Path, compression: str) -> None:
    cache = nix.cache(f"signed-{compression}", compression=compression)
    closure = store(cache, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    assert_is(closure, nix, nix.built)
    assert closure.roots == (nix.built,)


def test_a_signed_closure_over_http(nix: NixStore, server: Server, tmp_path: Path) -> None:
    assert_is(store(server.url, tmp_path / "cache", nix.built, keys=(nix.key,)).closure(), nix, nix.built)


def test_what_is_known_about_items(nix: NixStore, signed: Path, tmp_path: Path) -> None:
    closure = store(signed, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    item = closure[nix.built]
    assert isinstance(item, NarItem)
    assert (item.name, item.version, item.size) == ("tool", "2.1", item.nar_size)
    assert item.self_reference
    assert list(item.references) == [path for path in nix.closure(nix.built) if path != nix.built]
    assert re.fullmatch(r"/nix/store/[0-9a-z]{32}-tool-2\.1\.drv", item.deriver)
    assert [signature.partition(":")[0] for signature in item.signatures] == ["key-1"]
    assert (item.content_address, item.ultimate) == ("", False)


@pytest.mark.parametrize("signs", [True, False])
@pytest.mark.parametrize("which", ["addressed", "flat"])
def test_items_named_by_their_content_need_no_key(nix: NixStore, tmp_path: Path, which: str, signs: bool) -> None:
    root = getattr(nix, which)
    cache = nix.cache("signed" if signs else "unsigned", signed=signs)
    closure = store(cache, tmp_path / "cache", root).closure()
    assert_is(closure, nix, root)
    assert all(isinstance(item, NarItem) and item.content_address for item in closure)


def test_several_roots(nix: NixStore, signed: Path, tmp_path: Path) -> None:
    closure = store(signed, tmp_path / "cache", nix.built, nix.flat, keys=(nix.key,)).closure()
    assert sorted(item.path for item in closure) == sorted([*nix.closure(nix.built), nix.flat])
    assert set(closure.roots) == {nix.built, nix.flat}


def test_only_the_cache_is_written(nix: NixStore, copy: Path, tmp_path: Path) -> None:
    before = files(copy)
    store(copy, tmp_path / "cache", nix.flat).closure()
    assert files(copy) == before
    narinfo, nar = [re.sub("[0-9a-z]{32,}", "HASH", name) for name in files(tmp_path / "cache")], "nar/HASH"
    assert narinfo == [f"{nar}.index", f"{nar}.nar", "nar/lock", "narinfo/HASH/HASH.narinfo"]


# -- a second time ------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_twice(nix: NixStore, server: Server, tmp_path: Path) -> None:
    first = store(server.url, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    asked = [path for path, _ in server.requests]
    assert len(asked) == len(set(asked)) == 2 * len(first) + 1
    server.requests.clear()
    assert_is(store(server.url, tmp_path / "cache", nix.built, keys=(nix.key,)).closure(), nix, nix.built)
    assert not server.requests


def test_refresh_asks_again_but_keeps_nars(nix: NixStore, server: Server, tmp_path: Path) -> None:
    store(server.url, tmp_path / "cache", nix.flat).closure()
    server.requests.clear()
    store(server.url, tmp_path / "cache", nix.flat, refresh=True).closure()
    assert [path.rpartition(".")[2] for path, _ in server.requests] == ["/nix-cache-info", "narinfo"]


def test_a_narinfo_from_before_is_not_believed_by_other_keys(nix: NixStore, signed: Path, tmp_path: Path) -> None:
    store(signed, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    with pytest.raises(UntrustedError):
        store(signed, tmp_path / "cache", nix.built, keys=(OTHER_KEY,)).closure()


@pytest.mark.parametrize("suffix", [".nar", ".index", ".narinfo"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: (path.chmod(0o600), path.write_bytes(b"x"))])
def test_a_damaged_cache_is_mended(
    nix: NixStore, signed: Path, tmp_path: Path, suffix: str, damage: Callable[[Path], object]
) -> None:
    store(signed, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    for path in (tmp_path / "cache").rglob(f"*{suffix}"):
        damage(path)
    assert_is(store(signed, tmp_path / "cache", nix.built, keys=(nix.key,)).closure(), nix, nix.built)


def test_two_processes_fetch_once(nix: NixStore, server: Server, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.packer.stores.test_binary_cache import store\n"
        "url, cache, root, key = sys.argv[1:]\n"
        "sys.stdin.readline()\n"
        "print(len(store(url, Path(cache), root, keys=(key,)).closure()))\n"
    )
    (tmp_path / "cache").mkdir()
    runs = [python(code, server.url, tmp_path / "cache", nix.built, nix.key) for _ in range(2)]
    for run in runs:
        assert run.stdin
        run.stdin.write("\n")
        run.stdin.flush()
    answers = [run.communicate(timeout=60) for run in runs]
    count = len(nix.closure(nix.built))
    assert [out.strip() for out, _ in answers] == [str(count)] * 2, answers
    nars = [path for path, _ in server.requests if ".nar." in path]
    assert len(nars) == len(set(nars)) == count


# -- what is not believed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ((), "it is signed by key-1, which is no trusted key"),
        ((OTHER_KEY,), "its signature is wrong"),
        (("key-2:" + OTHER_KEY.partition(":")[2],), "signed by key-1, which is no trusted key"),
    ],
)
def test_without_the_right_key(nix: NixStore, signed: Path, tmp_path: Path, keys: tuple[str, ...], said: str) -> None:
    with pytest.raises(UntrustedError, match=said) as caught:
        store(signed, tmp_path / "cache", nix.built, keys=keys).closure()
    assert "store.trusted-public-keys" in str(caught.value)
    assert caught.value.path == nix.built
    assert not list((tmp_path / "cache").rglob("*.nar"))


def test_nobody_has_signed(nix: NixStore, tmp_path: Path) -> None:
    with pytest.raises(UntrustedError, match="neither signed nor named by its content"):
        store(nix.cache("unsigned", signed=False), tmp_path / "cache", nix.built, keys=(nix.key,)).closure()


def narinfo_of(cache: Path, path: str) -> Path:
    return cache / f"{path.removeprefix('/nix/store/')[:32]}.narinfo"


def change(path: Path, pattern: str, new: str) -> None:
    text = path.read_text()
    changed = re.sub(pattern, lambda _: new, text, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)


NOWHERE = "0" * 32 + "-x"


@pytest.mark.parametrize(
    ("pattern", "new", "error", "said"),
    [
        ("^NarSize: .*", "NarSize: 8", UntrustedError, "signature is wrong"),
        ("^NarHash: .*", f"NarHash: {sha256_text(Digest.of())}", UntrustedError, "signature is wrong"),
        ("^References: .*", "References: ", UntrustedError, "signature is wrong"),
        ("^References: ", f"References: {NOWHERE} ", UntrustedError, "signature is wrong"),
        ("^Sig: .*", "", NarInfoError, "line"),
        ("^Sig: key-1:.*\n", "", UntrustedError, "neither signed nor"),
        ("^Sig: key-1:....", "Sig: key-1:AAAA", UntrustedError, "signature is wrong"),
        ("^Sig: key-1:", "Sig: key-9:", UntrustedError, "which is no trusted key"),
        ("^Sig: key-1:.*", "Sig: key-1:AAAA", UntrustedError, "signature is wrong"),
        ("^StorePath: .*", f"StorePath: /nix/store/{NOWHERE}", NarInfoError, "it is about /nix/store/00"),
        ("-tool-2.1$", "-tool-2.2", NarInfoError, "it is about"),
        ("^FileSize: .*", "FileSize: 8", FetchError, "more than the 8 bytes"),
        ("^FileSize: .*", "FileSize: 100000", NarInfoError, "FileSize: there are"),
        ("^FileHash: .*", f"FileHash: {sha256_text(Digest.of())}", NarInfoError, "FileHash: its hash is"),
        ("^Compression: .*", "Compression: zstd", DecompressionError, "is damaged"),
        ("^Compression: .*", "Compression: br", DecompressionError, "no decoder for 'br'"),
        ("^Compression: .*", "Compression: none", NarHashError, "not what it should be|more than"),
        ("^URL: .*", "URL: nar/gone.nar.xz", FetchError, "nar/gone.nar.xz"),
        ("^URL: .*", "URL: ../secret", NarInfoError, "not the path of a file of this cache"),
        ("^URL: .*", "URL: nar", FetchError, "no regular file"),
    ],
)
def test_an_altered_narinfo(
    nix: NixStore, copy: Path, tmp_path: Path, pattern: str, new: str, error: type[PackError], said: str
) -> None:
    change(narinfo_of(copy, nix.built), pattern, new)
    with pytest.raises(error, match=said) as caught:
        store(copy, tmp_path / "cache", nix.built, keys=(nix.key,)).closure()
    assert caught.value.exit_code == 1
    kept = {Path(name).stem for name in files(tmp_path / "cache") if name.endswith(".nar")}
    good = {Digest.of(dump(nix.root / path.lstrip("/"))).hex for path in nix.closure(nix.built)}
    assert kept <= good  # others may have arrived


def nar_of(cache: Path, path: str) -> Path:
    return cache / NarInfo.parse(narinfo_of(cache, path).read_bytes(), "").url


@pytest.mark.parametrize("compression", ["xz", "zstd", "none", "bzip2", "gzip"])
@pytest.mark.parametrize(
    "alter",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    ],
)
@pytest.mark.parametrize("said", [True, False])  # whether the narinfo has FileSize and FileHash
def test_an_altered_nar(
    nix: NixStore, tmp_path: Path, compression: str, alter: Callable[[bytes], bytes], said: bool
) -> None:
    copy = shutil.copytree(nix.cache(f"signed-{compression}", compression=compression), tmp_path / "copy")
    nar = nar_of(copy, nix.flat)
    if not said:
        change(narinfo_of(copy, nix.flat), "^File.*\n", "")
    nar.write_bytes(alter(nar.read_bytes()))
    with pytest.raises(PackError, match=r"(?s)flat|\.nar"):
        store(copy, tmp_path / "cache", nix.flat).closure()
    assert not list((tmp_path / "cache").rglob("*.nar"))


@pytest.mark.parametrize("compression", ["xz", "zstd", "none", "bzip2", "gzip"])
def test_the_file_hash_is_compared_whatever_the_compression(nix: NixStore, tmp_path: Path, compression: str) -> None:
    copy = shutil.copytree(nix.cache(f"signed-{compression}", compression=compression), tmp_path / "copy")
    change(narinfo_of(copy, nix.flat), "^FileHash: .*", f"FileHash: {sha256_text(Digest.of())}")
    with pytest.raises(NarInfoError, match="FileHash"):
        store(copy, tmp_path / "cache", nix.flat).closure()


class Forger:
    """A cache whose owner signs whatever there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nar").mkdir(parents=True)
        (folder / "nix-cache-info").write_text("StoreDir: /nix/store\n")
        self._secret = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        public = self._secret.public_key().public_bytes_raw()
        self.key = f"forger:{base64.b64encode(public).decode()}"

    def add(
        self, nar: bytes, *, name: str = "thing", file: bytes | None = None, compression: str = "none",
        size: int | None = None, ca: str = "", signs: bool = True, references: str = "", path: str = "",
    ) -> str:  # fmt: skip
        path = path or f"/nix/store/{encode(hashlib.sha256(name.encode()).digest()[:20])}-{name}"
        (self.folder / "nar" / name).write_bytes(nar if file is None else file)
        digest = Digest.of(nar)
        text = (
            f"StorePath: {path}\nURL: nar/{name}\nCompression: {compression}\nNarHash: {sha256_text(digest)}\n"
            f"NarSize: {len(nar) if size is None else size}\nReferences: {references}\n" + (f"CA: {ca}\n" if ca else "")
        )
        if signs:
            fingerprint = NarInfo.parse(text.encode(), "").fingerprint.encode()
            text += f"Sig: forger:{base64.b64encode(self._secret.sign(fingerprint)).decode()}\n"
        narinfo_of(self.folder, path).write_text(text)
        return path

    def closure(self, cache: Path, *roots: str, keys: tuple[str, ...] | None = None) -> Closure:
        return store(self.folder, cache, *roots, keys=(self.key,) if keys is None else keys).closure()


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    return Forger(tmp_path / "forger")


@pytest.mark.parametrize(
    "nar",
    [
        archive(folder((b"b", regular()), (b"a", regular()))),
        archive(folder((b"..", regular()))),
        archive(folder((b"../../etc/passwd", regular()))),
        archive(regular()) + bytes(8),
        archive(words(b"(", b"type", b"fifo", b")")),
        b"",
    ],
)
def test_a_signed_nar_that_is_none(forger: Forger, tmp_path: Path, nar: bytes) -> None:
    root = forger.add(nar)
    with pytest.raises(NarError, match="is no valid NAR"):
        forger.closure(tmp_path / "cache", root)
    assert not list((tmp_path / "cache").rglob("*.nar"))


def test_multi_stream_archives(forger: Forger, tmp_path: Path) -> None:
    import lzma

    nar = archive(regular(bytes(range(256)) * 100))
    half = len(nar) // 2
    roots = [
        forger.add(nar, name=name, compression=name, file=compress(nar[:half]) + compress(nar[half:]))
        for name, compress in (("xz", lzma.compress), ("bzip2", bz2.compress), ("gzip", gzip.compress))
    ]
    assert len(forger.closure(tmp_path / "cache", *roots)) == 3


@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "zstd"])
def test_a_bomb_is_stopped_at_the_size_that_was_said(forger: Forger, tmp_path: Path, compress: str) -> None:
    import lzma

    import zstandard

    compressors: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstandard.ZstdCompressor().compress
    }  # fmt: skip
    bomb = compressors[compress](bytes(100 << 20))
    root = forger.add(archive(regular()), file=bomb, compression=compress, size=5000)
    with pytest.raises(NarHashError, match="more than the 5000 bytes"):
        forger.closure(tmp_path / "cache", root)


def test_equal_items_of_two_names_are_fetched_once(forger: Forger, tmp_path: Path) -> None:
    nar = archive(regular(b"equal"))
    first, second = forger.add(nar, name="first"), forger.add(nar, name="second")
    (forger.folder / "nar" / "second").unlink()
    (forger.folder / "nar" / "first").rename(forger.folder / "nar" / "second")
    change(narinfo_of(forger.folder, first), "^URL: .*", "URL: nar/second")
    closure = forger.closure(tmp_path / "cache", first, second)
    assert closure[first].identity != closure[second].identity  # layers of one must not be taken for the other's
    assert [[entry.path for entry in item.contents.entries()] for item in closure] == [
        [item.path.lstrip("/").encode()] for item in closure
    ]


def test_an_address_that_does_not_prove_its_path(nix: NixStore, forger: Forger, tmp_path: Path) -> None:
    nar = archive(regular(b"evil"))
    for ca in (f"fixed:r:{sha256_text(Digest.of(nar))}", f"text:{sha256_text(Digest.of(b'evil'))}", "fixed:r:sha256:x"):
        root = forger.add(nar, ca=ca, signs=False, path=nix.addressed)
        with pytest.raises(UntrustedError, match="nothing proves"):
            forger.closure(tmp_path / "cache", root)


@pytest.mark.parametrize("which", ["flat", "addressed"])
def test_the_right_address_with_other_content(
    nix: NixStore, signed: Path, forger: Forger, tmp_path: Path, which: str
) -> None:
    """The address proves the path, but the NAR is another one: it is noticed whether it is fetched or kept."""
    path = getattr(nix, which)
    info = NarInfo.parse(narinfo_of(signed, path).read_bytes(), "")
    references = [reference.removeprefix("/nix/store/") for reference in info.references]
    for reference in info.references:
        shutil.copy(narinfo_of(signed, reference), forger.folder)
        shutil.copy(nar_of(signed, reference), forger.folder / "nar")
    root = forger.add(
        archive(regular(b"evil")), ca=info.content_address, signs=False, path=path, references=" ".join(references)
    )
    for _ in range(2):
        with pytest.raises(UntrustedError, match="its content is not what its address"):
            forger.closure(tmp_path / "cache", root, keys=())


def test_a_reference_that_is_not_there(forger: Forger, tmp_path: Path) -> None:
    root = forger.add(archive(regular()), references=NOWHERE)
    with pytest.raises(UnknownItemError, match=f"/nix/store/{NOWHERE} is not in file:"):
        forger.closure(tmp_path / "cache", root)


# -- networks as they are -----------------------------------------------------------------------------------------


def test_after_a_reset_only_the_rest_is_asked_for(nix: NixStore, server: Server, tmp_path: Path) -> None:
    size = nar_of(server.folder, nix.built).stat().st_size
    assert size > 300
    server.faults[".nar.xz"] = [reset_after(0)]
    name = nar_of(server.folder, nix.built).name
    server.faults = {name: [reset_after(100, polite=True), reset_after(100, polite=True)]}
    assert_is(store(server.url, tmp_path / "cache", nix.built, keys=(nix.key,)).closure(), nix, nix.built)
    assert [headers.get("Range") for headers in server.asked(name)] == [None, "bytes=100-", "bytes=200-"]


@pytest.mark.parametrize(
    "faults",
    [
        [reset_after(0)],
        [reset_after(10)],
        [reset_after(10), without_range],
        [reset_after(10, polite=True), without_range],
        [status(503)],
        [status(500), status(502), status(504)],
        [status(429, Retry_After="0")],
        [status(429, Retry_After="1")],
        [status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")],
        [status(429, Retry_After="nonsense"), None],
    ],
)
@pytest.mark.parametrize("what", ["nix-cache-info", ".narinfo", ".nar.xz"])
def test_what_passes(nix: NixStore, server: Server, tmp_path: Path, faults: list[Fault | None], what: str) -> None:
    server.faults[what] = list(faults)
    assert_is(store(server.url, tmp_path / "cache", nix.flat).closure(), nix, nix.flat)
    assert not server.faults[what] or faults[-1] is None


def test_the_server_is_left_alone_for_as_long_as_it_wants(
    nix: NixStore, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    monkeypatch.setattr(threading.Event, "wait", _recording(threading.Event.wait, waits))
    server.faults[".narinfo"] = [
        status(429, Retry_After="7"),
        status(503, Retry_After="Wed, 21 Oct 2015 07:28:30 GMT", Date="Wed, 21 Oct 2015 07:28:00 GMT"),
        status(503),
    ]
    store(server.url, tmp_path / "cache", nix.flat).closure()
    assert [wait for wait in waits if wait and 7 <= wait < 59] == [7, 30]


def _recording(wait: Any, waits: list[float | None]) -> Any:
    def recorded(self: threading.Event, timeout: float | None = None) -> bool:
        waits.append(timeout)
        return bool(wait(self, timeout if timeout is None or timeout < 7 or timeout > 59 else 0))

    return recorded


@pytest.mark.parametrize(
    ("what", "faults", "said"),
    [
        (".nar.xz", [status(503)] * 9, "the server says 503\n  It was tried 5 times"),
        (".narinfo", [status(429, Retry_After="86400")] * 9, "the server says 429\n  It was tried once"),
        (".nar.xz", [reset_after(0)] * 9, "the connection failed"),
        (".nar.xz", [endless], "more than the [0-9]+ bytes that it may have"),
        (".narinfo", [endless], "more than the 1048576 bytes"),
        ("nix-cache-info", [endless], "more than the 1048576 bytes"),
        (".nar.xz", [altered(lambda data: data[:-40])], "FileSize: there are"),
        (".nar.xz", [altered(lambda data: data[:-1] + b"x")], "damaged"),
        (".narinfo", [altered(lambda data: b"<html>")], "not of the form"),
        (".nar.xz", [status(401)], "the server says 401"),
        (".nar.xz", [status(404)], "the server says 404"),
        (".nar.xz", [status(206)], "the server says 206"),
        (".nar.xz", [reset_after(9, polite=True), status(206, Content_Range="bytes 0-8/9")], "byte 9 was asked for"),
        (".nar.xz", [status(200, Content_Encoding="br")], "Content-Encoding 'br'"),
        (".narinfo", [status(302, Location="file:///etc/passwd")], "redirected to 'file:///etc/passwd'"),
        (".narinfo", [status(302, Location="gopher://x/")], "redirected to 'gopher://x/'"),
        (".narinfo", [status(302, Location="http://127.0.0.1:99999/")], "'http://127.0.0.1:99999/' is no address"),
        (".narinfo", [status(302, Location="http://[::1/")], r"redirected to 'http://\[::1/', which is no address"),
        (".narinfo", [status(302, Location="?")] * 9, "redirected more than 5 times"),
    ],
)  # fmt: skip
def test_what_does_not_pass(
    nix: NixStore, server: Server, tmp_path: Path, what: str, faults: list[Fault | None], said: str
) -> None:
    server.faults[what] = list(faults)
    with pytest.raises(PackError, match=said) as caught:
        store(server.url, tmp_path / "cache", nix.flat).closure()
    assert caught.value.exit_code == 1
    assert server.url in str(caught.value)
    assert not list((tmp_path / "cache").rglob("*.nar"))


def test_a_server_that_is_too_slow(
    nix: NixStore, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_http, "_GRACE", 0.2)
    gone = threading.Event()

    def dripping(handler: Any, data: bytes) -> None:
        data = handler.begin(data)
        for place in range(len(data)):
            handler.wfile.write(data[place : place + 1])
            if gone.wait(0.02):
                return

    server.faults[".nar.xz"] = [dripping]
    with pytest.raises(FetchError, match="the server is too slow"):
        store(server.url, tmp_path / "cache", nix.flat).closure()
    gone.set()


def test_nobody_listens(nix: NixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_http, "_FIRST_WAIT", 0.001)
    with pytest.raises(FetchError, match=r"127.0.0.1:9/nix-cache-info: the connection failed: .*refused"):
        store("http://127.0.0.1:9", tmp_path / "cache", nix.flat).closure()


def test_redirects_are_followed_and_credentials_stay(nix: NixStore, server: Server, tmp_path: Path) -> None:
    with serving(server.folder) as other:
        name = narinfo_of(server.folder, nix.flat).name
        server.faults[".narinfo"] = [status(302, Location=f"{other.url}/{name}")]
        server.faults[".nar.xz"] = [
            status(307, Location=f"/{nar_of(server.folder, nix.flat).relative_to(server.folder)}?again")
        ]
        url = server.url.replace("http://", "http://ada:s%40cret@")
        assert_is(store(url, tmp_path / "cache", nix.flat).closure(), nix, nix.flat)
        expected = "Basic " + base64.b64encode(b"ada:s@cret").decode()
        assert {headers.get("Authorization") for _, headers in server.requests} == {expected}
        assert len(server.requests) == 4
        assert [headers.get("Authorization") for _, headers in other.requests] == [None]


def test_credentials_are_in_no_message(nix: NixStore, server: Server, tmp_path: Path) -> None:
    url = server.url.replace("http://", "http://ada:s3cret@")
    for what, fault in ((".nar.xz", status(401)), (".narinfo", status(404)), ("nix-cache-info", status(404))):
        server.faults = {what: [fault]}
        with pytest.raises(PackError) as caught:
            store(url, tmp_path / f"cache{what}", nix.flat).closure()
        assert "s3cret" not in str(caught.value)
        assert "ada" not in str(caught.value)


def test_through_a_proxy(nix: NixStore, server: Server, tmp_path: Path) -> None:
    """The proxy is asked for the whole address, and it alone knows where that is."""
    with serving(server.folder) as proxy:
        proxy.faults = {"": [altered(lambda _: b"StoreDir: /nix/store\n")]}
        environment = {"http_proxy": proxy.url, "no_proxy": "127.0.0.1"}
        with pytest.raises(InputError, match="is not in http://cache\\.invalid"):
            store("http://cache.invalid", tmp_path / "cache", nix.flat, environment=environment).closure()
        assert proxy.requests[0][0] == "http://cache.invalid/nix-cache-info"
        proxy.requests.clear()
        store(server.url, tmp_path / "other", nix.flat, environment=environment).closure()
        assert not proxy.requests


# -- what os.toml says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["file", "http"])
def test_items_and_caches_that_do_not_exist(server: Server, tmp_path: Path, how: str) -> None:
    url: str | Path = server.url if how == "http" else server.folder
    with pytest.raises(InputError, match=f"/nix/store/{NOWHERE} is not in") as caught:
        store(url, tmp_path / "cache", f"/nix/store/{NOWHERE}").closure()
    assert caught.value.exit_code == 2
    (server.folder / "nix-cache-info").unlink()
    with pytest.raises(InputError, match="no binary cache is there"):
        store(url, tmp_path / "cache", f"/nix/store/{NOWHERE}").closure()


def test_a_cache_for_another_store(server: Server, tmp_path: Path) -> None:
    (server.folder / "nix-cache-info").write_text("StoreDir: /gnu/store\n")
    with pytest.raises(PackError, match="items of '/gnu/store', not of /nix/store"):
        store(server.url, tmp_path / "cache", f"/nix/store/{NOWHERE}").closure()


def test_a_pipe_is_no_cache(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nix-cache-info")
    with pytest.raises(FetchError, match="no regular file"):
        store(tmp_path, tmp_path / "cache", f"/nix/store/{NOWHERE}").closure()


GOOD = {"url": '"file:///x"', "roots": f'["/nix/store/{NOWHERE}"]'}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": '"ftp://x"'}, "store.url"),
        ({"url": '"file://x/y"'}, "store.url"),
        ({"url": '"/srv/cache"'}, "store.url"),
        ({"url": '"http://"'}, "store.url"),
        ({"url": '"file:///x?compression=xz"'}, "store.url"),
        ({"roots": "[]"}, "store.roots"),
        ({"roots": '["hello"]'}, r"store.roots\[0\]"),
        ({"roots": '["/nix/store/../etc"]'}, r"store.roots\[0\]"),
        ({"roots": f'["/gnu/store/{NOWHERE}"]'}, r"store.roots\[0\]"),
        ({"trusted-public-keys": '["key"]'}, r"store.trusted-public-keys\[0\]"),
        ({"trusted-public-keys": '["key:AAAA"]'}, r"store.trusted-public-keys\[0\]: .*has 3 bytes"),
        ({"trusted-public-keys": f'["key:{"A" * 86}=="]'}, r"has 64 bytes, not 32"),
    ],
)  # fmt: skip
def test_mistakes_in_os_toml(changes: dict[str, str], said: str) -> None:
    def document(table: dict[str, str]) -> str:
        lines = "".join(f"{key} = {value}\n" for key, value in table.items())
        return f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "binary-cache"\n{lines}'

    parse(document(GOOD), "os.toml")
    with pytest.raises(ConfigError, match=said):
        parse(document({**GOOD, **changes}), "os.toml")


def test_the_example_is_valid() -> None:
    parse(f'name = "x"\nplatform = "x86_64-linux"\n{Options.EXAMPLE}', "os.toml")


# -- the whole way through ----------------------------------------------------------------------------------------


class Desk:
    """A folder with an os.toml."""

    def __init__(self, folder: Path, url: str, nix: NixStore) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "os.toml").write_text(
            'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "binary-cache"\n'
            f'url = "{url}"\nroots = ["{nix.built}"]\ntrusted-public-keys = ["{nix.key}"]\n'
        )

    def declare(self, store: str) -> "Desk":
        (self.folder / "os.toml").write_text(f'name = "x"\nplatform = "x86_64-linux"\n[store]\n{store}\n')
        return self

    def image(self) -> bytes:
        done = self.pack()
        assert not done.returncode, done.stderr
        return (self.folder / "image.tar").read_bytes()

    def pack(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run(
            [OCIPACK, "docker", "-o", "image.tar", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip


def test_an_image_of_a_cache(nix: NixStore, server: Server, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", server.url, nix)
    done = desk.pack()
    assert not done.returncode, done.stderr
    image = (desk.folder / "image.tar").read_bytes()
    server.requests.clear()
    done = desk.pack()
    assert not done.returncode, done.stderr
    assert not server.requests
    assert (desk.folder / "image.tar").read_bytes() == image
    over_file = Desk(tmp_path / "other", f"file://{nix.cache('signed-zstd', compression='zstd')}", nix)
    assert not over_file.pack().returncode
    assert (over_file.folder / "image.tar").read_bytes() == image


def test_a_nar_that_is_altered_in_the_cache(nix: NixStore, signed: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", f"file://{signed}", nix)
    digest = Digest.of(dump(nix.root / nix.built.lstrip("/")))
    assert not desk.pack().returncode
    (desk.folder / "image.tar").unlink()
    shutil.rmtree(desk.folder / "cache" / "ocipack" / "layers")
    kept = desk.folder / "cache" / "ocipack" / "nar" / f"{digest.hex}.nar"
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes().replace(b"#!/bin/sh", b"#!/bin/zz"))
    done = desk.pack()
    assert done.returncode == 1
    assert f"{nix.built} is corrupt" in done.stderr
    assert not (desk.folder / "image.tar").exists()
    assert not desk.pack("--no-verify").returncode


@pytest.mark.parametrize(
    ("which", "more"),
    [
        ("addressed", ""),
        # Signatures are of the cache alone: a database that has them is another one.
        ("built", 'register = false\nsymlinks = { "/bin" = "bin" }'),
        ("built", 'register = false\nsymlinks = { "/" = "." }'),
    ],
)
def test_the_same_image_from_the_cache_and_from_the_store(
    nix: NixStore, signed: Path, tmp_path: Path, which: str, more: str
) -> None:
    roots = [getattr(nix, which), nix.addressed]
    cache = nix.cache("unsigned", signed=False) if which == "addressed" else signed
    keys = "" if which == "addressed" else f'trusted-public-keys = ["{nix.key}"]\n'
    desk = Desk(tmp_path / "desk", "file:///x", nix)
    one = desk.declare(f'type = "binary-cache"\nurl = "file://{cache}"\nroots = {roots}\n{keys}{more}').image()
    other = Desk(tmp_path / "other", "file:///x", nix)
    two = other.declare(f'type = "nix"\nroot = "{nix.root}"\nroots = {roots}\n{more}').image()
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()

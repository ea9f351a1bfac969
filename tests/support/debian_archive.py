"""A small signed Debian archive in a folder: `Archive(folder).add("hello", "1.0", files={…}).publish()`.

It is made with the field's own tools (dpkg-deb, gpg), so that what the store reads was written by somebody else. It can
be used as `file://` (`url`) or over loopback (`with archive.served() as url`).
"""

import atexit
import contextlib
import functools
import hashlib
import http.server
import lzma
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.openpgp import KeyRing, key_ring

SUITE = "steady"
COMPONENT = "main"

_DATE = "Wed, 01 Jan 2025 00:00:00 UTC"
_EPOCH = 1735689600  # the same


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link among the files of a package."""

    target: str


@dataclass(frozen=True, slots=True)
class Hard:
    """A hard link to another file of the package."""

    target: str


@dataclass(frozen=True, slots=True)
class Program:
    """A file with another mode than 0644."""

    data: bytes
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder."""

    mode: int = 0o755


FileLike = str | bytes | Link | Hard | Program | Folder


def build_deb(
    folder: Path,
    name: str,
    version: str,
    *,
    architecture: str = "all",
    files: Mapping[str, FileLike] | None = None,
    depends: str = "",
    control: Mapping[str, str] | None = None,
    scripts: Mapping[str, str] | None = None,
    compression: str = "xz",
) -> Path:
    """A .deb in the folder, made by dpkg-deb, owned by root throughout.

    Args:
        folder: an existing one.
        name: of the package.
        version: of the package.
        architecture: Debian's name, or `all`.
        files: absolute path -> content, or one of the records above.
        depends: the field Depends.
        control: more fields.
        scripts: files of control.tar by name: maintainer scripts, `conffiles`, `triggers`, `md5sums`.
        compression: as dpkg-deb's -Z takes it: none, gzip, xz, zstd.
    """
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Nobody <nobody@example.invalid>",
        **({"Depends": depends} if depends else {}),
        **(control or {}),
        "Description": f"the package {name}",
    }
    deb = folder / f"{name}_{version.partition(':')[2] or version}_{architecture}.deb"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = Path(work)
        root.chmod(0o755)
        for path, content in sorted((files or {}).items(), key=lambda item: (isinstance(item[1], Hard), item[0])):
            _put(root, path, content)
        (root / "DEBIAN").mkdir(mode=0o755)
        (root / "DEBIAN").chmod(0o755)
        _put(root, "/DEBIAN/control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
        for script, text in (scripts or {}).items():
            is_script = text.startswith("#!")
            _put(root, f"/DEBIAN/{script}", Program(text.encode(), 0o755 if is_script else 0o644))
        command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", work, str(deb)]
        environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": str(_EPOCH)}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return deb


def _put(root: Path, path: str, content: FileLike) -> None:
    target = root / path.lstrip("/")
    for folder in reversed([above for above in target.parents if root in above.parents]):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
    match content:
        case Link(where):
            target.symlink_to(where)
        case Hard(where):
            target.hardlink_to(root / where.lstrip("/"))
        case Folder(mode):
            target.mkdir(exist_ok=True)
            target.chmod(mode)
        case Program(data, mode):
            target.write_bytes(data)
            target.chmod(mode)
        case _:
            target.write_bytes(content.encode() if isinstance(content, str) else content)
            target.chmod(0o644)


class Archive:
    """A Debian archive in a folder of its own, with one suite and one component.

    Args:
        folder: made when it is missing.
        suite: its name.
        architecture: of the index; packages for `all` are in it too. Several are separated by spaces.
        key: whose signature it carries; equal names are equal keys, within a test run.

    Attributes:
        keyring: the file of the key that signs it.
    """

    def __init__(self, folder: Path, *, suite: str = SUITE, architecture: str = "amd64", key: str = "archive") -> None:
        self.folder = folder
        self.suite = suite
        self.architecture = architecture
        self._key = key
        self.pool = folder / "pool"
        self.pool.mkdir(parents=True, exist_ok=True)
        self.keyring = folder / "keyring.gpg"
        self.keyring.write_bytes(keyring(key))

    @property
    def url(self) -> str:
        """The archive's address on this machine."""
        return f"file://{self.folder}"

    @property
    def index(self) -> Path:
        """The folder that holds InRelease."""
        return self.folder / "dists" / self.suite

    def options(self, **more: Any) -> dict[str, Any]:
        """What `[store]` takes to use this archive."""
        return {"mirror": self.url, "suite": self.suite, "signed_by": str(self.keyring), **more}

    def add(self, name: str, version: str, **more: Any) -> Self:
        """Add a package; see `build_deb` for what it takes."""
        build_deb(self.pool, name, version, **more)
        return self

    def publish(self, *, signed: bool = True, more: Mapping[str, str] | None = None, stanzas: str = "") -> Self:
        """Write the indices, for what is in the pool now.

        Args:
            signed: with a signature.
            more: more fields of Release.
            stanzas: more stanzas of Packages, of what dpkg-deb cannot make.
        """
        debs = {deb: _stanza(deb, self.folder) for deb in sorted(self.pool.glob("*.deb"))}
        architectures = self.architecture.split()
        for architecture in architectures:
            others = tuple(f"_{other}.deb" for other in architectures if other != architecture)
            listed = "\n".join(stanza for deb, stanza in debs.items() if not deb.name.endswith(others))
            packages = f"{listed}\n{stanzas}".encode()
            folder = self.index / COMPONENT / f"binary-{architecture}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "Packages").write_bytes(packages)
            (folder / "Packages.xz").write_bytes(lzma.compress(packages))
        lists = sorted((self.index / COMPONENT).glob("*/Packages*"))
        sums = [(path.relative_to(self.index), path.read_bytes()) for path in lists]
        fields = {
            "Origin": "Test",
            "Suite": self.suite,
            "Codename": self.suite,
            "Date": _DATE,
            "Architectures": f"all {self.architecture}",
            "Components": COMPONENT,
            **(more or {}),
            "SHA256": "".join(f"\n {hashlib.sha256(data).hexdigest()} {len(data)} {path}" for path, data in sums),
        }
        release = "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()
        before = (self.index / "Release").stat().st_mtime if (self.index / "Release").exists() else _EPOCH
        for name in ("InRelease", "Release", "Release.gpg"):
            (self.index / name).unlink(missing_ok=True)
        (self.index / "Release").write_bytes(release)
        if signed:
            (self.index / "InRelease").write_bytes(clearsigned(self._key, release))
        for path in self.index.rglob("*"):  # http asks what is newer than a second
            os.utime(path, (before + 1, before + 1))
        return self

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """The archive over http, on loopback; gives its address."""
        handler = functools.partial(_Quiet, directory=str(self.folder))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def _stanza(deb: Path, folder: Path) -> str:
    command = ["dpkg-deb", "--field", str(deb)]
    control = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    data = deb.read_bytes()
    return (
        f"{control.rstrip()}\nFilename: {deb.relative_to(folder)}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
    )


@functools.cache
def _ring() -> KeyRing:
    """Throw-away keys, for as long as this process runs."""
    ring = contextlib.ExitStack()
    atexit.register(ring.close)
    return ring.enter_context(key_ring())


@functools.cache
def keyring(key: str) -> bytes:
    """The public half of a throw-away key."""
    return _ring().public(_ring().key(key))


def clearsigned(key: str, data: bytes) -> bytes:
    """The data with the signature of a key, as InRelease has it."""
    keyring(key)
    return _ring().sign(data, f"{key}@example.invalid", how="--clearsign", more=("--digest-algo", "SHA512"))

import contextlib
import gzip
import io
import lzma
import os
import resource
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from layers.digest import Digest
from layers.entry import Device, Directory, Entry, File, Hardlink, Slice, Symlink
from layers.errors import PackError
from layers.output import OutputError
from layers.reader import Reader
from packer.debian.deb import Package, PackageCache
from packer.debian.index import Index
from tests.support.debian_archive import FileLike, Folder, Hard, Link, Program, build_deb

FILES: dict[str, FileLike] = {
    "/usr/bin/hello": Program(b"#!/bin/sh\necho hello\n"),
    "/usr/bin/hullo": Hard("/usr/bin/hello"),
    "/usr/bin/hi": Link("hello"),
    "/usr/bin/su": Program(b"su", 0o4755),
    "/etc/hello.conf": "greeting=hello\n",
    "/usr/share/doc/hello/ä b": b"\0" * 100_000,
    "/var/lib/hello": Folder(0o1777),
}


class Cache:
    """A package cache in a folder, and what is packed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "cache"
        self.work = folder / "work"
        for path in (self.folder, self.work):
            path.mkdir()
        self.packages = PackageCache(str(self.folder))

    def keep(self, deb: Path) -> Package:
        return self.packages.keep(str(deb), digest_of(deb), str(self.work))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def digest_of(path: Path) -> Digest:
    return Digest.of(path.read_bytes())


def entries(package: Package) -> list[Entry]:
    return list(package.index.entries(f"{package.folder}/data.tar"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.mark.parametrize("compression", ["none", "gzip", "xz", "zstd"])
def test_entries_are_dpkgs(cache: Cache, tmp_path: Path, compression: str) -> None:
    deb = build_deb(tmp_path, "hello", "1.0", files=FILES, compression=compression)
    expected = dpkg_listing(deb)
    package = cache.keep(deb)
    assert [listed(entry) for entry in entries(package)] == expected
    assert not deb.exists()
    loaded = cache.packages.find(package.digest)
    assert loaded == package
    assert not list(cache.work.iterdir())


def dpkg_listing(deb: Path) -> list[tuple[str, ...]]:
    """What dpkg-deb and GNU tar, which nobody here wrote, say."""
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, stdout=subprocess.PIPE).stdout
    command = ["tar", "tv", "--numeric-owner", "--quoting-style=literal", "--full-time"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    text = subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE, env=environment).stdout.decode()
    lines = [line.split(maxsplit=5) for line in text.splitlines()]
    return [(mode, owner, "0" if mode[0] in "hd" else size, name) for mode, owner, size, _, _, name in lines]


def listed(entry: Entry) -> tuple[str, ...]:
    """An entry as GNU tar lists it; a hard link shows its file's mode there, and nothing of it here."""
    name = "./" + entry.path.decode()
    match entry:
        case Directory(path, meta):
            return stat.filemode(stat.S_IFDIR | meta.mode), f"{meta.uid}/{meta.gid}", "0", name + "/" * bool(path)
        case Symlink(_, target, meta):
            mode = stat.filemode(stat.S_IFLNK | meta.mode)
            return mode, f"{meta.uid}/{meta.gid}", "0", f"{name} -> {target.decode()}"
        case File(_, content, meta):
            return stat.filemode(stat.S_IFREG | meta.mode), f"{meta.uid}/{meta.gid}", str(content.size), name
        case Hardlink(_, target):
            return "hrwxr-xr-x", "0/0", "0", f"{name} link to ./{target.decode()}"
    raise AssertionError(entry)


def test_contents_are_slices_of_data_tar(cache: Cache, tmp_path: Path) -> None:
    package = cache.keep(build_deb(tmp_path, "hello", "1.0", files=FILES))
    files = {entry.path: entry.content for entry in entries(package) if isinstance(entry, File)}
    with Reader() as reader:
        assert reader.read(files[b"etc/hello.conf"]) == b"greeting=hello\n"
        assert reader.read(files["usr/share/doc/hello/ä b".encode()]) == bytes(100_000)
    assert all(isinstance(content, Slice) and content.path.endswith("data.tar") for content in files.values())
    assert package.index.file_size == sum(content.size for content in files.values())


def test_control_files(cache: Cache, tmp_path: Path) -> None:
    scripts = {"postinst": "#!/bin/sh\ntrue\n", "conffiles": "/etc/hello.conf\n"}
    deb = build_deb(tmp_path, "hello", "1.0", files=FILES, scripts=scripts)
    control = subprocess.run(["dpkg-deb", "--field", deb], check=True, stdout=subprocess.PIPE, text=True).stdout
    package = cache.keep(deb)
    assert package.index.stanza == control.rstrip("\n")
    path = f"{package.folder}/control.tar"
    with Reader() as reader:
        found = {name: reader.read(Slice(path, *place)).decode() for name, place in package.index.members.items()}
    assert found == scripts


@pytest.mark.parametrize(
    ("scripts", "paths"),
    [
        ({}, [b"/etc/hello.conf", b"/usr/bin/hello", b"/usr/bin/hullo"]),
        ({"md5sums": "x  usr/bin/hello\n"}, []),
        ({"md5sums": "x  usr/bin/hello\n", "conffiles": "/etc/hello.conf\n/etc/gone\n"}, [b"/etc/hello.conf"]),
    ],
)
def test_digests(cache: Cache, tmp_path: Path, scripts: dict[str, str], paths: list[bytes]) -> None:
    files = {path: FILES[path] for path in ("/usr/bin/hello", "/usr/bin/hullo", "/etc/hello.conf")}
    package = cache.keep(build_deb(tmp_path, "hello", "1.0", files={**files, "/etc/gone": Folder()}, scripts=scripts))
    assert sorted(package.index.digests) == paths
    if paths:
        md5 = subprocess.run(["md5sum"], input=b"greeting=hello\n", check=True, stdout=subprocess.PIPE).stdout
        assert package.index.digests[b"/etc/hello.conf"] == md5[:32].decode()


# What is hostile or damaged


def ar(*members: tuple[str, bytes]) -> bytes:
    """An ar archive; its names are cut to what fits."""
    parts = [b"!<arch>\n"]
    for name, data in members:
        parts.append(
            f"{name:16.16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return b"".join(parts)


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


CONTROL = tar(member("./control", b"Package: x\nVersion: 1\nArchitecture: all\n"))
DATA = tar(member("./", kind=tarfile.DIRTYPE), member("./file", b"data"))
VERSION = ("debian-binary", b"2.0\n")


def deb_of(data: bytes = DATA, control: bytes = CONTROL, suffix: str = "") -> bytes:
    return ar(VERSION, ("control.tar", control), (f"data.tar{suffix}", data))


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=kind, linkname=target)


def changed(data: bytes, position: int, by: bytes) -> bytes:
    return data[:position] + by + data[position + len(by) :]


WHOLE = deb_of()
BOMB = lzma.compress(bytes(200 << 20), preset=0)
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress(DATA)
FILE = member("a", b"1")

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "does not begin as an ar archive"),
    "another archive": (b"!<thin>\n" + WHOLE[8:], "does not begin as an ar archive"),
    "header cut": (WHOLE[:40], "no member header at byte 8"),
    "content cut": (WHOLE[:-100], "ends within data.tar"),
    "header's end": (changed(WHOLE, 66, b"xx"), "no member header at byte 8"),
    "negative size": (changed(WHOLE, 56, b"-1"), "no member header at byte 8"),
    "something at the end": (WHOLE + b"x", "no member header"),
    "no members": (b"!<arch>\n", "its members are"),
    "no data": (ar(VERSION, ("control.tar", CONTROL)), "its members are 'debian-binary', 'control.tar'"),
    "data twice": (ar(VERSION, ("control.tar", CONTROL), ("data.tar", DATA), ("data.tar.xz", DATA)), "its members are"),
    "wrong order": (ar(VERSION, ("data.tar", DATA), ("control.tar", CONTROL)), "its members are"),
    "unknown member": (ar(VERSION, ("control.tar", CONTROL), ("data.tar", DATA), ("x", b"")), "its members are"),
    "format 3": (ar(("debian-binary", b"3.0\n"), ("control.tar", CONTROL), ("data.tar", DATA)), "another format"),
    "compression": (deb_of(suffix=".lzo"), "no decoder for '.lzo'"),
    "not xz": (deb_of(suffix=".xz"), "data.tar.xz of x.deb is damaged"),
    "not gzip": (deb_of(suffix=".gz"), "data.tar.gz of x.deb is damaged"),
    "not zstd": (deb_of(suffix=".zst"), "data.tar.zst of x.deb is damaged"),
    "xz cut": (deb_of(lzma.compress(DATA)[:-8], suffix=".xz"), "ends before its end"),
    "xz and more": (deb_of(lzma.compress(DATA) + b"more", suffix=".xz"), "something follows"),
    "xz and another": (deb_of(lzma.compress(DATA) + lzma.compress(b""), suffix=".xz"), "something follows"),
    "zstd cut": (deb_of(ZSTD[:-1], suffix=".zst"), "ends before its end"),
    "zstd without its checksum": (deb_of(ZSTD[:-4], suffix=".zst"), "ends before its end"),
    "zstd and another": (deb_of(ZSTD + ZSTD, suffix=".zst"), "something follows"),
    "gzip cut": (deb_of(gzip.compress(DATA)[:-1], suffix=".gz"), "ends before its end"),
    "bomb": (deb_of(BOMB, suffix=".xz"), r"expands from \d+ to more than \d+ bytes"),
    "tar cut": (deb_of(DATA[:1024]), "data.tar of x.deb is damaged"),
    "tar without end": (deb_of(DATA[:1536]), "the end of the archive is missing, at byte 1536"),
    "tar header": (deb_of(changed(DATA, 512 + 10, b"x")), "a header has a wrong checksum, at byte 1024"),
    "after the end": (deb_of(DATA + b"x" * 512), "data.tar of x.deb is damaged"),
    "no tar": (deb_of(b"x" * 4096), "data.tar of x.deb is damaged"),
    "up": (deb_of(tar(member("../x", b"1"))), "leads outside"),
    "up inside": (deb_of(tar(member("./a/../../x", b"1"))), "leads outside"),
    "long name": (deb_of(tar(member("./" + "x" * 300, b"1"))), "longer than 255"),
    "hard link out": (deb_of(tar(FILE, link("b", "../../etc/passwd", tarfile.LNKTYPE))), "leads outside"),
    "hard link to nothing": (deb_of(tar(FILE, link("b", "c", tarfile.LNKTYPE))), "no earlier file"),
    "hard link to a link": (
        deb_of(tar(link("c", "/x", tarfile.SYMTYPE), link("b", "c", tarfile.LNKTYPE))),
        "no earlier",
    ),
    "hard link to itself": (deb_of(tar(link("b", "b", tarfile.LNKTYPE))), "no earlier file"),
    "link to nothing": (deb_of(tar(link("b", "", tarfile.SYMTYPE))), "a symbolic link to a path of 0 bytes"),
    "twice": (deb_of(tar(FILE, FILE)), "'a' is there twice"),
    "twice by another name": (deb_of(tar(FILE, member(".//a", b"2"))), "is there twice"),
    "file and folder": (deb_of(tar(FILE, member("a", kind=tarfile.DIRTYPE))), "is there twice"),
    "sparse": (
        deb_of(tar(member("a", b"1", pax_headers={"GNU.sparse.size": "9", "GNU.sparse.numbytes": "0"}))),
        "a sparse file",
    ),
    "unknown type": (deb_of(tar(member("a", b"", kind=b"M"))), "a member of type b'M'"),
    "xattr": (deb_of(tar(member("a", pax_headers={"SCHILY.xattr.evil.x": "1"}))), "the extended attribute 'evil.x'"),
    "xattr name": (deb_of(tar(member("a", pax_headers={"SCHILY.xattr.user.x\ny": "1"}))), "the extended attribute"),
    "negative size in tar": (deb_of(tar(member("a", pax_headers={"size": "-1024"}), FILE)), "damaged"),
    "large size in tar": (deb_of(tar(member("a", pax_headers={"size": str(1 << 60)}))), "damaged"),
    "no number": (deb_of(tar(member("a", uid=-1))), "a uid that is no number"),
    "owner": (deb_of(tar(member("a", uid=(1 << 32) - 1))), "'a' belongs to 4294967295:0"),
    "no control file": (deb_of(control=tar(FILE)), "has no control file"),
    "control folder": (deb_of(control=tar(member("a/control", b"x"))), "no plain file of its root"),
    "control link": (deb_of(control=tar(link("control", "/etc/passwd", tarfile.SYMTYPE))), "no plain file"),
    "control up": (deb_of(control=tar(member("..", b"x"))), "leads outside"),
    "control twice": (deb_of(control=CONTROL[:1024] + CONTROL), "is there twice"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_deb(cache: Cache, tmp_path: Path, case: str) -> None:
    data, message = HOSTILE[case]
    deb = tmp_path / "x.deb"
    deb.write_bytes(data)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path != cache.work}
    with pytest.raises(PackError, match=message):
        cache.keep(deb)
    assert cache.names() == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path != cache.work} == before


def test_the_sample_of_the_hostile_ones_is_good(cache: Cache, tmp_path: Path) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(WHOLE)
    assert [entry.path for entry in entries(cache.keep(deb))] == [b"", b"file"]


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".xz", lzma.compress(DATA) + bytes(4)),
        (".gz", gzip.compress(DATA) + bytes(512)),
        (".gz", gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:])),
    ],
    ids=["xz", "gzip", "two of gzip"],
)
def test_what_dpkg_reads_behind_a_stream(cache: Cache, tmp_path: Path, suffix: str, data: bytes) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(deb_of(data, suffix=suffix))
    expected = dpkg_listing(deb)
    assert [listed(entry) for entry in entries(cache.keep(deb))] == expected


def test_members_with_an_underscore_are_passed_over(cache: Cache, tmp_path: Path) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(ar(VERSION, ("_a", b"x"), ("control.tar/", CONTROL), ("data.tar", DATA), ("_gpgorigin", b"sig")))
    assert [entry.path for entry in entries(cache.keep(deb))] == [b"", b"file"]


def test_special_entries(cache: Cache, tmp_path: Path) -> None:
    capability = b"\1\0\0\2\0\4\0\xc0" + bytes(12)
    value = capability.decode("utf-8", "surrogateescape")
    data = tar(
        member("./dev/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("./dev/sda", kind=tarfile.BLKTYPE, devmajor=8, devminor=0, gid=6),
        member("./run/pipe", kind=tarfile.FIFOTYPE),
        member("./\udcff", b"x", mode=0o2755, gid=42),
        member("./ping", b"x", pax_headers={"SCHILY.xattr.security.capability": value}),
    )
    deb = tmp_path / "x.deb"
    deb.write_bytes(deb_of(data))
    package = cache.keep(deb)
    found = {entry.path: entry for entry in entries(cache.packages.find(package.digest) or package)}
    null, disk, odd, ping = (found[path] for path in (b"dev/null", b"dev/sda", b"\xff", b"ping"))
    assert isinstance(null, Device) and (null.kind.name, null.major, null.minor, null.meta.mode) == (
        "CHARACTER",
        1,
        3,
        0o666,
    )
    assert isinstance(disk, Device) and (disk.kind.name, disk.major, disk.meta.gid) == ("BLOCK", 8, 6)
    assert isinstance(found[b"run/pipe"], Device)
    assert isinstance(odd, File) and (odd.meta.mode, odd.meta.gid) == (0o2755, 42)
    assert isinstance(ping, File) and ping.meta.xattrs == ((b"security.capability", capability),)


# The cache


def test_another_digest_is_refused(cache: Cache, tmp_path: Path) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(WHOLE)
    with pytest.raises(PackError, match=r"x\.deb is corrupt: its digest is sha256:"):
        cache.packages.keep(str(deb), Digest.of(b"another"), str(cache.work))
    assert cache.names() == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("index", _cut),
        ("index", _flip),
        ("index", Path.unlink),
        ("index", lambda path: path.write_bytes(b"")),
        ("data.tar", _cut),
        ("data.tar", Path.unlink),
        ("control.tar", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_damaged_package_is_made_anew(
    cache: Cache, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(WHOLE)
    package = cache.keep(deb)
    damage(Path(package.folder) / name)
    assert cache.packages.find(package.digest) is None
    deb.write_bytes(WHOLE)
    assert cache.keep(deb) == package == cache.packages.find(package.digest)


def test_a_package_that_somebody_else_made_meanwhile_stays(cache: Cache, tmp_path: Path) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(WHOLE)
    package = cache.keep(deb)
    inode = os.stat(package.folder).st_ino
    deb.write_bytes(WHOLE)
    assert cache.keep(deb) == package
    assert os.stat(package.folder).st_ino == inode
    assert not list(cache.work.iterdir())


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """No file may be larger than 64 KiB: writing more fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(cache: Cache, tmp_path: Path) -> None:
    deb = build_deb(tmp_path, "large", "1.0", files={"/large": bytes(1 << 17)})
    with small_files(), pytest.raises(OutputError, match=r"cannot write into the cache .*: File too large"):
        cache.keep(deb)
    assert cache.names() == []


def test_an_index_of_another_format_is_made_anew(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = tmp_path / "x.deb"
    deb.write_bytes(WHOLE)
    package = cache.keep(deb)
    monkeypatch.setattr("packer.debian.index._FORMAT", 0)
    assert Index.load(package.folder) is None

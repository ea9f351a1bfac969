"""The root file system as a tarball, in the hands of GNU tar, bsdtar, Python and dissect."""

import gzip
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from dissect.target.filesystems.tar import TarFilesystem

from formats import tarball
from formats.format import FileArtefact, Order
from formats.system import System
from layers.blob import BlobCache, Workshop
from layers.compress import LEVELS, codec
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Slice, Symlink
from layers.item import Closure
from layers.plan import LayerPlan
from layers.progress import NoProgress
from layers.tree import Part, merge, overlay
from layers.verify import CorruptError
from tests.oracle.tar_listing import READERS, without_xattrs
from tests.support.entries import ALL_KINDS, CAPABILITY, make_item, tar_of
from tests.support.nar_items import nar_item
from tests.support.processes import as_nobody, needs_root, public_folder
from tests.support.systems import system

#: user::rw-, user:1000:r--, group::rw-, mask::rw-, other::---
_ACL = bytes.fromhex("0200000001000600ffffffff02000400e803000004000600ffffffff10000600ffffffff20000000ffffffff")
_LISTS: tuple[Entry, ...] = (
    Directory(b"lists", Meta(0o755, xattrs=((b"system.posix_acl_default", _ACL),))),
    File(
        b"lists/file",
        Data(b"x"),
        Meta(0o660, xattrs=((b"security.capability", CAPABILITY), (b"system.posix_acl_access", _ACL))),
    ),
)


def made(
    of: System, path: Path, compression: str = "none", root_name: str = "", *, jobs: int = 2, verify: bool = True
) -> FileArtefact:
    """A tarball of a system; layers are planned and kept nowhere."""
    options = tarball.Options(codec(compression), root_name)
    with ThreadPoolExecutor(jobs) as executor:
        cache = BlobCache(str(path.parent / "cache"))
        workshop = Workshop(cache, codec("none"), 1, executor, jobs, NoProgress(), verify=verify)
        return tarball.write(Order(of, LayerPlan(()), workshop, str(path), options))


def of_entries(entries: Iterable[Entry]) -> System:
    return replace(system(make_item("all", *entries)), customization=(), tree=merge([Part("all", entries)]).tree)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tarball of every kind of entry."""
    path = tmp_path_factory.mktemp("tarball") / "out.tar"
    made(of_entries((*ALL_KINDS, *_LISTS)), path)
    return path


def test_it_is_the_tar_of_the_tree(whole: Path) -> None:
    assert whole.read_bytes() == tar_of(of_entries((*ALL_KINDS, *_LISTS)).tree)


def test_three_readers_agree(whole: Path) -> None:
    expected, *others = (without_xattrs(read(whole)) for read in READERS.values())
    assert others == [expected, expected]
    assert [member.path for member in expected] == sorted(
        (member.path for member in expected), key=lambda path: path.replace(b"/", b"\0")
    )


def test_dissect_agrees(whole: Path) -> None:
    with whole.open("rb") as file, tarfile.open(whole) as archive:
        seen = TarFilesystem(file)
        for member in archive:
            entry = seen.get(member.name)
            status = entry.lstat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (member.uid, member.gid, member.mode)
            if member.issym():
                assert entry.readlink() == member.linkname
            elif member.isfile():
                content = archive.extractfile(member)
                assert content
                assert entry.open().read() == content.read()


_EXTRACTORS = {
    "GNU tar": ["tar", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--same-owner", "-xpf"],
    "bsdtar": ["bsdtar", "--xattrs", "--acls", "--numeric-owner", "--same-owner", "-xpf"],
}


@needs_root
@pytest.mark.parametrize("extractor", _EXTRACTORS)
def test_what_root_unpacks_is_what_the_tarball_says(extractor: str, whole: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([*_EXTRACTORS[extractor], whole], cwd=tmp_path, check=True, capture_output=True, env=environment)
    compare: list[str | Path] = [
        "tar",
        "--compare",
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "--numeric-owner",
        "-f",
        whole,
    ]
    done = subprocess.run(compare, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    told = [line for line in done.stderr.splitlines() if "hdrcharset" not in line]
    assert (done.returncode, done.stdout, told) == (0, "", [])
    # GNU tar does not compare attributes.
    for entry in (entry for entry in (*ALL_KINDS, *_LISTS) if isinstance(entry, File | Directory)):
        path = os.fsencode(tmp_path) + b"/" + entry.path
        found = {name.encode(): os.getxattr(path, name) for name in os.listxattr(path)}
        inherited = {b"system.posix_acl_access"} - dict(entry.meta.xattrs).keys()
        assert {name: value for name, value in found.items() if name not in inherited} == dict(entry.meta.xattrs)


_TOOLS = {
    "none": ["cat"],
    "gzip": ["gzip", "-dc"],
    "zstd": ["zstd", "-dcq"],
    "xz": ["xz", "-dc"],
    "lzip": ["lzip", "-dc"],
    "bzip2": ["bzip2", "-dc"],
}


@pytest.mark.parametrize("compression", LEVELS)
def test_every_codec_holds_the_same_tar(compression: str, whole: Path, tmp_path: Path) -> None:
    of = of_entries((*ALL_KINDS, *_LISTS))
    options = tarball.Options(codec(compression))
    path = tmp_path / tarball.default_output("out", options)
    artefact = made(of, path, compression)
    plain = subprocess.run([*_TOOLS[compression], path], capture_output=True, check=True).stdout
    assert plain == whole.read_bytes()
    assert artefact.digest == Digest.of(path.read_bytes())
    assert artefact.size == path.stat().st_size
    listings = [
        subprocess.run([tool, "-tf", path], capture_output=True, check=True).stdout.count(b"\n")
        for tool in ("tar", "bsdtar")
    ]
    assert listings == [len(of.tree)] * 2


def test_a_root_name_is_the_folder_of_everything(tmp_path: Path) -> None:
    of = of_entries(ALL_KINDS)
    made(of, tmp_path / "out.tar", root_name="a/b")
    with tarfile.open(tmp_path / "out.tar") as archive:
        members = {member.name: member for member in archive}
    assert list(members)[:2] == ["a", "a/b"]
    assert all(name.startswith("a/b/") for name in list(members)[2:])
    assert len(members) == len(of.tree) + 2
    assert members["a/b/links/hard"].linkname == "a/b/links/file"
    assert members["a/b/links/absolute"].linkname == "/usr/bin/env"


@needs_root
def test_nobody_makes_the_same_bytes(whole: Path) -> None:
    of = of_entries((*ALL_KINDS, *_LISTS))
    with public_folder() as home:
        os.chown(home, 65534, 65534)

        def build() -> str:
            return str(made(of, home / "out.tar").digest)

        assert as_nobody(build) == str(Digest.of(whole.read_bytes()))
        assert (home / "out.tar").stat().st_uid == 65534


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_the_number_of_jobs_changes_no_byte(compression: str, tmp_path: Path) -> None:
    of = of_entries([File(b"large", Data(b"0123456789abcdef" * (1 << 19)))])
    artefacts = [made(of, tmp_path / str(jobs), compression, jobs=jobs) for jobs in (1, 5)]
    assert artefacts[0].digest == artefacts[1].digest


_ROOT = b"nix/store/0c8xh4g1zbqwn1bhyjf7wd4kmv8a1sfi-tool"


def _nix_system(folder: Path, *, flip: bool = False, upper: tuple[Entry, ...] = ()) -> System:
    """A system of one item, whose content was flipped after it had been hashed; `upper` is what os.toml declares."""
    (folder / "content").write_bytes(b"content")
    entries = (
        Directory(_ROOT, Meta(0o555)),
        File(_ROOT + b"/data", Data(b"content"), Meta(0o444)),
        Symlink(_ROOT + b"/link", b"data"),
    )
    hashed = nar_item("/" + _ROOT.decode(), *entries)
    if flip:
        (folder / "content").write_bytes(b"c0ntent")
    sliced = tuple(
        replace(entry, content=Slice(str(folder / "content"), 0, 7)) if isinstance(entry, File) else entry
        for entry in entries
    )
    tree = merge([Part(hashed, sliced)]).tree
    return replace(
        system(),
        closure=Closure([hashed]),
        parts={hashed.path: sliced},
        customization=upper,
        tree=overlay(tree, upper),
    )


@pytest.mark.parametrize("upper", [(), (File(_ROOT + b"/data", Data(b"mine")),), (File(_ROOT + b"/new", Data(b"x")),)])
def test_an_item_is_compared_with_its_hash(upper: tuple[Entry, ...], tmp_path: Path) -> None:
    """Also an item that os.toml lays something over: what was hashed is looked at by itself."""
    made(_nix_system(tmp_path, upper=upper), tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert {entry.path.decode() for entry in upper} <= set(archive.getnames())
    flipped = _nix_system(tmp_path, flip=True, upper=upper)
    with pytest.raises(CorruptError, match="is corrupt"):
        made(flipped, tmp_path / "flipped.tar")
    assert not (tmp_path / "flipped.tar").exists()
    made(flipped, tmp_path / "flipped.tar", verify=False)


def test_standard_output_gets_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.formats import test_tarball as t;"
        "import formats.tarball as f; from dataclasses import replace; import layers.archive;"
        "of = t.of_entries((*t.ALL_KINDS, *t._LISTS)); write = f.write;"
        "f.write = lambda order: write(replace(order, output='-')); t.made(of, Path(sys.argv[1]) / 'out', 'gzip')"
    )
    piped = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, check=True, cwd=Path(__file__).parents[2]
    ).stdout
    assert gzip.decompress(piped) == whole.read_bytes()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("compression", "name"),
    [
        ("none", "x.tar"),
        ("gzip", "x.tar.gz"),
        ("xz", "x.tar.xz"),
        ("zstd", "x.tar.zst"),
        ("lzip", "x.tar.lz"),
        ("bzip2", "x.tar.bz2"),
    ],
)
def test_names(compression: str, name: str) -> None:
    assert tarball.default_output("x", tarball.Options(codec(compression))) == name

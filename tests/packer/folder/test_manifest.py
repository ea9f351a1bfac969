"""Manifests: what bsdtar writes is read to the letter, and everything else of mtree(5) that says something."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.digest import Digest
from packer.folder.manifest import ManifestError, Stated, parse, read
from tests.support.processes import needs_root

_DIGEST = Digest.of(b"hello").hex


def one(line: str | bytes) -> Stated:
    """What a manifest of one line says."""
    data = line if isinstance(line, bytes) else line.encode()
    (stated,) = parse(data, "m").values()
    return stated


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("./x type=file mode=0644 uid=33 gid=34", {"type": "file", "mode": 0o644, "uid": 33, "gid": 34}),
        ("./x mode=4755", {"mode": 0o4755}),
        ("./x mode=04755", {"mode": 0o4755}),
        ("./x type=link link=../a\\040b", {"type": "link", "target": b"../a b"}),
        ("./x type=char device=native,1,3", {"type": "char", "device": (1, 3)}),
        ("./x type=block device=linux,0x103,0x10", {"type": "block", "device": (259, 16)}),
        ("./x type=fifo", {"type": "fifo"}),
        (f"./x size=5 sha256={_DIGEST}", {"size": 5, "digest": Digest(_DIGEST)}),
        (f"./x sha256digest={_DIGEST.upper()}", {"digest": Digest(_DIGEST)}),
        ("./x xattr.user.a=aGVsbG8= xattr.security.capability=",
         {"xattrs": ((b"security.capability", b""), (b"user.a", b"hello"))}),
        ("./x optional", {"optional": True}),
        ("./x nlink=2 time=1.5 flags=none md5=x sha1digest=y uname=root uid=0 tar_time=1.0", {"uid": 0}),
        ("/set uid=1 gid=2\n./x gid=3", {"uid": 1, "gid": 3}),
        ("/set uid=1 gid=2\n/unset gid\n./x", {"uid": 1}),
        ("/set uid=1 gid=2\n/unset all\n./x", {}),
        ("  # nothing\n\n\t./x \\\n   uid=1 \\\n\tgid=2\n", {"uid": 1, "gid": 2}),
        ("./x uid=1\r\n", {"uid": 1}),
        (". type=dir uid=9\n./x uid=1\n..\n", {"uid": 1}),
    ],
)  # fmt: skip
def test_a_line(line: str, expected: dict[str, Any]) -> None:
    stated = one(line)
    names = [name for name in Stated.__slots__ if name not in ("origin", "path")]
    found = {name: value for name in names if (value := getattr(stated, name)) is not None and value is not False}
    assert (stated.path, found) == (b"x", expected)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (r"a\040b", b"a b"),
        (r"a\sb\tc\nd", b"a b\tc\nd"),
        (r"\134\043\\\#", rb"\#" * 2),
        (r"\377\M-i\M^A\^A\^?", b"\xff\xe9\x81\x01\x7f"),
        (r"\x41\$", b"A$"),
        ("é", "é".encode()),
    ],
)
def test_names_are_escaped_as_by_vis(escaped: str, name: bytes) -> None:
    assert one(f"./{escaped}").path == name


def test_names_without_a_slash_are_in_the_last_folder() -> None:
    text = b". type=dir\n  etc type=dir\n    motd type=file\n    ssh type=dir\n    ..\n  ..\n  x type=file\n..\n./a/b\n"
    assert list(parse(text, "m")) == [b"etc", b"etc/motd", b"etc/ssh", b"x", b"a/b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("./x type=socket", r"line 1: type='socket' of './x' cannot be followed"),
        ("./x mode=u+x", "mode="),
        ("./x mode=10000", "mode="),
        ("./x uid=-1", "uid="),
        ("./x uid=4294967295", "uid="),
        (f"./x size={'9' * 5000}", "size="),
        ("./x sha256=12", "sha256="),
        ("./x type=char", r"no device=native,MAJOR,MINOR"),
        ("./x type=char device=259", "device="),
        ("./x type=link", "no link=TARGET"),
        ("./x type=link link=a\\000", "link="),
        ("./x uname=www-data", "has a name of an owner, and no number\n.*Add uid"),
        ("./x uid=0 gname=www-data", "has a name of an owner"),
        ("./x colour=red", "'colour' is no keyword"),
        ("./x contents=/etc/shadow", "'contents' is no keyword"),
        ("./x xattr.user.a=?", "is not base64"),
        ("./x xattr.evil=aa==", "no extended attribute of Linux"),
        ("./x xattr.user.a\\075b=aa==", "no extended attribute of Linux"),
        ("./../x", "leads outside"),
        ("./a\\057..\\057..\\057x", "leads outside"),
        ("./x\\000", "leads outside"),
        ("..", "leads out of the folder"),
        ("./x\n./y\n./x uid=1", "line 3: './x' is there twice"),
        (f"./{'x' * 256}", "longer than 255"),
    ],
)
def test_what_cannot_be_followed_is_said(line: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        parse(line.encode(), "m")
    assert str(caught.value).startswith("m: line ")


def test_a_manifest_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"store.manifest: cannot read .*gone: No such file"):
        read(str(tmp_path / "gone"))


@needs_root
@pytest.mark.parametrize("options", ["", "indent,use-set,sha256", "!all,use-set,type,uid,gid,mode,link,device,size"])
def test_bsdtar_and_we_are_of_one_opinion(options: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a b").mkdir(parents=True)
    (folder / "a b" / "n\nl#\\é").write_bytes(b"hello")
    Path(os.fsdecode(bytes(folder) + b"/\xff\xfe")).write_bytes(b"x")
    (folder / "link").symlink_to("a b/no where")
    os.mknod(folder / "null", 0o20666, os.makedev(1, 3))
    os.mkfifo(folder / "pipe")
    os.chown(folder / "a b", 5, 4_000_000)
    os.chmod(folder / "a b", 0o2750)
    chosen = ["--options", options] if options else []
    command: list[str | Path] = ["bsdtar", "-C", folder, "-cf", "-", "--format=mtree", *chosen, "."]
    found = parse(subprocess.run(command, check=True, capture_output=True).stdout, "m")
    paths = {os.path.relpath(path, bytes(folder)): os.lstat(path) for path in _below(bytes(folder))}
    assert set(found) == set(paths)
    for path, status in paths.items():
        stated = found[path]
        assert (stated.uid, stated.gid, stated.mode) == (status.st_uid, status.st_gid, status.st_mode & 0o7777)
    assert found[b"link"].target == b"a b/no where"
    assert found[b"null"].device == (1, 3)
    assert {path: stated.type for path, stated in found.items()} == {
        b"a b": "dir", "a b/n\nl#\\é".encode(): "file", b"\xff\xfe": "file", b"link": "link", b"null": "char",
        b"pipe": "fifo",
    }  # fmt: skip
    if "sha256" in options:
        assert found["a b/n\nl#\\é".encode()].digest == Digest.of(b"hello")


def _below(folder: bytes) -> list[bytes]:
    return [os.path.join(above, name) for above, *names in os.walk(folder) for name in [*names[0], *names[1]]]


_words = st.sampled_from(
    [b"/set", b"/unset", b"..", b".", b"./a", b"a/b", b"x", b"type=dir", b"type=", b"uid=7", b"mode=07777", b"link=\\",
     b"device=a,1,2", b"xattr.user.a=YQ==", b"\\M", b"\\377", b"\\", b"\n", b"#", b"all", b"size=1", b"\xff", b"\0"]
)  # fmt: skip


@settings(max_examples=1000)
@given(st.lists(st.one_of(_words, st.binary(max_size=6)), max_size=20))
def test_any_bytes_are_a_manifest_or_one_mistake(words: list[bytes]) -> None:
    try:
        stated = parse(b" ".join(words), "m")
    except ManifestError:
        return
    assert all(path and b".." not in path.split(b"/") and not path.startswith(b"/") for path in stated)

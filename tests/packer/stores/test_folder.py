"""The folder store: every kind of entry, whoever packs it; read once; noticed when it changes."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from formats.platform import PLATFORMS
from layers.digest import Digest
from layers.entry import Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.errors import ChangedError, ConflictError, EntryError, PackError
from layers.item import Closure
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tree import Part, merge
from packer.config import parse
from packer.folder import contents
from packer.folder.items import DifferentError, SubFolderError
from packer.folder.manifest import ManifestError
from packer.folder.scan import MissingFolderError
from packer.mistakes import ConfigError
from packer.stores import NAMES, StoreContext, store_module
from packer.stores.folder import FolderStore, Options, _name, open_store
from tests.support.entries import CAPABILITY
from tests.support.processes import as_nobody, needs_root, public_folder


def store(folder: Path, cache: Path | None = None, **more: Any) -> FolderStore:
    """The store of `root` in a folder, with a cache beside it."""
    cache = cache or folder / "cache"
    cache.mkdir(exist_ok=True)
    context = StoreContext(PLATFORMS["x86_64-linux"], str(cache), str(folder), 1, False, {}, NoProgress())
    return open_store(Options(path="root", **more), context)


def closure(folder: Path, **more: Any) -> Closure:
    return store(folder, **more).closure()


def entries(folder: Path, **more: Any) -> dict[bytes, Entry]:
    (item,) = closure(folder, **more)
    return {entry.path: entry for entry in item.contents.entries()}


def content(entry: Entry) -> bytes:
    assert isinstance(entry, File)
    with Reader() as reader:
        return reader.read(entry.content)


def every_kind(root: Path) -> None:
    """A folder with what anybody can make."""
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "motd").write_bytes(b"hello\n")
    (root / "etc" / "motd").chmod(0o640)
    os.link(root / "etc" / "motd", root / "again")
    (root / "etc" / "link").symlink_to("/proc/self/root/etc")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o4755)
    os.mkfifo(root / "pipe", 0o600)
    (root / "empty").mkdir(0o700)
    root.chmod(0o755)
    (root / "etc").chmod(0o755)
    (root / "pipe").chmod(0o600)
    (root / "empty").chmod(0o700)


def test_every_kind(tmp_path: Path) -> None:
    every_kind(tmp_path / "root")
    found = entries(tmp_path)
    assert {path: type(entry) for path, entry in found.items()} == {
        b"again": File, b"empty": Directory, b"etc": Directory, b"etc/link": Symlink, b"etc/motd": Hardlink,
        b"pipe": Device, b"program": File,
    }  # fmt: skip
    assert found[b"etc/motd"] == Hardlink(b"etc/motd", b"again")
    assert content(found[b"again"]) == b"hello\n"
    assert found[b"etc/link"] == Symlink(b"etc/link", b"/proc/self/root/etc")
    assert found[b"pipe"] == Device(b"pipe", DeviceKind.FIFO, meta=Meta(0o600))
    assert found[b"program"].meta == Meta(0o4755)  # type: ignore[union-attr]
    assert found[b"empty"] == Directory(b"empty", Meta(0o700))


@needs_root
def test_a_folder_of_root_is_taken_with_owners_devices_and_attributes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    every_kind(root)
    os.mknod(root / "disk", 0o60660, os.makedev(259, 7))
    os.chown(root / "again", 33, 34)
    os.setxattr(root / "program", "security.capability", CAPABILITY)
    os.setxattr(root / "program", "user.origin", b"here")
    os.setxattr(root / "program", "trusted.overlay.x", b"of this machine")
    os.lchown(root / "etc" / "link", 5, 6)
    os.chmod(root / "disk", 0o660)
    found = entries(tmp_path)
    assert found[b"disk"] == Device(b"disk", DeviceKind.BLOCK, 259, 7, Meta(0o660))
    assert found[b"again"].meta == Meta(0o640, 33, 34)  # type: ignore[union-attr]
    assert found[b"etc/link"] == Symlink(b"etc/link", b"/proc/self/root/etc", Meta(0o777, 5, 6))
    attributes = ((b"security.capability", CAPABILITY), (b"user.origin", b"here"))
    assert found[b"program"].meta == Meta(0o4755, xattrs=attributes)  # type: ignore[union-attr]


@needs_root
@pytest.mark.parametrize("owner", [0, 1000, 65534])
def test_the_same_folder_is_the_same_item_for_everybody(owner: int) -> None:
    with public_folder(0o777) as folder:
        every_kind(folder / "root")
        (folder / "root" / "empty").chmod(0o755)
        (folder / "root" / "etc" / "motd").chmod(0o644)
        for above, names, files in os.walk(folder / "root"):
            for path in [above, *(os.path.join(above, name) for name in [*names, *files])]:
                os.chown(path, owner, owner, follow_symlinks=False)
        first, second = folder / "mine", folder / "theirs"
        second.mkdir(mode=0o777)
        second.chmod(0o777)

        def packed(cache: Path) -> str:
            return str([item.identity for item in store(folder, cache).closure()])

        mine = packed(first)
        assert as_nobody(lambda: packed(second)) == mine
        assert mine == packed(first)
        motd = entries(folder, cache=first)[b"again"]
        assert isinstance(motd, File)
        assert (motd.meta.uid, motd.meta.gid) == (0, 0)


@needs_root
def test_what_cannot_be_read_is_named() -> None:
    with public_folder(0o777) as folder:
        (folder / "root" / "secret").mkdir(parents=True)
        (folder / "root" / "secret").chmod(0o700)
        assert as_nobody(lambda: closure(folder)).startswith(
            f"PackError: cannot read {folder}/root/secret: Permission denied"
        )
        (folder / "root" / "secret").rmdir()
        (folder / "root" / "shadow").write_bytes(b"x")
        (folder / "root" / "shadow").chmod(0o600)
        (folder / "root").chmod(0o755)
        assert as_nobody(lambda: store(folder, folder / "other").closure()).startswith(
            f"PackError: cannot read {folder}/root/shadow: Permission denied"
        )


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path / "root")  # addresses have at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("talk")
        with pytest.raises(EntryError, match=r"/root/talk is a socket"):
            closure(tmp_path)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_folder_that_is_none(kind: str, tmp_path: Path) -> None:
    if kind == "file":
        (tmp_path / "root").write_bytes(b"")
    with pytest.raises(MissingFolderError, match=r"store.path: .*/root") as caught:
        closure(tmp_path)
    assert caught.value.exit_code == 2


# Identity


def _append(root: Path) -> None:
    (root / "program").write_bytes(b"#!/bin/ls\n")  # as long as before


def _new(root: Path) -> None:
    (root / "new").write_bytes(b"")


def _unlink(root: Path) -> None:
    (root / "again").unlink()
    (root / "again").write_bytes(b"hello\n")
    (root / "again").chmod(0o640)


@pytest.mark.parametrize(
    "change",
    [
        _append,
        _new,
        _unlink,
        lambda root: (root / "program").chmod(0o755),
        lambda root: (root / "program").rename(root / "programme"),
        lambda root: ((root / "etc" / "link").unlink(), (root / "etc" / "link").symlink_to("else")),
        lambda root: (root / "empty").rmdir(),
    ],
    ids=["content", "file", "hard link", "mode", "name", "target", "folder"],
)
def test_any_change_is_another_identity(change: Callable[[Path], object], tmp_path: Path) -> None:
    every_kind(tmp_path / "root")
    (before,) = closure(tmp_path)
    change(tmp_path / "root")
    (after,) = closure(tmp_path)
    assert before.identity != after.identity


def test_a_copy_elsewhere_has_the_same_identity(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    every_kind(tmp_path / "root")
    subprocess.run(["cp", "-a", tmp_path / "root", tmp_path / "elsewhere"], check=True)
    assert [item.identity for item in closure(tmp_path)] == [item.identity for item in closure(tmp_path / "elsewhere")]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files whose content is read, from now on."""
    names: list[str] = []
    before = contents._digest

    def digest(found: Any) -> Digest:
        names.append(os.path.basename(found.place))
        return before(found)

    monkeypatch.setattr(contents, "_digest", digest)
    yield names


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, opened: list[str]) -> None:
    every_kind(tmp_path / "root")
    time.sleep(2.1)  # or the files could still change without their times doing so
    (before,) = closure(tmp_path)
    assert sorted(opened) == ["motd", "program"] or sorted(opened) == ["again", "program"]
    opened.clear()
    (again,) = closure(tmp_path)
    assert (opened, again.identity) == ([], before.identity)
    status = (tmp_path / "root" / "program").stat()
    (tmp_path / "root" / "program").write_bytes(b"#!/bin/ls\n")
    os.utime(tmp_path / "root" / "program", ns=(status.st_atime_ns, status.st_mtime_ns))
    (after,) = closure(tmp_path)
    assert opened == ["program"]
    assert after.identity != before.identity


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path, opened: list[str]) -> None:
    every_kind(tmp_path / "root")
    closure(tmp_path)
    opened.clear()
    closure(tmp_path)
    assert len(opened) == 2


@pytest.mark.parametrize("data", [b"", b"nonsense", b"{}\n", b'{"format": 1, "files": 5}\nabc'])
def test_a_damaged_cache_is_nothing(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_TICK", -10_000_000_000)
    every_kind(tmp_path / "root")
    (before,) = closure(tmp_path)
    (kept,) = (tmp_path / "cache" / "folder").iterdir()
    assert kept.stat().st_size > 100
    kept.write_bytes(data)
    (again,) = closure(tmp_path)
    assert again.identity == before.identity


def test_a_file_that_changes_after_it_was_looked_at_is_not_packed(tmp_path: Path) -> None:
    every_kind(tmp_path / "root")
    found = entries(tmp_path)
    _append(tmp_path / "root")
    with pytest.raises(ChangedError, match=r"/root/program was written to while it was being packed"):
        content(found[b"program"])


# Sub-folders


def test_sub_folders_are_items_that_land_at_the_root(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "root" / name / "etc").mkdir(parents=True)
        (tmp_path / "root" / name / "etc" / name).write_text(name)
    found = closure(tmp_path, items="sub-folders")
    assert [(item.path, item.name, item.size) for item in found] == [("root/one", "one", 3), ("root/two", "two", 3)]
    tree = merge(Part(item, item.contents.entries()) for item in found).tree
    assert [entry.path for entry in tree] == [b"etc", b"etc/one", b"etc/two"]


def test_sub_folders_that_want_different_things_at_one_path(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "x").write_text(name)
    found = closure(tmp_path, items="sub-folders")
    with pytest.raises(ConflictError, match="/x is in one and in two"):
        merge(Part(item, item.contents.entries()) for item in found)


@pytest.mark.parametrize("kind", ["file", "link", "nothing", "control", "no text"])
def test_something_else_than_sub_folders(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    if kind == "file":
        (root / "x").write_bytes(b"")
    elif kind == "link":
        (root / "x").symlink_to(".")
    elif kind != "nothing":
        os.mkdir(bytes(root) + (b"/a\nb" if kind == "control" else b"/\xff"))
    with pytest.raises(SubFolderError, match=r"store\.items: "):
        closure(tmp_path, items="sub-folders")


# Manifests


def manifest(folder: Path, text: str) -> dict[str, str]:
    (folder / "root.mtree").write_text(text)
    return {"manifest": "root.mtree"}


def test_a_manifest_gives_what_only_root_can_give(tmp_path: Path) -> None:
    every_kind(tmp_path / "root")
    text = (
        "#mtree\n/set uid=33 gid=34\n"
        f"./program mode=2755 size=10 sha256={Digest.of(b'#!/bin/sh' + bytes([10])).hex} xattr.user.a=YQ==\n"
        "./etc/link type=link link=/proc/self/root/etc mode=0644\n"
        "./dev/null type=char mode=666 uid=0 gid=0 device=native,1,3\n"
        "./run/log type=dir mode=1777\n./run/lock type=link link=log\n./pipe type=fifo mode=622\n"
        "./run/fifo type=fifo\n./gone optional\n"
    )
    found = entries(tmp_path, **manifest(tmp_path, text))
    own = Meta(0, 33, 34)
    assert found[b"program"].meta == Meta(0o2755, 33, 34, ((b"user.a", b"a"),))  # type: ignore[union-attr]
    assert found[b"etc/link"] == Symlink(b"etc/link", b"/proc/self/root/etc", Meta(0o777, 33, 34))
    assert found[b"dev/null"] == Device(b"dev/null", DeviceKind.CHARACTER, 1, 3, Meta(0o666))
    assert found[b"run/log"] == Directory(b"run/log", Meta(0o1777, 33, 34))
    assert found[b"run/lock"] == Symlink(b"run/lock", b"log", Meta(0o777, 33, 34))
    assert found[b"pipe"] == Device(b"pipe", DeviceKind.FIFO, meta=Meta(0o622, own.uid, own.gid))
    assert found[b"run/fifo"] == Device(b"run/fifo", DeviceKind.FIFO, meta=Meta(0o644, 33, 34))
    assert found[b"again"].meta == Meta(0o640)  # type: ignore[union-attr]  # the manifest does not have it
    assert b"gone" not in found


def test_two_names_of_a_file_that_a_manifest_tells_apart_are_two_files(tmp_path: Path) -> None:
    every_kind(tmp_path / "root")
    found = entries(tmp_path, **manifest(tmp_path, "./again uid=7"))
    assert [content(found[path]) for path in (b"again", b"etc/motd")] == [b"hello\n"] * 2


@needs_root
def test_bsdtars_manifest_gives_everybody_what_root_has(tmp_path: Path) -> None:
    root = tmp_path / "root"
    every_kind(root)
    os.chown(root / "again", 33, 34)
    os.mknod(root / "null", 0o20666, os.makedev(1, 3))
    (expected,) = closure(tmp_path)
    command: list[str | Path] = ["bsdtar", "-C", root, "-cf", tmp_path / "root.mtree"]
    command += ["--format=mtree", "--options", "sha256", "."]
    subprocess.run(command, check=True)
    (root / "null").unlink()
    for above, names, files in os.walk(root):
        for path in [above, *(os.path.join(above, name) for name in [*names, *files])]:
            os.chown(path, 1000, 1000, follow_symlinks=False)
    (root / "program").chmod(0o4755)  # chown(2) takes the bit away
    assert closure(tmp_path).items[0].identity != expected.identity
    (item,) = closure(tmp_path, manifest="root.mtree")
    assert item.identity == expected.identity


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("./program type=dir", ManifestError, r"line 1: 'program' is of type file, and not dir"),
        ("./program size=11", ManifestError, "has 10 bytes, and not 11"),
        (f"./program sha256={'0' * 64}", DifferentError, r"/root/program: its digest is sha256:\w+, and .*line 1 says"),
        ("./etc/link link=else", ManifestError, "is a link to '/proc/self/root/etc'"),
        ("./gone uid=1", ManifestError, "there is no file 'gone'"),
        ("./gone type=file", ManifestError, "there is no file 'gone'"),
    ],
)
def test_a_manifest_that_the_folder_does_not_agree_with(
    line: str, kind: type[PackError], message: str, tmp_path: Path
) -> None:
    every_kind(tmp_path / "root")
    with pytest.raises(kind, match=message):
        closure(tmp_path, **manifest(tmp_path, line))


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [("", "store.path: is missing"), ('path = ""', "store.path: must not be empty"),
     ('path = "x"\nitems = "two"', "store.items: there is no way to take a folder 'two'")],
)  # fmt: skip
def test_bad_options(options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "folder"\n{options}\n', "os.toml")


@pytest.mark.parametrize(("path", "name"), [("a/root/", "root"), (".", "folder"), ("../..", "folder"), ("/", "folder")])
def test_names_depend_on_the_declaration_alone(path: str, name: str) -> None:
    assert _name(path) == name


def test_it_is_a_store_module() -> None:
    assert "folder" in NAMES
    assert store_module("folder").Options is Options

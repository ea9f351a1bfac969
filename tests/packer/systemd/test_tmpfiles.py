"""Lines of tmpfiles.d, compared with what the host's systemd-tmpfiles(8) makes of them below a root."""

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Meta, Symlink
from layers.reader import Reader
from layers.tree import Tree, add_parents
from packer.accounts import Ids
from packer.systemd import tmpfiles

USERS, GROUPS = {"root": 0, "ada": 1000, "bob": 1001}, {"root": 0, "ada": 1000, "adm": 4}
PASSWD = "".join(f"{name}:x:{number}:0::/:/bin/sh\n" for name, number in USERS.items())
GROUP = "".join(f"{name}:x:{number}:\n" for name, number in GROUPS.items())

ROOT: tuple[Entry, ...] = (
    File(b"etc/passwd", Data(PASSWD.encode())),
    File(b"etc/group", Data(GROUP.encode())),
    File(b"etc/there", Data(b"shipped"), Meta(0o640, 0, 4)),
    Directory(b"var/lib/there", Meta(0o711, 0, 4)),
    File(b"var/lib/there/file", Data(b"x"), Meta(0o4755)),
    File(b"var/lib/there/plain", Data(b"x"), Meta(0o600)),
    Directory(b"var/lib/there/below", Meta(0o755)),
    Symlink(b"var/lib/link", b"there"),
    Symlink(b"lib", b"usr/lib"),
    Directory(b"usr/lib"),
    Directory(b"opt/empty"),
    File(b"usr/share/factory/etc/made", Data(b"factory"), Meta(0o600)),
    File(b"usr/share/factory/etc/tree/one", Data(b"1"), Meta(0o644)),
    Symlink(b"usr/share/factory/etc/tree/two", b"one"),
)

CASES: Mapping[str, Mapping[str, str]] = {
    "folders": {"a": "d /var/a\nD /var/b 0700 ada adm\nv /var/c 2775 - adm\nq /var/d 1777\nQ /var/e - bob\n"},
    "a folder below another": {"a": "d /var/x/y/z 0700 ada\nd /var/x 0711 - adm\n"},
    "a folder that is there": {"a": "d /var/lib/there 2750 root ada\n"},
    "a folder that is there, without a mode": {"a": "d /var/lib/there\n"},
    "only for what is new": {"a": "d /var/lib/there :0700 :bob :ada\nd /var/new :0700 :bob :ada\n"},
    "a folder where a file is": {"a": "d /etc/there 0700\n"},
    "a folder below a file": {"a": "d /etc/there/x 0700\n"},
    "through a link": {"a": "d /lib/x 0700\nd /var/lib/link/y 0701\n"},
    "files": {"a": "f /etc/a 0600 ada adm - hello\nf /etc/b\nf /etc/c - - - - two words  here\n"},
    "escapes": {"a": "f /etc/a - - - - a\\tb\\n\\x41\\101\\\\\n"},
    "escapes of bytes": {"a": 'f /etc/a - - - - \\xff\\xc3\\xa9\\377\nf /etc/b - - - - \\u00e9\\U0001F600\\"\n'},
    "escapes before specifiers": {"a": "f /etc/a - - - - %%\\x25u\n"},
    "escapes of nothing": {"a": "f /etc/a - - - - \\777\nf /etc/b - - - - \\q\nf /etc/c - - - - \\7\nd /var/c\n"},
    "zeros": {"a": "f /etc/a - - - - a\\x00b\nL /etc/b - - - - a\\000\nd /var/c\n"},
    "base64": {"a": "f~ /etc/a - - - - aGVsbG8K\n"},
    "a file that is there": {"a": "f /etc/there 0600 ada adm - other\n"},
    "numbers": {"a": "f /etc/a 0600 17 18 - x\n"},
    "quotes": {"a": "d \"/var/a b\" 0700\nd '/var/c d'\n"},
    "links": {"a": "L /etc/a - - - - ../x\nL /etc/made\nL /etc/nowhere\nL /etc/there - - - - ../x\n"},
    "copies": {"a": "C /etc/made\nC /etc/tree\nC /etc/copy 0640 ada adm - /etc/there\nC /etc/none - - - - /no/such\n"},
    "a copy of what is there": {"a": "C /etc/there - - - - /etc/passwd\n"},
    "a pipe": {"a": "p /var/pipe 0620 ada adm\n"},
    "devices": {"a": "c /var/null 0666 - - - 1:3\nb /var/loop 0660 - adm - 7:0\n"},
    "by pattern": {"a": "z /var/lib/there/* 0640 ada adm\n"},
    "a pattern of folders": {"a": "z /var/*/there 0700\nz /var/lib/there/[fp]* - bob\n"},
    "all below": {"a": "Z /var/lib/there - ada adm\n"},
    "masked modes": {"a": "Z /var/lib/there ~2770 - -\n"},
    "only folders": {"a": "e /var/lib/there 0700 bob\ne /etc/there 0777\n"},
    "patterns come last": {"a": "z /var/x 0700 ada\nd /var/x 0755\n"},
    "numbers that no account has": {"a": "d /var/a - 99999999999\nd /var/b - - 4294967295\nd /var/c\n"},
    "numbers that no device has": {"a": "c /var/a - - - - 4096:0\nb /var/b - - - - 7:1048576\nd /var/c\n"},
    "no such account": {"a": "d /var/a 0700 nobodyhere\nd /var/b\n"},
    "comments": {"a": "# d /var/a\n\n  # d /var/b\nd /var/c\n"},
    "nonsense": {"a": "d\nd relative\n? /var/a\nd /var/b 0999\nd /var/c\n"},
    "the first line counts": {"a": "d /var/a 0700\n", "b": "d /var/a 0711\n"},
    "specifiers": {"a": "f /etc/d - - - - 100%%\nd %h/e\nf /etc/f - - - - %u:%g:%U:%G\n"},
}

LEFT_TO_THE_BOOT = (
    "d /run/a", "d /tmp/a", "d /var/tmp/a", "d %t/a", "z /dev/null 0666", "d! /var/a", "f^ /etc/a - - - - cred",
    "d /var/%m", "d /var/%b", "f /etc/a - - - - %H", "r /etc/there", "R /var/lib/there", "w /etc/there - - - - x",
    "x /etc/there", "h /etc/there - - - - +C", "t /etc/there - - - - user.a=b", "a+ /etc/there - - - - g:adm:r",
    "L+ /etc/there - - - - x", "f+ /etc/there - - - - x", "d /../x", "d /var/lib/link",
)  # fmt: skip


def root(lines: Mapping[str, str], folder: str = "usr/lib/tmpfiles.d") -> Tree:
    entries = {entry.path: entry for entry in ROOT}
    for name, text in lines.items():
        path = f"{folder}/{name}.conf".encode()
        entries[path] = File(path, Data(text.encode()))
    add_parents(entries)
    return Tree(entries)


def made(tree: Tree) -> dict[bytes, Entry]:
    with Reader() as reader:
        found = tmpfiles.entries(tree, reader, Ids(USERS, GROUPS))
    assert [entry.path for entry in found] == sorted({entry.path for entry in found})
    return {entry.path: entry for entry in found}


def facts(entries: Mapping[bytes, Entry]) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path, entry in entries.items():
        if isinstance(entry, Symlink):
            found[path.decode()] = ("link", entry.target.decode())
        elif isinstance(entry, Directory):
            found[path.decode()] = ("folder", entry.meta.mode, entry.meta.uid, entry.meta.gid)
        elif isinstance(entry, File):
            assert isinstance(entry.content, Data)
            found[path.decode()] = (entry.content.data, entry.meta.mode, entry.meta.uid, entry.meta.gid)
        elif isinstance(entry, Device):
            numbers = (entry.major, entry.minor)
            found[path.decode()] = (entry.kind, *numbers, entry.meta.mode, entry.meta.uid, entry.meta.gid)
    return found


def unpacked(folder: Path, tree: Tree) -> None:
    for entry in tree:
        path = folder / entry.path.decode()
        if isinstance(entry, Symlink):
            path.symlink_to(entry.target.decode())
            continue
        assert isinstance(entry, File | Directory)
        if isinstance(entry, Directory):
            path.mkdir()
        else:
            assert isinstance(entry.content, Data)
            path.write_bytes(entry.content.data)
        os.chown(path, entry.meta.uid, entry.meta.gid)
        path.chmod(entry.meta.mode)


def on_disk(folder: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        owned = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("folder", *owned)
        elif path.is_file():
            found[name] = (path.read_bytes(), *owned)
        else:
            kind = DeviceKind(stat.S_IFMT(status.st_mode))
            numbers = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind != DeviceKind.FIFO else (0, 0)
            found[name] = (kind, *numbers, *owned)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd-tmpfiles needs root to give files away")
@pytest.mark.parametrize("name", CASES)
def test_the_same_as_systemd_tmpfiles(tmp_path: Path, name: str) -> None:
    tree = root(CASES[name])
    unpacked(tmp_path, tree)
    command = ["systemd-tmpfiles", f"--root={tmp_path}", "--create"]
    subprocess.run([*command, "--exclude-prefix=/run"], check=False, capture_output=True)
    entries = tree.by_path() | made(tree)
    add_parents(entries)
    assert facts(entries) == on_disk(tmp_path)


def test_every_case_does_something() -> None:
    idle = {name for name in CASES if not made(root(CASES[name]))}
    assert idle == {
        "a folder that is there, without a mode", "a folder where a file is", "a folder below a file",
        "a copy of what is there",
    }  # fmt: skip


@pytest.mark.parametrize("line", LEFT_TO_THE_BOOT)
def test_what_is_left_to_the_boot(line: str) -> None:
    assert made(root({"a": line + "\n"})) == {}


def test_folders_of_the_system() -> None:
    # systemd-tmpfiles 252 puts the root before these twice.
    assert set(made(root({"a": "d %S/a\nd %C/b\nd %L/c\n"}))) == {b"var/lib/a", b"var/cache/b", b"var/log/c"}


def test_what_goes_before() -> None:
    tree = root({"a": "d /var/a 0700\n", "b": "d /var/b\n"})
    entries = tree.by_path()
    for path, entry in (
        (b"etc/tmpfiles.d/a.conf", File(b"etc/tmpfiles.d/a.conf", Data(b"d /var/other\n"))),
        (b"etc/tmpfiles.d/b.conf", Symlink(b"etc/tmpfiles.d/b.conf", b"/dev/null")),
    ):
        entries[path] = entry
    add_parents(entries)
    assert set(made(Tree(entries))) == {b"var/other"}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (rb"d /var/\xe9", b"var/\xe9"),
        (b"d /var/\xe9", b"var/\xe9"),
        (rb'd "/var/\303\251 \x41"', "var/é A".encode()),
        (rb"d /var/\u00e9", "var/é".encode()),
    ],
)
def test_escapes_in_paths_are_bytes(line: bytes, path: bytes) -> None:
    """systemd-tmpfiles 252 leaves the digits of an escape in a path as they are; tmpfiles.d(5) has it as here."""
    assert set(made(with_line(line))) == {path}


@pytest.mark.parametrize(
    "line", [rb'd "/var/a\x00b"', b"d /var/a\0b", rb"d /var/\777", rb"d /var/\q", rb"d /var/\uD800"]
)
def test_a_line_with_an_escape_of_no_byte_is_passed_over(line: bytes) -> None:
    assert made(with_line(line)) == {}


def with_line(line: bytes) -> Tree:
    path = b"usr/lib/tmpfiles.d/a.conf"
    return Tree(root({}).by_path() | {path: File(path, Data(line + b"\n"))})

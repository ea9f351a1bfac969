"""What `[os]` declares, as entries."""

import os
from pathlib import Path

import pytest

from layers.entry import Data, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import InputError
from layers.reader import state
from layers.tree import Tree
from packer.accounts import Ids
from packer.config import parse
from packer.operating_system import declare

_ACCOUNTS = {
    b"etc/passwd": File(b"etc/passwd", Data(b"root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n")),
    b"etc/group": File(b"etc/group", Data(b"root:x:0:\nwww-data:x:33:\nadm:x:4:\n")),
}


def _entries(tmp_path: Path, table: str, tree: dict[bytes, Entry] | None = None) -> dict[bytes, Entry]:
    text = f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\npackages = ["bash"]\n[os]\n{table}'
    lower = Tree(_ACCOUNTS if tree is None else tree)
    declared = declare(parse(text, "os.toml").os, lower, lower, folder=str(tmp_path), file="os.toml", ids=Ids())
    return {entry.path: entry for entry in declared.entries}


def _facts(entry: Entry) -> tuple[object, ...]:
    """What can be seen of an entry: kind, mode, owner, content or target."""
    if isinstance(entry, File):
        content = entry.content
        data = content.data if isinstance(content, Data) else Path(content.path).read_bytes()
        return ("file", oct(entry.meta.mode), entry.meta.uid, entry.meta.gid, data)
    assert isinstance(entry, Directory | Symlink)
    kind = "folder" if isinstance(entry, Directory) else entry.target
    return (kind, oct(entry.meta.mode), entry.meta.uid, entry.meta.gid)


def test_nothing_is_below_a_file_of_another(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a").write_text("a")
    said = r"os\.files\[1\]: /srv/a/b is below /srv/a, which is no folder, from os\.files\[0\] \(change one of them\)"
    with pytest.raises(InputError, match=said):
        _entries(tmp_path, 'files = [{ target = "/srv", source = "site" }, { target = "/srv/a/b", text = "" }]')


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ('target = "/a/b", text = "é"', ("file", "0o644", 0, 0, "é".encode())),
        ('target = "/a/b", text = "", mode = "4755"', ("file", "0o4755", 0, 0, b"")),
        ('target = "/a/b", text = "", user = "www-data", group = "adm"', ("file", "0o644", 33, 4, b"")),
        ('target = "/a/b", text = "", user = 7, group = 8', ("file", "0o644", 7, 8, b"")),
        ('target = "/a/b", symlink = "../c"', (b"../c", "0o777", 0, 0)),
        ('target = "/a/b", directory = true, mode = "1777"', ("folder", "0o1777", 0, 0)),
        ('target = "/a/b", source = "plain"', ("file", "0o644", 0, 0, b"plain")),
        ('target = "/a/b", source = "program"', ("file", "0o755", 0, 0, b"program")),
        ('target = "/a/b", source = "program", mode = "0600"', ("file", "0o600", 0, 0, b"program")),
        ('target = "/a/b", source = "link"', ("file", "0o644", 0, 0, b"plain")),
    ],
)
def test_files(tmp_path: Path, file: str, expected: tuple[object, ...]) -> None:
    for name, mode in (("plain", 0o640), ("program", 0o700)):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to("plain")
    assert _facts(_entries(tmp_path, f"files = [{{ {file} }}]")[b"a/b"]) == expected


@pytest.mark.parametrize(("target", "above"), [("/srv/www", b"srv/www"), ("/", b"")])
def test_a_folder_is_copied_with_all_that_is_in_it(tmp_path: Path, target: str, above: bytes) -> None:
    source = tmp_path / "site"
    (source / "sub").mkdir(parents=True, mode=0o700)
    (source / "sub" / "page").write_text("page")
    (source / "link").symlink_to("sub/page")
    (source / "dangling").symlink_to("/nowhere")
    table = f'files = [{{ target = "{target}", source = "site", user = "www-data", group = "www-data" }}]'
    found = {path.removeprefix(above).lstrip(b"/"): entry for path, entry in _entries(tmp_path, table).items()}
    assert {path: _facts(entry) for path, entry in found.items()} == {
        b"": ("folder", "0o755", 33, 33),
        b"dangling": (b"/nowhere", "0o777", 33, 33),
        b"link": (b"sub/page", "0o777", 33, 33),
        b"sub": ("folder", "0o755", 33, 33),
        b"sub/page": ("file", "0o644", 33, 33, b"page"),
    }


def test_contents_of_the_host_are_slices(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("plain")
    entry = _entries(tmp_path, 'files = [{ target = "/a", source = "plain" }]')[b"a"]
    assert isinstance(entry, File)
    seen = state((tmp_path / "plain").stat())  # a file that is written to after it was looked at is not packed
    assert entry.content == Slice(str(tmp_path / "plain"), 0, 5, state=seen)


def test_a_hostname_is_in_two_files(tmp_path: Path) -> None:
    found = _entries(tmp_path, 'hostname = "web"')
    assert _facts(found[b"etc/hostname"]) == ("file", "0o644", 0, 0, b"web\n")
    assert b"127.0.1.1\tweb\n" in bytes(_facts(found[b"etc/hosts"])[4])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ('source = "gone"', r"os.files\[0\].source: .*gone: No such file or directory"),
        ('source = "pipe"', r"os.files\[0\].source: .*pipe is neither a file, a folder nor a symbolic link"),
        (
            'text = "", user = "ww-data", group = "root"',
            r"os.files\[0\].user: there is no user 'ww-data'[\s\S]*'www-data'",
        ),
        ('text = "", user = "root", group = "staff"', r"os.files\[0\].group: there is no group 'staff' in the image"),
    ],
)
def test_what_cannot_be_had(tmp_path: Path, file: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=message):
        _entries(tmp_path, f'files = [{{ target = "/a", {file} }}]')


def test_without_accounts_there_is_root(tmp_path: Path) -> None:
    table = 'files = [{ target = "/a", text = "", user = "root", group = "root" }]'
    assert _facts(_entries(tmp_path, table, tree={})[b"a"])[2:4] == (0, 0)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("site/*.html", ["a.html", "b.html"]), ("site/[b]*", ["b.html"]), ("site/*", ["a.html", "b.html", "sub"])],
)
def test_what_matches_a_pattern_goes_into_the_target(tmp_path: Path, pattern: str, names: list[str]) -> None:
    (tmp_path / "site/sub").mkdir(parents=True)
    for name in ("b.html", "a.html", ".hidden", "sub/page"):
        (tmp_path / "site" / name).write_text(name)
    table = f'files = [{{ target = "/srv", source = "{pattern}", mode = "0600", user = 1, group = 2 }}]'
    found = _entries(tmp_path, table)
    assert [os.fsdecode(path) for path in found if path.count(b"/") == 1] == [f"srv/{name}" for name in names]
    assert _facts(found[b"srv"]) == ("folder", "0o755", 1, 2)
    assert _facts(found[b"srv/b.html"]) == ("file", "0o600", 1, 2, b"b.html")


def test_a_folder_that_is_there_stays_as_it_is_when_a_pattern_fills_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    tree: dict[bytes, Entry] = {b"tmp": Directory(b"tmp", Meta(0o1777))}
    for target, path in (("/tmp", b"tmp/a.txt"), ("/", b"a.txt")):
        assert list(_entries(tmp_path, f'files = [{{ target = "{target}", source = "*.txt" }}]', tree)) == [path]


def test_two_patterns_may_fill_one_folder(tmp_path: Path) -> None:
    for name in ("a/x", "b/y"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    files = '{ target = "/d", source = "a/*" }, { target = "/d", source = "b/*" }'
    assert sorted(_entries(tmp_path, f"files = [{files}]")) == [b"d", b"d/x", b"d/y"]


@pytest.mark.parametrize(
    "files",
    [
        '{ target = "/", source = "a" }, { target = "/x", text = "" }',
        '{ target = "/", source = "a" }, { target = "/", source = "b/*" }',
        '{ target = "/bin/x", text = "" }, { target = "/usr/bin/x", text = "" }',
        '{ target = "/d", directory = true }, { target = "/", source = "d" }',
    ],
)
def test_nothing_comes_from_two_declarations(tmp_path: Path, files: str) -> None:
    for name in ("a/x", "b/x", "d/d"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    tree: dict[bytes, Entry] = {b"bin": Symlink(b"bin", b"usr/bin")}
    with pytest.raises(
        InputError, match=r"os\.files\[1\]: /\S+ comes from os\.files\[0\] already \(keep one of them\)"
    ):
        _entries(tmp_path, f"files = [{files}]", tree)


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"os\.files\[0\]\.source: nothing matches 'x/\*' "):
        _entries(tmp_path, 'files = [{ target = "/a", source = "x/*" }]')


def test_declared_users_and_groups_own_files(tmp_path: Path) -> None:
    shell: dict[bytes, Entry] = {b"bin/sh": File(b"bin/sh", Data(b""), Meta(0o755))}
    table = """
    users = [{ name = "ada" }]
    groups = [{ name = "dev" }]
    files = [{ target = "/a", text = "", user = "ada", group = "dev" }]
    """
    assert _facts(_entries(tmp_path, table, shell)[b"a"])[2:4] == (1000, 1001)

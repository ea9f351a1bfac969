"""Files and folders that os.toml names: which keys do, and what is wrong with them."""

from pathlib import Path

import pytest

from packer import host_paths
from packer.config import parse
from packer.forms import HostKind, HostPath
from packer.host_paths import Named

EVERYTHING = """
name = "all"
platform = "x86_64-linux"

[[store]]
type = "image"
image = "base.tar"

[[store]]
type = "debian"
packages = ["bash"]
signed-by = "keys/archive.gpg"

[[store]]
type = "nix"
roots = ["result"]
root = "chroot"
registration = "registration"

[[store]]
type = "folder"
path = "app"
manifest = "app.mtree"

[os]
users = [{ name = "ada", authorized-keys = [{ source = "ada.pub" }] }]
files = [{ target = "/a", source = "site/*.html" }, { target = "/b", text = "b" }, { target = "/c", source = "c" }]

[wsl2]
oobe = "first-run.sh"
icon = "hello.ico"
terminal-profile = "profile.json"

[disk]
partitions = [{ mount-point = "/" }, { mount-point = "/srv", source = "data" }]
"""


def test_every_key_that_names_a_path_is_known() -> None:
    found = host_paths.named(parse(EVERYTHING, "os.toml"), "/somewhere", ())
    assert [(path.key, path.text, path.form.kind.value) for path in found] == [
        ("store[0].image", "base.tar", "file or folder"),
        ("store[1].signed-by", "keys/archive.gpg", "file"),
        ("store[2].root", "chroot", "folder"),
        ("store[2].registration", "registration", "file"),
        ("store[3].path", "app", "folder"),
        ("store[3].manifest", "app.mtree", "file"),
        ("os.users[0].authorized-keys[0].source", "ada.pub", "file"),
        ("os.files[0].source", "site/*.html", "file or folder"),
        ("os.files[2].source", "c", "file or folder"),
        ("wsl2.oobe", "first-run.sh", "file"),
        ("wsl2.icon", "hello.ico", "file"),
        ("wsl2.terminal-profile", "profile.json", "file"),
        ("disk.partitions[1].source", "data", "folder"),
    ]


def test_an_image_in_a_registry_is_no_path() -> None:
    text = EVERYTHING.replace("base.tar", "docker://debian:12")
    assert "store[0].image" not in {path.key for path in host_paths.named(parse(text, "os.toml"), "/somewhere", ())}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("debian:12", "a relative path starts at the folder of os.toml; what is in a registry begins with docker://"),
        ("/debian:12", "what is in a registry begins with docker://"),
    ],
)
def test_an_image_without_its_scheme_is_no_path_either(text: str, hint: str) -> None:
    mistake = Named(("store", "image"), text, HostPath(HostKind.EITHER, scheme="docker://"), "/somewhere").mistake()
    assert mistake
    assert mistake.hint == hint


HINT = "(a relative path starts at the folder of os.toml)"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (HostKind.FILE, "file", ""),
        (HostKind.FILE, "link", ""),
        (HostKind.FILE, "gone", f"there is no file FOLDER/gone {HINT}"),
        (HostKind.FILE, "dangling", f"there is no file FOLDER/dangling {HINT}"),
        (HostKind.FILE, "file/below", f"there is no file FOLDER/file/below {HINT}"),
        (HostKind.FILE, "folder", f"FOLDER/folder is a folder {HINT}"),
        (HostKind.FOLDER, "folder", ""),
        (HostKind.FOLDER, "../[x]/folder/.", ""),
        (HostKind.FOLDER, "file", f"FOLDER/file is no folder {HINT}"),
        (HostKind.FOLDER, "/gone", "there is no folder /gone"),
        (HostKind.EITHER, "folder", ""),
        (HostKind.EITHER, "f*", ""),
        (HostKind.EITHER, "folder/in*", ""),
        (HostKind.EITHER, "g*", f"nothing matches 'g*' {HINT}"),
        (HostKind.EITHER, "gone", f"there is no file or folder FOLDER/gone {HINT}"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, kind: HostKind, text: str, said: str) -> None:
    folder = tmp_path / "[x]"  # no pattern, whatever it looks like
    (folder / "folder").mkdir(parents=True)
    (folder / "folder/inside").touch()
    (folder / "file").touch()
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("gone")
    mistake = Named(("a", 0, "key"), text, HostPath(kind, glob=kind is HostKind.EITHER), str(folder)).mistake()
    assert str(mistake or "") == (f"a[0].key: {said}".replace("FOLDER", str(folder)) if said else "")

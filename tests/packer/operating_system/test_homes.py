"""Homes and authorized keys: what is in them, and whose they are."""

import os
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, Directory, File, Meta
from tests.support.operating_systems import SMALL, declared, mistakes, owners, written

_ADA = 'users = [{ name = "ada" }]'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys that ssh-keygen has made."""
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("ed25519", "rsa", "ecdsa"):
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{kind} of ada", "-f", str(folder / kind)]
        subprocess.run(command, check=True)
    return folder


def test_a_home_is_made_from_the_skeleton_and_is_its_users() -> None:
    found = {path: text for path, text in owners(_ADA).items() if path.startswith("home")}
    assert found == {
        "home/ada": "700 1000:1000", "home/ada/.profile": "644 1000:1000", "home/ada/bin": "750 1000:1000",
        "home/ada/link": "777 1000:1000",
    }  # fmt: skip
    assert written(_ADA)["home/ada/.profile"] == "umask 022\n"
    assert written(_ADA)["home/ada/link"] == "-> .profile"


@pytest.mark.parametrize(
    ("user", "homes"),
    [
        ('name = "a", home = "/srv/a"', {"srv/a": "700 1000:1000"}),
        ('name = "a", home = ""', {}),
        ('name = "a", home = "/"', {}),
        ('name = "a", system = true', {}),
        ('name = "a", system = true, home = "/var/lib/a"', {"var/lib/a": "755 999:999"}),
        ('name = "a", home = "/home/there"', {}),
        ('name = "root"', {}),
    ],
)
def test_homes(user: str, homes: dict[str, str]) -> None:
    there = Directory(b"home/there", Meta(0o711, 7, 7))
    files = {path: content for path, content in SMALL.items() if not path.startswith("etc/skel")}
    found = owners(f"users = [{{ {user} }}]", {**files, "home/there": there})
    assert {path: text for path, text in found.items() if not path.startswith("etc/")} == homes


def test_a_declared_skeleton_counts() -> None:
    table = _ADA + '\nfiles = [{ target = "/etc/skel/.vimrc", text = "x" }]'
    assert owners(table)["home/ada/.vimrc"] == "644 1000:1000"


def test_files_below_a_home_are_its_users() -> None:
    table = """
    users = [{ name = "ada" }]
    files = [
        { target = "/home/ada/.config/app/conf", text = "x" },
        { target = "/home/ada/.config/app/key", text = "x", user = "root", group = "adm", mode = "0640" },
        { target = "/home/ada/.private", directory = true, mode = "0700" },
        { target = "/home/ada/.private/x", text = "x" },
        { target = "/home/other/x", text = "x" },
    ]
    """
    found = owners(table)
    assert {path: found.get(path) for path in sorted(found) if path.startswith("home/") and "skel" not in path} == {
        "home/ada": "700 1000:1000",
        "home/ada/.config": "755 1000:1000",
        "home/ada/.config/app": "755 1000:1000",
        "home/ada/.config/app/conf": "644 1000:1000",
        "home/ada/.config/app/key": "640 0:4",
        "home/ada/.private": "700 1000:1000",
        "home/ada/.private/x": "644 1000:1000",
        "home/ada/.profile": "644 1000:1000",
        "home/ada/bin": "750 1000:1000",
        "home/ada/link": "777 1000:1000",
        "home/other/x": "644 0:0",
    }


def test_folders_that_are_there_stay_as_they_are() -> None:
    there = {f"home/ada/{name}": Directory(f"home/ada/{name}".encode(), Meta(0o711, 7, 7)) for name in ("a", "a/b")}
    table = _ADA + '\nfiles = [{ target = "/home/ada/a/b/c/d", text = "" }]'
    found = {path: text for path, text in owners(table, {**SMALL, **there}).items() if path.startswith("home")}
    assert found == {"home/ada/a/b/c": "755 1000:1000", "home/ada/a/b/c/d": "644 1000:1000"}


def test_keys_are_read_by_ssh_keygen(keys: Path, tmp_path: Path) -> None:
    (keys / "more.pub").write_text(f"# of work\n\n  {(keys / 'rsa.pub').read_text().strip()}  \n")
    inline = (keys / "ecdsa.pub").read_text().strip()
    table = (
        f"users = [{{ name = 'ada', authorized-keys = [{{ source = 'ed25519.pub' }}, {{ source = 'more.pub' }},"
        f" '{inline}', {{ key = '{inline}' }}] }}]"
    )
    found, metas = written(table, folder=keys), owners(table, folder=keys)
    assert metas["home/ada/.ssh"] == "700 1000:1000"
    assert metas["home/ada/.ssh/authorized_keys"] == "600 1000:1000"
    (tmp_path / "keys").write_text(found["home/ada/.ssh/authorized_keys"])
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(tmp_path / "keys")], capture_output=True, check=True)
    kinds = [line.rpartition("(")[2] for line in listed.stdout.decode().splitlines()]
    assert kinds == ["ED25519)", "RSA)", "ECDSA)"]


def test_comments_of_keys_stay_to_the_byte(keys: Path) -> None:
    line = (keys / "rsa.pub").read_bytes().strip() + b" caf\xe9\n"
    (keys / "latin.pub").write_bytes(line)
    table = "users = [{ name = 'root', authorized-keys = [{ source = 'latin.pub' }] }]"
    made = {entry.path: entry for entry in declared(table, folder=keys).entries}
    assert made[b"root/.ssh/authorized_keys"] == File(b"root/.ssh/authorized_keys", Data(line), Meta(0o600))


def test_root_gets_keys_and_nothing_else(keys: Path) -> None:
    table = "users = [{ name = 'root', authorized-keys = [{ source = 'ed25519.pub' }] }]"
    assert owners(table, folder=keys) == {"root/.ssh": "700 0:0", "root/.ssh/authorized_keys": "600 0:0"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.pub", "gone.pub: No such file or directory (a relative path starts at the folder of os.toml)"),
        ("rsa", "rsa, line 1: this is a private key, which must not leave its machine (take the file named .pub)"),
        ("empty.pub", "empty.pub has no key"),
        (".", ". is no file"),
        ("pipe", "pipe is no file"),
        ("bad.pub", "bad.pub, line 2: this is no public key of ssh (it looks like ssh-ed25519 AAAA… NAME)"),
    ],
)
def test_sources_that_have_no_key(keys: Path, source: str, message: str) -> None:
    (keys / "empty.pub").write_text("# none\n")
    (keys / "bad.pub").write_text((keys / "rsa.pub").read_text() + "hello\n")
    if not (keys / "pipe").exists():
        os.mkfifo(keys / "pipe")
    table = f"users = [{{ name = 'ada', authorized-keys = [{{ source = '{source}' }}] }}]"
    assert mistakes(table, folder=keys) == [f"os.users[0].authorized-keys[0].source: {message}"]


def test_keys_of_a_user_without_a_home(keys: Path) -> None:
    table = "users = [{ name = 'a', system = true, authorized-keys = [{ source = 'rsa.pub' }] }]"
    assert mistakes(table, folder=keys) == ["os.users[0].authorized-keys: the user 'a' has no home where keys could be"]

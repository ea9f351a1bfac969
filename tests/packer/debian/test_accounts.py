import shutil
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, File
from packer.debian.accounts import DEBIAN, LOGIN_AGING, STATIC, AccountError, Accounts, Group, User

SMALL = Accounts.from_masters("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\nadm:*:4:\n")


def files(accounts: Accounts) -> dict[str, str]:
    found = {}
    for entry in accounts.entries():
        assert isinstance(entry, File)
        assert isinstance(entry.content, Data)
        found[entry.path.decode()] = entry.content.data.decode()
    return found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:100:4:A:/home/ada:/bin/sh\n"),
        ("etc/group", "root:x:0:\nadm:x:4:ada\n"),
        ("etc/shadow", "root:*::0:99999:7:::\nada:!:::::::\n"),
        ("etc/gshadow", "root:*::\nadm:*::ada\n"),
    ],
)
def test_files(path: str, text: str) -> None:
    accounts = SMALL.with_user(User("ada", 100, 4, "A", "/home/ada", "/bin/sh")).with_member("ada", "adm")
    assert files(accounts)[path] == text
    assert files(accounts.with_member("ada", "adm"))[path] == text


def test_who_may_read_the_passwords() -> None:
    metas = {entry.path: entry.meta for entry in DEBIAN.entries() if isinstance(entry, File)}
    assert {path: (meta.mode, meta.uid, meta.gid) for path, meta in metas.items()} == {
        b"etc/passwd": (0o644, 0, 0),
        b"etc/group": (0o644, 0, 0),
        b"etc/shadow": (0o640, 0, 42),
        b"etc/gshadow": (0o640, 0, 42),
    }


def test_a_change_is_a_new_value() -> None:
    SMALL.with_user(User("ada", 1000, 1000)).with_group(Group("ada", 1000))
    assert SMALL.user("ada") is None
    assert SMALL.group("ada") is None


def test_everybody_is_locked() -> None:
    assert {user.password for user in DEBIAN.users} == {STATIC}
    assert {group.password for group in DEBIAN.groups} == {STATIC}
    assert {user.aging for user in DEBIAN.users} == {LOGIN_AGING}


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User("ada", 1000, 0, password=""), "login without a password"),
        (User("root", 1000, 0), "two users"),
        (User("a:b", 1000, 0), "no name"),
        (User("", 1000, 0), "no name"),
        (User("-a", 1000, 0), "no name"),
        (User("ada", 1000, 0, comment="a:b"), "cannot stand"),
        (User("ada", 1000, 0, home="/a\nroot::0:0:::"), "cannot stand"),
        (User("ada", 1000, 0, password="a:b"), "cannot stand"),
        (User("ada", -1, 0), "no id"),
        (User("ada", 2**32 - 1, 0), "no id"),
        (User("ada", 1000, 2**32 - 1), "no id"),
    ],
)
def test_bad_users(user: User, message: str) -> None:
    with pytest.raises(AccountError, match=message):
        SMALL.with_user(user)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group("adm", 7), "two groups"),
        (Group("a b", 7), "no name"),
        (Group("new", 7, ("a:b",)), "cannot stand"),
        (Group("new", 7, password=""), "lets everybody join"),
        (Group("new", -7), "no id"),
    ],
)
def test_bad_groups(group: Group, message: str) -> None:
    with pytest.raises(AccountError, match=message):
        SMALL.with_group(group)


@pytest.mark.parametrize(("user", "group"), [("nobody", "adm"), ("root", "nothing")])
def test_who_cannot_join(user: str, group: str) -> None:
    with pytest.raises(AccountError, match="does not exist"):
        SMALL.with_member(user, group)


@pytest.mark.parametrize(
    ("passwd", "group"), [("root:*:0:0\n", ""), ("root:*:x:0:::\n", ""), ("", "root:*\n"), ("", "root:*:-1:\n")]
)
def test_bad_masters(passwd: str, group: str) -> None:
    with pytest.raises(AccountError):
        Accounts.from_masters(passwd, group)


@pytest.mark.skipif(not shutil.which("pwck") or not shutil.which("grpck"), reason="pwck and grpck are in passwd")
def test_the_tools_find_nothing_wrong(tmp_path: Path) -> None:
    for path, text in files(DEBIAN.with_user(User("ada", 1000, 100, "A", "/root", "/bin/sh"))).items():
        (tmp_path / path.removeprefix("etc/")).write_text(text)
    subprocess.run(["grpck", "-r", str(tmp_path / "group"), str(tmp_path / "gshadow")], check=True)
    command = ["pwck", "-q", "-r", str(tmp_path / "passwd"), str(tmp_path / "shadow")]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    complaints = [line for line in checked.stdout.splitlines() if "does not exist" not in line]
    assert complaints in ([], ["pwck: no changes"])


def test_the_own_table_is_the_hosts() -> None:
    """base-passwd of the machine that runs the test is the oracle, where it is installed."""
    masters = [Path("/usr/share/base-passwd") / name for name in ("passwd.master", "group.master")]
    if not all(master.exists() for master in masters):
        pytest.skip("base-passwd is not installed")
    assert Accounts.from_masters(*(master.read_text() for master in masters)) == DEBIAN

import shutil
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, File
from layers.reader import Reader
from packer.account_files import AccountFiles
from packer.accounts import Accounts
from packer.debian import base_passwd, sysusers
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

FIRST = base_passwd.accounts("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\nusers:*:100:\nshared:*:990:\n")


def declared(files: dict[str, str]) -> tuple[Accounts, list[str]]:
    packages = [package("p", dict(files))]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        return sysusers.add_accounts(unpacked, FIRST), [skipped.reason for skipped in unpacked.skipped]


@pytest.mark.parametrize(
    ("lines", "users", "groups"),
    [
        ("g a - -", [], [("a", 999)]),
        ("g a 70 -", [], [("a", 70)]),
        ("u a - 'A B'", [("a", 999, 999, "A B", "/")], [("a", 999)]),
        ("u a 70 - /srv /bin/sh", [("a", 70, 70, "", "/srv")], [("a", 70)]),
        ("u! a - -", [("a", 999, 999, "", "/")], [("a", 999)]),
        ("u a 70:100", [("a", 70, 100, "", "/")], []),
        ("u a -:users", [("a", 999, 100, "", "/")], []),
        ("u shared -", [("shared", 990, 990, "", "/")], []),
        ("g b\nu a\ng c", [("a", 997, 997, "", "/")], [("b", 999), ("c", 998), ("a", 997)]),
        ("m a users\nu a", [("a", 999, 999, "", "/")], [("a", 999)]),
        ("m a b", [("a", 999, 999, "", "/")], [("a", 999), ("b", 998)]),
        ("u root 0 - /root /bin/zsh\ng root 0", [], []),
        ("# u a\n\n", [], []),
    ],
)
def test_lines(lines: str, users: list[tuple[str, int, int, str, str]], groups: list[tuple[str, int]]) -> None:
    accounts, skipped = declared({"usr/lib/sysusers.d/x.conf": lines})
    assert not skipped
    found = [(user.name, user.uid, user.gid, user.comment, user.home) for user in accounts.users[1:]]
    assert found == users
    assert [(group.name, group.gid) for group in accounts.groups[3:]] == groups
    assert {user.password for user in accounts.users[1:]} <= {"!*"}


def test_files_are_read_by_name_and_etc_wins() -> None:
    accounts, _ = declared(
        {
            "usr/lib/sysusers.d/b.conf": "g late",
            "usr/lib/sysusers.d/c.conf": "g hidden",
            "etc/sysusers.d/a.conf": "g early",
            "etc/sysusers.d/c.conf": "g shown",
            "usr/lib/sysusers.d/README": "g nothing",
        }
    )
    assert [(group.name, group.gid) for group in accounts.groups[3:]] == [("early", 999), ("late", 998), ("shown", 997)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("u a%b", "specifiers"),
        ("u a /bin/login", "no id"),
        ("g a x", "no id"),
        ("u a 5:nothing", "no id"),
        ("u a 4294967295", "no id"),
        pytest.param(f"u a {'9' * 5000}", "no id", id="digits"),
        ("u a ²", "no id"),
        ("u a 5:²", "no id"),
        ("u a:b", "no name"),
    ],
)
def test_what_is_left_undone_is_said(line: str, reason: str) -> None:
    accounts, skipped = declared({"usr/lib/sysusers.d/x.conf": line})
    assert accounts == FIRST
    assert [reason in said for said in skipped] == [True]


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is in systemd")
def test_systemd_makes_the_same(tmp_path: Path) -> None:
    lines = "g zeta - -\nu alpha - 'A B' /var/lib/alpha\nu beta 70 - - /bin/sh\nu gamma -:users\nm alpha zeta\n"
    accounts, _ = declared({"usr/lib/sysusers.d/x.conf": lines})
    (tmp_path / "etc").mkdir()
    for entry in AccountFiles().entries(FIRST):
        assert isinstance(entry, File)
        assert isinstance(entry.content, Data)
        (tmp_path / entry.path.decode()).write_bytes(entry.content.data)
    (tmp_path / "x.conf").write_text(lines)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", tmp_path / "x.conf"], check=True, capture_output=True)
    theirs = (tmp_path / "etc/passwd").read_text().splitlines()
    ours = [f"{u.name}:x:{u.uid}:{u.gid}:{u.comment}:{u.home}:{u.shell}" for u in accounts.users]
    assert sorted(ours) == sorted(theirs)
    groups = [f"{g.name}:x:{g.gid}:{','.join(g.members)}" for g in accounts.groups]
    assert sorted(groups) == sorted((tmp_path / "etc/group").read_text().splitlines())

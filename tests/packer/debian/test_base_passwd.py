"""base-passwd's masters, and the table for roots without that package."""

from pathlib import Path

import pytest

from packer.accounts import LOGIN_AGING, STATIC, AccountError
from packer.debian import base_passwd
from packer.debian.base_passwd import DEBIAN


def test_everybody_is_locked() -> None:
    assert {user.password for user in DEBIAN.users} == {STATIC}
    assert {group.password for group in DEBIAN.groups} == {STATIC}
    assert {user.aging for user in DEBIAN.users} == {LOGIN_AGING}


@pytest.mark.parametrize(
    ("passwd", "group"),
    [
        ("root:*:0:0\n", ""),
        ("root:*:x:0:::\n", ""),
        ("", "root:*\n"),
        ("", "root:*:-1:\n"),
        ("", "root:*:4294967295:\n"),
        pytest.param("", f"root:*:{'9' * 5000}:\n", id="digits"),
    ],
)
def test_bad_masters(passwd: str, group: str) -> None:
    with pytest.raises(AccountError):
        base_passwd.accounts(passwd, group)


def test_the_own_table_is_the_hosts() -> None:
    """base-passwd of the machine that runs the test is the oracle, where it is installed."""
    masters = [Path("/usr/share/base-passwd") / name for name in ("passwd.master", "group.master")]
    if not all(master.exists() for master in masters):
        pytest.skip("base-passwd is not installed")
    assert base_passwd.accounts(*(master.read_text() for master in masters)) == DEBIAN

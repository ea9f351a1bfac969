"""Who can log in, as passwd(5), shadow(5) and crypt(5) have it; openssl and useradd's forms are the samples."""

import pytest

from packer.inspection.accounts import Password, users
from tests.oracle.runtimes import output

_LINE = "ada:{}:1000:100:Ada,,,:/home/ada:{}\n"


def _hash(option: str) -> str:
    return output("openssl", "passwd", option, "secret").strip()


@pytest.mark.parametrize(
    ("passwd", "shadow", "password"),
    [
        ("x", "", Password.EMPTY),
        ("x", "*", Password.LOCKED),
        ("x", "!", Password.LOCKED),
        ("x", "!!", Password.LOCKED),
        ("x", "!$6$salt$hash", Password.LOCKED),
        ("x", "x", Password.LOCKED),
        ("x", None, Password.LOCKED),
        ("*", "$6$salt$hash", Password.LOCKED),
        ("", None, Password.EMPTY),
        ("x", "-1", Password.SET),
        ("x", "-5", Password.SET),
        ("x", "-6", Password.SET),
        ("-6", None, Password.SET),
        ("x", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", Password.SET),
        ("x", "ab1ONTnzBRKu.", Password.SET),
    ],
)
def test_passwords(passwd: str, shadow: str | None, password: Password) -> None:
    passwd, secret = (_hash(text) if text.startswith("-") else text for text in (passwd, shadow or ""))
    lines = b"" if shadow is None else f"ada:{secret}:20000:0:99999:7:::\n".encode()
    [user] = users(_LINE.format(passwd, "/bin/sh").encode(), lines)
    assert user.password is password
    assert (user.name, user.uid, user.gid, user.home) == ("ada", 1000, 100, "/home/ada")


@pytest.mark.parametrize(
    ("secret", "shell", "can"),
    [
        ("", "/bin/sh", True),
        ("", "", True),
        ("", "/usr/sbin/nologin", False),
        ("", "/bin/false", False),
        ("*", "/bin/sh", False),
        ("$6$a$b", "/bin/sh", True),
    ],
)
def test_a_login_needs_a_password_and_a_shell(secret: str, shell: str, can: bool) -> None:
    [user] = users(_LINE.format(secret, shell).encode(), b"")
    assert user.can_log_in is can


@pytest.mark.parametrize(
    "line",
    ["", "#ada:x:1:1:::", "+", "+@group::::::", "ada", "ada:x:1:1::", "ada:x:-1:1:::", "ada:x:1:1::::", "ada:x:٣:1:::"],
)
def test_lines_that_are_no_user_are_passed_over(line: str) -> None:
    assert users(f"{line}\nroot:*:0:0:::\n".encode(), f"{line}\n".encode())[-1].name == "root"
    assert len(users(f"{line}\nroot:*:0:0:::\n".encode(), b"\xff:\n")) == 1

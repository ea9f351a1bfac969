"""The users of an image, and whether somebody can log in as one: passwd(5), shadow(5)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

PASSWD, SHADOW = b"etc/passwd", b"etc/shadow"

_FIELDS = 7  # of passwd(5)
_IN_SHADOW = "x"
_MOST_USERS = 100_000
#: crypt(5): `$id$…`, `_` and DES's 13 characters; what is none of these is what nobody's password gives.
_HASH = re.compile(r"\$[^$:*!]+\$[^:*!]*|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13}")


class Password(Enum):
    """What a password is for a login."""

    SET = "set"
    LOCKED = "locked"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class User:
    """A user.

    Attributes:
        name: of the user.
        uid: number.
        gid: number of the primary group.
        home: folder.
        shell: program; empty means /bin/sh.
        password: whether there is one.
    """

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    password: Password

    @property
    def can_log_in(self) -> bool:
        """Whether a password, or none, gives a shell; keys and other means are another matter."""
        refusing = self.shell.rpartition("/")[2] in ("nologin", "false", "sync", "shutdown", "halt")
        return self.password is not Password.LOCKED and not refusing


def users(passwd: bytes, shadow: bytes) -> tuple[User, ...]:
    """The users, in the order of the file; lines that are no user are passed over, as all programs do."""
    hidden = {fields[0]: fields[1] for fields in _lines(shadow) if len(fields) > 1}
    found: list[User] = []
    for fields in _lines(passwd):
        if len(fields) != _FIELDS or not (_is_id(fields[2]) and _is_id(fields[3])) or len(found) == _MOST_USERS:
            continue
        name, secret, uid, gid, _, home, shell = fields
        if secret == _IN_SHADOW:
            secret = hidden.get(name, "*")
        found.append(User(name, int(uid), int(gid), home, shell, _password(secret)))
    return tuple(found)


def _lines(data: bytes) -> Iterator[list[str]]:
    for line in data.decode(errors="surrogateescape").split("\n"):
        if line and not line.startswith(("#", "+", "-")):
            yield line.split(":")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10


def _password(secret: str) -> Password:
    if not secret:
        return Password.EMPTY
    return Password.SET if _HASH.fullmatch(secret) else Password.LOCKED

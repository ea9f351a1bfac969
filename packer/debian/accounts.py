"""Accounts: the users and groups of a root, and the files that hold them (passwd(5), group(5), shadow(5), gshadow(5)).

They come from base-passwd's masters (or, without that package, from the same ids written down here), then from the
calls of adduser and its kind in the packages' scripts, then from sysusers.d. Nobody can log in: every password field
is a mark that no password hashes to, and an empty field, which is a login without a password, is refused.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from layers.entry import Data, Entry, File, Meta
from layers.errors import PackError

#: Group of the files with passwords: `shadow` (debian-policy, 9.2.2).
SHADOW_GROUP = 42

#: What Debian's tools write where a password's hash would stand.
STATIC, ADDUSER, SYSUSERS = "*", "!", "!*"

#: Days: minimum, maximum and warning age of a password, as login.defs has them.
LOGIN_AGING = "0:99999:7"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?")
_LARGEST_ID = 2**32 - 2  # 2**32 - 1 means "no id": chown(2)


class AccountError(PackError):
    """A user or a group that cannot be."""


@dataclass(frozen=True, slots=True)
class User:
    """A line of passwd and of shadow.

    Attributes:
        name: login name.
        uid: number.
        gid: number of the first group.
        comment: full name.
        home: folder.
        shell: program.
        password: hash, or a mark that locks the account.
        aging: minimum, maximum and warning age of the password in days, joined by colons.
    """

    name: str
    uid: int
    gid: int
    comment: str = ""
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    password: str = ADDUSER
    aging: str = "::"


@dataclass(frozen=True, slots=True)
class Group:
    """A line of group and of gshadow.

    Attributes:
        name: of the group.
        gid: number.
        members: names of users, in the order in which they joined.
        password: hash, or a mark that locks it.
    """

    name: str
    gid: int
    members: tuple[str, ...] = ()
    password: str = ADDUSER


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users and groups, in the order of the files; a change is a new value."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()

    @classmethod
    def from_masters(cls, passwd: str, group: str) -> "Accounts":
        """Read base-passwd's passwd.master and group.master.

        Raises:
            AccountError: a line is malformed.
        """
        accounts = cls()
        for name, _, gid, members in _records(group, 4, "group.master"):
            names = tuple(filter(None, members.split(",")))
            accounts = accounts.with_group(Group(name, _number(gid, name), names, STATIC))
        for name, _, uid, gid, comment, home, shell in _records(passwd, 7, "passwd.master"):
            user = User(name, _number(uid, name), _number(gid, name), comment, home, shell, STATIC, LOGIN_AGING)
            accounts = accounts.with_user(user)
        return accounts

    def user(self, name: str) -> User | None:
        """The user of a name."""
        return next((user for user in self.users if user.name == name), None)

    def group(self, name: str) -> Group | None:
        """The group of a name."""
        return next((group for group in self.groups if group.name == name), None)

    def uids(self) -> frozenset[int]:
        """All users' numbers."""
        return frozenset(user.uid for user in self.users)

    def gids(self) -> frozenset[int]:
        """All groups' numbers."""
        return frozenset(group.gid for group in self.groups)

    def with_user(self, user: User) -> "Accounts":
        """These accounts and one more user.

        Raises:
            AccountError: there is one of that name, a field is malformed, or the password field is empty.
        """
        if self.user(user.name):
            raise AccountError(f"there are two users with the name {user.name}")
        _check(user.name, user.uid, user.comment, user.home, user.shell, user.password)
        _check(user.name, user.gid)
        if not user.password:
            raise AccountError(
                f"user {user.name}: an empty password field is a login without a password",
                hint=f"Use {ADDUSER!r} for an account without a password.",
            )
        return replace(self, users=(*self.users, user))

    def with_group(self, group: Group) -> "Accounts":
        """These accounts and one more group.

        Raises:
            AccountError: there is one of that name, or a field is malformed.
        """
        if self.group(group.name):
            raise AccountError(f"there are two groups with the name {group.name}")
        _check(group.name, group.gid, group.password, *group.members)
        if not group.password:
            raise AccountError(f"group {group.name}: an empty password field lets everybody join it")
        return replace(self, groups=(*self.groups, group))

    def with_member(self, user: str, group: str) -> "Accounts":
        """These accounts, with a user in a group.

        Raises:
            AccountError: there is no such user or group.
        """
        if not self.user(user) or not self.group(group):
            raise AccountError(f"user {user} cannot join group {group}: one of them does not exist")
        return replace(
            self,
            groups=tuple(
                replace(found, members=(*found.members, user))
                if found.name == group and user not in found.members
                else found
                for found in self.groups
            ),
        )

    def entries(self) -> Iterator[Entry]:
        """The four files. The day of the last change of a password is left empty: aging is off, whatever the clock."""
        yield _file(b"etc/passwd", map(_passwd, self.users))
        yield _file(b"etc/group", (f"{group.name}:x:{group.gid}:{','.join(group.members)}" for group in self.groups))
        secret = Meta(0o640, 0, SHADOW_GROUP)
        yield _file(b"etc/shadow", (f"{user.name}:{user.password}::{user.aging}:::" for user in self.users), secret)
        lines = (f"{group.name}:{group.password}::{','.join(group.members)}" for group in self.groups)
        yield _file(b"etc/gshadow", lines, secret)


def _passwd(user: User) -> str:
    return f"{user.name}:x:{user.uid}:{user.gid}:{user.comment}:{user.home}:{user.shell}"


def _file(path: bytes, lines: Iterable[str], meta: Meta = Meta(0o644)) -> File:  # noqa: B008  # frozen
    return File(path, Data("".join(line + "\n" for line in lines).encode(errors="surrogateescape")), meta)


def _records(text: str, count: int, origin: str) -> Iterator[list[str]]:
    for line in filter(None, text.split("\n")):
        fields = line.split(":")
        if len(fields) != count:
            raise AccountError(f"base-passwd's {origin}: {line!r} has not {count} fields")
        yield fields


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise AccountError(f"account {name}: {text!r} is no id")
    return int(text)


def _check(name: str, number: int, *fields: str) -> None:
    if not _NAME.fullmatch(name):
        raise AccountError(f"{name!r} is no name of a user or a group")
    if not 0 <= number <= _LARGEST_ID:
        raise AccountError(f"account {name}: {number} is no id")
    for field in fields:
        if any(character in ":\n\0" for character in field):
            raise AccountError(f"account {name}: {field!r} cannot stand in a line of passwd or group")


#: Debian's statically allocated ids, 0 to 99 and nobody: debian-policy, 9.2.2; for roots without base-passwd.
DEBIAN = Accounts.from_masters(
    """\
root:*:0:0:root:/root:/bin/bash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:*:2:2:bin:/bin:/usr/sbin/nologin
sys:*:3:3:sys:/dev:/usr/sbin/nologin
sync:*:4:65534:sync:/bin:/bin/sync
games:*:5:60:games:/usr/games:/usr/sbin/nologin
man:*:6:12:man:/var/cache/man:/usr/sbin/nologin
lp:*:7:7:lp:/var/spool/lpd:/usr/sbin/nologin
mail:*:8:8:mail:/var/mail:/usr/sbin/nologin
news:*:9:9:news:/var/spool/news:/usr/sbin/nologin
uucp:*:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin
proxy:*:13:13:proxy:/bin:/usr/sbin/nologin
www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin
backup:*:34:34:backup:/var/backups:/usr/sbin/nologin
list:*:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin
irc:*:39:39:ircd:/run/ircd:/usr/sbin/nologin
_apt:*:42:65534::/nonexistent:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
""",
    "".join(
        f"{name}:*:{gid}:\n"
        for name, gid in (
            ("root", 0), ("daemon", 1), ("bin", 2), ("sys", 3), ("adm", 4), ("tty", 5), ("disk", 6), ("lp", 7),
            ("mail", 8), ("news", 9), ("uucp", 10), ("man", 12), ("proxy", 13), ("kmem", 15), ("dialout", 20),
            ("fax", 21), ("voice", 22), ("cdrom", 24), ("floppy", 25), ("tape", 26), ("sudo", 27), ("audio", 29),
            ("dip", 30), ("www-data", 33), ("backup", 34), ("operator", 37), ("list", 38), ("irc", 39), ("src", 40),
            ("shadow", 42), ("utmp", 43), ("video", 44), ("sasl", 45), ("plugdev", 46), ("staff", 50),
            ("games", 60), ("users", 100), ("nogroup", 65534),
        )
    ),
)  # fmt: skip

"""base-passwd: Debian's statically allocated accounts, as its passwd.master and group.master have them."""

from collections.abc import Iterator

from layers.number import LAST_ID, whole_number
from packer.accounts import LOGIN_AGING, STATIC, AccountError, Accounts, Group, User


def accounts(passwd: str, group: str) -> Accounts:
    """Read passwd.master and group.master.

    Raises:
        AccountError: a line is malformed.
    """
    found = Accounts()
    for name, _, gid, members in _records(group, 4, "group.master"):
        names = tuple(filter(None, members.split(",")))
        found = found.with_group(Group(name, _number(gid, name), names, STATIC))
    for name, _, uid, gid, comment, home, shell in _records(passwd, 7, "passwd.master"):
        user = User(name, _number(uid, name), _number(gid, name), comment, home, shell, STATIC, LOGIN_AGING)
        found = found.with_user(user)
    return found


def _records(text: str, count: int, origin: str) -> Iterator[list[str]]:
    for line in filter(None, text.split("\n")):
        fields = line.split(":")
        if len(fields) != count:
            raise AccountError(f"base-passwd's {origin}: {line!r} has not {count} fields")
        yield fields


def _number(text: str, name: str) -> int:
    number = whole_number(text, LAST_ID)
    if number is None:
        raise AccountError(f"account {name}: {text!r} is no id")
    return number


#: Debian's statically allocated ids, 0 to 99 and nobody: debian-policy, 9.2.2; for roots without base-passwd.
DEBIAN = accounts(
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

"""The files that hold accounts: passwd(5), group(5), shadow(5), gshadow(5), subuid(5) and subgid(5).

What is in an image already is read, whoever made it, and written back with nothing else changed: lines and fields that
nobody here knows stay as they are and where they are. Accounts that the image has not had are added at the end.

    passwd   NAME:x:UID:GID:COMMENT:HOME:SHELL              shadow   NAME:PASSWORD:CHANGED:MIN:MAX:WARN:INACTIVE:EXPIRE:
    group    NAME:x:GID:MEMBERS                             gshadow  NAME:PASSWORD:ADMINISTRATORS:MEMBERS
    subuid, subgid   NAME:FIRST:COUNT
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from layers.entry import Data, Entry, File, Meta
from layers.number import LAST_ID, whole_number
from layers.reader import Reader
from layers.tree import Tree
from packer.accounts import ADDUSER, PEOPLE, Accounts, Group, User

PASSWD, GROUP, SHADOW, GSHADOW = b"etc/passwd", b"etc/group", b"etc/shadow", b"etc/gshadow"
SUBUID, SUBGID = b"etc/subuid", b"etc/subgid"

#: All of them.
PATHS = (PASSWD, GROUP, SHADOW, GSHADOW, SUBUID, SUBGID)

#: Group of the files with passwords: `shadow` (debian-policy, 9.2.2).
SHADOW_GROUP = 42

_SHADOWED = "x"  # in passwd: the password is in shadow
_SECRET = Meta(0o640, 0, SHADOW_GROUP)
_METAS = {PASSWD: Meta(0o644), GROUP: Meta(0o644), SHADOW: _SECRET, GSHADOW: _SECRET}

#: login.defs(5): SUB_UID_MIN and SUB_UID_COUNT.
_FIRST_SUBORDINATE, _SUBORDINATES = 100000, 65536
_IDS_END = 1 << 32

#: Fields of a line; None keeps what the image has.
Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class AccountFiles:
    """The files of an image as they are.

    Attributes:
        texts: those that are there, by path.
        metas: their owners and modes.
        accounts: what they say.
    """

    texts: Mapping[bytes, str] = field(default_factory=dict)
    metas: Mapping[bytes, Meta] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)

    @classmethod
    def read(cls, tree: Tree, reader: Reader) -> "AccountFiles":
        """The files of a tree.

        Raises:
            PackError: one of them cannot be read.
        """
        found = {path: entry for path in PATHS if isinstance(entry := tree.follow(path), File)}
        texts = {path: reader.read(file.content).decode(errors="surrogateescape") for path, file in found.items()}
        accounts = Accounts(tuple(_users(texts)), tuple(_groups(texts)))
        return cls(texts, {path: file.meta for path, file in found.items()}, accounts)

    def entries(self, accounts: Accounts) -> Iterator[Entry]:
        """The files that have to say something else, so that there are these accounts: all that there were and more.

        The password of an account that changes moves into shadow. An image gets gshadow only with its first groups.
        The day of the last change of a password is left empty: aging is off, whatever the clock.
        """
        before = {user.name: user for user in self.accounts.users}
        users = [user for user in accounts.users if before.get(user.name) != user]
        groups = [group for group in accounts.groups if self.accounts.group(group.name) != group]
        yield from self._file(PASSWD, map(_passwd, users), _SHADOWED)
        yield from self._file(GROUP, map(_group, groups), _SHADOWED)
        yield from self._file(SHADOW, map(_shadow, users if SHADOW in self.texts else accounts.users))
        if GSHADOW in self.texts or GROUP not in self.texts:
            yield from self._file(GSHADOW, map(_gshadow, groups))

    def subordinate_entries(self, users: Iterable[User]) -> Iterator[Entry]:
        """Ranges in subuid and subgid for users who have none, in images that have these files.

        A range goes by the user's number, as with SUB_UID_DETERMINISTIC of login.defs(5): it stays where it is when
        other users come and go.
        """
        wanted = [user for user in users if user.uid in PEOPLE]
        for path in (SUBUID, SUBGID):
            if path in self.texts and (ranges := self._ranges(path, wanted)):
                yield self._made(path, [*self._lines(path), *ranges])

    def _ranges(self, path: bytes, users: Iterable[User]) -> list[str]:
        records = list(_records(self.texts[path], 3))
        names = {name for name, _, _ in records}
        taken = [other for _, first, count in records if (other := _range(first, count)) is not None]
        found = []
        for user in users:
            start = _FIRST_SUBORDINATE + (user.uid - PEOPLE.start) * _SUBORDINATES
            overlaps = any(start < other.stop and other.start < start + _SUBORDINATES for other in taken)
            if user.name not in names and not overlaps and start + _SUBORDINATES <= _IDS_END:
                found.append(f"{user.name}:{start}:{_SUBORDINATES}")
        return found

    def _file(self, path: bytes, rows: Iterable[Row], default: str = "") -> Iterator[Entry]:
        changed = {str(row[0]): row for row in rows}
        lines = []
        for old in self._lines(path):
            row = changed.pop(old.partition(":")[0], None)
            lines.append(_line(row, old.split(":"), default) if row else old)
        lines += [_line(row, [], default) for row in changed.values()]
        if path not in self.texts or lines != self._lines(path):
            yield self._made(path, lines)

    def _made(self, path: bytes, lines: Iterable[str]) -> File:
        data = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
        return File(path, Data(data), self.metas.get(path) or _METAS[path])

    def _lines(self, path: bytes) -> list[str]:
        text = self.texts.get(path, "").removesuffix("\n")
        return text.split("\n") if text else []


def _line(row: Row, old: list[str], default: str) -> str:
    fields = [*old, *[default] * (len(row) - len(old))]
    known = [before if new is None else new for new, before in zip(row, fields, strict=False)]
    return ":".join([*known, *fields[len(row) :]])


def _passwd(user: User) -> Row:
    return user.name, _SHADOWED, str(user.uid), str(user.gid), user.comment, user.home, user.shell


def _group(group: Group) -> Row:
    return group.name, None, str(group.gid), ",".join(group.members)


def _shadow(user: User) -> Row:
    return user.name, user.password, None, *user.aging.split(":"), None, None, None


def _gshadow(group: Group) -> Row:
    return group.name, group.password, None, ",".join(group.members)


def _users(texts: Mapping[bytes, str]) -> Iterator[User]:
    """The users of passwd; of two with one name the first counts, and lines that are no accounts do not."""
    secrets = {fields[0]: fields for fields in reversed(list(_records(texts.get(SHADOW, ""), 9)))}
    seen: set[str] = set()
    for name, mark, uid, gid, comment, home, shell in _records(texts.get(PASSWD, ""), 7):
        number, group = whole_number(uid, LAST_ID), whole_number(gid, LAST_ID)
        if name in seen or number is None or group is None:
            continue
        seen.add(name)
        secret = secrets.get(name, [name, ADDUSER, "", "", "", ""])
        password = secret[1] if mark == _SHADOWED else mark
        yield User(name, number, group, comment, home, shell, password, ":".join(secret[3:6]))


def _groups(texts: Mapping[bytes, str]) -> Iterator[Group]:
    """The groups of group, as `_users`."""
    secrets = {fields[0]: fields for fields in reversed(list(_records(texts.get(GSHADOW, ""), 4)))}
    seen: set[str] = set()
    for name, _, gid, members in _records(texts.get(GROUP, ""), 4):
        number = whole_number(gid, LAST_ID)
        if name in seen or number is None:
            continue
        seen.add(name)
        password = secrets[name][1] if name in secrets else ADDUSER
        yield Group(name, number, tuple(filter(None, members.split(","))), password)


def _records(text: str, count: int) -> Iterator[list[str]]:
    """The lines that have this many fields."""
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) == count and fields[0]:
            yield fields


def _range(first: str, count: str) -> range | None:
    start, size = whole_number(first, _IDS_END), whole_number(count, _IDS_END)
    return None if start is None or size is None else range(start, start + size)

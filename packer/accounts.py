"""Accounts: the users and groups of a root, and how they get their numbers.

A number is pinned by whoever declares the account, or kept from before by os.lock, or the first that is free. The files
that hold accounts are in `packer.account_files`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from layers.errors import PackError

#: What Debian's tools write where a password's hash would stand: no password hashes to it.
STATIC, ADDUSER, SYSUSERS = "*", "!", "!*"

#: Days: minimum, maximum and warning age of a password, as login.defs has them.
LOGIN_AGING = "0:99999:7"

#: What a name looks like; some packages' are odd.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?"

#: Where numbers are given out: to services, and to people (debian-policy, 9.2.2; login.defs(5)).
SYSTEM = range(100, 1000)
PEOPLE = range(1000, 60000)

#: The home of who has none.
NOWHERE = "/nonexistent"

_LARGEST_ID = 2**32 - 2  # 2**32 - 1 means "no id": chown(2)


class AccountError(PackError):
    """A user or a group that cannot be."""


class FrozenIdError(PackError):
    """A number that os.lock keeps for an account, and that another one has by now."""


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
    home: str = NOWHERE
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
class Ids:
    """Numbers by name. Nobody else gets them, not even when the account is gone: its files may still be somewhere.

    Attributes:
        users: of users.
        groups: of groups.
    """

    users: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)

    def or_before(self, before: "Ids") -> "Ids":
        """These numbers, and those that accounts had before; a number that is another account's by now is dropped."""
        return Ids(_or_before(self.users, before.users), _or_before(self.groups, before.groups))


def _or_before(now: Mapping[str, int], before: Mapping[str, int]) -> Mapping[str, int]:
    taken = frozenset(now.values())
    return {name: number for name, number in before.items() if number not in taken} | dict(now)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Users and groups, in the order of the files; a change is a new value.

    Attributes:
        users: all users.
        groups: all groups.
        frozen: numbers that accounts had before.
    """

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    frozen: Ids = field(default_factory=Ids)

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

    def new_uid(self, name: str, candidates: Iterable[int], *, paired: bool = False) -> int:
        """The number of a new user: the one that it had before, else the first that is free.

        Args:
            name: of the user.
            candidates: where to look for it, in this order.
            paired: whether no group may have it either, because the user's own group will.

        Raises:
            AccountError: none is free.
            FrozenIdError: another user has the one that it had before.
        """
        kept = self.frozen.users.get(name)
        if kept is not None:
            return _still_free(kept, name, {user.uid: user.name for user in self.users})
        return _first_free(candidates, self._uids_taken(name) | (self._gids_taken(name) if paired else frozenset()))

    def new_gid(self, name: str, candidates: Iterable[int], *, paired: bool = False) -> int:
        """The number of a new group; as `new_uid`."""
        kept = self.frozen.groups.get(name)
        if kept is not None:
            return _still_free(kept, name, {group.gid: group.name for group in self.groups})
        return _first_free(candidates, self._gids_taken(name) | (self._uids_taken(name) if paired else frozenset()))

    def with_user(self, user: User) -> "Accounts":
        """These accounts and one more user.

        Raises:
            AccountError: there is one of that name, a field is malformed, or the password field is empty.
        """
        if self.user(user.name):
            raise AccountError(f"there are two users with the name {user.name}")
        return replace(self, users=(*self.users, _checked_user(user)))

    def with_changed(self, user: User) -> "Accounts":
        """These accounts, with other values for the user of that name.

        Raises:
            AccountError: there is none of that name, a field is malformed, or the password field is empty.
        """
        if not self.user(user.name):
            raise AccountError(f"there is no user {user.name}")
        changed = _checked_user(user)
        return replace(self, users=tuple(changed if known.name == user.name else known for known in self.users))

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

    def _uids_taken(self, name: str) -> frozenset[int]:
        return self.uids() | {number for other, number in self.frozen.users.items() if other != name}

    def _gids_taken(self, name: str) -> frozenset[int]:
        return self.gids() | {number for other, number in self.frozen.groups.items() if other != name}


def _first_free(candidates: Iterable[int], taken: frozenset[int]) -> int:
    for number in candidates:
        if number not in taken:
            return number
    raise AccountError("no id is free")


def _still_free(number: int, name: str, owners: Mapping[int, str]) -> int:
    if number in owners:
        raise FrozenIdError(
            f"os.lock keeps the number {number} for {name}, and {owners[number]} has it now",
            hint=f"Give one of them another number: in os.lock for {name}, or in os.toml.",
        )
    return number


def _checked_user(user: User) -> User:
    _check(user.name, user.uid, user.comment, user.home, user.shell, user.password)
    _check(user.name, user.gid)
    if not user.password:
        raise AccountError(
            f"user {user.name}: an empty password field is a login without a password",
            hint=f"Use {ADDUSER!r} for an account without a password.",
        )
    return user


def _check(name: str, number: int, *fields: str) -> None:
    if not re.fullmatch(NAME, name):
        raise AccountError(f"{name!r} is no name of a user or a group")
    if not 0 <= number <= _LARGEST_ID:
        raise AccountError(f"account {name}: {number} is no id")
    for text in fields:
        if any(character in ":\n\0" for character in text):
            raise AccountError(f"account {name}: {text!r} cannot stand in a line of passwd or group")

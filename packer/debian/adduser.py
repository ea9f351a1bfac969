"""Accounts that packages make in their scripts: calls of adduser(8), addgroup(8), useradd(8), groupadd(8), usermod(8).

Ids are given out in the order of package names, as the tools do it on an empty machine: adduser(8) and addgroup(8)
count system ids from 100 upwards, useradd(8) and groupadd(8) from 999 downwards; ids of people start at 1000. An
account that is there already stays as it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from layers.entry import Directory, Meta
from layers.number import LAST_ID, whole_number
from packer.accounts import NOWHERE, PEOPLE, SYSTEM, AccountError, Accounts, Group, User
from packer.debian.scripts import Command, commands
from packer.debian.unpacked import Unpacked

NOGROUP = 65534

_BY_USERMOD = "systemcall($usermod, '-c'"  # how adduser(8) of Debian 13 sets a comment
_DEFAULTS = "/usr/share/perl5/Debian/AdduserCommon.pm"  # those that adduser(8) is built with

_PROGRAMS = ("addgroup", "adduser", "groupadd", "useradd", "usermod")

_SHORT = {
    "-b": "base-dir", "-c": "comment", "-d": "home", "-e": "expiredate", "-f": "inactive", "-G": "groups", "-g": "gid",
    "-K": "key", "-k": "skel", "-p": "password", "-s": "shell", "-u": "uid",
}  # fmt: skip
_WITH_VALUE = frozenset(_SHORT.values()) | {
    "conf", "firstgid", "firstuid", "gecos", "home-dir", "ingroup", "lastgid", "lastuid",
}  # fmt: skip
_SYNONYMS = {
    "gecos": "comment",
    "home-dir": "home",
    "r": "system",
    "a": "append",
    "m": "create-home",
    "M": "no-create-home",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What the calls made.

    Attributes:
        accounts: with those that were there before.
        homes: folders of the new users.
    """

    accounts: Accounts
    homes: tuple[Directory, ...] = ()


@dataclass(frozen=True, slots=True)
class _Call:
    program: str
    options: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @property
    def ids(self) -> range:
        """Where numbers are looked for, in which order."""
        if "system" not in self.options:
            return PEOPLE
        return SYSTEM if self.program in ("adduser", "addgroup") else SYSTEM[::-1]

    @property
    def is_joining(self) -> bool:
        """Whether a user that is there joins groups that are there."""
        return self.program == "usermod" or (self.program in ("adduser", "addgroup") and len(self.names) == 2)

    def number(self, option: str) -> int | None:
        return _number(self.options.get(option, ""))


def add_accounts(unpacked: Unpacked, accounts: Accounts) -> Made:
    """The accounts with those that the packages' postinsts add; users join groups when all groups are there."""
    made = Made(accounts)
    calls: list[tuple[Command, _Call]] = []
    for script in unpacked.scripts("postinst"):
        for command in commands(script, *_PROGRAMS):
            if command.resolved:
                calls.append((command, _parsed(command)))
            else:
                unpacked.skip(script, " ".join(command.words), "its words depend on what only a shell knows")
    for command, call in sorted(calls, key=lambda pair: pair[1].is_joining):
        try:
            made = _apply(call, made, unpacked)
        except AccountError as error:
            unpacked.skip(command.script, " ".join(command.words), str(error))
    return made


def _parsed(command: Command) -> _Call:
    program, *rest = command.words
    options: dict[str, str] = {}
    names: list[str] = []
    words = iter(rest)
    for word in words:
        if not word.startswith("-") or word in ("-", "--"):
            names += [word] if word.strip("-") else []
            continue
        for name, value in _options(word):
            name = _SYNONYMS.get(name, name)
            options[name] = next(words, "") if value is None and name in _WITH_VALUE else value or ""
    return _Call(program, options, tuple(names))


def _options(word: str) -> Iterator[tuple[str, str | None]]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        yield name, value if equals else None
    elif word in _SHORT:
        yield _SHORT[word], None
    else:
        for letter in word[1:]:  # -aG is -a -G
            yield _SHORT.get(f"-{letter}", letter), None


def _apply(call: _Call, made: Made, unpacked: Unpacked) -> Made:
    accounts = made.accounts
    if call.is_joining:
        return Made(_joined(call, accounts), made.homes)
    if len(call.names) != 1:
        raise AccountError("it names no account")
    if call.program == "groupadd" or (call.program == "addgroup") or _only_group(call):
        return Made(_with_group(accounts, call, call.names[0], call.number("gid")), made.homes)
    if accounts.user(call.names[0]):
        return made
    return _with_user(made, call, unpacked)


def _only_group(call: _Call) -> bool:
    # `adduser --group NAME` makes a group, `adduser --system --group NAME` a user with a group: adduser(8)
    return call.program == "adduser" and "group" in call.options and "system" not in call.options


def _joined(call: _Call, accounts: Accounts) -> Accounts:
    user = call.names[0] if call.names else ""
    groups = call.options.get("groups", "").split(",") if call.program == "usermod" else [call.names[1]]
    for group in filter(None, groups):
        accounts = accounts.with_member(user, group)
    return accounts


def _with_group(accounts: Accounts, call: _Call, name: str, gid: int | None = None) -> Accounts:
    if accounts.group(name):
        return accounts
    return accounts.with_group(Group(name, accounts.new_gid(name, call.ids) if gid is None else gid))


def _with_user(made: Made, call: _Call, unpacked: Unpacked) -> Made:
    accounts, (name,) = made.accounts, call.names
    uid = call.number("uid")
    uid = accounts.new_uid(name, call.ids) if uid is None else uid
    accounts, gid = _first_group(accounts, call, name)
    is_adduser = call.program == "adduser"
    home = call.options.get("home") or (NOWHERE if is_adduser and "system" in call.options else f"/home/{name}")
    shell = call.options.get("shell") or ("/usr/sbin/nologin" if "system" in call.options and is_adduser else "/bin/sh")
    accounts = accounts.with_user(User(name, uid, gid, _comment(call, unpacked), home, shell))
    creates = "no-create-home" not in call.options if is_adduser else "create-home" in call.options
    if not creates or home.startswith(NOWHERE) or unpacked.follow(home):
        return Made(accounts, made.homes)
    return Made(accounts, (*made.homes, Directory(unpacked.real(home), Meta(_home_mode(call, unpacked), uid, gid))))


def _home_mode(call: _Call, unpacked: Unpacked) -> int:
    """adduser.conf(5), SYS_DIR_MODE and DIR_MODE: 0755 and 0700, in Ubuntu 0750 for both."""
    key, mode = ("sys_dir_mode", 0o755) if "system" in call.options else ("dir_mode", 0o700)
    stated = re.search(rf'^ *{key} => "(0[0-7]{{3}})"', unpacked.text(_DEFAULTS) or "", re.MULTILINE)
    return int(stated[1], 8) if stated and call.program == "adduser" else mode


def _comment(call: _Call, unpacked: Unpacked) -> str:
    comment = call.options.get("comment", "")
    if not comment or call.program != "adduser" or _BY_USERMOD in (unpacked.text("/usr/sbin/adduser") or ""):
        return comment
    # Before Debian 13 adduser(8) sets it with chfn(1), which writes all four fields: name, room, two numbers.
    return comment + "," * (3 - comment.count(","))


def _first_group(accounts: Accounts, call: _Call, name: str) -> tuple[Accounts, int]:
    wanted = call.options.get("ingroup") or call.options.get("gid") or ""
    if (gid := _number(wanted)) is not None:
        return accounts, gid
    if not wanted and "system" in call.options and call.program == "adduser" and "group" not in call.options:
        return accounts, NOGROUP
    if not wanted:
        accounts = _with_group(accounts, call, name)
    group = accounts.group(wanted or name)
    if group is None:
        raise AccountError(f"there is no group {wanted}")
    return accounts, group.gid


def _number(text: str) -> int | None:
    """The id that a text is; None for one that may be a name.

    Raises:
        AccountError: it is a number that no account can have.
    """
    number = whole_number(text, LAST_ID)
    if number is None and text.isdigit():
        raise AccountError(f"{text!r} is no id")
    return number

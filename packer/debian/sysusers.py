"""Accounts that packages declare in sysusers.d(5): lines `TYPE NAME ID GECOS HOME SHELL`.

Files are read in the order of their names, wherever they lie; ids without a number are given out from 999 downwards,
one number for a user and its group, as systemd-sysusers(8) does. An account that is there already stays as it is.
"""

import os
import shlex

from layers.entry import File
from layers.number import LAST_ID, whole_number
from packer.accounts import LOGIN_AGING, SYSTEM, SYSUSERS, AccountError, Accounts, Group, User
from packer.debian.adduser import NOGROUP
from packer.debian.scripts import Script
from packer.debian.unpacked import Unpacked

_FOLDERS = ("/etc/sysusers.d", "/usr/local/lib/sysusers.d", "/usr/lib/sysusers.d")


def add_accounts(unpacked: Unpacked, accounts: Accounts) -> Accounts:
    """The accounts with those that the packages' sysusers.d files declare.

    Groups come before users and users before memberships, of all files together.
    """
    lines: list[tuple[Script, list[str]]] = []
    for name, file in sorted(_files(unpacked).items()):
        text = unpacked.text(file.path) or ""
        origin = Script("sysusers.d", name, text)
        lines += [(origin, fields) for fields in map(_fields, text.split("\n")) if fields]
    for kinds in ("g", "u", "m"):
        for origin, fields in lines:
            if fields[0][:1] == kinds:
                accounts = _applied(unpacked, origin, fields, accounts)
    return accounts


def _files(unpacked: Unpacked) -> dict[str, File]:
    found: dict[str, File] = {}
    for folder in _FOLDERS:  # the first folder wins: sysusers.d(5), "Configuration directories and precedence"
        for file in unpacked.files(folder, ".conf"):
            found.setdefault(os.fsdecode(os.path.basename(file.path)), file)
    return found


def _fields(line: str) -> list[str]:
    try:
        fields = shlex.split(line, comments=True)
    except ValueError:
        return ["?", line]
    return ["" if field == "-" else field for field in fields] + [""] * (6 - len(fields)) if fields else []


def _applied(unpacked: Unpacked, origin: Script, fields: list[str], accounts: Accounts) -> Accounts:
    kind, name, identity, comment, home, shell = fields[:6]
    try:
        if any("%" in field for field in fields[:6]):
            raise AccountError("specifiers depend on the machine that runs it")
        if kind[0] == "g":
            return _with_group(accounts, name, identity)
        if kind[0] == "m":
            return _with_member(accounts, name, identity)
        return _with_user(accounts, User(name, 0, 0, comment, home or "/", shell), identity)
    except AccountError as error:
        unpacked.skip(origin, " ".join(filter(None, fields)), str(error))
        return accounts


def _with_group(accounts: Accounts, name: str, identity: str) -> Accounts:
    if accounts.group(name):
        return accounts
    gid = _number(identity) if identity else accounts.new_gid(name, SYSTEM[::-1], paired=True)
    return accounts.with_group(Group(name, gid, (), SYSUSERS))


def _with_member(accounts: Accounts, user: str, group: str) -> Accounts:
    if not accounts.user(user):
        accounts = _with_user(accounts, User(user, 0, 0, "", "/", ""), "")
    return _with_group(accounts, group, "").with_member(user, group)


def _with_user(accounts: Accounts, user: User, identity: str) -> Accounts:
    if accounts.user(user.name):
        return accounts
    number, _, first = identity.partition(":")
    own = accounts.group(user.name)
    uid = _free_pair(accounts, user.name, own) if number in ("", "-") else _number(number)
    if first:
        group = None if first.isdigit() else accounts.group(first)
        gid = group.gid if group else _number(first)
    elif own:
        gid = own.gid
    else:
        gid = accounts.new_gid(user.name, (uid, *SYSTEM[::-1]), paired=True)
        accounts = accounts.with_group(Group(user.name, gid, (), SYSUSERS))
    shell = user.shell or ("/bin/sh" if uid == 0 else "/usr/sbin/nologin")
    aging = LOGIN_AGING if uid in (0, NOGROUP) else user.aging
    return accounts.with_user(User(user.name, uid, gid, user.comment, user.home, shell, SYSUSERS, aging))


def _free_pair(accounts: Accounts, name: str, own: Group | None) -> int:
    if own and accounts.new_uid(name, (own.gid, *SYSTEM[::-1])) == own.gid:
        return own.gid
    return accounts.new_uid(name, SYSTEM[::-1], paired=True)


def _number(text: str) -> int:
    number = whole_number(text, LAST_ID)
    if number is None:
        raise AccountError(f"{text!r} is no id")
    return number

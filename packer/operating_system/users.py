"""Users and groups that `[os]` declares, added to those of the image.

Numbers that are declared come first, then those that os.lock keeps, then new ones: of users in the order of os.toml,
each the same for the user and its own group, then of groups. A user that the image has keeps number, group and home.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from packer.accounts import (
    ADDUSER,
    LOGIN_AGING,
    NOWHERE,
    PEOPLE,
    STATIC,
    SYSTEM,
    AccountError,
    Accounts,
    Group,
    Ids,
    User,
)
from packer.operating_system.image import Image, suggestion
from packer.tables.groups import GroupDeclaration
from packer.tables.users import UserDeclaration

_NOLOGINS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false")
_SHELLS = (b"ash", b"bash", b"dash", b"fish", b"ksh", b"mksh", b"nologin", b"sh", b"tcsh", b"zsh")
_ROOT = User("root", 0, 0, "root", "/root", "/bin/sh", STATIC, LOGIN_AGING)


@dataclass(frozen=True, slots=True)
class _Row:
    """A declared account.

    Attributes:
        name: of the account.
        number: that it shall have.
        kind: `user` or `group`.
        key: where it is in os.toml.
    """

    name: str
    number: int | None
    kind: str
    key: str


Users = tuple[UserDeclaration, ...]
Groups = tuple[GroupDeclaration, ...]


def accounts(users: Users, groups: Groups, before: Accounts, frozen: Ids, image: Image) -> Accounts:
    """All accounts of the image, root at least; what is wrong with the declared ones is told to it.

    Args:
        users: the declared ones.
        groups: the declared ones.
        before: those that the image has.
        frozen: numbers that accounts had before.
        image: the image, for its shells.
    """
    found = before if before.users else Accounts((_ROOT,), before.groups or (Group("root", 0),))
    if not (users or groups):
        return found
    _check_names(users, groups, found, image)
    found = replace(found, frozen=_numbers(users, groups, replace(found, frozen=frozen), image))
    for group in groups:
        if not found.group(group.name):
            found = found.with_group(Group(group.name, found.new_gid(group.name, PEOPLE)))
    for place, user in enumerate(users):
        try:
            found = _with_user(user, found, image, f"os.users[{place}]")
        except AccountError as error:
            image.wrong(f"os.users[{place}]", str(error.args[0]))
    joining = [(user.name, group) for user in users for group in user.groups]
    joining += [(member, group.name) for group in groups for member in group.members]
    for member, name in joining:
        if found.user(member) and found.group(name):
            found = found.with_member(member, name)
    return replace(found, frozen=frozen)


def _check_names(users: Users, groups: Groups, found: Accounts, image: Image) -> None:
    """Say which users and groups are named and do not exist."""
    known_users = {user.name for user in found.users} | {user.name for user in users}
    own = {user.name for user in users if user.group is None and not found.user(user.name)}
    known_groups = {group.name for group in found.groups} | {group.name for group in groups} | own
    for place, user in enumerate(users):
        named = [(f"groups[{rank}]", name) for rank, name in enumerate(user.groups)]
        for key, name in [("group", user.group), *named]:
            if name is not None and name not in known_groups:
                hint = suggestion(name, known_groups, "add it to os.groups, or add the package that makes it")
                image.wrong(f"os.users[{place}].{key}", f"there is no group {name!r} in the image", hint)
    for place, group in enumerate(groups):
        for rank, name in enumerate(group.members):
            if name not in known_users:
                hint = suggestion(name, known_users, "add it to os.users, or add the package that makes it")
                image.wrong(f"os.groups[{place}].members[{rank}]", f"there is no user {name!r} in the image", hint)


def _numbers(users: Users, groups: Groups, known: Accounts, image: Image) -> Ids:
    """The numbers of all declared accounts, and those that are kept for others."""
    uids, gids = dict(known.frozen.users), dict(known.frozen.groups)
    rows = [_Row(user.name, user.uid, "user", f"os.users[{place}].uid") for place, user in enumerate(users)]
    _pin(rows, uids, {user.name: user.uid for user in known.users}, image)
    rows = [_Row(group.name, group.gid, "group", f"os.groups[{place}].gid") for place, group in enumerate(groups)]
    _pin(rows, gids, {group.name: group.gid for group in known.groups}, image)

    def reserved() -> Accounts:
        return replace(known, frozen=Ids(uids, gids))

    for user in users:
        if known.user(user.name):
            continue
        candidates = SYSTEM[::-1] if user.system else PEOPLE
        has_own_group = user.group is None and not known.group(user.name)
        uids[user.name] = uid = reserved().new_uid(user.name, candidates, paired=has_own_group)
        if has_own_group:
            gids[user.name] = reserved().new_gid(user.name, (uid, *candidates))
    for group in groups:
        if not known.group(group.name):
            gids[group.name] = reserved().new_gid(group.name, PEOPLE)
    return Ids(uids, gids)


def _pin(rows: list[_Row], numbers: dict[str, int], known: Mapping[str, int], image: Image) -> None:
    """Give accounts the numbers that os.toml says; whoever has one of them already keeps it."""
    owners = {number: name for name, number in known.items()}
    kept = {number: name for name, number in numbers.items()}
    for row in rows:
        if row.number is None:
            continue
        if known.get(row.name, row.number) != row.number:
            message = f"the {row.kind} {row.name!r} of the image has the number {known[row.name]}, and keeps it"
            image.wrong(row.key, message, "leave it out")
        elif owners.get(row.number, row.name) != row.name:
            message = f"{row.number} is the number of {owners[row.number]!r} in the image"
            image.wrong(row.key, message, "take another one")
        elif kept.get(row.number, row.name) != row.name:
            image.wrong(row.key, f"os.lock keeps {row.number} for {kept[row.number]!r}", "take another one")
        else:
            numbers[row.name] = row.number


def _with_user(declared: UserDeclaration, known: Accounts, image: Image, key: str) -> Accounts:
    before = known.user(declared.name)
    if before is not None:
        _check_kept(declared, before, known, image, key)
        changed = replace(
            before,
            comment=before.comment if declared.comment is None else declared.comment,
            shell=declared.shell or before.shell,
            password=declared.password or before.password,
        )
        return known.with_changed(changed) if changed != before else known
    if declared.group is None and not known.group(declared.name):
        known = known.with_group(Group(declared.name, known.new_gid(declared.name, PEOPLE)))
    group = known.group(declared.group or declared.name)
    uid = known.frozen.users[declared.name]
    home = declared.home if declared.home is not None else "" if declared.system else f"/home/{declared.name}"
    return known.with_user(
        User(
            name=declared.name,
            uid=uid,
            gid=group.gid if group else uid,
            comment=declared.comment or "",
            home=home or NOWHERE,
            shell=declared.shell or (_no_login(image) if declared.system else _usual_shell(image, key)),
            password=declared.password or ADDUSER,
            aging="::" if declared.system else LOGIN_AGING,
        )
    )


def _check_kept(declared: UserDeclaration, before: User, known: Accounts, image: Image, key: str) -> None:
    """Say what of a user of the image cannot be changed: its files would be somebody else's, or nobody's."""
    group = next((group.name for group in known.groups if group.gid == before.gid), str(before.gid))
    for name, wanted, has in (("home", declared.home, before.home), ("group", declared.group, group)):
        if wanted is not None and wanted != has:
            message = f"the user {before.name!r} of the image has {has!r}, and keeps it"
            image.wrong(f"{key}.{name}", message, "leave it out")


def _usual_shell(image: Image, key: str) -> str:
    for shell in ("/bin/bash", "/bin/sh"):
        if image.has_program(shell):
            return shell
    image.wrong(f"{key}.shell", "is missing, and the image has neither /bin/bash nor /bin/sh", _shell_hint("", image))
    return _NOLOGINS[0]


def _no_login(image: Image) -> str:
    return next((program for program in _NOLOGINS if image.has_program(program)), _NOLOGINS[0])


def check_shells(users: Users, image: Image) -> None:
    """See that declared shells are in the image."""
    for place, user in enumerate(users):
        if user.shell is not None and not image.has_program(user.shell):
            message = f"there is no program {user.shell!r} in the image"
            image.wrong(f"os.users[{place}].shell", message, _shell_hint(user.shell, image))


def _shell_hint(shell: str, image: Image) -> str:
    listed = [line for line in image.text("/etc/shells").splitlines() if line.startswith("/")]
    names = {path for path in listed if image.has_program(path)} or {
        f"/{os.fsdecode(path)}"
        for path in image.tree.by_path()
        if os.path.basename(path) in _SHELLS and image.has_program(path)
    }
    hint = f"there are: {', '.join(sorted(names)[:8])}" if names else "add the package of a shell"
    return suggestion(shell, names, hint)

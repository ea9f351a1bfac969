"""Owners and modes that packages give their files by `dpkg-statoverride --add` (dpkg-statoverride(1))."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from layers.entry import Directory, Entry, File, Meta
from packer.accounts import Accounts
from packer.debian.scripts import Command, commands
from packer.debian.unpacked import Unpacked

_MOST = 0o7777


@dataclass(frozen=True, slots=True, order=True)
class Override:
    """A line of dpkg's database.

    Attributes:
        path: absolute, as the script has it.
        user: owner's name.
        group: group's name.
        mode: permission bits.
    """

    path: str
    user: str
    group: str
    mode: int


def overrides(unpacked: Unpacked, accounts: Accounts) -> tuple[Override, ...]:
    """What the postinsts add, sorted by path; the first of several for one path counts, as the others find it there."""
    found: dict[str, Override] = {}
    for script in unpacked.scripts("postinst"):
        for command in commands(script, "dpkg-statoverride"):
            if not any("--add" in word for word in command.words):
                continue
            override = _parsed(command)
            if override is None:
                unpacked.skip(script, " ".join(command.words), "its words depend on what only a shell knows")
            elif not accounts.user(override.user) or not accounts.group(override.group):
                unpacked.skip(script, " ".join(command.words), "there is no such user or group")
            else:
                found.setdefault(override.path, override)
    return tuple(sorted(found.values()))


def _parsed(command: Command) -> Override | None:
    words = [word for word in command.words[1:] if not word.startswith("--")]
    if not command.resolved or len(words) != 4 or not words[3].startswith("/"):
        return None
    try:
        mode = int(words[2], 8)
    except ValueError:
        return None
    return Override(words[3], words[0], words[1], mode) if 0 <= mode <= _MOST else None


def entries(unpacked: Unpacked, accounts: Accounts, found: tuple[Override, ...]) -> Iterator[Entry]:
    """The packages' files with the owners and modes of the overrides."""
    for override in found:
        user, group = accounts.user(override.user), accounts.group(override.group)
        if user and group:
            yield from changed(unpacked.get(override.path), Meta(override.mode, user.uid, group.gid))


def changed(entry: Entry | None, meta: Meta) -> Iterator[Entry]:
    """A file or a folder with another owner and mode; nothing for what is neither, or has them already."""
    if isinstance(entry, File | Directory) and entry.meta != meta:
        yield replace(entry, meta=meta)

"""Services that packages enable when they are installed: systemd's units, and scripts of System V's init.

Postinsts call deb-systemd-helper(1p), or systemctl(1), with the names of their units. What deb-systemd-helper enables
it remembers, so that what an administrator disables stays disabled when the package comes in a new version:

    /var/lib/systemd/deb-systemd-helper-enabled/U.dsh-also      the links that belong to U, one a line
                                                T.wants/U       an empty file for each of them that it made

A unit that debhelper's --no-enable has left to the administrator has a U.dsh-also and no links.

Scripts in /etc/init.d get links S01NAME and K01NAME in /etc/rcN.d, by the levels in their headers (update-rc.d(8));
systemd looks at them for services that have no unit.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from layers.entry import Data, Entry, File, Symlink
from packer.debian.scripts import Command, Script, commands
from packer.debian.unpacked import Unpacked
from packer.systemd import presets, units
from packer.systemd.presets import Presets
from packer.systemd.units import Scope, UnitError, Units

_HELPERS = ("/usr/bin/deb-systemd-helper", "/bin/systemctl")
_OF_USERS = frozenset(("--user", "--global"))
_LINKING = ("defaults", "defaults-disabled", "start", "stop")  # with start and stop come levels, which it leaves alone
_SCRIPT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_HEADER = re.compile(r"^### BEGIN INIT INFO$(.*?)^### END INIT INFO$", re.MULTILINE | re.DOTALL)
_LEVELS = re.compile(r"^#\s*Default-(Start|Stop):[ \t]*([0-6S \t]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Manager:
    """The system's manager, or that of the users.

    Attributes:
        units: that it can start.
        presets: which of them are enabled.
        remembered: where deb-systemd-helper remembers its links.
        configuration: where the links are.
    """

    units: Units
    presets: Presets
    remembered: bytes
    configuration: bytes


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The links, and what deb-systemd-helper remembers; nothing for roots that have none of these programs."""
    if not any(unpacked.follow(helper) for helper in _HELPERS):
        return
    system = _manager(unpacked, units.SYSTEM, presets.SYSTEM, b"var/lib/systemd/deb-systemd-helper-enabled/")
    users = _manager(unpacked, units.USER, presets.USER, b"var/lib/systemd/deb-systemd-user-helper-enabled/")
    for script in unpacked.scripts("postinst"):
        calls = list(commands(script, "deb-systemd-helper", "systemctl"))
        for manager in (system, users):
            own = [call for call in calls if bool(_OF_USERS & set(call.words)) == (manager is users)]
            yield from _enabled(unpacked, own, manager)
        yield from _run_levels(unpacked, script)


def _manager(unpacked: Unpacked, scope: Scope, folders: tuple[bytes, ...], remembered: bytes) -> _Manager:
    tree, reader = unpacked.tree, unpacked.reader
    return _Manager(Units(tree, reader, scope), Presets(tree, reader, folders), remembered, scope.configuration + b"/")


def _enabled(unpacked: Unpacked, calls: Sequence[Command], manager: _Manager) -> Iterator[Entry]:
    left = {unit for call in calls for unit in _named(call, "debian-installed")}
    for call in calls:
        by_helper = call.words[0] == "deb-systemd-helper"
        enabled = _named(call, "enable")
        if not call.resolved and (enabled or _named(call, "update-state")):
            unpacked.skip(call.script, " ".join(call.words), "its words depend on what only a shell knows")
            continue
        for unit in (*enabled, *_named(call, "update-state")):
            try:
                links = manager.units.enabled(unit)
            except UnitError as error:
                unpacked.skip(call.script, " ".join(call.words), str(error.args[0]))
                continue
            is_enabled = unit in enabled and unit not in left
            if is_enabled and (not by_helper or manager.presets.enables(unit)):
                yield from links
            if by_helper:
                yield from _memory(manager, unit, links, enabled=is_enabled)


def _named(call: Command, action: str) -> Sequence[str]:
    """The units of a call, if it is this action."""
    words = [word for word in call.words[1:] if not word.startswith("-")]
    return words[1:] if words[:1] == [action] else ()


def _memory(manager: _Manager, unit: str, links: Sequence[Symlink], *, enabled: bool) -> Iterator[File]:
    lines = b"".join(b"/" + link.path + b"\n" for link in links)
    yield File(manager.remembered + unit.encode() + b".dsh-also", Data(lines))
    if enabled:
        for link in links:
            yield File(manager.remembered + link.path.removeprefix(manager.configuration))


def _run_levels(unpacked: Unpacked, script: Script) -> Iterator[Symlink]:
    for call in commands(script, "update-rc.d"):
        name, action = [*(word for word in call.words[1:] if not word.startswith("-")), "", ""][:2]
        if action not in _LINKING:
            continue
        if not call.resolved or not _SCRIPT_NAME.fullmatch(name):
            unpacked.skip(script, " ".join(call.words), "its words depend on what only a shell knows")
            continue
        letters = {"Start": "K" if action == "defaults-disabled" else "S", "Stop": "K"}
        header = _HEADER.search(unpacked.text(f"/etc/init.d/{name}") or "")
        for which, levels in _LEVELS.findall(header[1] if header else ""):
            for level in levels.split():
                path = f"etc/rc{level}.d/{letters[which]}01{name}"
                yield Symlink(path.encode(), f"../init.d/{name}".encode())

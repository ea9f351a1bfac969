"""`wsl2`: a distribution that `wsl --install --from-file` takes: a tar with gzip, whose name ends in `.wsl`.

Its format is that of "Build a Custom Linux Distribution for WSL" (MicrosoftDocs/WSL, WSL/build-custom-distro.md), for
WSL 2.4.4 and later. What belongs to WSL alone is laid over the system here, so that other artefacts do not have it;
then the rules of `formats.wsl_rules` are held against the whole.

Beside it comes an entry for the list of distributions (microsoft/WSL, distributions/DistributionInfo.json), with the
digest of the file: DistributionListUrlAppend can name it as it is.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from formats.format import FileArtefact, Order
from formats.root_archive import write_root
from formats.system import System
from formats.wsl_root import DISTRIBUTION_CONF, WSL_CONF, Root
from formats.wsl_rules import DISCOURAGED_UNITS, Finding, findings
from layers.archive import STANDARD_OUTPUT
from layers.compress import codec
from layers.entry import FILE, PROGRAM, Data, Directory, Entry, File, Meta, Symlink, tree_order
from layers.errors import InputError, PackError
from layers.item import NarItem
from layers.output import PendingFile
from layers.reader import Reader
from layers.tree import Tree, add_parents, overlay

#: elf(5), e_machine; and the key of the list of distributions.
_MACHINES = {"x86_64-linux": (62, "Amd64Url"), "aarch64-linux": (183, "Arm64Url")}
_ASSETS = "/usr/lib/wsl"
_ICON, _PROFILE, _OOBE = (f"{_ASSETS}/{name}" for name in ("icon.ico", "terminal-profile.json", "oobe"))
_PROFILE_META = Meta(0o640)  # what validate-modern.py, read_tar expects
_FIRST_USER = 1000
_LEVEL = 6  # 9, the guide's gzip --best, takes four times as long to be 0.5 % smaller

#: Programs that WSL starts by these paths, and the packages of Nix and Guix that have them.
_PROGRAMS = {b"sh": "bash", b"mount": "util-linux"}


class RuleError(PackError):
    """A system breaks Microsoft's rules.

    Attributes:
        findings: all rules that it breaks and that forbid something.
    """

    def __init__(self, broken: list[Finding]) -> None:
        lines = "\n  ".join(map(str, broken))
        super().__init__(f"WSL's rules forbid this:\n  {lines}", hint="docs/wsl2.md says what to do about each rule.")
        self.findings = broken


@dataclass(frozen=True, slots=True)
class Options:
    """How a distribution is made.

    Attributes:
        default_name: what it is registered as; empty: made from the system's name.
        friendly_name: for people, in the list of distributions; empty: the title, or name and version.
        flavor: the list's group of versions, which its name begins with; empty: the name itself.
        default_user: who shells are started as: an account of the image; empty: see `default_uid`.
        default_uid: that user's number, who need not exist yet; without one 1000 if there is `oobe`, else root.
        oobe: the script that the first shell runs, before it.
        icon: a file in the format .ico.
        terminal_profile: a fragment of Windows Terminal's settings.
        systemd: whether systemd is started.
        url: where the file will be found; empty: a placeholder.
        legacy: a plain root file system, for wsl --import.
    """

    default_name: str = ""
    friendly_name: str = ""
    flavor: str = ""
    default_user: str = ""
    default_uid: int | None = None
    oobe: bytes = b""
    icon: bytes = b""
    terminal_profile: bytes = b""
    systemd: bool = False
    url: str = ""
    legacy: bool = False


def default_output(stem: str, options: Options) -> str:  # noqa: D103
    return f"{stem}.rootfs.tar.gz" if options.legacy else f"{stem}.wsl"


def companions(output: str, options: Options) -> tuple[str, ...]:
    """The entry for the list of distributions."""
    return () if options.legacy or output == STANDARD_OUTPUT else (f"{output}.json",)


def write(order: Order) -> FileArtefact:
    """Write the distribution, and its entry for the list beside it; see `formats.format.Format`."""
    options: Options = order.options
    upper = _upper(order.system, options)
    for finding in checked(order.system, upper, options):
        order.workshop.progress.warn(f"wsl2: {finding}")
    artefact = write_root(order, codec("gzip", _LEVEL), upper=upper)
    for path in companions(order.output, options):
        _write_manifest(order, artefact, path)
        artefact = replace(artefact, more={**artefact.more, "manifest": path})
    return artefact


def checked(system: System, upper: tuple[Entry, ...], options: Options) -> list[Finding]:
    """The rules that a distribution breaks, and that may be broken.

    Args:
        system: what is packed.
        upper: what is laid over it.
        options: of the distribution.

    Raises:
        RuleError: it breaks rules that may not be broken.
    """
    with Reader() as reader:
        found = findings(Root(overlay(system.tree, upper), reader, _machine(system.platform.name)[0]))
    if options.legacy:
        found = [finding for finding in found if finding.rule.name not in ("distribution-conf", "user-default")]
    if forbidden := [finding for finding in found if finding.rule.forbids]:
        raise RuleError(forbidden)
    return found


def early_findings(name: str, platform: str, options: Options, declared: Tree) -> list[Finding]:
    """The rules that os.toml alone breaks.

    Args:
        name: of the system.
        platform: its platform's name.
        options: of the distribution.
        declared: the entries that os.toml declares.

    Raises:
        InputError: WSL does not run on the platform.
    """
    machine, _ = _machine(platform)
    own = [] if options.legacy else _distribution_entries(name, options, options.default_uid)
    tree = declared.by_path() | {
        entry.path: entry for entry in (*own, _wsl_conf(options)) if entry.path not in declared
    }
    with Reader() as reader:
        return findings(Root(Tree(tree), reader, machine), early=True)


def distribution_name(name: str) -> str:
    """A name that can be registered, made from any name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:256] or "linux"


def _machine(platform: str) -> tuple[int, str]:
    if platform not in _MACHINES:
        raise InputError(f"WSL does not run on {platform}", hint=f"It runs on {' and '.join(_MACHINES)}.")
    return _MACHINES[platform]


def _upper(system: System, options: Options) -> tuple[Entry, ...]:
    """What a distribution has besides the system; what the system has already stays."""
    made: dict[bytes, Entry] = {}
    for entry in _entries(system, options):
        path = system.tree.real(entry.path)
        if path not in system.tree:
            made[path] = replace(entry, path=path)
    add_parents(made, system.tree)
    return tuple(made[path] for path in sorted(made, key=tree_order))


def _entries(system: System, options: Options) -> Iterator[Entry]:
    if not options.legacy:
        yield from _distribution_entries(system.name, options, _uid(system, options))
    yield _wsl_conf(options)
    yield from _programs(system)
    if options.systemd:
        yield from _masks(system.tree)


def _distribution_entries(name: str, options: Options, uid: int | None) -> list[Entry]:
    """/etc/wsl-distribution.conf, and the files that it names."""
    uid = _FIRST_USER if uid is None and options.oobe else uid
    assets = {
        "command": (_OOBE, options.oobe, PROGRAM),
        "icon": (_ICON, options.icon, FILE),
        "profileTemplate": (_PROFILE, options.terminal_profile, _PROFILE_META),
    }
    present = {key: path for key, (path, data, _) in assets.items() if data}
    sections: dict[str, dict[str, object]] = {
        "oobe": {
            "command": present.get("command"),
            "defaultUid": uid,
            "defaultName": options.default_name or distribution_name(name),
        },
        "shortcut": {"icon": present.get("icon")},
        "windowsterminal": {"profileTemplate": present.get("profileTemplate")},
    }
    files = [File(path[1:].encode(), Data(data), meta) for path, data, meta in assets.values() if data]
    return [_conf(DISTRIBUTION_CONF, sections), *files]


def _wsl_conf(options: Options) -> File:
    # Without systemd, its key is left out: Microsoft's checker takes any value of it for true. And an imported root
    # file system has no other way to name its user.
    systemd, user = "true" if options.systemd else None, options.default_user or None
    return _conf(WSL_CONF, {"boot": {"systemd": systemd}, "user": {"default": user if options.legacy else None}})


def _conf(path: str, sections: dict[str, dict[str, object]]) -> File:
    text = "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)
        for name, keys in sections.items()
        if any(value is not None for value in keys.values())
    )
    return File(path[1:].encode(), Data(text.encode()))


def _uid(system: System, options: Options) -> int | None:
    if not options.default_user:
        return options.default_uid
    with Reader() as reader:
        accounts = dict(Root(system.tree, reader, 0).accounts())
    if options.default_user not in accounts:
        close = get_close_matches(options.default_user, accounts)
        hint = f"Did you mean {close[0]!r}?" if close else "Declare it in users of [os], or make it with oobe."
        raise InputError(f"wsl2.default-user: the image has no user {options.default_user!r}", hint=hint)
    return accounts[options.default_user]


def _programs(system: System) -> Iterator[Entry]:
    """Links to the programs of a Nix or Guix closure that WSL starts by a fixed path, where nothing else is there."""
    for program, package in _PROGRAMS.items():
        if system.tree.follow(b"bin/" + program):
            continue
        paths = (
            item.placed_path + b"/bin/" + program
            for item in sorted(system.closure, key=lambda item: (item.name, item.path))
            if isinstance(item, NarItem) and item.name.startswith(package)
        )
        if found := next((path for path in paths if system.tree.follow(path)), None):
            yield Symlink(b"bin/" + program, b"/" + found)


def _masks(tree: Tree) -> Iterator[Entry]:
    """Links that mask the units that disturb WSL, as `systemctl mask` makes them."""
    for kind in ("system", "user"):
        for unit in DISCOURAGED_UNITS:
            if f"usr/lib/systemd/{kind}/{unit}".encode() in tree:
                yield Directory(f"etc/systemd/{kind}".encode())
                yield Symlink(f"etc/systemd/{kind}/{unit}".encode(), b"/dev/null")


def manifest(system: System, options: Options, file: str, digest: str) -> str:
    """The entry for the list of distributions.

    Args:
        system: what was packed.
        options: of the distribution.
        file: name of the file.
        digest: SHA-256 of the file, in hexadecimal digits.
    """
    name = options.default_name or distribution_name(system.name)
    title = system.annotations.get("org.opencontainers.image.title") or f"{system.name} {system.version}".strip()
    entry = {
        "Name": name,
        "FriendlyName": options.friendly_name or title,
        "Default": True,
        _machine(system.platform.name)[1]: {
            "Url": options.url or f"https://example.invalid/{file}",  # RFC 2606: a name that nobody has
            "Sha256": digest,
        },
    }
    return json.dumps({"ModernDistributions": {options.flavor or name: [entry]}}, indent=4, ensure_ascii=False) + "\n"


def _write_manifest(order: Order, artefact: FileArtefact, path: str) -> None:
    text = manifest(order.system, order.options, os.path.basename(order.output), artefact.digest.hex)
    with PendingFile(os.path.dirname(path) or ".") as file:
        file.write(text.encode())
        file.publish(os.path.basename(path))

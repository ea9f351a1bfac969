"""What Microsoft asks of a root file system that is to run under WSL: a table of rules, and who breaks them.

The rules are those of the guide "Build a Custom Linux Distribution for WSL" (MicrosoftDocs/WSL,
WSL/build-custom-distro.md), of the program that checks distributions before they are listed (microsoft/WSL,
distributions/validate-modern.py), and of what WSL itself does with the files (microsoft/WSL, src/linux/init). Each rule
names its source; what that program takes for an error, or the guide rules out, is an error here.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from formats.wsl_root import (
    DISTRIBUTION_CONF,
    WSL_CONF,
    Root,
    is_icon,
    is_profile,
)
from layers.entry import Directory, File
from layers.number import LAST_ID, whole_number

_GUIDE = "build-custom-distro.md"
_CHECKER = "validate-modern.py"
_LARGEST_ASSET = 1 << 20

#: Units that the checker (first) or the guide (the timer) discourages.
DISCOURAGED_UNITS = (
    *("systemd-resolved.service", "systemd-networkd.service", "systemd-networkd-wait-online.service"),
    *("systemd-tmpfiles-setup.service", "systemd-tmpfiles-clean.service", "systemd-tmpfiles-setup-dev-early.service"),
    *("systemd-tmpfiles-setup-dev.service", "systemd-vconsole-setup.service", "tmp.mount", "NetworkManager.service"),
    *("NetworkManager-wait-online.service", "console-getty.service", "networking.service", "hypervkvpd.service"),
    "systemd-tmpfiles-clean.timer",
)

_DISTRIBUTION_KEYS = {
    *("oobe.command", "oobe.defaultuid", "oobe.defaultname"),
    *("shortcut.icon", "shortcut.enabled", "windowsterminal.profiletemplate", "windowsterminal.enabled"),
}
_WSL_KEYS = {
    *("automount.cgroups", "automount.enabled", "automount.ldconfig", "automount.mountfstab", "automount.options"),
    *("automount.root", "boot.command", "boot.protectbinfmt", "boot.systemd", "fileserver.enabled"),
    *("filesystem.umask", "general.hostname", "gpu.appendlibpath", "gpu.enabled", "interop.appendwindowspath"),
    *("interop.enabled", "network.generatehosts", "network.generateresolvconf", "network.hostname"),
    *("time.usewindowstimezone", "user.default"),
}
_UNSUPPORTED_XATTRS = (b"security.selinux", b"security.ima", b"security.evm")

_CONF_MODES = {0o644, 0o664}
_PROGRAM_MODES = {0o755, 0o775, 0o555}
_KERNEL = re.compile(rb"(?:boot/)?(?:vmlinu[xz]|bzImage|zImage|Image)(?:[-.].*)?")
_INITRAMFS = re.compile(rb"(?:boot/)?(?:initrd|initramfs)(?:[-.].*)?")
_WANTED_UNIT = re.compile(rb"(?:etc|(?:usr/(?:local/)?)?lib)/systemd/(system|user)/[^/]+\.wants/([^/]+)")

#: The registration refuses every other name: LxssUserSession.cpp, s_ValidateDistroName.
DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9._-]{1,256}")
_RESERVED = "legacy"


@dataclass(frozen=True, slots=True)
class Breach:
    """Where a rule is broken.

    Attributes:
        path: of the file, absolute.
        what: what is wrong with it.
    """

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that is asked of a root file system.

    Attributes:
        name: of ours.
        demand: what is asked.
        source: where Microsoft says so.
        forbids: whether a distribution that breaks it is refused; else people are warned.
        early: whether os.toml alone can break it: it is about what is there, not about what is missing.
        breaches: where it is broken.
    """

    name: str
    demand: str
    source: str
    forbids: bool
    early: bool
    breaches: Callable[[Root], Iterable[Breach]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule."""

    rule: Rule
    breach: Breach

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.breach.path} {self.breach.what} ({self.rule.source})"


def findings(root: Root, *, early: bool = False) -> list[Finding]:
    """The rules that a root breaks, in the order of the table.

    Args:
        root: what is looked at.
        early: it is only a part: look at the rules that a part can break.
    """
    return [Finding(rule, breach) for rule in RULES if rule.early or not early for breach in rule.breaches(root)]


def _must_exist(path: str) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        if not isinstance(root.file(path), File):
            yield Breach(path, "is missing")

    return breaches


def _owned(path: str, modes: set[int]) -> Callable[[Root], Iterator[Breach]]:
    return lambda root: _owner_breaches(root, path, modes)


def _owner_breaches(root: Root, path: str, modes: set[int], *, any_group: bool = False) -> Iterator[Breach]:
    file = root.file(path)
    if not isinstance(file, File):
        return
    if file.meta.mode not in modes:
        wanted = " or ".join(f"{mode:04o}" for mode in sorted(modes))
        yield Breach(path, f"has mode {file.meta.mode:04o}, not {wanted}")
    if file.meta.uid or (file.meta.gid and not any_group):
        yield Breach(path, f"belongs to {file.meta.uid}:{file.meta.gid}, not to root")


def _known_keys(path: str, known: set[str]) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        settings = root.settings(path)
        if settings is None:
            if isinstance(root.file(path), File):
                yield Breach(path, "is not of the form that WSL reads")
            return
        yield from (Breach(path, f"has the key {key}, which there is not") for key in settings if key not in known)

    return breaches


def _default_name(root: Root) -> Iterator[Breach]:
    settings = root.settings(DISTRIBUTION_CONF)
    name = (settings or {}).get("oobe.defaultname", "")
    if settings is not None and (not DISTRIBUTION_NAME.fullmatch(name) or name.lower() == _RESERVED):
        yield Breach(DISTRIBUTION_CONF, f"has no usable oobe.defaultName: {name!r}")


def _asset(key: str, folders: tuple[str, ...]) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        if (path := root.setting(key)) and not path.startswith(folders):
            yield Breach(path, f"is not below {' or '.join(folders)}")

    return breaches


def _asset_owner(key: str, modes: set[int]) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        if path := root.setting(key):
            yield from _owner_breaches(root, path, modes)

    return breaches


def _asset_content(key: str, right: Callable[[bytes], bool], form: str) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        path = root.setting(key)
        if not path:
            return
        file = root.file(path)
        if not isinstance(file, File):
            yield Breach(path, "is missing")
        elif file.content.size > _LARGEST_ASSET:
            yield Breach(path, "has more than 1 MiB")
        elif not right(root.reader.read(file.content)):
            yield Breach(path, f"is no {form}")

    return breaches


def _has_icon(root: Root) -> Iterator[Breach]:
    if root.settings(DISTRIBUTION_CONF) is not None and not root.setting("shortcut.icon"):
        yield Breach(DISTRIBUTION_CONF, "names no shortcut.icon")


def _default_uid(root: Root) -> Iterator[Breach]:
    number = root.setting("oobe.defaultuid")
    if number not in (None, "1000"):
        yield Breach(DISTRIBUTION_CONF, f"has oobe.defaultUid = {number}")


def _free_uid(root: Root) -> Iterator[Breach]:
    number = root.setting("oobe.defaultuid")
    for name, uid in root.accounts():
        if str(uid) == number:
            yield Breach("/etc/passwd", f"has {name} with the number {uid} already")


def _init(root: Root) -> Iterator[Breach]:
    if (root.settings(WSL_CONF) or {}).get("boot.systemd"):
        yield from _program("/sbin/init", missing=True)(root)


def _program(path: str, *, missing: bool) -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        file = root.file(path)
        if not isinstance(file, File):
            if missing:
                yield Breach(path, "is missing")
        elif not root.is_program(file):
            yield Breach(path, "is no ELF program for the processor")

    return breaches


def _discouraged_user(root: Root) -> Iterator[Breach]:
    if name := (root.settings(WSL_CONF) or {}).get("user.default"):
        yield Breach(WSL_CONF, f"has user.default = {name}")


def _accounts(root: Root) -> Iterator[Breach]:
    seen: dict[int, str] = {}
    for line in root.lines("/etc/passwd"):
        fields = line.split(":")
        number = whole_number(fields[2], LAST_ID) if len(fields) == 7 else None
        if number is None:
            yield Breach("/etc/passwd", f"has the line {line!r}")
        elif number in seen:
            yield Breach("/etc/passwd", f"gives the number {number} to {seen[number]} and {fields[0]}")
        else:
            seen[number] = fields[0]
    if isinstance(root.file("/etc/passwd"), File) and seen.get(0) != "root":
        yield Breach("/etc/passwd", "has no root with the number 0")


def _hashes(root: Root) -> Iterator[Breach]:
    for path in ("/etc/shadow", "/etc/passwd"):
        for line in root.lines(path):
            name, _, rest = line.partition(":")
            password = rest.partition(":")[0].lstrip("!")
            if password not in ("", "*", "x"):
                yield Breach(path, f"has a password's hash for {name}")


def _named(pattern: "re.Pattern[bytes]") -> Callable[[Root], Iterator[Breach]]:
    def breaches(root: Root) -> Iterator[Breach]:
        for entry in root.top_entries():
            if pattern.fullmatch(entry.path) and not isinstance(entry, Directory):
                yield Breach("/" + entry.path.decode(errors="replace"), "is there")

    return breaches


def _resolver(root: Root) -> Iterator[Breach]:
    if b"etc/resolv.conf" in root.tree:
        yield Breach("/etc/resolv.conf", "is there")


def _units(root: Root) -> Iterator[Breach]:
    for entry in root.tree:
        wanted = _WANTED_UNIT.fullmatch(entry.path)
        if wanted and wanted[2].decode(errors="replace") in DISCOURAGED_UNITS and not root.is_masked(*wanted.groups()):
            yield Breach("/" + entry.path.decode(errors="replace"), "enables it")


def _xattrs(root: Root) -> Iterator[Breach]:
    for entry in root.tree:
        for name, _ in getattr(getattr(entry, "meta", None), "xattrs", ()):
            if name.startswith(_UNSUPPORTED_XATTRS):
                yield Breach("/" + entry.path.decode(errors="replace"), f"has the attribute {name.decode()}")


_ASSETS = ("/usr/lib/wsl/", "/usr/libexec/wsl/", "/usr/share/wsl/")
_RECOMMENDED = f"{_GUIDE}, Configuration file recommendations"
_TAR = f"{_CHECKER}, read_tar"

#: (name, demand, source, whether it forbids, whether os.toml alone can break it, check)
RULES = tuple(
    Rule(*row)
    for row in (
        ("distribution-conf", "there is /etc/wsl-distribution.conf", _TAR, True, False, _must_exist(DISTRIBUTION_CONF)),
        ("distribution-conf-owner", "it is root's, with mode 0644", _RECOMMENDED, False, True,
         _owned(DISTRIBUTION_CONF, _CONF_MODES)),
        ("distribution-conf-keys", "it has keys that WSL knows", f"{_CHECKER}, validate_config", True, True,
         _known_keys(DISTRIBUTION_CONF, _DISTRIBUTION_KEYS)),
        ("default-name", "it has a name to register", f"{_GUIDE}, Create a .wsl file extension", True, True,
         _default_name),
        ("default-uid", "the user that is made has the number 1000", _RECOMMENDED, False, True, _default_uid),
        ("default-uid-free", "nobody has that number yet", f"{_CHECKER}, read_passwd", False, False, _free_uid),
        ("oobe-command", "the first command is a file", _TAR, True, True,
         _asset_content("oobe.command", lambda _: True, "file")),
        ("oobe-command-owner", "it is root's, with mode 0755", _TAR, False, True,
         _asset_owner("oobe.command", {0o755, 0o775})),
        ("oobe-command-place", "it is below /usr/lib/wsl", _TAR, False, True, _asset("oobe.command", _ASSETS[:2])),
        ("icon", "there is an icon", _RECOMMENDED, False, True, _has_icon),
        ("icon-content", "it is an .ico file of at most 1 MiB", f"{_TAR}; {_GUIDE}, shortcut.icon", True, True,
         _asset_content("shortcut.icon", is_icon, "icon in the format .ico")),
        ("icon-owner", "it is root's, with mode 0644", _TAR, False, True, _asset_owner("shortcut.icon", _CONF_MODES)),
        ("icon-place", "it is below /usr/lib/wsl", _TAR, False, True, _asset("shortcut.icon", _ASSETS[::2])),
        ("terminal-profile-content", "the profile is JSON of at most 1 MiB",
         f"{_TAR}; {_GUIDE}, Generate a Windows Terminal profile", True, True,
         _asset_content("windowsterminal.profiletemplate", is_profile, "profile of Windows Terminal")),
        ("terminal-profile-owner", "it is root's, with mode 0640", _TAR, False, True,
         _asset_owner("windowsterminal.profiletemplate", {0o640, 0o660})),
        ("terminal-profile-place", "it is below /usr/lib/wsl", _TAR, False, True,
         _asset("windowsterminal.profiletemplate", _ASSETS[:1])),
        ("wsl-conf", "there is /etc/wsl.conf", _RECOMMENDED, True, False, _must_exist(WSL_CONF)),
        ("wsl-conf-owner", "it is root's, with mode 0644", _RECOMMENDED, False, True, _owned(WSL_CONF, _CONF_MODES)),
        ("wsl-conf-keys", "it has keys that WSL knows", f"{_CHECKER}, validate_config", True, True,
         _known_keys(WSL_CONF, _WSL_KEYS)),
        ("user-default", "the default user is not in /etc/wsl.conf", _TAR, False, True, _discouraged_user),
        ("init", "where boot.systemd is set, /sbin/init is a program", _TAR, True, False, _init),
        ("init-owner", "it is root's, with mode 0755", _TAR, False, False, _owned("/sbin/init", _PROGRAM_MODES)),
        ("passwd", "there is /etc/passwd", _TAR, True, False, _must_exist("/etc/passwd")),
        ("passwd-owner", "it is root's, with mode 0644", _TAR, False, True, _owned("/etc/passwd", _CONF_MODES)),
        ("passwd-content", "its lines are whole, no number is there twice, and root has 0",
         f"{_CHECKER}, read_passwd; {_RECOMMENDED}", True, True, _accounts),
        ("shadow", "there is /etc/shadow", _TAR, True, False, _must_exist("/etc/shadow")),
        ("shadow-owner", "it is root's, with mode 0640, 0600 or 0", _TAR, False, True,
         lambda root: _owner_breaches(root, "/etc/shadow", {0o640, 0o600, 0}, any_group=True)),
        ("password-hash", "there are no hashes of passwords", _RECOMMENDED, True, True, _hashes),
        ("bash", "/bin/bash, if it is there, is a program", _TAR, True, False, _program("/bin/bash", missing=False)),
        ("bash-owner", "it is root's, with mode 0755", _TAR, False, False, _owned("/bin/bash", _PROGRAM_MODES)),
        ("sh", "/bin/sh is a program", _TAR, True, False, _program("/bin/sh", missing=True)),
        ("sh-owner", "it is root's, with mode 0755", _TAR, False, False, _owned("/bin/sh", _PROGRAM_MODES)),
        ("mount", "/bin/mount is there: WSL mounts drives with it", "src/linux/init/util.h, MOUNT_COMMAND", True, False,
         _must_exist("/bin/mount")),
        ("resolv-conf", "there is no /etc/resolv.conf: WSL makes it", _RECOMMENDED, True, True, _resolver),
        ("kernel", "there is no kernel", _RECOMMENDED, True, True, _named(_KERNEL)),
        ("initramfs", "there is no initramfs", _RECOMMENDED, True, True, _named(_INITRAMFS)),
        ("units", "units that disturb WSL are disabled or masked",
         f"{_GUIDE}, Systemd recommendations; {_CHECKER}, DISCOURAGED_SYSTEM_UNITS", False, False, _units),
        ("xattrs", "no attribute that WSL 1 cannot hold", f"{_CHECKER}, find_unsupported_attrs", False, False, _xattrs),
    )
)  # fmt: skip

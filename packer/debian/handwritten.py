"""What hand-written lines of maintainer scripts do, as a table by package: no pattern finds these.

Each line was read in the packages of Debian 12 and 13 and of Ubuntu 24.04; what only one of them does stands behind a
text of its script. A link or a copy is only made when what it leads to is there; what a script finds already there it
leaves alone, and so does this, but for `Attributes`, which change what a package ships.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from packer.accounts import Accounts
from packer.debian.attributes import changed
from packer.debian.unpacked import Unpacked


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, made when the package's file behind it is there.

    Attributes:
        path: of the link.
        target: where it leads.
        is_made_later: whether nothing is behind it until the system runs.
    """

    path: str
    target: str
    is_made_later: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a file that a package ships."""

    path: str
    source: str


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty file."""

    path: str
    mode: int = 0o644
    user: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Text:
    """A file with a text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder."""

    path: str
    mode: int = 0o755
    user: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class Attributes:
    """Another owner or mode, or capabilities, for what a package ships.

    Attributes:
        path: of the file or folder.
        mode: permission bits.
        user: owner's name.
        group: group's name.
        capabilities: the value of `security.capability`; empty for none.
        needs: a file without which the script does `otherwise`.
        otherwise: permission bits when that file is not there; 0 for `mode`.
    """

    path: str
    mode: int
    user: str = "root"
    group: str = "root"
    capabilities: bytes = b""
    needs: str = ""
    otherwise: int = 0


Effect = Link | Copy | Empty | Text | Folder | Attributes


@dataclass(frozen=True, slots=True)
class Where:
    """Effects of those versions of a package whose postinst says something, or does not say it.

    Attributes:
        text: of the script.
        effects: what it does.
        is_said: whether the text is there in these versions.
    """

    text: str
    effects: tuple[Effect, ...]
    is_said: bool = True


# struct vfs_cap_data, revision 2 with the effective bit, permitted = cap_net_raw (13): linux/capability.h
_NET_RAW = b"\x01\0\0\x02" + (1 << 13).to_bytes(4, "little") + bytes(12)

# of Ubuntu, for sessions: pam_env(7)
_PATH = 'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games:/snap/bin"'


def _local_packages(python: str) -> tuple[Effect, ...]:
    """Where pip puts what it installs for everybody."""
    return Folder(f"/usr/local/lib/{python}"), Folder(f"/usr/local/lib/{python}/dist-packages")


TABLE: Mapping[str, tuple[Effect | Where, ...]] = {
    "apt": (
        Attributes("/var/cache/apt/archives/partial", 0o700, "_apt"),
        Attributes("/var/lib/apt/lists/partial", 0o700, "_apt"),
    ),
    "base-files": (
        Copy("/etc/networks", "/usr/share/base-files/networks"),
        Copy("/etc/profile", "/usr/share/base-files/profile"),
        Copy("/root/.bashrc", "/usr/share/base-files/dot.bashrc"),
        Copy("/root/.profile", "/usr/share/base-files/dot.profile"),
        Copy("/usr/share/info/dir", "/usr/share/base-files/info.dir"),
        Empty("/var/log/btmp", 0o660, group="utmp"),
        Empty("/var/log/lastlog", 0o664, group="utmp"),
        Empty("/var/log/wtmp", 0o664, group="utmp"),
        Where("/etc/motd", (Copy("/etc/motd", "/usr/share/base-files/motd"),)),
        Where("/etc/dpkg/origins/ubuntu", (Link("/etc/dpkg/origins/default", "ubuntu"),)),
        Where("/etc/dpkg/origins/ubuntu", (Link("/etc/dpkg/origins/default", "debian"),), is_said=False),
        Where("/usr/local/libexec", (Folder("/usr/local/libexec"),)),
    ),
    "base-passwd": (Where("/etc/subuid", (Empty("/etc/subgid"), Empty("/etc/subuid"))),),
    "bash": (Link("/bin/sh", "bash"),),
    "cron-daemon-common": (Attributes("/var/spool/cron/crontabs", 0o1730, group="crontab"),),
    "ifupdown": (
        Text(
            "/etc/network/interfaces",
            "# interfaces(5) file used by ifup(8) and ifdown(8)\n# Include files from /etc/network/interfaces.d:\n"
            "source /etc/network/interfaces.d/*\n",
        ),
    ),
    "iputils-ping": (
        Where(
            "setcap",
            (Attributes("/bin/ping", 0o755, capabilities=_NET_RAW, needs="/sbin/setcap", otherwise=0o4755),),
        ),
    ),
    "isc-dhcp-client": (Empty("/etc/resolv.conf"),),
    "libpam-modules": (
        Empty("/etc/security/opasswd", 0o600),
        Where(_PATH, (Text("/etc/environment", f"{_PATH}\n"),)),
        Where(_PATH, (Empty("/etc/environment"),), is_said=False),
    ),
    "libwtmpdb0": (Link("/var/lib/wtmpdb/wtmp.db", "../../log/wtmp.db", is_made_later=True),),
    "login": (
        Where("/etc/subuid", (Empty("/etc/subgid"), Empty("/etc/subuid"))),
        Where("/var/log/faillog", (Empty("/var/log/faillog"),)),
    ),
    "man-db": (Empty("/var/lib/man-db/auto-update"),),
    "nginx-common": (
        Attributes("/var/log/nginx", 0o755, group="adm"),
        Copy("/var/www/html/index.nginx-debian.html", "/usr/share/nginx/html/index.html"),
        Empty("/var/log/nginx/access.log", 0o640, "www-data", "adm"),
        Empty("/var/log/nginx/error.log", 0o640, "www-data", "adm"),
        Link("/etc/nginx/sites-enabled/default", "/etc/nginx/sites-available/default"),
    ),
    "openssh-client": (Attributes("/usr/bin/ssh-agent", 0o2755, group="_ssh"),),
    "polkitd": (
        Attributes("/usr/lib/polkit-1/polkit-agent-helper-1", 0o4755),
        Where(
            "set_perms polkitd root 700",
            (
                Attributes("/etc/polkit-1/rules.d", 0o700, "polkitd"),
                Attributes("/usr/share/polkit-1/rules.d", 0o700, "polkitd"),
                Attributes("/var/lib/polkit-1", 0o700, "polkitd"),
            ),
        ),
        Where(
            "set_perms root polkitd 750",
            (
                Attributes("/etc/polkit-1/rules.d", 0o750, group="polkitd"),
                Attributes("/usr/share/polkit-1/rules.d", 0o755),
            ),
        ),
    ),
    "python3.11-minimal": _local_packages("python3.11"),
    "python3.12-minimal": _local_packages("python3.12"),
    "python3.13-minimal": _local_packages("python3.13"),
    "readline-common": (Copy("/etc/inputrc", "/usr/share/readline/inputrc"),),
    "rsyslog": (
        Where("chown syslog:adm /var/spool/rsyslog", (Attributes("/var/spool/rsyslog", 0o700, "syslog", "adm"),)),
        Where("chown syslog:adm /var/spool/rsyslog", (Attributes("/var/spool/rsyslog", 0o700),), is_said=False),
    ),
    "sudo": (Attributes("/etc/sudoers", 0o440),),
    # systemd: an empty file is filled on the first boot; without it that is a boot that enables units by preset.
    "systemd": (Empty("/etc/machine-id"), Folder("/var/log/journal")),
    "systemd-resolved": (Link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf", is_made_later=True),),
    "tzdata": (
        Link("/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
        Where('if test -f "$DPKG_ROOT/etc/timezone"', (Text("/etc/timezone", "Etc/UTC\n"),), is_said=False),
    ),
}


def entries(unpacked: Unpacked, accounts: Accounts) -> Iterator[Entry]:
    """The files, folders and links of the packages that are there.

    A line whose user or group is not there is left out.
    """
    for effect in _effects(unpacked):
        path = unpacked.real(effect.path)
        if isinstance(effect, Link):
            if effect.is_made_later or unpacked.follow(_leads_to(effect)):
                yield Symlink(path, effect.target.encode())
        elif isinstance(effect, Copy):
            source = unpacked.follow(effect.source)
            if isinstance(source, File):
                yield File(path, source.content, source.meta)
        elif isinstance(effect, Text):
            yield File(path, Data(effect.text.encode()))
        elif not isinstance(effect, Attributes) and (meta := _meta(accounts, effect, effect.mode)):
            yield File(path, meta=meta) if isinstance(effect, Empty) else Directory(path, meta)


def changes(unpacked: Unpacked, accounts: Accounts) -> Iterator[Entry]:
    """The packages' files and folders that have other owners or modes than their packages say."""
    for effect in _effects(unpacked):
        if not isinstance(effect, Attributes):
            continue
        lacking = bool(effect.needs) and unpacked.follow(effect.needs) is None
        meta = _meta(accounts, effect, effect.otherwise if lacking and effect.otherwise else effect.mode)
        if meta and effect.capabilities and not lacking:
            meta = replace(meta, xattrs=((b"security.capability", effect.capabilities),))
        if meta:
            yield from changed(unpacked.get(effect.path), meta)


def _effects(unpacked: Unpacked) -> Iterator[Effect]:
    for package, effects in sorted(TABLE.items()):
        if package in unpacked:
            script = unpacked.script(package, "postinst")
            for effect in effects:
                if not isinstance(effect, Where):
                    yield effect
                elif (effect.text in script) == effect.is_said:
                    yield from effect.effects


def _leads_to(link: Link) -> str:
    return link.target if link.target.startswith("/") else f"{link.path.rpartition('/')[0]}/{link.target}"


def _meta(accounts: Accounts, effect: Empty | Folder | Attributes, mode: int) -> Meta | None:
    user, group = accounts.user(effect.user), accounts.group(effect.group)
    return Meta(mode, user.uid, group.gid) if user and group else None

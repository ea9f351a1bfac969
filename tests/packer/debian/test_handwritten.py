import pytest

from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.reader import Reader
from packer.accounts import Accounts, Group, User
from packer.debian import handwritten
from packer.debian.base_passwd import DEBIAN
from packer.debian.handwritten import TABLE, Attributes, Copy, Effect, Link, Where
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import Package, merged, package

ACCOUNTS = DEBIAN.with_group(Group("_ssh", 103))
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")  # as `setcap cap_net_raw+ep` writes it
PATH = 'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games:/snap/bin"\n'
PING = package("iputils-ping", {"bin/ping": "x"}, {"postinst": "setcap cap_net_raw+ep $PROGRAM\n"})


def made(*packages: Package, accounts: Accounts = ACCOUNTS) -> tuple[dict[str, Entry], dict[str, Entry]]:
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        entries = {entry.path.decode(): entry for entry in handwritten.entries(unpacked, accounts)}
        return entries, {entry.path.decode(): entry for entry in handwritten.changes(unpacked, accounts)}


def test_entries() -> None:
    shipped = {"etc/dpkg/origins/debian": "", "usr/share/base-files/profile": "PATH=x\n"}
    entries, _ = made(package("base-files", shipped))
    assert entries["etc/profile"] == File(b"etc/profile", Data(b"PATH=x\n"))
    assert entries["etc/dpkg/origins/default"] == Symlink(b"etc/dpkg/origins/default", b"debian")
    assert entries["var/log/btmp"] == File(b"var/log/btmp", meta=Meta(0o660, 0, 43))
    assert "etc/motd" not in entries  # there is nothing to copy


@pytest.mark.parametrize(
    ("script", "origin"), [("", "debian"), ("ln -s x; test -e /etc/dpkg/origins/ubuntu\n", "ubuntu")]
)
def test_whose_packages_these_are(script: str, origin: str) -> None:
    shipped = {"etc/dpkg/origins/debian": "", "etc/dpkg/origins/ubuntu": "", "usr/share/base-files/motd": "hello\n"}
    entries, _ = made(package("base-files", shipped, {"postinst": script}))
    assert entries["etc/dpkg/origins/default"] == Symlink(b"etc/dpkg/origins/default", origin.encode())
    assert "etc/motd" not in entries  # its script says nothing of it


@pytest.mark.parametrize(
    ("packages", "path", "meta"),
    [
        ((package("sudo", {"etc/sudoers": "x"}),), "etc/sudoers", Meta(0o440)),
        ((package("openssh-client", {"usr/bin/ssh-agent": "x"}),), "usr/bin/ssh-agent", Meta(0o2755, 0, 103)),
        ((PING,), "usr/bin/ping", Meta(0o4755)),
        ((PING, package("libcap2-bin", {"sbin/setcap": "x"})), "usr/bin/ping",
         Meta(0o755, xattrs=((b"security.capability", NET_RAW),))),
    ],
)  # fmt: skip
def test_changes(packages: tuple[Package, ...], path: str, meta: Meta) -> None:
    assert made(*packages)[1] == {path: File(path.encode(), Data(b"x"), meta)}


def test_folders_change_too() -> None:
    folder = Directory(b"var/lib/apt/lists/partial")
    _, changes = made(package("apt", {"var/lib/apt/lists/partial": folder}))
    assert changes["var/lib/apt/lists/partial"] == Directory(folder.path, Meta(0o700, 42, 0))


@pytest.mark.parametrize(
    "packages",
    [
        (package("other", {"etc/sudoers": "x"}),),  # not the package of the table
        (package("cron-daemon-common", {"var/spool/cron/crontabs/x": "x"}),),  # no group crontab
        (package("iputils-ping", {"bin/ping": "x"}),),  # its script says nothing of it
        (package("sudo", {"etc/sudoers": File(b"etc/sudoers", meta=Meta(0o440))}),),  # it ships it that way
    ],
)
def test_no_changes(packages: tuple[Package, ...]) -> None:
    assert made(*packages)[1] == {}


@pytest.mark.parametrize(
    ("script", "is_made"),
    [("echo Etc/UTC > /etc/timezone\n", True), ('if test -f "$DPKG_ROOT/etc/timezone"; then\n', False)],
)
def test_what_a_script_says_decides(script: str, is_made: bool) -> None:
    assert ("etc/timezone" in made(package("tzdata", {}, {"postinst": script}))[0]) == is_made


@pytest.mark.parametrize("script", ["", f"echo '{PATH.strip()}' >> /etc/environment\n"])
def test_what_sessions_find(script: str) -> None:
    entries, _ = made(package("libpam-modules", {}, {"postinst": script}))
    assert entries["etc/environment"] == File(b"etc/environment", Data(PATH.encode() if script else b""))


def test_who_owns_what_depends_on_the_script() -> None:
    spool = {"var/spool/rsyslog": Directory(b"var/spool/rsyslog")}
    syslog = package("rsyslog", spool, {"postinst": "chown syslog:adm /var/spool/rsyslog\n"})
    accounts = ACCOUNTS.with_user(User("syslog", 101, 104))
    assert made(syslog, accounts=accounts)[1]["var/spool/rsyslog"] == Directory(
        b"var/spool/rsyslog", Meta(0o700, 101, 4)
    )
    assert made(package("rsyslog", spool), accounts=accounts)[1]["var/spool/rsyslog"] == Directory(
        b"var/spool/rsyslog", Meta(0o700)
    )


def test_without_another_shell_sh_is_bash() -> None:
    assert made(package("bash", {"bin/bash": "x"}))[0] == {"usr/bin/sh": Symlink(b"usr/bin/sh", b"bash")}


def test_the_table() -> None:
    assert list(TABLE) == sorted(TABLE)
    for effects in TABLE.values():
        always = [effect for effect in effects if not isinstance(effect, Where)]
        conditions = [effect for effect in effects if isinstance(effect, Where)]
        assert [*always, *conditions] == list(effects)
        assert all(condition.text for condition in conditions)
        for each in (always, *(condition.effects for condition in conditions)):
            assert list(each) == sorted(each, key=lambda effect: (type(effect).__name__, effect.path))
            for effect in each:
                assert_whole(effect)


def assert_whole(effect: Effect) -> None:
    assert effect.path.startswith("/")
    assert not isinstance(effect, Copy) or effect.source.startswith("/")
    assert not isinstance(effect, Link) or effect.target
    assert not isinstance(effect, Attributes) or bool(effect.needs) == bool(effect.otherwise)

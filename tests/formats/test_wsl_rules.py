"""Each of Microsoft's rules is broken by one change of a root that breaks none."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from formats.wsl_root import Root, is_icon, is_profile
from formats.wsl_rules import DISCOURAGED_UNITS, RULES, Finding, findings
from layers.entry import PROGRAM, Data, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.reader import Reader
from layers.tree import Tree, add_parents
from tests.support.wsl import PROFILE, ROOT, elf, icon

_CONF = """\
[oobe]
command = /usr/lib/wsl/oobe
defaultUid = 1000
defaultName = hello
[shortcut]
icon = /usr/lib/wsl/icon.ico
[windowsterminal]
profileTemplate = /usr/lib/wsl/profile.json
"""

GOOD: tuple[Entry, ...] = (
    *ROOT,
    File(b"etc/wsl-distribution.conf", Data(_CONF.encode())),
    File(b"etc/wsl.conf", Data(b"[boot]\nsystemd = true\n")),
    File(b"usr/lib/wsl/oobe", Data(b"#!/bin/sh\n"), PROGRAM),
    File(b"usr/lib/wsl/icon.ico", Data(icon())),
    File(b"usr/lib/wsl/profile.json", Data(PROFILE), Meta(0o640)),
    File(b"usr/lib/systemd/systemd", Data(elf()), PROGRAM),
    Symlink(b"usr/sbin/init", b"../lib/systemd/systemd"),
    Symlink(b"sbin", b"usr/sbin"),
    File(b"usr/bin/bash", Data(elf()), PROGRAM),
    Hardlink(b"usr/bin/rbash", b"usr/bin/bash"),
    Symlink(b"etc/systemd/system/tmp.mount", b"/dev/null"),
    Symlink(b"etc/systemd/system/local-fs.target.wants/tmp.mount", b"/usr/share/systemd/tmp.mount"),
    Directory(b"boot/grub"),
)


def found(entries: Iterable[Entry], *, machine: int = 62, early: bool = False) -> list[Finding]:
    by_path = {entry.path: entry for entry in entries}
    add_parents(by_path)
    with Reader() as reader:
        return findings(Root(Tree(by_path), reader, machine), early=early)


def changed(*entries: Entry, without: str = "") -> list[Entry]:
    """The good root with some entries changed or added, and one taken away."""
    return [entry for entry in (*GOOD, *entries) if entry.path != without.encode()]


def conf(old: str, new: str) -> File:
    assert old in _CONF
    return File(b"etc/wsl-distribution.conf", Data(_CONF.replace(old, new).encode()))


def text(path: str, content: str | bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> File:
    data = content if isinstance(content, bytes) else content.encode()
    return File(path.encode(), Data(data), Meta(mode, uid, gid))


_PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
_SHADOW = "root:*:1:0:99999:7:::\n"

#: (rule, what breaks it, the file that is named)
BREACHES: list[tuple[str, list[Entry], str]] = [
    ("distribution-conf", changed(without="etc/wsl-distribution.conf"), "/etc/wsl-distribution.conf"),
    ("distribution-conf-owner", changed(text("etc/wsl-distribution.conf", _CONF, 0o600)), "/etc/wsl-distribution.conf"),
    ("distribution-conf-owner", changed(text("etc/wsl-distribution.conf", _CONF, gid=5)), "/etc/wsl-distribution.conf"),
    ("distribution-conf-keys", changed(conf("[oobe]", "[oobe]\nnoise = 1")), "/etc/wsl-distribution.conf"),
    ("distribution-conf-keys", changed(conf("[oobe]", "no section")), "/etc/wsl-distribution.conf"),
    ("default-name", changed(conf("defaultName = hello\n", "")), "/etc/wsl-distribution.conf"),
    ("default-name", changed(conf("hello", "a name")), "/etc/wsl-distribution.conf"),
    ("default-name", changed(conf("hello", "Legacy")), "/etc/wsl-distribution.conf"),
    ("default-uid", changed(conf("1000", "1001")), "/etc/wsl-distribution.conf"),
    ("default-uid-free", changed(text("etc/passwd", _PASSWD + "ada:x:1000:1000::/:/bin/sh\n")), "/etc/passwd"),
    ("oobe-command", changed(without="usr/lib/wsl/oobe"), "/usr/lib/wsl/oobe"),
    ("oobe-command-owner", changed(text("usr/lib/wsl/oobe", "#!/bin/sh\n", 0o644)), "/usr/lib/wsl/oobe"),
    (
        "oobe-command-place",
        changed(conf("/usr/lib/wsl/oobe", "/etc/oobe"), text("etc/oobe", "#!/bin/sh\n", 0o755)),
        "/etc/oobe",
    ),
    ("icon", changed(conf("icon = /usr/lib/wsl/icon.ico\n", "")), "/etc/wsl-distribution.conf"),
    ("icon-content", changed(text("usr/lib/wsl/icon.ico", b"\x89PNG\r\n\x1a\n")), "/usr/lib/wsl/icon.ico"),
    ("icon-content", changed(text("usr/lib/wsl/icon.ico", icon() + bytes(1 << 20))), "/usr/lib/wsl/icon.ico"),
    ("icon-content", changed(without="usr/lib/wsl/icon.ico"), "/usr/lib/wsl/icon.ico"),
    ("icon-owner", changed(text("usr/lib/wsl/icon.ico", icon(), 0o640)), "/usr/lib/wsl/icon.ico"),
    ("icon-place", changed(conf("/usr/lib/wsl/icon", "/etc/icon"), text("etc/icon.ico", icon())), "/etc/icon.ico"),
    ("terminal-profile-content", changed(text("usr/lib/wsl/profile.json", "{", 0o640)), "/usr/lib/wsl/profile.json"),
    ("terminal-profile-owner", changed(text("usr/lib/wsl/profile.json", PROFILE)), "/usr/lib/wsl/profile.json"),
    (
        "terminal-profile-place",
        changed(conf("/usr/lib/wsl/profile", "/etc/profile"), text("etc/profile.json", PROFILE, 0o640)),
        "/etc/profile.json",
    ),
    ("wsl-conf", changed(without="etc/wsl.conf"), "/etc/wsl.conf"),
    ("wsl-conf-owner", changed(text("etc/wsl.conf", "", 0o666)), "/etc/wsl.conf"),
    ("wsl-conf-keys", changed(text("etc/wsl.conf", "[boot]\nsystemctl=true\n")), "/etc/wsl.conf"),
    ("user-default", changed(text("etc/wsl.conf", "[user]\ndefault=root\n")), "/etc/wsl.conf"),
    ("init", changed(without="usr/lib/systemd/systemd"), "/sbin/init"),
    ("init", changed(text("usr/lib/systemd/systemd", "#!/bin/sh\n", 0o755)), "/sbin/init"),
    ("init-owner", changed(text("usr/lib/systemd/systemd", elf(), 0o700)), "/sbin/init"),
    ("passwd", changed(without="etc/passwd"), "/etc/passwd"),
    ("passwd-owner", changed(text("etc/passwd", _PASSWD, 0o600)), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", "ada:x:0:0::/:/bin/sh\n")), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", _PASSWD + "toor:x:0:0::/:/bin/sh\n")), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", _PASSWD + "ada:x:one:1::/:/bin/sh\n")), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", _PASSWD + f"ada:x:{'1' * 5000}:1::/:/bin/sh\n")), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", _PASSWD + "+\n")), "/etc/passwd"),
    ("passwd-content", changed(text("etc/passwd", "ada:x:1:1::/:/bin/sh\n")), "/etc/passwd"),
    ("shadow", changed(without="etc/shadow"), "/etc/shadow"),
    ("shadow-owner", changed(text("etc/shadow", _SHADOW, 0o644)), "/etc/shadow"),
    ("password-hash", changed(text("etc/shadow", "root:$6$salt$hash:1::::::\n", 0)), "/etc/shadow"),
    ("password-hash", changed(text("etc/shadow", "root:!$6$salt$hash:1::::::\n", 0)), "/etc/shadow"),
    ("password-hash", changed(text("etc/passwd", _PASSWD + "ada:hash:1:1::/:/bin/sh\n")), "/etc/passwd"),
    ("bash", changed(text("usr/bin/bash", elf(183), 0o755)), "/bin/bash"),
    ("bash-owner", changed(text("usr/bin/bash", elf(), 0o755, uid=1)), "/bin/bash"),
    ("sh", changed(without="usr/bin/sh"), "/bin/sh"),
    ("sh", changed(text("usr/bin/dash", elf(bits=1), 0o755)), "/bin/sh"),
    ("sh-owner", changed(text("usr/bin/dash", elf(), 0o711)), "/bin/sh"),
    ("mount", changed(without="usr/bin/mount"), "/bin/mount"),
    ("resolv-conf", changed(text("etc/resolv.conf", "")), "/etc/resolv.conf"),
    ("resolv-conf", changed(Symlink(b"etc/resolv.conf", b"/run/x")), "/etc/resolv.conf"),
    ("kernel", changed(text("boot/vmlinuz-6.1.0-1-amd64", "")), "/boot/vmlinuz-6.1.0-1-amd64"),
    ("kernel", changed(Symlink(b"vmlinuz", b"boot/vmlinuz")), "/vmlinuz"),
    ("initramfs", changed(text("boot/initrd.img-6.1.0-1-amd64", "")), "/boot/initrd.img-6.1.0-1-amd64"),
    ("initramfs", changed(text("boot/initramfs-linux.img", "")), "/boot/initramfs-linux.img"),
    (
        "units",
        changed(without="etc/systemd/system/tmp.mount"),
        "/etc/systemd/system/local-fs.target.wants/tmp.mount",
    ),
    (
        "units",
        changed(Symlink(b"usr/lib/systemd/user/basic.target.wants/systemd-tmpfiles-setup.service", b"../x")),
        "/usr/lib/systemd/user/basic.target.wants/systemd-tmpfiles-setup.service",
    ),
    (
        "xattrs",
        changed(File(b"usr/bin/bash", Data(elf()), Meta(0o755, xattrs=((b"security.selinux", b"x"),)))),
        "/usr/bin/bash",
    ),
]


def test_the_good_root_breaks_no_rule() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(("rule", "entries", "path"), BREACHES)
def test_a_broken_rule_is_named_with_the_file(rule: str, entries: list[Entry], path: str) -> None:
    broken = found(entries)
    assert {(finding.rule.name, finding.breach.path) for finding in broken} >= {(rule, path)}
    # What is missing or has no section may break a few rules that need it; nothing else.
    assert len({finding.rule.name for finding in broken}) <= 2, [str(finding) for finding in broken]


def test_every_rule_is_broken_once() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in BREACHES}


def test_the_documentation_has_every_rule_and_what_to_do_about_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wsl2.md").read_text()
    rows = [line.removesuffix(" |").rpartition(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row for row, _, _ in rows] == [
        f"| `{rule.name}` | {rule.demand} | {'forbids' if rule.forbids else 'warns'} | {rule.source}" for rule in RULES
    ]
    assert all(len(remedy) > len("leave it out") for _, _, remedy in rows)


def test_every_rule_names_its_source() -> None:
    assert all(".md" in rule.source or ".py" in rule.source or "src/" in rule.source for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("unit", DISCOURAGED_UNITS)
@pytest.mark.parametrize("folder", ["etc", "usr/lib", "usr/local/lib", "lib"])
def test_units_are_found_where_systemd_looks(unit: str, folder: str) -> None:
    link = Symlink(f"{folder}/systemd/system/multi-user.target.wants/{unit}".encode(), b"../" + unit.encode())
    masked = Symlink(b"etc/systemd/system/" + unit.encode(), b"/dev/null")
    assert [finding.rule.name for finding in found([*changed(without="etc/systemd/system/tmp.mount"), link])][
        -1
    ] == "units"
    assert found([*GOOD, link, masked]) == []


def test_what_is_missing_is_not_told_early() -> None:
    assert found([], early=True) == []
    assert [finding.rule.name for finding in found([text("etc/resolv.conf", "")], early=True)] == ["resolv-conf"]


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (icon(), True),
        (icon(3), True),
        (icon().replace(b"\x89PNG\r\n\x1a\n", b"\x28\0\0\0\0\0\0\0"), True),
        (b"", False),
        (icon()[:-1], False),
        (icon()[:10], False),
        (b"\0\0\2\0" + icon()[4:], False),
        (b"\0\0\1\0\0\0", False),
        (icon().replace(b"PNG", b"GIF"), False),
    ],
)
def test_icons(data: bytes, right: bool) -> None:
    assert is_icon(data) == right


@pytest.mark.parametrize(
    ("data", "right"),
    [
        (PROFILE, True),
        (b"{}", True),
        (b"[]", False),
        (b"", False),
        (b"\xff", False),
        (b'{"profiles": {}}', False),
        (b'{"schemes": [1]}', False),
        (b"[" * 100_000, False),
    ],
)
def test_profiles(data: bytes, right: bool) -> None:
    assert is_profile(data) == right

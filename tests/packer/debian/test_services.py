"""Enabled services, compared with what the postinsts themselves make below a root, with Debian's own programs."""

import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from packer.debian import services
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package
from tests.support.host_systemd import host_systemd

SERVICE = "[Service]\nExecStart=/bin/true\n[Install]\n"
HEADER = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: old
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
# Default-Start: S
"""

FILES: Mapping[str, str | Entry] = {
    **host_systemd(),
    "usr/bin/systemctl": File(b"usr/bin/systemctl", Data(b"#!/bin/sh\n")),
    "usr/bin/deb-systemd-helper": "",
    "lib/systemd/system/one.service": SERVICE + "WantedBy=multi-user.target\nAlias=first.service\n",
    "lib/systemd/system/two.service": SERVICE + "WantedBy=multi-user.target\nRequiredBy=x.target\nAlso=two.socket\n",
    "lib/systemd/system/two.socket": "[Socket]\n[Install]\nWantedBy=sockets.target\n",
    "lib/systemd/system/tty@.service": SERVICE + "WantedBy=getty.target\nDefaultInstance=tty1\n",
    "lib/systemd/system/quiet.service": SERVICE + "WantedBy=multi-user.target\n",
    "usr/lib/systemd/user/mine.service": SERVICE + "WantedBy=default.target\n",
    "lib/systemd/system-preset/50-local.preset": "# ours\ndisable quiet.*\nenable *\n",
    "etc/init.d/old": HEADER,
    "etc/init.d/rescue": "### BEGIN INIT INFO\n# Default-Start: S\n# Default-Stop:\n### END INIT INFO\n",
    "etc/init.d/plain": "# Default-Start: 2\n",
}

# debhelper 13's autoscripts: dh_installsystemd, dh_installsystemd --no-enable, dh_installsystemduser
ENABLE = """\
deb-systemd-helper {user} unmask '{unit}' >/dev/null || true
if deb-systemd-helper {user} --quiet was-enabled '{unit}'; then
	deb-systemd-helper {user} enable '{unit}' >/dev/null || true
else
	deb-systemd-helper {user} update-state '{unit}' >/dev/null || true
fi
"""
NO_ENABLE = """\
if deb-systemd-helper debian-installed '{unit}'; then
	deb-systemd-helper unmask '{unit}' >/dev/null || true
	if deb-systemd-helper --quiet was-enabled '{unit}'; then
		deb-systemd-helper enable '{unit}' >/dev/null || true
	fi
fi
deb-systemd-helper update-state '{unit}' >/dev/null || true
"""
SYSTEMCTL = 'systemctl ${{DPKG_ROOT:+--root="$DPKG_ROOT"}} enable {unit} >/dev/null 2>&1 || true\n'


def made(script: str, files: Mapping[str, str | Entry] = FILES) -> tuple[dict[str, Entry], list[str]]:
    packages = [package("p", dict(files), {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found: dict[str, Entry] = {}
        for entry in services.entries(unpacked):
            found.setdefault(entry.path.decode(), entry)
    return found, [skipped.reason for skipped in unpacked.skipped]


def facts(entries: Mapping[str, Entry]) -> dict[str, str]:
    found = {}
    for path, entry in entries.items():
        if isinstance(entry, Symlink):
            found[path] = "-> " + entry.target.decode()
        elif isinstance(entry, File) and isinstance(entry.content, Data):
            found[path] = entry.content.data.decode()
    return found


def done(folder: Path, script: str) -> dict[str, str]:
    """What the script makes below a root with the files."""
    for name in ("bin", "lib"):  # as in every root of Debian
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    for path, content in FILES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else "#!/bin/sh\n")
    (folder / "usr/bin/systemctl").chmod(0o755)
    before = set(everything(folder))
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DPKG_ROOT": str(folder), "DPKG_MAINTSCRIPT_PACKAGE": "p"}
    subprocess.run(["sh", "-ec", script, "postinst", "configure"], check=True, env=environment, capture_output=True)
    return {path: text for path, text in everything(folder).items() if path not in before}


def everything(folder: Path) -> dict[str, str]:
    found = {}
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            is_link = stat.S_ISLNK(os.lstat(path).st_mode)
            found[os.path.relpath(path, folder)] = "-> " + os.readlink(path) if is_link else Path(path).read_text()
    return found


@pytest.mark.parametrize(
    "script",
    [
        ENABLE.format(unit="one.service", user=""),
        ENABLE.format(unit="two.service", user=""),
        ENABLE.format(unit="tty@.service", user=""),
        ENABLE.format(unit="quiet.service", user=""),
        ENABLE.format(unit="mine.service", user="--user"),
        NO_ENABLE.format(unit="one.service"),
        NO_ENABLE.format(unit="two.socket") + ENABLE.format(unit="one.service", user=""),
        SYSTEMCTL.format(unit="tty@tty1.service"),
        SYSTEMCTL.format(unit="quiet.service"),
        "update-rc.d old defaults >/dev/null || exit 1\nupdate-rc.d rescue defaults\nupdate-rc.d plain defaults\n",
        "update-rc.d old defaults-disabled >/dev/null\n",
    ],
)
def test_the_same_as_the_script_makes(tmp_path: Path, script: str) -> None:
    entries, skipped = made(script)
    assert entries
    assert not skipped
    assert facts(entries) == done(tmp_path, script)


@pytest.mark.parametrize("words", ["start 99 2 3 4 5 .", "stop 20 0 1 6 ."])
def test_levels_that_a_script_names_itself_have_no_say(words: str) -> None:
    # update-rc.d compares them with the header of the machine's own script, so that it cannot be asked here.
    assert facts(made(f"update-rc.d old {words}\n")[0]) == facts(made("update-rc.d old defaults\n")[0]) != {}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("deb-systemd-helper enable $unit\n", "its words depend on what only a shell knows"),
        ("deb-systemd-helper enable gone.service\n", "there is no unit 'gone.service' in the image"),
        ("systemctl enable bare.service\n", "the unit bare.service has no [Install] section: it cannot be enabled"),
        ("deb-systemd-helper enable caf\udce9.service\n", r"there is no unit 'caf\udce9.service' in the image"),
        ("update-rc.d ../x defaults\n", "its words depend on what only a shell knows"),
    ],
)
def test_what_is_left_out(script: str, reason: str) -> None:
    entries, skipped = made(script, {**FILES, "lib/systemd/system/bare.service": "[Service]\n"})
    assert not entries
    assert skipped == [reason]


@pytest.mark.parametrize("call", ["mask", "disable", "stop", "is-enabled"])
def test_other_calls_make_nothing(call: str) -> None:
    assert made(f"systemctl {call} one.service\n") == ({}, [])


def test_a_root_without_these_programs_has_no_services() -> None:
    files = {path: content for path, content in FILES.items() if "bin/" not in path}
    assert made(ENABLE.format(unit="one.service", user=""), files) == ({}, [])

"""PAM stacks, compared with those that Debian's own pam-auth-update(8) makes of the same profiles."""

import itertools
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, File
from layers.reader import Reader
from packer.debian import pam
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

KINDS = ("account", "auth", "password", "session", "session-noninteractive")
TEMPLATES = {f"usr/share/pam/common-{kind}": Path(f"/usr/share/pam/common-{kind}").read_text() for kind in KINDS}

UNIX = Path("/usr/share/pam-configs/unix").read_text()
SYSTEMD = """\
Name: Register user sessions
Default: yes
Priority: 0
Session-Interactive-Only: yes
Session-Type: Additional
Session:
	optional	pam_systemd.so
"""
DIRECTORY = """\
Name: A directory
Default: yes
Priority: 128
Auth-Type: Primary
Auth:
	[success=2 authinfo_unavail=ignore default=ignore]	pam_first.so use_first_pass
	[success=end default=ignore]	pam_directory.so   use_first_pass   minimum_uid=1000
Auth-Initial:
	[success=end default=ignore]	pam_directory.so minimum_uid=1000
Account-Type: Additional
Account:
	[success=end default=bad]	pam_directory.so
	required	pam_other.so
Session-Type: Additional
Session:
	optional	pam_directory.so
Password-Type: Primary
Password-Final:
	[success=end default=ignore]	pam_directory.so try_first_pass
"""
HOME = """\
Name: Home folders
Default: no
Priority: 0
Session-Type: Additional
Session:
	optional	pam_mkhomedir.so
"""
RIVAL = """\
Name: A rival
Default: yes
Priority: 300
Conflicts: directory, home
Auth-Type: Primary
Auth:
	required pam_x.so
"""
GONE = "Name: Gone\nDefault: yes\nPriority: 900\nAuth-Type: Primary\nAuth:\n\trequired pam_tally.so\n"

SETS: Mapping[str, Mapping[str, str]] = {
    "unix": {"unix": UNIX},
    "server": {"unix": UNIX, "systemd": SYSTEMD, "mkhomedir": HOME},
    "directory": {"unix": UNIX, "directory": DIRECTORY, "systemd": SYSTEMD},
    "no unix": {"systemd": SYSTEMD, "directory": DIRECTORY},
    "only a session": {"systemd": SYSTEMD},
    "conflict": {"unix": UNIX, "directory": DIRECTORY, "rival": RIVAL},
    "gone": {"unix": UNIX, "gone": GONE, "editor~": GONE},
    "equal priorities": {"a": SYSTEMD, "b": SYSTEMD.replace("systemd.so", "b.so"), "unix": UNIX},
}


def made(profiles: Mapping[str, str], script: str = "") -> dict[str, str]:
    files = {f"usr/share/pam-configs/{name}": text for name, text in profiles.items()}
    packages = [package("libpam-runtime", {**TEMPLATES, **files}, {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = {entry.path.decode(): entry for entry in pam.entries(unpacked)}
    assert not unpacked.skipped
    return {path: _text(entry) for path, entry in found.items()}


def _text(entry: object) -> str:
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data.decode()


def updated(folder: Path, profiles: Mapping[str, str], *arguments: str) -> dict[str, str]:
    """What pam-auth-update makes below a root that has the profiles; its questions are never asked."""
    for name in ("usr/share/pam-configs", "etc/pam.d", "var/lib/pam"):
        (folder / name).mkdir(parents=True)
    for name, text in profiles.items():
        (folder / "usr/share/pam-configs" / name).write_text(text)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    # debconf's answers of this host must have no say: a database of its own.
    database = folder / "debconf.conf"
    database.write_text(
        f"Config: c\nTemplates: t\n\nName: c\nDriver: File\nFilename: {folder}/c.dat\n\n"
        f"Name: t\nDriver: File\nFilename: {folder}/t.dat\n"
    )
    command = ["debconf", "--", "pam-auth-update", "--root", str(folder), "--package", "--force", *arguments]
    subprocess.run(
        command, check=True, env={**environment, "DEBCONF_SYSTEMRC": str(database)}, capture_output=True
    )  # fmt: skip
    paths = itertools.chain((folder / "etc/pam.d").iterdir(), (folder / "var/lib/pam").iterdir())
    return {str(path.relative_to(folder)): path.read_text() for path in paths if path.suffix != ".pam-old"}


@pytest.mark.parametrize("name", SETS)
def test_the_same_as_pam_auth_update(tmp_path: Path, name: str) -> None:
    found = made(SETS[name])
    assert len(found) == 11
    assert found == updated(tmp_path, SETS[name])


def test_profiles_that_a_script_enables(tmp_path: Path) -> None:
    found = made(SETS["server"], "pam-auth-update --package --enable mkhomedir\n")
    assert "pam_mkhomedir.so" in found["etc/pam.d/common-session"]
    assert found == updated(tmp_path, SETS["server"], "--enable", "mkhomedir")


def test_a_stack_without_marks() -> None:
    assert pam.configured("auth required pam_unix.so\n", "auth", []) is None


def test_nothing_without_templates_or_profiles() -> None:
    with Reader() as reader:
        for files in ({}, TEMPLATES, {"usr/share/pam-configs/unix": UNIX}):
            packages = [package("x", dict(files))]
            assert not list(pam.entries(Unpacked(packages, merged(packages)[1].tree, reader)))

"""`[os]` over roots of Debian, of a folder and of Nix, extracted; what the programs of these roots say of them.

pwck, grpck, ssh-keygen, visudo, systemctl and the C library are the oracles.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from layers.archive import write_archive
from layers.progress import NoProgress
from packer import build
from packer.config import parse
from tests.support.nix_store import SmallStore
from tests.support.processes import needs_root

pytestmark = needs_root

_HEAD = 'name = "x"\nplatform = "x86_64-linux"\n'

#: The password is "secret".
_PEOPLE = """
[[os.users]]
name = "ada"
comment = "Ada Lovelace"
groups = ["dev"]
password = "$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"
authorized-keys = [{ source = "id.pub" }]
SHELL

[[os.users]]
name = "bob"
uid = 1500
SHELL

[[os.users]]
name = "app"
system = true
home = "/var/lib/app"

[[os.groups]]
name = "dev"
members = ["bob"]

[[os.files]]
target = "/home/ada/.config/app/conf"
text = "x"

[[os.files]]
target = "/srv/app"
source = "site/*"
user = "app"
group = "dev"
"""

_DEBIAN = """
[store]
type = "debian"
packages = [
    "base-files", "base-passwd", "bash", "coreutils", "debianutils", "libc-bin", "libpam-modules", "libpam-runtime",
    "locales-all", "login", "openssh-server", "passwd", "sudo", "systemd", "systemd-sysv", "tzdata", "util-linux",
]
[os]
hostname = "web.example.com"
timezone = "Europe/Paris"
locale = "de_DE.UTF-8"
keymap = "de-latin1"
init = "/sbin/init"

[os.services]
enable = ["ssh.service", "serial-getty@ttyS0.service"]
disable = ["systemd-pstore.service"]
mask = ["systemd-networkd-wait-online.service"]

[[os.mounts]]
label = "my data"
mount-point = "/srv/data"
type = "ext4"
"""


@dataclass(frozen=True)
class Root:
    """An extracted root."""

    folder: Path
    environment: tuple[tuple[str, str], ...] = (("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),)

    def run(self, *command: str, code: int | None = 0) -> str:
        """What a program says in the root."""
        return _said("/usr/sbin/chroot", str(self.folder), *command, environment=dict(self.environment), code=code)

    def owner(self, path: str) -> str:
        status = os.lstat(self.folder / path)
        return f"{status.st_mode & 0o7777:o} {status.st_uid}:{status.st_gid}"


def _said(*command: str, environment: dict[str, str] | None = None, code: int | None = 0) -> str:
    plain = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(command, env=environment or plain, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _extracted(folder: Path, text: str) -> Path:
    """The root that an os.toml in a folder comes to."""
    (folder / "site").mkdir()
    (folder / "site/page").write_text("page")
    _said("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id"))
    settings = build.Settings(
        folder=str(folder),
        cache=str(folder / "cache"),
        epoch=1,
        jobs=2,
        refresh=False,
        verify=False,
        environment={"PATH": os.environ["PATH"]},
        progress=NoProgress(),
    )
    system = build.produce(parse(_HEAD + text, "os.toml"), settings)[0].system
    write_archive(str(folder / "root.tar"), system.tree, 1)
    (folder / "root").mkdir()
    _said("tar", "-x", "-p", "--numeric-owner", "-f", str(folder / "root.tar"), "-C", str(folder / "root"))
    return folder / "root"


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """Debian with systemd."""
    folder = tmp_path_factory.mktemp("debian")
    yield Root(_extracted(folder, _DEBIAN + _PEOPLE.replace('["dev"]', '["dev", "sudo"]').replace("SHELL", "")))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A folder with busybox and accounts that somebody made."""
    folder = tmp_path_factory.mktemp("busybox")
    root = folder / "tree"
    for path, text in {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        "etc/group": "root:x:0:\nnobody:x:65534:",
        "etc/shadow": "root:!:19000:0:99999:7:::\nnobody:!:19000::::::\n",
        "etc/skel/.profile": "umask 022\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "etc/shadow").chmod(0o600)
    (root / "bin").mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "id", "su", "date", "false"):
        (root / "bin" / name).symlink_to("busybox")
    zone = "usr/share/zoneinfo/Europe/Paris"
    (root / zone).parent.mkdir(parents=True)
    shutil.copy(f"/{zone}", root / zone)
    store = '[store]\ntype = "folder"\npath = "tree"\n[os]\ntimezone = "Europe/Paris"\nlocale = "C.UTF-8"\n'
    yield Root(_extracted(folder, store + _PEOPLE.replace("SHELL", "")))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nix(nix_store: SmallStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A closure of Nix, which has no accounts."""
    folder = tmp_path_factory.mktemp("nix")
    store = (
        f'[store]\ntype = "nix"\nroots = ["{nix_store.top}"]\nroot = "{nix_store.root}"\n'
        'symlinks = { "/lib64" = "lib", "/bin" = "bin" }\n[os]\nlocale = "C.UTF-8"\n'
    )
    people = _PEOPLE.replace("SHELL", f'shell = "{nix_store.top}/bin/bash"')
    yield Root(_extracted(folder, store + people), (("PATH", "/bin"), ("LD_LIBRARY_PATH", "/lib64")))
    shutil.rmtree(folder)


@pytest.fixture(params=["debian", "busybox", "nix"])
def root(request: pytest.FixtureRequest) -> Root:
    """Each of them."""
    found: Root = request.getfixturevalue(request.param)
    return found


def test_the_c_library_knows_them(root: Root) -> None:
    ada = root.run("id", "ada").strip()
    assert ada.startswith("uid=1000(ada) gid=1000(ada) groups=1000(ada),")
    assert ada.endswith("1001(dev)")
    assert root.run("id", "bob").strip() == "uid=1500(bob) gid=1500(bob) groups=1500(bob),1001(dev)"


def test_homes_are_their_users(root: Root) -> None:
    assert root.owner("home/ada") == "700 1000:1000"
    assert root.owner("home/bob") == "700 1500:1500"
    assert root.owner("home/ada/.ssh") == "700 1000:1000"
    assert root.owner("home/ada/.ssh/authorized_keys") == "600 1000:1000"
    assert root.owner("home/ada/.config/app") == "755 1000:1000"
    assert root.owner("home/ada/.config/app/conf") == "644 1000:1000"
    uid = int(root.run("id", "-u", "app"))
    assert root.owner("var/lib/app") == f"755 {uid}:{uid}"
    assert root.owner("srv/app/page") == f"644 {uid}:1001"


def test_pwck_and_grpck_are_content(root: Root) -> None:
    assert _said("grpck", "-r", "-R", str(root.folder)) == ""
    said = _said("pwck", "-r", "-R", str(root.folder), code=None).splitlines()
    # Homes of Debian's own users are not there until somebody needs them.
    assert [line for line in said if not line.endswith("does not exist")] in ([], ["pwck: no changes"])
    assert not [line for line in said if any(f"'{name}'" in line for name in ("ada", "bob", "app"))]


def test_nobody_logs_in_without_a_password_or_a_key(root: Root) -> None:
    fields = [line.split(":") for line in (root.folder / "etc/shadow").read_text().splitlines()]
    assert {name: secret[:2] for name, secret, *_ in fields if name in ("ada", "bob", "app")} == {
        "ada": "$5", "bob": "!", "app": "!"
    }  # fmt: skip
    assert all(secret for _, secret, *_ in fields)


def test_ssh_keygen_reads_the_keys(root: Root) -> None:
    assert "(ED25519)" in _said("ssh-keygen", "-l", "-f", str(root.folder / "home/ada/.ssh/authorized_keys"))


def test_what_a_folder_had_stays(busybox: Root) -> None:
    assert (busybox.folder / "etc/passwd").read_text().startswith("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:")
    assert (busybox.folder / "etc/shadow").read_text().startswith("root:!:19000:0:99999:7:::\nnobody:!:19000::::::\n")
    assert busybox.owner("etc/shadow") == "600 0:0"
    assert not (busybox.folder / "etc/gshadow").exists()
    assert busybox.run("su", "ada", "-c", "id -un") == "ada\n"


@pytest.fixture(scope="module")
def worn(debian: Root, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A copy that programs may change."""
    folder = tmp_path_factory.mktemp("worn") / "root"
    _said("cp", "-a", str(debian.folder), str(folder))
    yield Root(folder, debian.environment)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("getent", "passwd", "ada"), "ada:x:1000:1000:Ada Lovelace:/home/ada:/bin/bash\n"),
        (("getent", "group", "sudo"), "sudo:x:27:ada\n"),
        (("getent", "shadow", "bob"), "bob:!::0:99999:7:::\n"),
        (("su", "-", "ada", "-c", "id -un; pwd; echo $0"), "ada\n/home/ada\n-bash\n"),
        (("date", "-d", "2026-07-01 12:00 UTC", "+%H:%M %Z"), "14:00 CEST\n"),
        (("sh", "-c", ". /etc/default/locale; LANG=$LANG locale -k charmap"), 'charmap="UTF-8"\n'),
        (("sh", "-c", ". /etc/locale.conf; LC_ALL=$LANG date -d 2026-07-01 +%B"), "Juli\n"),
        (("cat", "/etc/timezone", "/etc/hostname"), "Europe/Paris\nweb.example.com\n"),
        (("getent", "hosts", "web"), "127.0.1.1       web.example.com web\n"),
        (("stat", "-c", "%s %a", "/etc/machine-id"), "0 644\n"),
        (("cat", "/etc/subuid"), "ada:100000:65536\nbob:32868000:65536\n"),
        (("findmnt", "--verify", "--tab-file", "/etc/fstab"), None),
        (("sh", "-c", ". /etc/default/keyboard; echo $XKBLAYOUT $XKBMODEL"), "de pc105\n"),
        (("visudo", "-c"), None),
    ],
)
def test_programs_of_debian_agree(worn: Root, command: tuple[str, ...], expected: str | None) -> None:
    said = worn.run(*command, code=None if command[0] == "findmnt" else 0)
    assert expected is None or said == expected
    if command[0] == "findmnt":
        assert "parse error" not in said


def test_the_hash_is_the_passwords(debian: Root) -> None:
    (line,) = [line for line in (debian.folder / "etc/shadow").read_text().splitlines() if line.startswith("ada:")]
    assert _said("openssl", "passwd", "-5", "-salt", "salt", "secret").strip() == line.split(":")[1]


@pytest.mark.parametrize(
    ("unit", "state"),
    [
        ("ssh.service", "enabled"),
        ("sshd.service", "alias"),
        ("serial-getty@ttyS0.service", "enabled"),
        ("systemd-networkd-wait-online.service", "masked"),
        ("systemd-pstore.service", "disabled"),
        ("remote-fs.target", "enabled"),
    ],
)
def test_systemctl_sees_what_is_enabled(debian: Root, unit: str, state: str) -> None:
    said = _said("systemctl", f"--root={debian.folder}", "is-enabled", unit, code=None)
    assert said == f"{state}\n"


def test_systemctl_would_make_no_other_link(worn: Root) -> None:
    before = _links(worn.folder)
    for verb, unit in (("enable", "ssh.service"), ("enable", "serial-getty@ttyS0.service")):
        _said("systemctl", f"--root={worn.folder}", verb, unit)
    _said("systemctl", f"--root={worn.folder}", "mask", "systemd-networkd-wait-online.service")
    _said("systemctl", f"--root={worn.folder}", "disable", "systemd-pstore.service")
    assert _links(worn.folder) == before


def _links(folder: Path) -> dict[str, str]:
    found = (folder / "etc/systemd/system").rglob("*")
    return {str(path.relative_to(folder)): os.path.basename(path.readlink()) for path in found if path.is_symlink()}


def test_useradd_goes_on_from_there(worn: Root) -> None:
    worn.run("useradd", "--create-home", "eve")
    assert worn.run("id", "eve") == "uid=1501(eve) gid=1501(eve) groups=1501(eve)\n"

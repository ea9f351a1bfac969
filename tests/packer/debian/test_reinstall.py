"""The strongest check of a base: every package is installed over it, by dpkg and with its own scripts.

Once as if it had been unpacked and never configured, as on a new machine; and once again, as by --reinstall. Whatever
a script makes and the base has not, or has in another way, is a difference. What may differ is written down.
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from formats.platform import PLATFORMS
from layers.entry import Slice
from layers.progress import NoProgress
from packer.config import load
from packer.debian.package import DebianItem
from packer.stores import StoreContext
from packer.stores.debian import open_store
from tests.oracle.runtimes import output
from tests.support.server import Server
from tests.support.server import server as packed_server

#: What a script makes that an image must not have, need not have, or that names the time.
EXPECTED = re.compile(
    "|".join(
        (
            r"/etc/\.pwd\.lock",
            r"/etc/ld\.so\.cache",  # see packer/debian/root.py
            r"/etc/machine-id",  # every machine its own
            r"/etc/(group|gshadow|passwd|shadow|subgid|subuid)-",  # what was there before
            r"/usr/local/share/man/man",  # base-files does not see that its link is there
            r"/var/lib/dbus/machine-id",  # as /etc/machine-id
            r"/etc/runit(/.*)?",  # dh_runit: of another init
            r"/etc/ssh/ssh_host_.*",  # every machine its own
            r"/(etc|usr/local/share|var/lib)/(sgml|sgml-base|xml|xml-core)(/.*)?",  # catalogs of documents
            r"/usr/lib/udev/hwdb\.bin",  # names the root that it was made in
            r"/var/lib/systemd/catalog(/.*)?",
            r"/var/cache/(ldconfig|debconf)(/.*)?",
            r"/var/lib/dpkg/(info/.*|lock|lock-frontend|diversions-old|status-old|triggers/File)",  # in another order
            r"/var/log/(alternatives|dpkg)\.log",
            r"/(dev|proc|run|sys|tmp)/.*",
        )
    )
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="dpkg needs root")


#: What slim images are without, and some of what scripts look at.
SLIM = """\
path-exclude = [
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*",
    "/usr/share/ca-certificates/mozilla/[A-D]*", "/usr/share/vim/*", "/lib/systemd/system/logrotate.*",
    "/usr/lib/tmpfiles.d/x11.conf", "/etc/cron.daily/*",
]
path-include = ["/usr/share/doc/*/copyright", "/usr/share/locale/fr/*"]
"""


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server without what `SLIM` leaves out."""
    with packed_server(tmp_path_factory.mktemp("slim"), SLIM) as packed:
        yield packed


@pytest.fixture(
    scope="module", params=[("configure", "server"), ("reinstall", "server"), ("reinstall", "slim")], ids="-".join
)
def difference(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """Path -> what became of it."""
    action, name = request.param
    server = request.getfixturevalue(name)
    with server.copy() as root:
        before = listing(root)
        if action == "configure":
            configure(root)
        else:
            install_again(server, root)
        after = listing(root)
    yield {
        path: f"{before.get(path)} -> {after.get(path)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if kind == stat.S_IFREG else ""
        attributes = tuple(name for name in os.listxattr(path, follow_symlinks=False) if "posix_acl" not in name)
        short = content if len(content) < 100_000 else hash(content)
        if path == root / "var/lib/dpkg/diversions":  # dpkg-divert writes them in no order
            content = "".join(sorted(re.findall(r"(?:.*\n){3}", path.read_text())))
        owned = (oct(status.st_mode), status.st_uid, status.st_gid)
        found["/" + str(path.relative_to(root))] = (*owned, attributes, short)
    return found


def configure(root: Path) -> None:
    forget_services(root)
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("Status: install ok installed\n", "Status: install ok unpacked\n"))
    dpkg(root, "--configure --pending")


def forget_services(root: Path) -> None:
    """Take away what deb-systemd-helper has made: it leaves alone what is there, wherever that leads."""
    for memory in root.glob("var/lib/systemd/deb-systemd-*helper-enabled"):
        for links in memory.glob("*.dsh-also"):
            for link in links.read_text().split():
                (root / link[1:]).unlink(missing_ok=True)
        shutil.rmtree(memory)


def install_again(server: Server, root: Path) -> None:
    debs = root / "debs"
    debs.mkdir()
    for item in packages(server):
        write_deb(item, debs / f"{item.name}_{item.architecture}.deb")
    dpkg(root, "--install /debs/*.deb")
    shutil.rmtree(debs)


def dpkg(root: Path, action: str) -> None:
    """Run dpkg in the root; no service is started.

    This machine's devices are in the root for nobody else: whoever removed a root that is left over, removed them all.
    """
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    script = f"mount -t proc proc /proc && dpkg --force-confold --force-unsafe-io {action} && umount /proc"
    inside = 'mount --bind /dev "$0/dev" && exec chroot "$0" sh -ec "$1"'
    command = ["unshare", "--mount", "sh", "-ec", inside, str(root), script]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    policy.unlink()


def packages(server: Server) -> Iterator[DebianItem]:
    declaration = load(str(server.declaration))
    context = StoreContext(
        PLATFORMS["x86_64-linux"], str(server.cache / "ocipack"), "/", 1, False, {"PATH": os.environ["PATH"]},
        NoProgress(),
    )  # fmt: skip
    for item in open_store(declaration.store[0], context).closure():
        assert isinstance(item, DebianItem)
        yield item


def write_deb(item: DebianItem, path: Path) -> None:
    """The package again as a .deb, of the two archives that ocipack has kept (deb(5))."""
    member = next(iter(item.members.values()))
    assert isinstance(member, Slice)
    folder = Path(member.path).parent
    parts = {"debian-binary": b"2.0\n", **{name: (folder / name).read_bytes() for name in ("control.tar", "data.tar")}}
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, data in parts.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode())
            file.write(data + b"\n" * (len(data) % 2))


def test_the_scripts_change_nothing(difference: Mapping[str, str]) -> None:
    surprises = {path: change for path, change in difference.items() if not EXPECTED.fullmatch(path)}
    assert not surprises


def test_what_is_left_out_of_a_slim_server(slim: Server) -> None:
    assert len(list(slim.root.glob("usr/share/doc/*/copyright"))) > 100
    assert not list(slim.root.glob("usr/share/doc/*/changelog*"))
    assert not list(slim.root.glob("etc/ssl/certs/Certum*"))
    assert list(slim.root.glob("etc/ssl/certs/E*"))
    assert {path.name for path in slim.root.glob("usr/share/locale/*/LC_MESSAGES/*.mo")}
    missing = output("chroot", slim.root, "sh", "-c", "dpkg --verify || true").splitlines()
    assert not [line for line in missing if not line.startswith("missing ")]
    assert "missing     /usr/share/man/man1/bash.1.gz" in missing


def test_the_scripts_were_run(difference: Mapping[str, str]) -> None:
    assert "/etc/ssh/ssh_host_ed25519_key" in difference
    assert "/etc/ld.so.cache" in difference
    assert "/var/lib/systemd/catalog/database" in difference

"""The base of a root: what wins, on small packages; and whether Debian's own tools agree, on a real root.

The real root is made of packages from the host's sources, written as a tar and extracted by GNU tar.
"""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from formats.platform import PLATFORMS
from layers.archive import write_archive
from layers.entry import Directory, Entry, File, Meta, Symlink
from layers.item import Closure
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tree import Part, Tree, add_parents, merge, overlay
from packer.debian import adduser, root
from packer.debian.root import Base
from packer.debian.unpacked import Unpacked
from packer.stores import StoreContext
from packer.stores.debian import Options, open_store
from tests.support.debian_archive import build_deb
from tests.support.debian_packages import Package, merged, package


def base(*packages: Package) -> tuple[Base, dict[str, Entry]]:
    closure, found = merged(packages)
    omitted = {item.path: paths for item, paths in found.omitted.items()}
    made = root.base(closure, found.tree, omitted)
    assert list(root.entries(closure, found.tree, omitted)) == list(made.entries)
    return made, {entry.path.decode(): entry for entry in made.entries}


def test_a_root_of_nothing() -> None:
    _, entries = base()
    assert entries["tmp"] == Directory(b"tmp", Meta(0o1777))
    assert entries["root"] == Directory(b"root", Meta(0o700))
    assert entries["var/mail"] == Directory(b"var/mail", Meta(0o2775, 0, 8))
    assert entries["var/run"] == Symlink(b"var/run", b"/run")
    assert {"etc/passwd", "etc/shadow", "etc/nsswitch.conf", "var/lib/dpkg/status"} <= set(entries)
    assert "bin" not in entries
    assert "etc/ld.so.cache" not in entries


def test_entries_are_sorted_and_each_path_is_there_once() -> None:
    made, entries = base(package("aa", {"bin/a": ""}))
    assert [entry.path for entry in made.entries] == sorted(path.encode() for path in entries)
    assert len(made.entries) == len(entries)


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"bin/a": ""}, {"bin": b"usr/bin"}),
        (
            {"usr/bin/a": "", "lib64/b": "", "sbin/c": ""},
            {"bin": b"usr/bin", "lib64": b"usr/lib64", "sbin": b"usr/sbin"},
        ),
        ({"bin": Symlink(b"bin", b"usr/bin"), "usr/bin/a": ""}, {}),
    ],
)
def test_merged_usr(files: dict[str, Entry | str], links: dict[str, bytes]) -> None:
    _, entries = base(package("aa", files))
    found = {path: entry.target for path, entry in entries.items() if isinstance(entry, Symlink) and "/" not in path}
    assert found == links


@pytest.mark.parametrize("path", ["etc/nsswitch.conf", "etc/passwd", "tmp", "root", "var/lib/dpkg/arch", "etc/mtab"])
def test_what_a_package_ships_stays(path: str) -> None:
    shipped = Directory(path.encode(), Meta(0o711)) if path in ("tmp", "root") else "shipped"
    assert path not in base(package("aa", {path: shipped}))[1]


def test_but_for_the_mode_that_its_script_gives_it() -> None:
    script = {"postinst": "dpkg-statoverride --update --add root mail 2755 /bin/a\n"}
    _, entries = base(package("aa", {"bin/a": "x"}, script))
    entry = entries["usr/bin/a"]
    assert isinstance(entry, File)
    assert entry.meta == Meta(0o2755, 0, 8)


def test_folders_that_become_links() -> None:
    shipped: dict[str, str | bytes | Entry] = {
        "var/run": Directory(b"var/run"),
        "var/lock": Directory(b"var/lock", Meta(0o1777)),
        "var/run/a": "x",
    }
    closure, found = merged([package("base-files", shipped)])
    tree = overlay(found.tree, root.base(closure, found.tree, {}).entries)
    assert isinstance(tree.get(b"var/run"), Symlink)
    assert isinstance(tree.get(b"var/lock"), Symlink)
    assert tree.follow(b"var/run/a") == found.tree.get(b"run/a")
    assert tree.get(b"run/lock") == Directory(b"run/lock", Meta(0o1777))


def test_generated_paths_follow_links() -> None:
    script = {"postinst": "adduser --system --home /var/run/a a\ncat > /etc/b <<EOF\nc\nEOF\n"}
    _, entries = base(package("aa", {"bin/a": "x"}, script))
    assert "run/a" in entries
    assert "etc/b" in entries


def test_what_is_left_undone_is_said_once_and_sorted() -> None:
    script = {"postinst": "adduser --system $b\nadduser --system $b\nadd-shell $a\nadduser --system $a\n"}
    shells = package("debianutils", {"usr/share/debianutils/shells": "/bin/sh\n"})
    made, _ = base(package("zz", {}, script), package("aa", {}, script), shells)
    said = [str(skipped) for skipped in made.skipped]
    assert said == sorted(said)
    assert len(said) == 8
    assert said[0] == "aa.postinst: add-shell $a: its words depend on what only a shell knows"


def test_the_order_of_packages_does_not_matter() -> None:
    script = {"postinst": "adduser --system --group NAME\nupdate-alternatives --install /usr/bin/x x /usr/bin/NAME 1\n"}
    packages = [
        package(name, {f"bin/{name}": name}, {"postinst": script["postinst"].replace("NAME", name)})
        for name in ("aa", "bb", "cc")
    ]
    results = {base(*order)[0].entries for order in itertools.permutations(packages)}
    assert len(results) == 1


PACKAGES = (
    "apt", "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "cron", "dash", "debianutils",
    "diffutils", "dpkg", "findutils", "grep", "gzip", "init-system-helpers", "iputils-ping", "libc-bin", "login",
    "mawk", "nginx", "openssh-client", "passwd", "perl-base", "sed", "sudo", "tar", "util-linux",
)  # fmt: skip


@dataclass(frozen=True)
class Real:
    """A root of real packages."""

    folder: Path
    closure: Closure
    made: Base

    def run(self, *command: str) -> str:
        """What a program says in the root."""
        return said("chroot", str(self.folder), *command)


def said(*command: str) -> str:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """Made once; no test changes it."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "cache").mkdir()
    context = StoreContext(
        PLATFORMS["x86_64-linux"], str(folder / "cache"), "/", 1, False, {"PATH": os.environ["PATH"]}, NoProgress()
    )
    store = open_store(Options(packages=PACKAGES), context)
    closure = store.closure()
    parts = (Part(item, item.placed_entries()) for item in closure)
    found = merge(parts, lambda new, old: new.replaces(old))
    made = root.base(closure, found.tree, {item.path: paths for item, paths in found.omitted.items()})
    entries = {entry.path: entry for entry in overlay(found.tree, made.entries)}
    add_parents(entries)
    write_archive(str(folder / "root.tar"), Tree(entries), 1)
    (folder / "root").mkdir()
    attributes = ["--numeric-owner", "--xattrs", "--xattrs-include=*"]
    said("tar", "-x", "-p", *attributes, "-f", str(folder / "root.tar"), "-C", str(folder / "root"))
    yield Real(folder / "root", closure, made)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def worn(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A copy that programs may change: each test in a corner of its own."""
    folder = tmp_path_factory.mktemp("worn") / "root"
    said("cp", "-a", "--reflink=auto", str(real.folder), str(folder))
    yield Real(folder, real.closure, real.made)
    shutil.rmtree(folder)


real_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("apt-get"), reason="a real root needs apt-get, and root to extract it"
)


@real_root
def test_dpkg_lists_every_package(real: Real) -> None:
    lines = said("dpkg", f"--root={real.folder}", "-l").splitlines()
    assert len([line for line in lines if line.startswith("ii ")]) == len(real.closure)
    assert not [line for line in lines[5:] if not line.startswith("ii ")]


@real_root
@pytest.mark.parametrize("action", ["--verify", "--audit"])
def test_dpkg_finds_nothing_wrong(real: Real, action: str) -> None:
    assert said("dpkg", f"--root={real.folder}", action) == ""
    assert real.run("dpkg", action) == ""


@real_root
def test_every_file_is_a_packages_or_was_made(real: Real) -> None:
    listed = said("dpkg-query", f"--admindir={real.folder}/var/lib/dpkg", "-L", "nginx-common").splitlines()
    assert "/etc/nginx/nginx.conf" in listed
    of_bash = said("dpkg-query", f"--admindir={real.folder}/var/lib/dpkg", "-L", "bash").splitlines()
    (path,) = (path for path in of_bash if path.endswith("/bin/bash"))  # with /usr before it since Debian 13
    assert said("dpkg-query", f"--admindir={real.folder}/var/lib/dpkg", "-S", path).startswith("bash:")


@real_root
def test_dash_is_content_with_the_diversions(worn: Real) -> None:
    before = worn.run("dpkg-divert", "--list")
    worn.run("/var/lib/dpkg/info/dash.postinst", "configure")
    assert worn.run("dpkg-divert", "--list") == before


@real_root
def test_apt_is_content(worn: Real) -> None:
    worn.run("apt-get", "check")


@real_root
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("awk", "BEGIN { print 6 * 7 }"), "42\n"),
        (("which", "awk"), "/usr/bin/awk\n"),
        (("getent", "passwd", "_apt"), "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"),
        (("getent", "group", "shadow"), "shadow:x:42:\n"),
        (("id", "-un", "33"), "www-data\n"),
        (("sudo", "--version"), None),
        (("visudo", "-c"), None),
        (("readlink", "-f", "/bin/sh"), "/usr/bin/dash\n"),
        (("stat", "-c", "%a %U:%G", "/tmp"), "1777 root:root\n"),
        (("stat", "-c", "%a %U:%G", "/usr/bin/ssh-agent"), "2755 root:_ssh\n"),
        (("stat", "-c", "%a %U:%G", "/usr/bin/crontab"), "2755 root:crontab\n"),
        (("stat", "-c", "%a %U:%G", "/var/spool/cron/crontabs"), "1730 root:crontab\n"),
        (("stat", "-c", "%a %U:%G", "/var/mail"), "2775 root:mail\n"),
        (("stat", "-c", "%a %U:%G", "/var/cache/apt/archives/partial"), "700 _apt:root\n"),
        (("stat", "-c", "%a %U:%G", "/etc/shadow"), "640 root:shadow\n"),
        (("dpkg-statoverride", "--list", "/usr/bin/crontab"), "root crontab 2755 /usr/bin/crontab\n"),
        (("nginx", "-t"), None),
        (("bash", "-lc", "echo $HOME"), None),
    ],
)
def test_programs_find_what_they_need(worn: Real, command: tuple[str, ...], expected: str | None) -> None:
    output = worn.run(*command)
    assert expected is None or output == expected


@real_root
def test_accounts_are_sound(real: Real) -> None:
    real.run("grpck", "-r")
    command = ("chroot", str(real.folder), "pwck", "-r", "-q")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if "directory" not in line] in ([], ["pwck: no changes"])
    shadow = (real.folder / "etc/shadow").read_text().splitlines()
    assert {line.split(":")[1] for line in shadow} <= {"*", "!", "!*"}


@real_root
def test_alternatives_are_sound(real: Real) -> None:
    query = real.run("update-alternatives", "--query", "awk")
    assert "Status: auto\nBest: /usr/bin/mawk\nValue: /usr/bin/mawk\n" in query
    for name in real.run("update-alternatives", "--get-selections").splitlines():
        assert "auto" in name.split()


@real_root
def test_update_ca_certificates_makes_the_same(worn: Real) -> None:
    before = certificates(worn.folder)
    assert len(before) > 200
    worn.run("update-ca-certificates", "--fresh")
    assert certificates(worn.folder) == before
    authority = min(name for name in before if name.endswith(".0"))
    verify = ("openssl", "verify", "-CApath", "/etc/ssl/certs", f"/etc/ssl/certs/{authority}")
    assert worn.run(*verify).endswith(": OK\n")


def certificates(folder: Path) -> dict[str, bytes]:
    return {
        path.name: os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in (folder / "etc/ssl/certs").iterdir()
    }


@real_root
def test_update_shells_makes_the_same(worn: Real) -> None:
    files = [worn.folder / path for path in ("etc/shells", "var/lib/shells.state")]
    before = [path.read_text() for path in files]
    for path in files:
        path.unlink()
    worn.run("update-shells")
    assert [path.read_text() for path in files] == before


CALLS = (
    "adduser --system one",
    "adduser --system --group --home /var/lib/two --gecos 'A B' two",
    "addgroup --system three",
    "adduser --system --ingroup three --no-create-home --shell /bin/sh four",
    "groupadd --system five",
    "useradd --system --gid five --shell /bin/false six",
    "useradd --system seven",
    "adduser four three",
    "usermod -a -G five one",
)


@real_root
def test_adduser_makes_the_same(worn: Real) -> None:
    script = package("calls", {}, {"postinst": "\n".join(CALLS)})
    with Reader() as reader:
        program = [item.placed_entries() for item in worn.closure if item.name == "adduser"]
        tree = Tree({entry.path: entry for entries in program for entry in entries})
        ours = adduser.add_accounts(Unpacked([script], tree, reader), worn.made.accounts)
    for kind in ("auth", "account", "password", "session"):  # for chfn(1), which adduser calls
        (worn.folder / f"etc/pam.d/common-{kind}").write_text(f"{kind} required pam_permit.so\n")
    for call in CALLS:
        worn.run("sh", "-ec", call)
    passwd, group = ((worn.folder / "etc" / name).read_text().splitlines() for name in ("passwd", "group"))
    accounts = ours.accounts
    assert [f"{u.name}:x:{u.uid}:{u.gid}:{u.comment}:{u.home}:{u.shell}" for u in accounts.users] == passwd
    assert [f"{g.name}:x:{g.gid}:{','.join(g.members)}" for g in accounts.groups] == group
    for home in ours.homes:
        status = (worn.folder / home.path.decode()).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (home.meta.mode, home.meta.uid, home.meta.gid)


@real_root
def test_dpkg_installs_and_purges_on_top(worn: Real, tmp_path: Path) -> None:
    scripts = {
        "conffiles": "/etc/new.conf\n",
        "postinst": "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/awk awk /usr/bin/new 99\n",
        "prerm": "#!/bin/sh\nset -e\nupdate-alternatives --remove awk /usr/bin/new\n",
        "triggers": "activate-noawait ldconfig\nactivate nginx-reload\n",
    }
    files = {"/usr/bin/new": "x", "/etc/new.conf": "y", "/usr/share/debianutils/shells.d/new": "/usr/bin/new\n"}
    deb = build_deb(tmp_path, "new", "1", files=dict(files), scripts=scripts, depends="bash")
    shutil.copy(deb, worn.folder / "new.deb")
    worn.run("dpkg", "--install", "/new.deb")
    assert worn.run("readlink", "/etc/alternatives/awk") == "/usr/bin/new\n"
    assert "/usr/bin/new" in (worn.folder / "etc/shells").read_text()
    worn.run("dpkg", "--purge", "new")
    assert worn.run("readlink", "/etc/alternatives/awk") == "/usr/bin/mawk\n"
    assert worn.run("dpkg", "--audit") == ""
    assert worn.run("dpkg", "--verify") == ""

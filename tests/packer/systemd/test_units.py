"""Links of units, compared with those that the host's systemctl(1) makes below a root with the host's systemd."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from layers.tree import Tree, add_parents
from packer.systemd.units import SYSTEM, USER, Scope, UnitError, Units
from tests.support.host_systemd import host_systemd

MERGED = {"lib": Symlink(b"lib", b"usr/lib"), "bin": Symlink(b"bin", b"usr/bin")}
SERVICE = "[Service]\nExecStart=/bin/true\n[Install]\n"

FILES: Mapping[str, str] = {
    "usr/lib/systemd/system/plain.service": SERVICE + "WantedBy=multi-user.target\n",
    "usr/lib/systemd/system/two.service": SERVICE + "WantedBy=multi-user.target a.target\nRequiredBy=b.target\n",
    "usr/lib/systemd/system/named.service": SERVICE + "WantedBy=multi-user.target\nAlias=other.service named.service\n",
    "usr/lib/systemd/system/only.service": SERVICE + "Alias=alone.service\n",
    "usr/lib/systemd/system/with.service": SERVICE + "WantedBy=x.target\nAlso=with.socket gone.service bare.service\n",
    "usr/lib/systemd/system/with.socket": "[Socket]\n[Install]\nWantedBy=sockets.target\nAlso=with.service chain.timer",
    "usr/lib/systemd/system/chain.timer": "[Timer]\n[Install]\nWantedBy=timers.target\nAlso=with.service\n",
    "usr/lib/systemd/system/only-also.service": SERVICE + "Also=plain.service\n",
    "usr/lib/systemd/system/bare.service": "[Service]\nExecStart=/bin/true\n",
    "usr/lib/systemd/system/term@.service": SERVICE + "WantedBy=getty.target\nDefaultInstance=tty1\n",
    "usr/lib/systemd/system/free@.service": SERVICE + "WantedBy=getty.target\n",
    "usr/lib/systemd/system/pair@.service": SERVICE + "WantedBy=pair@.target\n",
    "usr/lib/systemd/system/spec@.service": SERVICE + "WantedBy=%i.target %p.target\nRequiredBy=x-%j.target\n",
    "usr/lib/systemd/system/drop.service": SERVICE + "WantedBy=multi-user.target\n",
    "usr/lib/systemd/system/drop.service.d/10.conf": "[Install]\nWantedBy=\nWantedBy=late.target\n",
    "etc/systemd/system/drop.service.d/20.conf": "[Install]\nRequiredBy=etc.target\n",
    "usr/lib/systemd/system/term@.service.d/a.conf": "[Install]\nRequiredBy=r.target\n",
    "usr/lib/systemd/system/term@tty9.service.d/b.conf": "[Install]\nRequiredBy=s.target\n",
    "etc/systemd/system/own.service": SERVICE + "WantedBy=multi-user.target\n",
    "usr/local/lib/systemd/system/local.service": SERVICE + "WantedBy=multi-user.target\n",
    "etc/systemd/system/plain-over.service": SERVICE + "WantedBy=etc.target\n",
    "usr/lib/systemd/system/plain-over.service": SERVICE + "WantedBy=lib.target\n",
    "usr/lib/systemd/system/a.target": "[Unit]\n",
    "usr/lib/systemd/user/mine.service": SERVICE + "WantedBy=default.target\n",
    "usr/lib/systemd/user/mine.socket": "[Socket]\n[Install]\nWantedBy=sockets.target\nAlso=mine.service\n",
}

LINKS: Mapping[str, str] = {
    "usr/lib/systemd/system/alias.service": "plain.service",
    "usr/lib/systemd/system/alias@.service": "term@.service",
    "usr/lib/systemd/system/far.service": "/usr/lib/systemd/system/plain.service",
    "usr/lib/systemd/system/default.target": "a.target",
    "etc/systemd/system/dead.service": "/dev/null",
}


def root() -> Tree:
    entries: dict[bytes, Entry] = {entry.path: entry for entry in MERGED.values()}
    files = {**FILES, **host_systemd()}
    entries |= {path.encode(): File(path.encode(), Data(text.encode())) for path, text in files.items()}
    entries |= {path.encode(): Symlink(path.encode(), target.encode()) for path, target in LINKS.items()}
    entries[b"usr/lib/systemd/system/void.service"] = File(b"usr/lib/systemd/system/void.service")
    add_parents(entries)
    return Tree(entries)


def links(name: str, scope: Scope = SYSTEM) -> dict[str, str]:
    with Reader() as reader:
        found = Units(root(), reader, scope).enabled(name)
    assert len({link.path for link in found}) == len(found)
    return {link.path.decode(): link.target.decode() for link in found}


def unpacked(folder: Path) -> Path:
    for entry in root():
        path = folder / entry.path.decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Symlink):
            path.symlink_to(entry.target.decode())
        elif isinstance(entry, File):
            assert isinstance(entry.content, Data)
            path.write_bytes(entry.content.data)
    return folder


def systemctl(folder: Path, *arguments: str) -> dict[str, str]:
    """The links that systemctl adds below the root."""
    before = set(existing(folder))
    subprocess.run(["systemctl", f"--root={folder}", *arguments], check=True, capture_output=True)
    return {path: target for path, target in existing(folder).items() if path not in before}


def existing(folder: Path) -> dict[str, str]:
    found = ((each, os.path.join(base, each)) for base, _, names in os.walk(folder) for each in names)
    return {os.path.relpath(path, folder): os.readlink(path) for _, path in found if os.path.islink(path)}


@pytest.mark.parametrize(
    "name",
    [
        "plain.service", "two.service", "named.service", "only.service", "with.service", "with.socket",
        "only-also.service", "term@.service", "term@tty9.service", "pair@.service", "spec@a-b.service", "drop.service",
        "own.service", "local.service", "plain-over.service",
    ],
)  # fmt: skip
def test_the_same_links_as_systemctl(tmp_path: Path, name: str) -> None:
    found = links(name)
    assert found
    assert found == systemctl(unpacked(tmp_path), "enable", name)


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ([], "lib"),
        (["usr/bin/systemctl"], "lib"),
        (["usr/bin/systemctl", "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"], "lib"),
        (["usr/bin/systemctl", "usr/lib/systemd/libsystemd-shared-254.26-1.so"], "lib"),
        (["usr/bin/systemctl", "usr/lib64/systemd/libsystemd-shared-255.4-1.fc40.so"], "usr/lib"),
        (["usr/bin/systemctl", "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so"], "usr/lib"),
        (["usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so"], "lib"),  # deb-systemd-helper makes the links
    ],
)
def test_the_folder_is_that_of_the_roots_own_systemctl(files: list[str], folder: str) -> None:
    unit = "usr/lib/systemd/system/x.service"
    entries: dict[bytes, Entry] = {b"lib": MERGED["lib"]}
    for path in (unit, *files):
        entries[path.encode()] = File(path.encode(), Data(b"[Install]\nWantedBy=a.target\n"))
    add_parents(entries)
    with Reader() as reader:
        (link,) = Units(Tree(entries), reader).enabled("x.service")
    assert link.target.decode() == f"/{folder}/systemd/system/x.service"


@pytest.mark.parametrize("name", ["mine.service", "mine.socket"])
def test_units_of_users(tmp_path: Path, name: str) -> None:
    found = links(name, USER)
    assert found
    assert found == systemctl(unpacked(tmp_path), "--global", "enable", name)


@pytest.mark.parametrize(
    ("name", "real"), [("alias.service", "plain.service"), ("far.service", "plain.service"),
                       ("alias@x.service", "term@x.service")],
)  # fmt: skip
def test_other_names_enable_the_unit_itself(name: str, real: str) -> None:
    assert links(name) == links(real)


def test_the_order_of_deb_systemd_helper() -> None:
    assert [os.path.basename(path) for path in links("with.service")] == ["chain.timer", "with.socket", "with.service"]
    assert [os.path.basename(path) for path in links("named.service")] == ["other.service", "named.service"]


def test_links_that_lead_in_a_circle() -> None:
    folder = b"etc/systemd/system/"
    found: list[Entry] = [File(b"x/b.service", Data(b"[Install]\n")), File(b"y/a.service", Data(b"[Install]\n"))]
    found += [Symlink(folder + b"a.service", b"/x/b.service"), Symlink(folder + b"b.service", b"/y/a.service")]
    with Reader() as reader, pytest.raises(UnitError, match=r"a\.service is a link that leads to itself"):
        Units(Tree({entry.path: entry for entry in found}), reader).enabled("a.service")


def test_upheld_by() -> None:
    path = b"usr/lib/systemd/system/x.service"
    entries: dict[bytes, Entry] = {path: File(path, Data(b"[Install]\nUpheldBy=a.target\n"))}
    with Reader() as reader:
        found = Units(Tree(entries), reader).enabled("x.service")
    assert found == (Symlink(b"etc/systemd/system/a.target.upholds/x.service", b"/usr/lib/systemd/system/x.service"),)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plian.service", "there is no unit 'plian.service' in the image\n  Did you mean plain.service?"),
        ("plain", "there is no unit 'plain' in the image\n  Did you mean plain.service"),
        ("own", "there is no unit 'own' in the image\n  Did you mean own.service?"),
        ("zzzzzz", "there is no unit 'zzzzzz' in the image\n  Add the package"),
        ("../etc/passwd", "there is no unit '../etc/passwd'"),
        ("bare.service", "bare.service has no [Install] section"),
        ("dead.service", "dead.service is masked"),
        ("void.service", "void.service is masked"),
        ("free@.service", "free@.service needs an instance\n  Name one, like free@NAME.service."),
    ],
)
def test_what_cannot_be_enabled(name: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        links(name)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("install", "message"),
    [
        ("WantedBy=../../x", "names '../../x' in its [Install] section, which is no name of a unit"),
        ("Alias=/etc/passwd", "names '/etc/passwd' in its"),
        ("Alias=x.socket", "has the alias x.socket, which is of another kind"),
    ],
)
def test_links_stay_in_their_folder(install: str, message: str) -> None:
    path = b"usr/lib/systemd/system/bad.service"
    entries: dict[bytes, Entry] = {path: File(path, Data(f"[Install]\n{install}\n".encode()))}
    with Reader() as reader, pytest.raises(UnitError) as caught:
        Units(Tree(entries), reader).enabled("bad.service")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["plain.service", "term@tty9.service", "bare.service"])
def test_masks(tmp_path: Path, name: str) -> None:
    with Reader() as reader:
        link = Units(root(), reader).masked(name)
    assert {link.path.decode(): link.target.decode()} == systemctl(unpacked(tmp_path), "mask", name)


def test_a_mask_of_nothing() -> None:
    with Reader() as reader, pytest.raises(UnitError, match=r"Did you mean plain\.service"):
        Units(root(), reader).masked("plainn.service")


def test_names() -> None:
    with Reader() as reader:
        names = Units(root(), reader).names
    assert "plain.service" in names
    assert "term@.service" in names
    assert "mine.service" not in names
    assert not [name for name in names if "/" in name]

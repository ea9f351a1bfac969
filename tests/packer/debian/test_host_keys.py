from pathlib import Path

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from layers.tree import Tree
from packer.debian import host_keys
from packer.debian.unpacked import Unpacked
from packer.systemd.units import Units
from tests.oracle.runtimes import output
from tests.support.debian_packages import merged, package

SERVER = {"lib/systemd/system/ssh.service": "[Service]\nExecStart=/bin/true\n", "usr/bin/ssh-keygen": ""}


def made(files: dict[str, str]) -> dict[bytes, Entry]:
    packages = [package("openssh-server", dict(files))]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        return {entry.path: entry for entry in host_keys.entries(unpacked)}


def unit() -> str:
    entry = made(SERVER)[b"etc/systemd/system/ssh-host-keys.service"]
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data.decode()


def test_the_unit_is_enabled_as_it_says() -> None:
    entries = made(SERVER)
    links = {path: entry for path, entry in entries.items() if isinstance(entry, Symlink)}
    with Reader() as reader:
        enabled = Units(Tree(entries), reader).enabled(host_keys.NAME)
    assert links == {link.path: link for link in enabled}


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    path = tmp_path / host_keys.NAME
    path.write_text(unit())
    assert output("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path) == ""


def test_only_with_the_server() -> None:
    assert not made({"usr/bin/ssh-keygen": ""})

from pathlib import Path
from typing import Any

import pytest

from layers.digest import Digest
from layers.entry import File, Slice
from layers.errors import PackError
from layers.item import Closure
from layers.reader import Reader
from packer.debian.deb import Package, PackageCache
from packer.debian.package import DebianItem, items
from tests.support.debian_archive import build_deb


def packed(folder: Path, name: str, version: str = "1.0", **more: Any) -> Package:
    folder.mkdir(exist_ok=True)
    deb = build_deb(folder, name, version, **more)
    return PackageCache(str(folder)).keep(str(deb), Digest.of(deb.read_bytes()), str(folder))


def item(folder: Path, name: str, version: str = "1.0", **more: Any) -> DebianItem:
    return items([packed(folder, name, version, **more)])[0]


def test_an_item(tmp_path: Path) -> None:
    files = {"/etc/x": "1", "/usr/bin/x": "22"}
    control = {"Multi-Arch": "foreign", "Source": "y (2.0)"}
    scripts = {"conffiles": "/etc/x\n", "md5sums": ""}
    package = packed(tmp_path, "xy", "1:2.0-3", files=files, control=control, scripts=scripts, architecture="amd64")
    (found,) = items([package])
    assert (found.path, found.name, found.version) == ("xy_1:2.0-3_amd64", "xy", "1:2.0-3")
    assert (found.identity, found.size, found.references) == (package.digest, 3, ())
    assert (found.architecture, found.multi_arch, found.source) == ("amd64", "foreign", "y")
    assert found.paths == (b"/.", b"/etc", b"/etc/x", b"/usr", b"/usr/bin", b"/usr/bin/x")
    assert found.digests == {b"/etc/x": "c4ca4238a0b923820dcc509a6f75849b"}  # md5sum of "1"
    assert found.stanza.startswith("Package: xy\nVersion: 1:2.0-3\n") and not found.stanza.endswith("\n")
    assert [entry.path for entry in found.contents.entries()][-1] == b"usr/bin/x"
    with Reader() as reader:
        assert reader.read(found.members["conffiles"]) == b"/etc/x\n"
    assert isinstance(found.members["conffiles"], Slice) and set(found.members) == {"conffiles", "md5sums"}
    assert [entry.path for entry in found.contents.entries() if isinstance(entry, File)] == [b"etc/x", b"usr/bin/x"]


@pytest.mark.parametrize(
    ("needs", "references"),
    [
        ({"Depends": "lib"}, ["lib_2_all"]),
        ({"Pre-Depends": "lib (>= 2)", "Depends": "lib (<< 3), native"}, ["lib_2_all", "native_1_amd64"]),
        ({"Depends": "gone | lib"}, ["lib_2_all"]),
        ({"Depends": "lib (>= 3) | native"}, ["native_1_amd64"]),
        ({"Depends": "native | lib"}, ["native_1_amd64"]),
        ({"Depends": "virtual"}, ["native_1_amd64"]),
        ({"Depends": "virtual (>= 1)"}, []),
        ({"Depends": "versioned (>= 5)"}, ["native_1_amd64"]),
        ({"Depends": "versioned (>= 6) | lib"}, ["lib_2_all"]),
        ({"Depends": "native:any, lib:amd64"}, ["lib_2_all", "native_1_amd64"]),
        ({"Depends": "native:arm64"}, []),
        ({"Depends": "xy"}, []),
        ({"Recommends": "lib", "Suggests": "native"}, []),
    ],
)
def test_references(tmp_path: Path, needs: dict[str, str], references: list[str]) -> None:
    lib = packed(tmp_path, "lib", "2")
    provides = {"Provides": "virtual, versioned (= 5)"}
    native = packed(tmp_path, "native", "1", architecture="amd64", control=provides)
    found = items([packed(tmp_path, "xy", control=needs), lib, native])
    assert list(found[0].references) == references
    assert len(Closure(found)) == 3


@pytest.mark.parametrize(
    ("replaces", "name", "version", "answer"),
    [
        ("", "old", "1", False),
        ("old", "old", "1", True),
        ("other, old (<< 2)", "old", "1.9", True),
        ("old (<< 2)", "old", "2", False),
        ("older", "old", "1", False),
        ("virtual", "old", "1", False),  # what the other one provides does not count
    ],
)
def test_replaces(tmp_path: Path, replaces: str, name: str, version: str, answer: bool) -> None:
    new = item(tmp_path, "new", control={"Replaces": replaces} if replaces else {})
    old = item(tmp_path, name, version, control={"Provides": "virtual"})
    assert new.replaces(old) is answer
    assert not old.replaces(new)


@pytest.mark.parametrize(("multi_arch", "answer"), [("same", True), ("foreign", False), ("no", False)])
def test_replaces_itself_for_another_architecture(tmp_path: Path, multi_arch: str, answer: bool) -> None:
    control = {"Multi-Arch": multi_arch}
    one = item(tmp_path / "1", "xy", architecture="amd64", control=control)
    other = item(tmp_path / "2", "xy", architecture="i386", control=control)
    assert one.replaces(other) is answer
    assert one.multi_arch == ("" if multi_arch == "no" else multi_arch)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Package: xy", "Package: ../x", "package is '../x'"),
        ("Package: xy", "Other: x", "package is ''"),
        ("Version: 1.0", "Version: 1/0", "version is '1/0'"),
        ("Architecture: all", "Architecture: ../a", "architecture is"),
        ("Package: xy", "Package: xy\nPackage: y", "line 2: .* there twice"),
        ("Description: ", "Depends: (x)\nDescription: ", "'\\(x\\)' is no relation"),
    ],
)
def test_a_bad_control_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    package = packed(tmp_path, "xy")
    index = package.index
    stanza = index.stanza.replace(old, new)
    changed = type(index)(stanza, *[getattr(index, name) for name in index.__slots__[1:]])
    with pytest.raises(PackError, match=message):
        items([Package(package.digest, package.folder, changed)])

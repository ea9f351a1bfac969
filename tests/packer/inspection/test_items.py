"""Which items there are, and whose a path is, when nobody has written it down."""

from pathlib import Path

import pytest

from formats.reading.artefact import ArtefactError
from layers.entry import Directory, Entry, Symlink
from tests.support.inspections import file, tarball

_STATUS = """Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-1

Package: libc6
Status: hold ok installed
Multi-Arch: same
Architecture: amd64
Version: 2.36

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""

_HASH = "s66mzxpvicwk07gjbjfw9izjfa797vsw"


def test_dpkg_says_whose_a_path_is(tmp_path: Path) -> None:
    entries: list[Entry] = [
        Symlink(b"bin", b"usr/bin"), Symlink(b"lib", b"usr/lib"), Symlink(b"loop", b"loop"),
        Directory(b"usr"), file("usr/bin/bash", "12345"), file("usr/lib/libc.so.6", "123"), file("usr/bin/other", "1"),
        file("var/lib/dpkg/status", _STATUS),
        file("var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n/usr\n/nowhere\n/loop/x\n"),
        file("var/lib/dpkg/info/bash.postinst", "x"),
        file("var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib\n/lib/libc.so.6\n/usr\n"),
        file("var/lib/dpkg/info/gone.list", "/usr/bin/other\n"),
    ]  # fmt: skip
    items = tarball(tmp_path, entries).items
    assert [str(item) for item in items.all.values()] == ["bash 5.2-1", "libc6 2.36"]
    owners = {path.decode(): item.name for path, item in items.owners.items()}
    assert owners == {
        "bin": "bash", "lib": "libc6", "usr/bin/bash": "bash", "usr/lib/libc.so.6": "libc6",
        "var/lib/dpkg/info/bash.list": "bash", "var/lib/dpkg/info/bash.postinst": "bash",
        "var/lib/dpkg/info/libc6:amd64.list": "libc6",
    }  # fmt: skip
    assert items.all["libc6_2.36_amd64"].size == 3 + len("/.\n/lib\n/lib/libc.so.6\n/usr\n")


@pytest.mark.parametrize("store", ["nix", "gnu"])
def test_names_in_a_store_are_items(tmp_path: Path, store: str) -> None:
    entries = [
        file(f"{store}/store/{_HASH}-hello-2.12/bin/hello", "12345"),
        file(f"{store}/store/{_HASH}-single.drv", "1"),
        file(f"{store}/store/.links/x"),
        file(f"{store}/store/no-item"),
    ]
    items = tarball(tmp_path, entries).items
    known = {path: (item.name, item.version, item.size) for path, item in items.all.items()}
    assert known == {
        f"/{store}/store/{_HASH}-hello-2.12": ("hello", "2.12", 5),
        f"/{store}/store/{_HASH}-single.drv": ("single.drv", "", 1),
    }
    assert items.owners[f"{store}/store/{_HASH}-hello-2.12/bin/hello".encode()].name == "hello"


@pytest.mark.parametrize("status", ["no field\n", "Package: a\nPackage: a\n"])
def test_a_damaged_database_is_refused(tmp_path: Path, status: str) -> None:
    with pytest.raises(ArtefactError, match="var/lib/dpkg/status, line"):
        tarball(tmp_path, [file("var/lib/dpkg/status", status)])

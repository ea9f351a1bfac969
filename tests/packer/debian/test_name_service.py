import pytest

from layers.entry import Data, File
from layers.reader import Reader
from packer.debian import name_service
from packer.debian.name_service import DEFAULT, insert
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import Package, merged, package

LINE = "passwd:  files\nhosts:          files mdns4_minimal [NOTFOUND=return] dns # names\n"


@pytest.mark.parametrize(
    ("service", "position", "expected"),
    [
        ("x", "first", "hosts:          x files mdns4_minimal [NOTFOUND=return] dns # names"),
        ("x", "last", "hosts:          files mdns4_minimal [NOTFOUND=return] dns x # names"),
        ("x", "before=dns", "hosts:          files mdns4_minimal [NOTFOUND=return] x dns # names"),
        ("x", "after=files", "hosts:          files x mdns4_minimal [NOTFOUND=return] dns # names"),
        ("x", "after=mdns4_minimal", "hosts:          files mdns4_minimal [NOTFOUND=return] x dns # names"),
        ("x", "before=gone,dns", "hosts:          files mdns4_minimal [NOTFOUND=return] x dns # names"),
        ("x [A=b]", "first", "hosts:          x [A=b] files mdns4_minimal [NOTFOUND=return] dns # names"),
        ("x", "before=gone", "hosts:          files mdns4_minimal [NOTFOUND=return] dns # names"),
        ("dns", "first", "hosts:          files mdns4_minimal [NOTFOUND=return] dns # names"),
    ],
)
def test_places(service: str, position: str, expected: str) -> None:
    assert insert(LINE, "hosts", service, position) == f"passwd:  files\n{expected}\n"


def test_no_such_database() -> None:
    assert insert(LINE, "shadow", "x", "first") == LINE


def made(*packages: Package) -> tuple[str, list[str]]:
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        (entry,) = name_service.entries(unpacked)
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data.decode(), [skipped.reason for skipped in unpacked.skipped]


def test_packages_add_services() -> None:
    libc = package("libc-bin", {"usr/share/libc-bin/nsswitch.conf": "hosts: files dns\npasswd: files\n"})
    a = package("liba", {}, {"postinst": "\t# Installing hosts/a [!UNAVAIL=return] from liba in position before=dns\n"})
    b = package(
        "libb", {}, {"postinst": "\t# Installing hosts/b[OK=x] from libb in position first\n# Installing x/y\n"}
    )
    c = package("libc", {}, {"postinst": "\t# Installing passwd/c from libc in position before=gone\n"})
    text, skipped = made(c, b, a, libc)
    assert text == "hosts: b [OK=x] files a [!UNAVAIL=return] dns\npasswd: files\n"
    assert skipped == ["/etc/nsswitch.conf has no place before=gone"]


def test_without_libc_bin() -> None:
    assert made() == (DEFAULT, [])

"""Where locked packages are, and that they arrive as they were locked."""

from pathlib import Path

import pytest

from layers.digest import Digest
from packer.debian.pool import Download, LockedPackageError, Pool, PoolError, downloads, lock, path_in_archive
from packer.debian.sources import Sources
from packer.fetch import Fetcher, FetchError
from packer.lock import LockedItem


@pytest.mark.parametrize(
    ("uri", "addresses", "path"),
    [
        ("http://x/debian/pool/main/a/a.deb", ("http://x/debian",), "pool/main/a/a.deb"),
        ("http://x/debian/pool/main/a/a.deb", ("http://x/debian/",), "pool/main/a/a.deb"),
        ("http://x/debian/pool/g%2b%2b_1%7e2.deb", ("http://x/debian/",), "pool/g++_1~2.deb"),
        ("http://x/a/b/pool/y.deb", ("http://x/", "http://x/a/b"), "pool/y.deb"),
        ("http://x/debian-security/pool/y.deb", ("http://x/debian", "http://x/debian-security"), "pool/y.deb"),
        ("file:/srv/flat/./y.deb", ("file:/srv/flat",), "y.deb"),
        ("http://snapshot/1/pool/main/y.deb", ("http://x/debian",), "pool/main/y.deb"),
        ("http://other/y.deb", ("http://x/debian",), ""),
        ("http://x/debian/../y.deb", ("http://x/debian",), ""),
        ("http://x/debian/a%0ab.deb", ("http://x/debian",), ""),
    ],
)
def test_the_path_is_what_is_behind_the_address(uri: str, addresses: tuple[str, ...], path: str) -> None:
    assert path_in_archive(uri, addresses) == path


def test_addresses_of_sources_of_both_formats() -> None:
    sources = Sources(
        (
            ("sources.list", b"deb [arch=amd64] http://a/x stable main\ndeb-src http://s/x stable main\n"),
            (
                "sources.list.d/b.sources",
                b"Types: deb\nURIs: http://b/x http://a/x\nSuites: stable\nComponents: main\n",
            ),
            ("sources.list.d/c.sources", b"Types: deb\nURIs: http://c\nSuites: s\nComponents: main\nEnabled: no\n"),
        )
    )
    assert sources.addresses == ("http://a/x", "http://b/x")


def download(data: bytes, *, path: str = "pool/x_1.deb", file: str = "x_1%3a1_all.deb") -> Download:
    return Download(file, len(data), Digest.of(data), path)


def test_a_lock_and_its_packages_are_each_other() -> None:
    given = [
        download(b"x", file="xy_1%3a1_all.deb"),
        download(b"y", file="libstdc++6_12.2.0-14+deb12u1_amd64.deb", path="pool/libstdc++6.deb"),
        download(b"z", file="zz_1%3a2~rc1-1_arm64.deb"),
    ]
    assert set(downloads(lock(given))) == set(given)


def test_a_package_without_a_path_cannot_be_locked() -> None:
    with pytest.raises(PoolError, match=r"x_1%3a1_all\.deb from an address that none"):
        lock([download(b"x", path="")])


@pytest.mark.parametrize("path", ["..", "a/../b", "/a", "a/", "", "a\tb", "x" * 256, "a/" * 600 + "a"])
def test_a_path_that_no_package_has(path: str) -> None:
    item = LockedItem(name="xy", version="1", architecture="all", path="pool/x", size=1, sha256="ab" * 32)
    object.__setattr__(item, "path", path)
    with pytest.raises(LockedPackageError, match="a path that no package has"):
        downloads([item])


def test_archives_are_asked_in_their_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "pool").mkdir(parents=True)
    (tmp_path / "two" / "pool" / "x_1.deb").write_bytes(b"deb")
    (tmp_path / "work").mkdir()
    addresses = ("mirror+file:/etc/x", f"file://{tmp_path}/one/", f"file:{tmp_path}/two")
    Pool(addresses, Fetcher({})).fetch(download(b"deb"), str(tmp_path / "work"))
    assert (tmp_path / "work" / "x_1%3a1_all.deb").read_bytes() == b"deb"
    (tmp_path / "one" / "pool" / "x_1.deb").write_bytes(b"bad")
    with pytest.raises(FetchError, match="it is not what is locked"):
        Pool(addresses, Fetcher({})).fetch(download(b"deb"), str(tmp_path / "work"))


@pytest.mark.parametrize(
    ("addresses", "message"),
    [((), "no archive that can be reached"), (("cdrom:x",), "no archive that can be reached"),
     (("file:///nonexistent",), "is in no archive of the sources any more")],
)  # fmt: skip
def test_archives_that_do_not_have_it(addresses: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=message):
        Pool(addresses, Fetcher({})).fetch(download(b"x"), str(tmp_path))

"""The private apt by itself; what it does for the store is in tests/packer/stores/test_debian.py."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from layers.digest import Digest
from layers.errors import PackError
from packer.debian import apt as apt_module
from packer.debian.apt import Apt
from packer.debian.apt_error import (
    AptError,
    FullDiskError,
    GoneError,
    MirrorError,
    SignatureError,
    UnknownPackageError,
    UnmetError,
    explained,
)
from packer.debian.pool import Download
from packer.debian.sources import Host
from tests.support.debian_archive import COMPONENT, SUITE, Archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive").add("hello", "1:1.0").publish()


@contextmanager
def private(archive: Archive, folder: Path, architecture: str = "amd64") -> Iterator[Apt]:
    sources = Host().mirror(archive.url, [SUITE], [COMPONENT], keyring=str(archive.keyring))
    apt = Apt(str(folder), sources, architecture, {"PATH": os.environ["PATH"]})
    with apt.locked():
        yield apt


def settings(folder: Path) -> list[str]:
    """What apt itself makes of the configuration that we write."""
    (configuration,) = folder.glob("*/apt.conf")
    environment = {**os.environ, "APT_CONFIG": str(configuration)}
    return subprocess.run(
        ["apt-config", "dump"], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()


def test_downloads(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path / "apt") as apt:
        apt.update()
        (found,) = apt.resolve(["hello"], recommends=False)
    data = (archive.pool / "hello_1.0_all.deb").read_bytes()
    assert found == Download("hello_1%3a1.0_all.deb", len(data), Digest.of(data), "pool/hello_1.0_all.deb")
    assert (found.name, found.version) == ("hello", "1:1.0")


def test_apt_reads_nothing_of_the_hosts_but_how_to_reach_archives(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path, "arm64") as apt:
        apt.update()
    said = settings(tmp_path)
    assert 'APT::Architecture "arm64";' in said
    assert [line for line in said if line.startswith("APT::Architectures::")] == ['APT::Architectures:: "arm64";']
    assert 'Acquire::AllowInsecureRepositories "false";' in said
    folders = [line.split('"')[1] for line in said if line.startswith(("Dir::State", "Dir::Cache", "Dir::Etc"))]
    outside = {path for path in folders if path.startswith("/") and not path.startswith(str(tmp_path))}
    assert outside <= {"/dev/null", "/etc/apt/auth.conf", "/etc/apt/auth.conf.d/"}
    assert not [line for line in said if "Post-Invoke" in line or "NeverAutoRemove" in line]


def test_the_hosts_way_to_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        'Acquire "";',
        'Acquire::http::Proxy "http://proxy.invalid:3128";',
        'Acquire::http::Proxy::local.invalid "DIRECT";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Retries "5";',
        'Acquire::AllowInsecureRepositories "true";',
        'Acquire::AllowWeakRepositories "true";',
        'Acquire::Languages:: "de";',
        'Acquire::IndexTargets::deb::Contents::MetaKey "x";',
        'APT::Install-Recommends "true";',
        'Dir::Etc "/elsewhere";',
    ]
    monkeypatch.setattr(apt_module, "_output", lambda *_: (said, 0))
    assert apt_module._host_settings({"PATH": os.environ["PATH"]}).splitlines() == said[1:5]


@pytest.mark.parametrize("machine", ["", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"])
def test_an_update_that_few_machines_get_yet_is_everybodys(
    machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # apt 2.2 to 2.4 choose so what is new on a machine, too; later ones with Phase-Policy.
    phased = f'APT::Get::Phase-Policy "true";\nAPT::Machine-ID "{machine}";\n'
    monkeypatch.setattr(apt_module, "_host_settings", lambda _: phased)
    archive = Archive(tmp_path / "archive").add("hello", "1.0")
    archive.add("hello", "2.0", control={"Phased-Update-Percentage": "0"}).publish()
    with private(archive, tmp_path / "apt") as apt:
        apt.update()
        (found,) = apt.resolve(["hello"], recommends=False)
    assert found.version == "2.0"


def test_lists_that_were_being_fetched_are_dropped_for_those_from_before(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path) as apt:
        apt.update()
        lists = Path(apt._lists)
    before = sorted(path.name for path in lists.iterdir())
    lists.rename(lists.parent / "lists.old")  # a run that was killed while it fetched
    lists.mkdir()
    (lists / "half").touch()
    with private(archive, tmp_path) as apt:
        assert apt.has_lists
        assert sorted(path.name for path in lists.iterdir()) == before


def test_first_lists_that_were_being_fetched_are_dropped(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path) as apt:
        lists = Path(apt._lists)
    lists.mkdir()
    (lists.parent / "lists.old").mkdir()
    with private(archive, tmp_path) as apt:
        assert not apt.has_lists
    assert not list(lists.parent.glob("lists*"))


def test_lists_from_before_stay_when_fetching_fails(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path / "apt") as apt:
        apt.update()
        known = apt.resolve(["hello"], recommends=False)
        archive.index.rename(archive.folder / "away")
        with pytest.raises(MirrorError):
            apt.update()
        assert apt.resolve(["hello"], recommends=False) == known
        (archive.folder / "away").rename(archive.index)
        apt.update()
        assert apt.resolve(["hello"], recommends=False) == known


def test_a_damaged_resolution_is_made_anew(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path / "apt") as apt:
        apt.update()
        known = apt.resolve(["hello"], recommends=False)
        (kept,) = (tmp_path / "apt").glob("*/resolved/*")
        for damaged in (b"", b"[[]]", b'[["x", 1, "../x"]]', json.dumps([["x", 1, 2]]).encode()):
            kept.write_bytes(damaged)
            assert apt.resolve(["hello"], recommends=False) == known


def test_work_of_a_killed_run_is_taken_away(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path) as apt:
        (Path(apt.work) / "package.x").mkdir()
        (Path(apt.work) / "package.x" / "data.tar").touch()
    with private(archive, tmp_path) as apt:
        assert os.listdir(apt.work) == []


def test_a_missing_apt(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with private(archive, tmp_path) as apt, pytest.raises(PackError, match="is not installed on this machine"):
        apt.update()


@pytest.mark.parametrize("name", ["with space", "with\u00e9", "a;b", "{x}"])
def test_odd_folders(archive: Archive, tmp_path: Path, name: str) -> None:
    with private(archive, tmp_path / name) as apt:
        apt.update()
        assert apt.resolve(["hello"], recommends=False)


def test_a_folder_that_apt_cannot_name(archive: Archive, tmp_path: Path) -> None:
    with private(archive, tmp_path / 'a"b') as apt, pytest.raises(PackError, match="folder of this name"):
        apt.update()


UNMET = """The following packages have unmet dependencies:
 broken : Depends: gone (>= 3) but it is not installable
E: Unable to correct problems, you have held broken packages.""".splitlines()


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        (["E: Unable to locate package helo"], UnknownPackageError, "there is no package 'helo' in the archive"),
        (
            ["E: Unable to locate package a", "E: Unable to locate package b"],
            UnknownPackageError,
            "Unable to locate package a\n  Unable to locate package b",
        ),
        (["E: Version '9' for 'hello' was not found"], UnknownPackageError, "Version '9' for 'hello'"),
        (["E: Package 'x' has no installation candidate"], UnknownPackageError, "has no installation candidate"),
        (UNMET, UnmetError, "broken : Depends: gone"),
        (
            [
                "E: Failed to fetch http://x/InRelease  The following signatures were invalid: NO_PUBKEY 13",
                "E: Some index files failed to download. They have been ignored, or old ones used instead.",
            ],
            SignatureError,
            "NO_PUBKEY 13\n  Set store.signed-by",
        ),
        (["E: The repository 'http://x steady Release' is not signed."], SignatureError, "is not signed"),
        (["E: Failed to fetch http://x/a.deb  404  Not Found [IP: 1]"], GoneError, "does not have a package any more"),
        (["E: Failed to fetch http://x/Packages  404  Not Found"], MirrorError, "cannot be reached"),
        (
            ["E: Failed to fetch http://x/dists/y/main/binary-arm64/Packages  404  Not Found [IP: 1]"],
            MirrorError,
            "lists of packages for this processor[\\s\\S]*Architectures",
        ),
        (["E: Failed to fetch http://x/a.deb  Hash Sum mismatch"], MirrorError, "something else than its index says"),
        (["E: Write error - write (28: No space left on device)"], FullDiskError, "the disk is full"),
        (["E: You don't have enough free space in /x."], FullDiskError, "the disk is full"),
        (
            ["E: Release file for http://x is expired (invalid since 1d)."],
            MirrorError,
            "ran out[\\s\\S]*store.snapshot",
        ),
        (["E: something new"], AptError, "the task failed:\n  something new"),
        ([], AptError, "it did not say why"),
    ],
)
def test_errors(lines: Sequence[str], kind: type[PackError], message: str) -> None:
    error = explained(lines, "the task")
    assert type(error) is kind
    with pytest.raises(PackError, match=message):
        raise error


def test_errors_are_not_endless() -> None:
    assert len(str(explained([f"E: {number}" for number in range(1000)], "it")).splitlines()) == 14

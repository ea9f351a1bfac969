import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from formats.platform import PLATFORMS
from layers.entry import File
from layers.errors import InputError, PackError
from layers.item import Closure
from layers.progress import NoProgress
from layers.tree import Part, merge
from packer.config import parse
from packer.debian.apt_error import GoneError, MirrorError, SignatureError, UnknownPackageError, UnmetError
from packer.debian.index import DebError
from packer.debian.sources import Host
from packer.mistakes import ConfigError
from packer.stores import NAMES, StoreContext, store_module
from packer.stores.debian import DebianStore, Options, open_store, sources
from tests.support.command_line import Workplace
from tests.support.debian_archive import Archive, Program, keyring


class Desk:
    """An archive, and a cache to pack from it with."""

    def __init__(self, folder: Path) -> None:
        self.archive = Archive(folder / "archive")
        self.cache = folder / "cache"
        self.cache.mkdir()

    def context(self, *, platform: str = "x86_64-linux", refresh: bool = False) -> StoreContext:
        return StoreContext(
            PLATFORMS[platform], str(self.cache), "/", 1, refresh, {"PATH": os.environ["PATH"]}, NoProgress()
        )

    def store(self, *packages: str, platform: str = "x86_64-linux", refresh: bool = False, **more: Any) -> DebianStore:
        options = Options(packages=packages, **{**self.archive.options(), **more})
        return open_store(options, self.context(platform=platform, refresh=refresh))

    def closure(self, *packages: str, **more: Any) -> list[str]:
        return paths(self.store(*packages, **more).closure())

    def kept(self) -> list[Path]:
        return sorted(path for path in (self.cache / "debian").iterdir() if len(path.name) == 64)


def paths(closure: Closure) -> list[str]:
    return [item.path for item in closure]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.archive.add("hello", "1:1.0-1", depends="libhello (>= 1)", files={"/bin/hello": Program(b"#!/bin/sh\n")})
    desk.archive.add("libhello", "1.5", architecture="amd64", compression="zstd", files={"/usr/lib/hello": "lib"})
    desk.archive.add("extra", "1.0", compression="gzip", control={"Recommends": "hello"})
    desk.archive.add("impossible", "1.0", depends="libhello (>= 9)")
    desk.archive.publish()
    return desk


def without_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program can be started at all."""
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **_: pytest.fail(f"{arguments} was started"))


def test_a_closure(desk: Desk) -> None:
    closure = desk.store("hello").closure()
    assert paths(closure) == ["libhello_1.5_amd64", "hello_1:1.0-1_all"]
    assert closure.roots == ("hello_1:1.0-1_all",)
    assert closure["hello_1:1.0-1_all"].references == ("libhello_1.5_amd64",)


def test_no_deb_stays(desk: Desk) -> None:
    desk.closure("hello")
    assert len(desk.kept()) == 2
    assert all(sorted(os.listdir(path)) == ["control.tar", "data.tar", "index", "sha256sums"] for path in desk.kept())
    assert not list(desk.cache.rglob("*.deb"))
    assert not list(desk.cache.rglob("work/*"))


def test_placement_is_merged_usr(desk: Desk) -> None:
    store = desk.store("hello")
    closure = store.closure()
    part = merge(Part(item, item.placed_entries()) for item in closure)
    assert isinstance(part.tree.get(b"usr/bin/hello"), File)
    assert part.tree.get(b"bin") is None
    for old, new in ((b"lib64/ld.so", b"usr/lib64/ld.so"), (b"libx", b"libx"), (b"sbin", b"usr/sbin")):
        assert {item.placement.path(old) for item in closure} == {new}


@pytest.mark.parametrize(
    ("recommends", "expected"),
    [(False, ["extra_1.0_all"]), (True, ["extra_1.0_all", "libhello_1.5_amd64", "hello_1:1.0-1_all"])],
)
def test_recommends(desk: Desk, recommends: bool, expected: list[str]) -> None:
    assert desk.closure("extra", recommends=recommends) == expected


@pytest.mark.parametrize(
    ("essential", "expected"),
    [(False, ["extra_1.0_all"]), (True, ["extra_1.0_all", "library_1_all", "shell_1_all"])],
)
def test_essential(desk: Desk, essential: bool, expected: list[str]) -> None:
    desk.archive.add("shell", "1", depends="library", control={"Essential": "yes"}).add("library", "1").publish()
    assert sorted(desk.closure("extra", essential=essential)) == expected


@pytest.mark.parametrize("package", ["hello=1:1.0-1", "hello/steady"])
def test_a_package_of_a_version_or_a_suite(desk: Desk, package: str) -> None:
    closure = desk.store(package).closure()
    assert closure.roots == ("hello_1:1.0-1_all",)


def test_an_older_version(desk: Desk) -> None:
    desk.archive.add("extra", "2.0").publish()
    assert desk.closure("extra") == ["extra_2.0_all"]
    assert desk.closure("extra=1.0") == ["extra_1.0_all"]


def test_pockets(desk: Desk) -> None:
    desk.closure("extra")
    Archive(desk.archive.folder, suite="steady-updates").add("extra", "2.0").publish()
    assert desk.closure("extra", refresh=True) == ["extra_1.0_all"]
    assert desk.closure("extra", pockets=("updates",)) == ["extra_2.0_all"]
    assert desk.closure("extra/steady", pockets=("updates",)) == ["extra_1.0_all"]


def test_another_architecture(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.archive = Archive(tmp_path / "arm", architecture="arm64")
    desk.archive.add("hello", "1.0", depends="libhello").add("libhello", "1.0", architecture="arm64").publish()
    assert desk.closure("hello", platform="aarch64-linux") == ["libhello_1.0_arm64", "hello_1.0_all"]


def test_over_http(desk: Desk) -> None:
    with desk.archive.served() as url:
        assert desk.closure("hello", mirror=url) == ["libhello_1.5_amd64", "hello_1:1.0-1_all"]


def test_a_snapshot_that_ran_out(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packer.debian.apt._host_settings", lambda _: 'Acquire::Check-Valid-Until "true";\n')
    desk.archive.publish(more={"Valid-Until": "Thu, 02 Jan 2025 00:00:00 UTC"})
    (tmp_path / "20250101T000000Z").symlink_to(desk.archive.folder)
    mirror = f"file://{tmp_path}/@SNAPSHOTID@"
    assert desk.closure("extra", mirror=mirror, snapshot="20250101T000000Z") == ["extra_1.0_all"]


# A warm cache


def test_a_warm_closure_starts_no_program(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    cold = desk.closure("hello", "extra")
    shutil.rmtree(desk.archive.pool)
    without_apt(monkeypatch)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert desk.closure("extra", "hello") == cold


def test_lists_stay_until_they_are_refreshed(desk: Desk) -> None:
    assert desk.closure("extra") == ["extra_1.0_all"]
    desk.archive.add("extra", "1.1").publish()
    assert desk.closure("extra") == ["extra_1.0_all"]
    assert desk.closure("extra", refresh=True) == ["extra_1.1_all"]
    assert desk.closure("extra") == ["extra_1.1_all"]


@pytest.mark.parametrize("served", [False, True])
def test_lists_are_fetched_again_when_a_package_is_gone(desk: Desk, served: bool) -> None:
    with desk.archive.served() as url:
        mirror = {"mirror": url} if served else {}
        desk.closure("hello", **mirror)
        (desk.archive.pool / "extra_1.0_all.deb").unlink()
        desk.archive.add("extra", "1.1").publish()
        assert desk.closure("extra", **mirror) == ["extra_1.1_all"]


def test_a_package_that_is_really_gone(desk: Desk) -> None:
    desk.closure("hello")
    (desk.archive.pool / "extra_1.0_all.deb").unlink()
    with pytest.raises(GoneError, match=r"extra_1\.0_all\.deb"):
        desk.closure("extra")
    assert desk.closure("hello")


def test_only_what_is_missing_is_fetched(desk: Desk) -> None:
    desk.closure("hello")
    lost, stays = desk.kept()
    inode = stays.stat().st_ino
    shutil.rmtree(lost)
    desk.closure("hello")
    assert desk.kept() == [lost, stays]
    assert stays.stat().st_ino == inode


def test_a_damaged_package_is_fetched_again(desk: Desk) -> None:
    cold = desk.closure("hello")
    for folder in desk.kept():
        (folder / "data.tar").write_bytes(b"")
    assert desk.closure("hello") == cold
    assert all((folder / "data.tar").stat().st_size for folder in desk.kept())


# What goes wrong


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("helo", r"there is no package 'helo' in the archive\n.*Did you mean hello\?"),
        ("hello=9", "Version '9' for 'hello' was not found"),
        ("hello/other", "Release 'other' for 'hello' was not found"),
        ("hel.o", "there is no package 'hel.o'"),  # and no regular expression
        ("hello+", r"there is no package 'hello\+'"),  # and not apt's way to say install
    ],
)
def test_an_unknown_package(desk: Desk, package: str, message: str) -> None:
    with pytest.raises(UnknownPackageError, match=message) as caught:
        desk.closure("extra", package)
    assert caught.value.exit_code == 2


def test_unmet_dependencies(desk: Desk) -> None:
    with pytest.raises(UnmetError, match=r"impossible : Depends: libhello \(>= 9\)"):
        desk.closure("impossible")


@pytest.mark.parametrize(
    ("archive", "message"),
    [({"key": "stranger"}, "NO_PUBKEY|signatures|not be verified|Missing key"), ({}, "is not signed|no longer signed")],
    ids=["another key", "no signature"],
)
def test_a_signature_that_nobody_trusts(desk: Desk, archive: Mapping[str, Any], message: str) -> None:
    other = Archive(desk.archive.folder, **archive).publish(signed=bool(archive))
    other.keyring.write_bytes(keyring("archive"))
    with pytest.raises(SignatureError, match=message):
        desk.closure("hello")


def test_an_index_that_was_changed(desk: Desk) -> None:
    index = desk.archive.index / "InRelease"
    index.write_bytes(index.read_bytes().replace(b"Origin: Test", b"Origin: Evil"))
    with pytest.raises(SignatureError, match=r"BADSIG|signature[\s\S]*store.signed-by"):
        desk.closure("hello")


def test_another_keyring_does_not_profit_from_lists_that_were_trusted(desk: Desk) -> None:
    desk.closure("hello")
    desk.archive.keyring.write_bytes(keyring("stranger"))
    with pytest.raises(SignatureError):
        desk.closure("hello")


def test_a_suite_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(MirrorError, match=r"does not have the suite[\s\S]*unsteady"):
        desk.closure("hello", suite="unsteady")


@pytest.mark.parametrize("served", [False, True])
def test_lists_of_a_processor_that_are_not_there(desk: Desk, served: bool) -> None:
    """Ubuntu's index names them for processors whose packages are in another archive."""
    desk.archive = Archive(desk.archive.folder, architecture="amd64 arm64").publish()
    shutil.rmtree(desk.archive.index / "main/binary-arm64")
    with desk.archive.served() as url:
        mirror = {"mirror": url} if served else {}
        with pytest.raises(MirrorError, match=r"packages for this processor:[\s\S]*binary-arm64[\s\S]*store\.mirror"):
            desk.closure("hello", platform="aarch64-linux", **mirror)
        assert desk.closure("hello", **mirror) == ["libhello_1.5_amd64", "hello_1:1.0-1_all"]


def test_a_mirror_that_cannot_be_reached(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packer.debian.apt._host_settings", lambda _: 'Acquire::Retries "0";\n')  # or it takes 7 s
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(MirrorError, match=r"cannot be reached:[\s\S]*(refused|Could not connect)"):
            desk.closure("hello", mirror=f"http://127.0.0.1:{port}")


def test_lists_that_ran_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packer.debian.apt._host_settings", lambda _: 'Acquire::Check-Valid-Until "true";\n')
    desk.archive.publish(more={"Valid-Until": "Thu, 02 Jan 2025 00:00:00 UTC"})
    with pytest.raises(MirrorError, match=r"ran out[\s\S]*store.snapshot"):
        desk.closure("hello")


@pytest.mark.parametrize("served", [False, True])
def test_a_corrupt_deb(desk: Desk, served: bool) -> None:
    deb = desk.archive.pool / "extra_1.0_all.deb"
    data = deb.read_bytes()
    deb.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with desk.archive.served() as url:
        mirror = {"mirror": url} if served else {}
        with pytest.raises(MirrorError, match=r"something else than its index says:[\s\S]*extra_1\.0_all\.deb"):
            desk.closure("extra", **mirror)
        assert desk.kept() == []
        deb.write_bytes(data)
        assert desk.closure("extra", **mirror) == ["extra_1.0_all"]


def test_a_signed_package_that_is_no_deb(desk: Desk) -> None:
    data = b"!<arch>\nnonsense"
    stanza = "Package: fake\nVersion: 1.0\nArchitecture: all\nMaintainer: x\nDescription: x\nFilename: fake.deb\n"
    desk.archive.publish(stanzas=f"{stanza}Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
    (desk.archive.folder / "fake.deb").write_bytes(data)
    with pytest.raises(DebError, match=r"fake_1\.0_all\.deb is damaged: there is no member header at byte 8"):
        desk.closure("extra", "fake")
    assert desk.closure("hello")


def test_a_missing_apt(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackError, match=r"apt-\w+ is not installed on this machine"):
        desk.closure("hello")


def test_a_cache_that_cannot_be_written(desk: Desk) -> None:
    (desk.cache / "debian").write_text("in the way")
    with pytest.raises(PackError, match=r"cannot make the cache .*/debian: File exists\n  XDG_CACHE_HOME"):
        desk.closure("hello")


# Several at once, and killed ones

_CHILD = """
import json, os, sys
from packer.stores.debian import Options, open_store
from packer.stores import StoreContext
from formats.platform import PLATFORMS
from layers.progress import NoProgress
options, cache = json.loads(sys.argv[1])
context = StoreContext(PLATFORMS["x86_64-linux"], cache, "/", 1, False, {"PATH": os.environ["PATH"]}, NoProgress())
options["packages"] = tuple(options["packages"])
print(*[item.path for item in open_store(Options(**options), context).closure()])
"""


def child(desk: Desk, *packages: str, **more: Any) -> subprocess.Popen[str]:
    options = json.dumps([{"packages": packages, **desk.archive.options(**more)}, str(desk.cache)])
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _CHILD, options]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("same_sources", [True, False])
def test_two_at_once(desk: Desk, tmp_path: Path, same_sources: bool) -> None:
    (tmp_path / "other").symlink_to(desk.archive.folder)
    more = {} if same_sources else {"mirror": f"file://{tmp_path}/other"}
    children = [child(desk, "hello", "extra"), child(desk, "hello", "extra", **more), child(desk, "hello")]
    said = [process.communicate(timeout=60)[0].split() for process in children]
    assert said[0] == said[1] == ["extra_1.0_all", "libhello_1.5_amd64", "hello_1:1.0-1_all"]
    assert said[2] == said[0][1:]
    assert [process.returncode for process in children] == [0, 0, 0]
    assert len(desk.kept()) == 3
    assert not list(desk.cache.rglob("work/*"))


def test_killed_runs_leave_a_good_cache(desk: Desk) -> None:
    for number in range(40):
        desk.archive.add(f"part{number}", "1.0", files={"/x": str(number)})
    desk.archive.publish()
    asked = ["hello", *(f"part{number}" for number in range(40))]
    chance = random.Random(1)
    for _ in range(8):
        process = child(desk, *asked)
        time.sleep(chance.uniform(0.15, 0.9))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    closure = desk.store(*asked).closure()
    assert len(closure) == 42
    assert not list(desk.cache.rglob("work/*")) and not list(desk.cache.rglob("lists.old"))


# Paths that are left out


def packed(place: Workplace, store: str = "") -> tuple[dict[str, str], str]:
    """The digest of each package's layer, and what was said."""
    place.declare(packages='"tiny", "tool", "manual"', store=store)
    answer = place.run("docker", "--json")
    assert answer.code == 0, answer.err
    (artefact,) = json.loads(answer.out)["artefacts"]
    plan = json.loads(place.run("plan", "--json").out)
    names = [layer["items"][0]["name"] if layer["items"] else "" for layer in plan["layers"]]
    return dict(zip(names, [layer["digest"] for layer in artefact["layers"]], strict=True)), answer.err


@pytest.fixture(scope="module")
def whole(place: Workplace) -> dict[str, str]:
    """The digests of layers of whole packages."""
    return packed(place)[0]


@pytest.mark.parametrize(
    ("store", "hit"),
    [
        ('path-exclude = ["/usr/share/doc/*"]', {"manual"}),
        ('path-exclude = ["*/about", "/etc/tool.conf"]', {"tiny", "tool"}),
        ('path-exclude = ["/usr/share/doc/*"]\npath-include = ["/usr/share/doc/manual/*"]', set()),
        ('path-exclude = ["/opt/*"]', set()),
    ],
)
def test_packages_that_no_rule_hits_keep_their_layers(
    place: Workplace, whole: dict[str, str], store: str, hit: set[str]
) -> None:
    digests, _ = packed(place, store)
    assert {name for name in digests if digests[name] != whole[name]} - {""} == hit


def test_rules_that_change_nothing_are_told(place: Workplace) -> None:
    _, said = packed(place, 'path-exclude = ["/usr/share/dco/*", "/usr/share/doc/*"]')
    assert said.count("warning") == 1
    assert "ocipack: warning: path-exclude: '/usr/share/dco/*' leaves out nothing\n" in said


def test_a_lock_is_for_any_rules(place: Workplace) -> None:
    place.declare()
    assert place.run("lock").code == 0
    before = (place.folder / "os.lock").read_bytes()
    place.declare(store='path-exclude = ["/etc/*"]')
    assert place.run("check").code == 0
    assert place.run("docker").code == 0
    assert place.run("lock").code == 0
    assert (place.folder / "os.lock").read_bytes() == before
    (place.folder / "os.lock").unlink()


def test_what_is_left_out_of_a_package_is_a_difference(place: Workplace) -> None:
    for name, store in (("before.tar", ""), ("after.tar", 'path-exclude = ["/usr/share/doc/*"]')):
        place.declare(packages='"tiny", "tool", "manual"', store=store)
        assert place.run("docker", "-o", name).code == 0
    found = json.loads(place.run("diff", "--json", "before.tar", "after.tar").out)
    assert [change["before"]["name"] for change in found["items"]] == ["manual"]


# Options


def declared(options: dict[str, Any]) -> None:
    """Have an os.toml with this `[store]` checked."""
    store = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    parse(f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\n{store}', "os.toml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"packages": []}, "store.packages: must not be empty"),
        ({}, "packages"),
        ({"packages": ["-o=x"]}, "'-o=x' is not a package"),
        ({"packages": ["Hello"]}, "is not a package"),
        ({"packages": ["hello-"]}, "is not a package"),
        ({"packages": ["x"]}, "is not a package"),
        ({"packages": ["libc6:arm64"]}, "is not a package"),
        ({"packages": ["./x.deb"]}, "is not a package"),
        ({"packages": ["hello=1 -y"]}, "is not a package"),
        ({"packages": ["hello"], "suite": "a b"}, "'a b' is not the name of a suite"),
        ({"packages": ["hello"], "suite": "a\nTrusted: yes"}, "is not the name of a suite"),
        ({"packages": ["hello"], "components": ["-x"]}, "is not the name of a component"),
        ({"packages": ["hello"], "pockets": ["-updates"]}, "'-updates' is not a pocket"),
        ({"packages": ["hello"], "mirror": "[trusted=yes] http://x"}, "is not an address"),
        ({"packages": ["hello"], "mirror": "/srv/debian"}, "is not an address"),
        ({"packages": ["hello"], "snapshot": "2025-05-20"}, "is not a snapshot's time"),
        ({"packages": ["hello"], "path-exclude": "/x"}, r"store.path-exclude: must be an array"),
        ({"packages": ["hello"], "path-exclude": ["/x", "usr/x"]}, r"exclude\[1\]: 'usr/x' is not a pattern of paths"),
        ({"packages": ["hello"], "path-exclude": [""]}, r"path-exclude\[0\]: must not be empty"),
        ({"packages": ["hello"], "path-exclude": ["/x "]}, "is not a pattern of paths"),
        ({"packages": ["hello"], "path-exclude": ["/x\npost-invoke=y"]}, "is not a pattern of paths"),
        ({"packages": ["hello"], "path-exclude": ["/x[a"]}, r"'/x\[a': a bracket is not closed \(`\\\["),
        ({"packages": ["hello"], "path-exclude": ["/" + "ä" * 500]}, "is longer than 1000 bytes"),
        ({"packages": ["hello"], "path-exclude": ["*"], "path-include": ["x"]}, r"path-include\[0\]: 'x' is not a"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared(options)


@pytest.mark.parametrize("package", ["hello", "g++", "libstdc++6", "0ad", "a2", "xy=1:2.0~rc1+b1-1", "x-y.z/steady"])
def test_good_package_names(package: str) -> None:
    assert Options(packages=(package,)).packages == (package,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snapshot": "20250520T000000Z"}, "store.snapshot: has no place to go to: mirror has no @SNAPSHOTID@"),
        ({"mirror": "http://x", "suite": "a", "snapshot": "20250520T000000Z"}, "mirror has no @SNAPSHOTID@"),
        ({"mirror": "http://x/@SNAPSHOTID@", "suite": "a"}, "store.mirror: has @SNAPSHOTID@, but there is no"),
        ({"mirror": "http://x"}, "store.mirror: needs a suite"),
        ({"suite": "a", "pockets": ["updates"]}, "store.pockets: needs a mirror"),
        ({"components": ["main", "contrib"]}, "store.components: needs a suite"),
        ({"path-include": ["/x"]}, "store.path-include: says what path-exclude is not to leave out, and there is none"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        declared({"packages": ["hello"], **options})


@pytest.mark.parametrize("store", ['type = "nix"', 'type = "guix"', 'type = "binary-cache"\nurl = "file:///x"'])
def test_items_with_a_nar_hash_are_whole(store: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.path-exclude: there is no such key"):
        parse(
            f'name = "x"\nplatform = "x86_64-linux"\n[store]\n{store}\nroots = ["/x"]\npath-exclude = ["*"]', "os.toml"
        )


def test_a_keyring_that_is_not_there(tmp_path: Path) -> None:
    options = Options(packages=("hello",), mirror="http://x", suite="a", signed_by="gone.gpg")
    with pytest.raises(InputError, match=r"store.signed-by: cannot read .*/gone.gpg"):
        sources(options, str(tmp_path), Host())


def test_signed_by_is_relative_to_the_declaration(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.gpg").write_bytes(b"key")
    options = Options(packages=("hello",), mirror="http://x", suite="a", signed_by="keys/a.gpg")
    assert sources(options, str(tmp_path), Host()).keyrings == (b"key",)


def test_every_option_is_described() -> None:
    schema = TypeAdapter(Options).json_schema()
    assert all(field.get("description") for field in schema["properties"].values())
    assert schema["required"] == ["packages"]


def test_it_is_a_store_module() -> None:
    assert "debian" in NAMES
    assert store_module("debian").Options is Options

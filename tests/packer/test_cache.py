"""`ocipack cache`: shown, pruned and verified, also while others build; nothing outside is touched."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layers.cache import CacheFolder
from layers.digest import Digest
from layers.progress import NoProgress
from packer.cache import FOREIGN, LEFT_OVERS, Cache, CacheError
from packer.nix.nar_cache import NarCache
from tests.support.command_line import OCIPACK, Workplace, workplace
from tests.support.nars import archive, regular

_LONG_AGO = 1_000_000_000
_HEX = "ab" * 32
_NAR = archive(regular(b"some text"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace with a full cache, and what was built with it in good.tar."""
    made = workplace(tmp_path_factory.mktemp("cache"))
    (made.folder / "files").mkdir()
    (made.folder / "files" / "motd").write_text("hello\n")
    time.sleep(2.1)  # digests of files that changed a moment ago are not kept
    _declare(made)
    assert made.run("docker", "-o", "good.tar").code == 0
    return made


@pytest.fixture
def place(shared: Workplace, tmp_path: Path) -> Workplace:
    """The workplace with a copy of its cache."""
    shutil.copytree(shared.cache, tmp_path / "cache")
    _declare(shared)
    return replace(shared, cache=tmp_path / "cache")


def _declare(place: Workplace, packages: str = '"tiny", "tool"') -> None:
    path = place.declare(packages=packages)
    path.write_text(path.read_text().replace("[store]", "[[store]]") + '\n[[store]]\ntype = "folder"\npath = "files"\n')


def _good(place: Workplace) -> bool:
    answer = place.run("docker", "-o", "again.tar")
    assert answer.code == 0, answer.err
    return (place.folder / "again.tar").read_bytes() == (place.folder / "good.tar").read_bytes()


def _kinds(place: Workplace, *arguments: str) -> dict[str, int]:
    answer = place.run("cache", *arguments, "--json")
    assert answer.code in (0, 1), answer.err
    return {kind["kind"]: kind["count"] for kind in json.loads(answer.out)["kinds"]}


def _cache(place: Workplace) -> Path:
    return place.cache / "ocipack"


def _packages(place: Workplace) -> list[Path]:
    return sorted(path for path in (_cache(place) / "debian").iterdir() if len(path.name) == 64)


def _blobs(place: Workplace) -> list[Path]:
    return sorted((_cache(place) / "blobs" / "sha256").iterdir())


def _records(place: Workplace) -> list[Path]:
    return sorted((_cache(place) / "layers").iterdir())


def _age(place: Workplace) -> None:
    for path in _cache(place).rglob("*"):
        os.utime(path, (_LONG_AGO, _LONG_AGO), follow_symlinks=False)


def test_what_builds_keep_is_shown_by_kind_and_all_of_it_is_known(place: Workplace) -> None:
    layers = len(_records(place))
    kinds = {"packages": 3, "lists of packages": 1, "digests of folders": 1, "layers": layers, "blobs": layers}
    assert _kinds(place) == kinds
    facts = json.loads(place.run("cache", "--json").out)
    files = sum(path.stat().st_size for path in _cache(place).rglob("*") if path.is_file())
    assert sum(kind["size"] for kind in facts["kinds"]) == files
    assert place.run("cache").out.splitlines()[-1].split()[:2] == ["all", str(sum(kinds.values()))]


@pytest.mark.parametrize("command", [(), ("prune",), ("verify",)])
def test_a_cache_that_is_not_there_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    place = Workplace(tmp_path, None, tmp_path / "none")  # type: ignore[arg-type]  # nothing is packed
    assert _kinds(place, *command) == {}
    assert not place.cache.exists()


@pytest.mark.parametrize("days", ["-1", "x", "1.5"])
def test_days_are_a_number(place: Workplace, days: str) -> None:
    assert place.run("cache", "prune", "--older-than", days).code == 2


def test_prune_removes_what_was_not_used_and_nothing_else(place: Workplace) -> None:
    _age(place)
    _declare(place, '"tiny"')
    assert place.run("docker", "-o", "tiny.tar").code == 0
    kept = place.run("cache", "prune", "--json")
    assert {kind["kind"]: kind["count"] for kind in json.loads(kept.out)["kinds"]}["packages"] == 2
    assert len(_packages(place)) == 1
    assert _kinds(place)["lists of packages"] == 1
    before = sorted(_cache(place).rglob("*"))
    assert _kinds(place, "prune") == {}
    assert place.run("docker", "-o", "again.tar").code == 0
    assert (place.folder / "again.tar").read_bytes() == (place.folder / "tiny.tar").read_bytes()
    assert sorted(_cache(place).rglob("*")) == before
    _declare(place)
    assert _good(place)


def test_a_blob_is_used_when_its_layer_is(place: Workplace) -> None:
    _age(place)
    assert _good(place)
    assert all(path.stat().st_mtime == _LONG_AGO for path in _blobs(place))  # a reader would take it for changed
    assert _kinds(place, "prune") == {}


def test_prune_of_all_leaves_a_cache_that_builds_start_from(place: Workplace) -> None:
    removed = _kinds(place, "prune", "--older-than", "0")
    assert removed["packages"] == 3
    assert _kinds(place) == {}
    assert _good(place)


def test_prune_waits_for_a_build(place: Workplace) -> None:
    environment = place.environment()
    command: list[str | Path] = [OCIPACK, "docker", "-q", "-o", "-"]
    with subprocess.Popen(command, cwd=place.folder, env=environment, stdout=subprocess.PIPE) as build:
        assert build.stdout
        first = build.stdout.read(1)  # it goes on when somebody reads the rest
        command = [OCIPACK, "cache", "prune", "--older-than", "0"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as prune:
            assert prune.stderr
            said = prune.stderr.readline()
            blobs = _blobs(place)
            rest = build.stdout.read()
    assert said == b"waiting for another ocipack to end\n"
    assert blobs
    assert (build.returncode, prune.returncode) == (0, 0)
    assert first + rest == (place.folder / "good.tar").read_bytes()
    assert _blobs(place) == []
    assert _good(place)


def _flip(path: Path, where: int = -600) -> None:
    data = bytearray(path.read_bytes())
    data[where % len(data)] ^= 1
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(data)
    path.chmod(mode)


def _rewrite(path: Path, **facts: object) -> None:
    path.chmod(0o600)
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def _largest(paths: list[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_size)


def _tiny(place: Workplace) -> Path:
    return _largest([package / "data.tar" for package in _packages(place)])


_DAMAGES: dict[str, tuple[str, Callable[[Workplace], object]]] = {
    "a bit of a blob": ("blobs/sha256/", lambda place: _flip(_largest(_blobs(place)))),
    "the end of a blob": ("blobs/sha256/", lambda place: os.truncate(_largest(_blobs(place)), 100)),
    "a layer's digest": ("layers/", lambda place: _rewrite(_records(place)[0], diff_id=f"sha256:{_HEX}")),
    "a layer's size": ("layers/", lambda place: _rewrite(_records(place)[0], size=1)),
    "a layer's codec": ("layers/", lambda place: _rewrite(_records(place)[0], compression="zstd")),
    "a layer's record": ("layers/", lambda place: _flip(_records(place)[0], 0)),
    "a bit of a package": ("debian/", lambda place: _flip(_tiny(place), 100_000)),
    "a bit of scripts": ("debian/", lambda place: _flip(_tiny(place).with_name("control.tar"), 600)),
    "an index": ("debian/", lambda place: _flip(_tiny(place).with_name("index"), 20)),
    "an archive that is gone": ("debian/", lambda place: _tiny(place).unlink()),
    "digests that are gone": ("debian/", lambda place: _tiny(place).with_name("sha256sums").unlink()),
    "digests of a folder": ("folder/", lambda place: _flip(next((_cache(place) / "folder").iterdir()), 3)),
}


@pytest.mark.parametrize("name", _DAMAGES)
def test_what_is_damaged_goes_and_is_made_anew(place: Workplace, name: str) -> None:
    assert place.run("cache", "verify").code == 0
    where, damage = _DAMAGES[name]
    damage(place)
    answer = place.run("cache", "verify")
    assert answer.code == 1, answer.err
    assert f"damaged, removed: {_cache(place)}/{where}" in answer.out
    if where == "debian/":
        assert _kinds(place)["packages"] == 2
        for path in (*_records(place), *_blobs(place)):
            path.unlink()
    assert _good(place)
    answer = place.run("cache", "verify", "-q")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize("name", ["a bit of a blob", "a bit of a package"])
def test_without_it_a_build_does_not_notice(place: Workplace, name: str) -> None:
    where, damage = _DAMAGES[name]
    damage(place)
    if where == "debian/":
        for path in (*_records(place), *_blobs(place)):
            path.unlink()
    assert not _good(place)


def test_damage_that_is_mended_while_verify_waits_stays(place: Workplace) -> None:
    blob = _largest(_blobs(place))
    whole = blob.read_bytes()
    _flip(blob)
    reads: Iterator[bytes] = iter([whole])

    class Mending(NoProgress):
        def end(self) -> None:  # all has been read
            blob.chmod(0o600)
            blob.write_bytes(next(reads))

    assert Cache(str(_cache(place))).verify(Mending()) == []
    assert blob.read_bytes() == whole


def test_nothing_foreign_and_nothing_behind_links_is_touched(place: Workplace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    os.rename(_cache(place) / "blobs" / "sha256", outside)
    (_cache(place) / "blobs" / "sha256").symlink_to(outside)
    (outside / _HEX).write_text("not its digest")
    (_cache(place) / "layers" / "notes.txt").write_text("mine")
    (_cache(place) / "layers" / _HEX).symlink_to(outside / _HEX)
    (_cache(place) / "debian" / "apt" / "of-mine").mkdir()
    (_cache(place) / "debian" / "apt" / "of-mine" / "file").write_text("mine")
    before = {path: path.read_bytes() for path in outside.iterdir()}
    assert _kinds(place)[FOREIGN] == 4
    assert place.run("cache", "verify").code == 0
    _kinds(place, "prune", "--older-than", "0")
    assert {path: path.read_bytes() for path in outside.iterdir()} == before
    assert _kinds(place) == {FOREIGN: 4}


def test_what_killed_runs_left_behind_is_pruned(place: Workplace) -> None:
    (_cache(place) / "check-abc" / "cache" / "blobs").mkdir(parents=True)
    (_cache(place) / "check-abc" / "cache" / "blobs" / "x").write_text("x")
    (_cache(place) / "layers" / ".ocipack-x").write_text("x")
    (_cache(place) / "debian" / f".{_HEX}.ocipack-removed").mkdir()
    assert _kinds(place)[LEFT_OVERS] == 3
    _age(place)
    assert _good(place)
    assert _kinds(place, "prune")[LEFT_OVERS] == 3
    assert LEFT_OVERS not in _kinds(place)


def test_what_cannot_be_removed_is_told_and_the_rest_goes(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = _packages(place)[0]
    remove = CacheFolder.remove

    def refuse(self: CacheFolder, path: str) -> None:
        if path.endswith(stubborn.name):
            raise PermissionError(13, "Permission denied")
        remove(self, path)

    monkeypatch.setattr(CacheFolder, "remove", refuse)
    with pytest.raises(CacheError, match=f"{stubborn.name}: Permission denied"):
        Cache(str(_cache(place))).prune(2**63)
    assert next(Cache(str(_cache(place))).kept()).kind == "packages"
    assert _packages(place) == [stubborn]


@pytest.mark.parametrize("damage", ["nothing", "nar", "index", "no nar", "no index"])
def test_nars(tmp_path: Path, damage: str) -> None:
    digest = Digest.of(_NAR)
    nars = NarCache(str(tmp_path / "nar"))
    nars.keep(iter([_NAR]), digest, len(_NAR), "x")
    (tmp_path / "nar" / "lock").touch()
    path = tmp_path / "nar" / f"{digest.hex}.{damage.split()[-1]}"
    if damage.startswith("no "):
        path.unlink()
    elif damage != "nothing":
        _flip(path, 9)
    cache = Cache(str(tmp_path))
    (kept,) = cache.contents()
    assert kept.kind == "NARs"
    assert [one.paths for one in cache.verify(NoProgress())] == ([] if damage == "nothing" else [kept.paths])
    assert bool(nars.find(digest)) is (damage == "nothing")

"""The same bytes whoever builds, where, when and how."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from packer.cli import run
from tests.support.command_line import OCIPACK, Workplace, workplace
from tests.support.processes import as_nobody, public_folder

_DECLARATION = """
[os]
hostname = "sample"
files = [
    { target = "/etc/motd", text = "é\\n" },
    { target = "/srv", source = "site" },
]
[container]
cmd = ["/bin/sh"]
env = { B = "2", A = "1" }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace that everybody can read."""
    folder = tmp_path_factory.mktemp("place")
    made = workplace(folder)
    site = made.folder / "site"
    site.mkdir()
    for name in ("b", "a", "c"):
        (site / name).write_text(name)
    (site / "run").write_text("#!/bin/sh\n")
    (site / "run").chmod(0o750)
    made.declare(_DECLARATION)
    for path in (folder, *folder.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def expected(place: Workplace) -> str:
    """The digest of a first build."""
    return _digest(place, "first.tar")


def _digest(place: Workplace, name: str, *options: str, **run: object) -> str:
    answer = place.run("docker", "-q", "-o", place.folder / name, *options, **run)  # type: ignore[arg-type]
    assert answer.code == 0, answer.err
    return hashlib.sha256((place.folder / name).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Asia/Kathmandu"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"LC_ALL": "C"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "4711"},
        {"PYTHONUTF8": "0", "LC_ALL": "POSIX"},
        {"COLUMNS": "40", "TERM": "dumb"},
        {"HOME": "/nonexistent"},
    ],
    ids=lambda environment: " ".join(f"{key}={value}" for key, value in environment.items()),
)
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_environments(place: Workplace, expected: str, environment: dict[str, str], cache: str) -> None:
    if cache == "cold":
        shutil.rmtree(place.cache / "ocipack" / "layers")
        shutil.rmtree(place.cache / "ocipack" / "blobs")
    assert _digest(place, "again.tar", env=environment) == expected


@pytest.mark.parametrize("umask", ["000", "022", "077", "777"])
def test_umasks(place: Workplace, expected: str, umask: str, tmp_path: Path) -> None:
    before = ("sh", "-c", f'umask {umask}; exec "$@"', "sh")
    # The folders of a cold cache have to be readable by whoever made them, even below umask 777.
    assert _digest(place, "umask.tar", env={"XDG_CACHE_HOME": str(tmp_path)}, before=before) == expected


@pytest.mark.parametrize("jobs", ["1", "2", "7"])
def test_jobs(place: Workplace, expected: str, jobs: str, tmp_path: Path) -> None:
    assert _digest(place, "jobs.tar", "--jobs", jobs, env={"XDG_CACHE_HOME": str(tmp_path)}) == expected


def test_folders(place: Workplace, expected: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "a folder with another name"
    shutil.copytree(place.folder, elsewhere)
    other = Workplace(elsewhere, place.archive, tmp_path / "cache")
    assert _digest(other, "moved.tar") == expected


def test_permissions_of_sources(place: Workplace, expected: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy"
    shutil.copytree(place.folder, elsewhere)
    for path in (elsewhere / "site").iterdir():
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (0, 0))
    assert _digest(Workplace(elsewhere, place.archive, place.cache), "modes.tar") == expected


@pytest.mark.parametrize("kind", ["docker", "tarball"])
def test_an_unprivileged_user(place: Workplace, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Loads all that a build needs: nobody may not be allowed to read where this repository lies.
    assert run([kind, "-q", "-o", str(tmp_path / "root.tar"), str(place.folder / "os.toml")]) == 0
    expected = hashlib.sha256((tmp_path / "root.tar").read_bytes()).hexdigest()
    with public_folder() as home:
        shutil.copytree(place.folder, home / "place")
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)

        def build() -> int:
            os.environ["XDG_CACHE_HOME"] = str(home / "cache")
            os.chdir(home)
            return run([kind, "-q", "-o", str(home / "user.tar"), str(home / "place" / "os.toml")])

        assert as_nobody(build) == "0"
        assert (home / "user.tar").stat().st_uid == 65534
        assert hashlib.sha256((home / "user.tar").read_bytes()).hexdigest() == expected


def test_reprotest_finds_nothing(place: Workplace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(place.folder, source)
    command = f"XDG_CACHE_HOME=$PWD/cache {OCIPACK} docker -q -o image.tar"
    done = subprocess.run(
        [
            # There is no second user to change to; everything else varies, the order of folders by disorderfs.
            "reprotest", "--vary=-user_group", "--variations=+all", "--no-diffoscope",
            "--store-dir", tmp_path / "store", "--source-pattern", "*", "-c", command, source, "image.tar",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

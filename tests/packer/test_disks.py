"""Disks as people make them: the same bytes whoever makes them, in every container."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from packer.cli import run
from tests.oracle import containers
from tests.oracle import partitions as tables
from tests.oracle.ext4 import complaints, debugfs, names
from tests.oracle.fat import by_grub
from tests.support.command_line import OCIPACK, Workplace, workplace
from tests.support.images import partitions
from tests.support.processes import as_nobody, public_folder

_DISK = """
[os]
hostname = "disk"
users = [{ name = "ada", uid = 1000 }]
[[os.mounts]]
device = "tmpfs"
mount-point = "/tmp"
type = "tmpfs"
[disk]
bootloader = "none"
additional-space = "1 MiB"
[[disk.partitions]]
label = "ESP"
file-system = "vfat"
size = "4 MiB"
flags = ["esp"]
mount-point = "/boot/efi"
source = "firmware"
[[disk.partitions]]
label = "swap"
file-system = "swap"
size = "1 MiB"
[[disk.partitions]]
label = "data"
file-system = "ext2"
size = "2 MiB"
mount-point = "/srv"
source = "data"
[[disk.partitions]]
label = "root"
mount-point = "/"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Packages, and a disk of four partitions."""
    folder = tmp_path_factory.mktemp("disks")
    made = workplace(folder)
    made.declare(_DISK)
    for name in ("firmware/overlays/a.txt", "data/a.txt"):
        (made.folder / name).parent.mkdir(parents=True)
        (made.folder / name).write_text(f"the text {name}\n")
    for path in (folder, *folder.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def raw(place: Workplace) -> Path:
    """The disk as it is."""
    answer = place.run("efi-raw", "-q", "-o", place.folder / "first.raw")
    assert answer.code == 0, answer.err
    return place.folder / "first.raw"


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_it_is_a_disk_of_four_partitions(raw: Path) -> None:
    assert not tables.complaints(raw)
    esp, _, data, root = partitions(raw)
    assert not complaints(data)
    assert not complaints(root)
    assert (names(data), names(root) & {"a.txt", "overlays"}) == ({"a.txt"}, set())
    assert debugfs(data, "cat a.txt") == "the text data/a.txt\n"
    assert by_grub(esp, "/overlays/a.txt") == b"the text firmware/overlays/a.txt\n"


@pytest.mark.parametrize(
    ("container", "suffix"), [("qcow2", ".qcow2"), ("qcow2-compressed", ".qcow2"), ("vdi", ".vdi"), ("vpc", ".vhd")]
)
def test_containers_hold_the_same_disk(place: Workplace, raw: Path, container: str, suffix: str) -> None:
    path = place.folder / f"again{suffix}"
    answer = place.run("disk", "-q", "--container", container, "-o", path)
    assert answer.code == 0, answer.err
    assert not containers.complaints(path)
    assert not containers.difference(raw, path)


@pytest.mark.parametrize(
    ("environment", "before", "options"),
    [
        ({"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4711"}, (), ("--jobs", "1")),
        ({"PYTHONUTF8": "0", "LC_ALL": "POSIX", "COLUMNS": "40"}, ("sh", "-c", 'umask 777; exec "$@"', "sh"), ()),
    ],
)
@pytest.mark.parametrize("kind", ["raw", "qcow2-compressed"])
def test_surroundings_do_not_matter(
    place: Workplace, environment: dict[str, str], before: tuple[str, ...], options: tuple[str, ...], kind: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    digests = set()
    for more, first, named in (
        ({}, (), ("--jobs", "2")),
        ({"XDG_CACHE_HOME": str(tmp_path), **environment}, before, options),
    ):
        answer = place.run("disk", "-q", "--container", kind, "-o", place.folder / "x", *named, env=more, before=first)
        assert answer.code == 0, answer.err
        digests.add(_digest(place.folder / "x"))
    assert len(digests) == 1


def test_an_unprivileged_user_makes_the_same(
    place: Workplace, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Loads all that a build needs: nobody may not be allowed to read where this repository lies.
    assert run(["efi-raw", "-q", "-o", str(tmp_path / "root.raw"), str(place.folder / "os.toml")]) == 0
    with public_folder() as home:
        shutil.copytree(place.folder, home / "place", ignore=shutil.ignore_patterns("*.raw", "again.*", "x"))
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)

        def build() -> int:
            os.environ["XDG_CACHE_HOME"] = str(home / "cache")
            os.chdir(home)
            return run(["efi-raw", "-q", "-o", str(home / "user.raw"), str(home / "place" / "os.toml")])

        assert as_nobody(build) == "0"
        assert _digest(home / "user.raw") == _digest(raw)


def test_reprotest_finds_nothing(place: Workplace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(place.folder, source, ignore=shutil.ignore_patterns("*.raw", "again.*", "x"))
    command = f"XDG_CACHE_HOME=$PWD/cache {OCIPACK} qcow2 -q -o disk.qcow2"
    done = subprocess.run(
        [
            "reprotest", "--vary=-user_group", "--variations=+all", "--no-diffoscope",
            "--store-dir", tmp_path / "store", "--source-pattern", "*", "-c", command, source, "disk.qcow2",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_build_is_compared(place: Workplace) -> None:
    answer = place.run("disk", "-q", "--check", "--json", "-o", place.folder / "checked.raw")
    assert answer.code == 0, answer.err
    assert '"efi-variables"' not in answer.out


def test_mistakes_leave_nothing_behind(place: Workplace) -> None:
    for options, message in (
        (("--size", "6 MiB"), "too few"),
        (("--efi-vars",), "there is nothing that UEFI firmware could start"),
        (("-o", "-"), "a disk is not written in order, and cannot go to standard output"),
    ):
        answer = place.run("efi-raw", *(options if "-o" in options else (*options, "-o", place.folder / "none")))
        assert answer.code == 2
        assert message in answer.err
        assert not (place.folder / "none").exists()

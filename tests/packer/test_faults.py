"""A full disk, a read-only folder, a signal: one message, nothing partial, and the cache still good."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import OCIPACK, Workplace, workplace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace with packages in its cache, and what they make in good.tar."""
    made = workplace(tmp_path_factory.mktemp("faults"))
    made.declare()
    assert made.run("docker", "-o", "good.tar").code == 0
    return made


@contextlib.contextmanager
def _small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _good(place: Workplace) -> bool:
    """Whether a build with the cache as it is gives the bytes of the first build."""
    answer = place.run("docker", "-o", "again.tar")
    assert answer.code == 0, answer.err
    return (place.folder / "again.tar").read_bytes() == (place.folder / "good.tar").read_bytes()


@pytest.mark.parametrize("kibibytes", [8, 256, 900])
@pytest.mark.parametrize("kind", ["docker", "oci", "tarball", "mbr-raw", "qcow2", "iso9660", "uncompressed-iso9660"])
def test_a_full_disk_at_the_output(place: Workplace, tmp_path: Path, kind: str, kibibytes: int) -> None:
    os_toml = tmp_path / "os.toml"
    os_toml.write_text(f'{(place.folder / "os.toml").read_text()}\n[disk]\nbootloader = "none"\n')
    with _small_disk(tmp_path / "small", kibibytes) as disk:
        answer = place.run(kind, "--compression", "none", "-o", disk / "image", os_toml)
        assert answer.code == 1
        assert f"cannot write into {disk}: No space left on device" in answer.err
        assert "Traceback" not in answer.err
        assert os.listdir(disk) == []
    assert _good(place)


@pytest.mark.parametrize("kibibytes", [64, 1024, 3000])
def test_a_full_disk_below_the_cache(place: Workplace, tmp_path: Path, kibibytes: int) -> None:
    with _small_disk(tmp_path / "small", kibibytes) as disk:
        answer = place.run("docker", "-o", tmp_path / "image.tar", env={"XDG_CACHE_HOME": str(disk)})
        assert answer.code == 1, answer.err
        assert re.search(rf"cannot write into (the cache )?{disk}/ocipack\S*: No space left on device", answer.err)
        assert "Traceback" not in answer.err
        assert not (tmp_path / "image.tar").exists()
        assert not list(disk.glob("ocipack/debian/apt/*/work/*"))
        # The same cache goes on where there is room again.
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        again = place.run("docker", "-o", tmp_path / "image.tar", env={"XDG_CACHE_HOME": str(disk)})
        assert again.code == 0, again.err
    assert (tmp_path / "image.tar").read_bytes() == (place.folder / "good.tar").read_bytes()


def test_a_full_disk_where_os_toml_starts(place: Workplace, tmp_path: Path) -> None:
    with _small_disk(tmp_path / "small", 4) as disk:
        (disk / "full").write_bytes(bytes(4096))
        answer = place.run("init", disk / "os.toml")
        assert (answer.code, os.listdir(disk)) == (1, ["full"])
    assert f"cannot write into {disk}: No space left on device" in answer.err


def test_a_read_only_output_folder(place: Workplace, tmp_path: Path) -> None:
    with _small_disk(tmp_path / "small", 9000) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        answer = place.run("docker", "-o", disk / "image.tar")
    assert answer.code == 1
    assert "Read-only file system" in answer.err
    assert "Traceback" not in answer.err


def test_an_impossible_output_is_told_before_anything_is_fetched(place: Workplace, tmp_path: Path) -> None:
    for output in ("missing/image.tar", "os.toml/image.tar"):
        answer = place.run("docker", "-o", output, env={"XDG_CACHE_HOME": str(tmp_path)})
        assert (answer.code, answer.err.count("\n")) == (1, 1)
        assert f"cannot write into {place.folder}/{os.path.dirname(output)}: No" in answer.err
        assert not list(tmp_path.glob("ocipack/debian"))


def test_an_old_output_is_whole_when_a_build_fails(place: Workplace, tmp_path: Path) -> None:
    with _small_disk(tmp_path / "small", 900) as disk:
        (disk / "image.tar").write_text("from before")
        assert place.run("docker", "-o", disk / "image.tar").code == 1
        assert (disk / "image.tar").read_text() == "from before"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0, 0.1, 0.2, 0.4])
def test_signals_leave_nothing_behind(place: Workplace, tmp_path: Path, number: signal.Signals, delay: float) -> None:
    environment = place.environment({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    output = tmp_path / "out"
    output.mkdir()
    command: list[str | Path] = [OCIPACK, "docker", "-q", "-o", output / "image.tar"]
    process = subprocess.Popen(
        command, cwd=place.folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (tmp_path / "cache" / "ocipack").exists():  # it is Python itself until then
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(process.pid, number)
    _, complaint = process.communicate(timeout=20)
    assert "Traceback" not in complaint
    assert process.returncode != 0 or (output / "image.tar").exists()
    answer = place.run("docker", "-o", output / "image.tar", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert answer.code == 0, answer.err
    assert os.listdir(output) == ["image.tar"]
    assert _digest(output / "image.tar") == _digest(place.folder / "good.tar")


def test_a_damaged_cache_is_mended(place: Workplace) -> None:
    cache = place.cache / "ocipack"
    for path in sorted((cache / "blobs" / "sha256").iterdir()):
        os.truncate(path, 0)
    for path in sorted((cache / "layers").iterdir())[:2]:
        path.chmod(0o600)
        path.write_text("{")
    assert _good(place)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

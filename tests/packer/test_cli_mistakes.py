"""What people type wrong, and what their machine does to a run: one clear message, and nothing of theirs is gone."""

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.command_line import OCIPACK, Workplace, workplace


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One workplace for all tests that leave it as it is."""
    return workplace(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (("-o", "os.toml"), "os.toml"),
        (("-o", "os.lock"), "os.lock"),
        (("-o", "x.spdx.json", "--sbom", "x.spdx.json"), "x.spdx.json"),
        (("--sbom", "x.cdx.json", "--sbom", "./x.cdx.json"), "x.cdx.json"),
    ],
)
def test_an_output_takes_the_place_of_nothing_that_the_run_has(
    shared: Workplace, arguments: tuple[str, ...], taken: str
) -> None:
    before = shared.declare().read_text()
    answer = shared.run("docker", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert f"{shared.folder}/{taken} is read or written by this run already" in answer.err
    assert (shared.folder / "os.toml").read_text() == before
    assert sorted(path.name for path in shared.folder.iterdir()) == ["os.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tarball",), "FOLDER/sample-1.0.tar.gz is a folder"),
        (("docker", "tarball"), "FOLDER/sample-1.0.tar.gz is a folder"),
        (("docker", "-o", "pipe"), "FOLDER/pipe is a device or a pipe"),
        (("docker", "-o", "stdout"), "FOLDER/stdout is a link to an open file"),
        (("oci", "-o", "pipe"), "FOLDER/pipe exists and is not an OCI image layout"),
        (("oci", "-o", "pipe/x"), "cannot write into FOLDER/pipe: Not a directory"),
        (("oci", "-o", "gone/x"), "cannot write into FOLDER/gone: No such file or directory"),
        (("docker", "-o", "x", "--sbom", "x.spdx.json"), "FOLDER/x.spdx.json is a folder"),
        (("wsl2", "-o", "x.wsl"), "FOLDER/x.wsl.json is a folder"),
        (("efi-raw", "-o", "-"), "a disk is not written in order, and cannot go to standard output"),
        (("iso9660", "-o", "-"), "an ISO 9660 image is not written in order, and cannot go to standard output"),
        (("squashfs", "-o", "-"), "a squashfs image is not written in order, and cannot go to standard output"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_made(
    shared: Workplace, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    place = replace(shared, folder=tmp_path, cache=tmp_path / "cache")
    place.declare()
    for name in ("sample-1.0.tar.gz", "x.spdx.json", "x.wsl.json"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    before = sorted(tmp_path.iterdir())
    answer = place.run(*arguments)
    assert (answer.code, answer.out) == (2 if "-" in arguments else 1, "")
    assert said.replace("FOLDER", str(tmp_path)) in answer.err
    assert not list(tmp_path.glob("cache/ocipack/*"))
    assert sorted({*tmp_path.iterdir()} - {tmp_path / "cache"}) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dokcer",), "there is no command 'dokcer'; did you mean 'docker'?"),
        (("chekc",), "there is no command 'chekc'; did you mean 'check'?"),
        (("docker", "ocii"), "there is no type of artefact 'ocii'; did you mean 'oci'?"),
        (("docker", "--output", ""), "--output names no file"),
        (("push", "os.toml"), "os.toml is here: say where it is to go, as os.toml HOST/REPOSITORY:TAG"),
        (("plan", "--compare", "--html", "1.tar", "2.tar", "3.tar"), "--html 1.tar: the name of a page ends in .html"),
        (("docker", "--compression", "none:2"), "none has no level 2 (leave the level out)"),
        (("docker", "--compression", "gzip:\u0666"), "the level is not a number"),
        (("docker", "--compression", f"gzip:{'1' * 5000}"), "the level is not a number"),
        (("disk", "--size", "1" * 5000), "is no size"),
    ],
)
def test_what_was_probably_meant(shared: Workplace, arguments: tuple[str, ...], said: str) -> None:
    shared.declare()
    answer = shared.run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


@pytest.mark.parametrize("command", [("inspect",), ("diff", "os.toml"), ("push", "localhost:1/a/b:1")])
def test_nobody_waits_for_who_writes_into_a_pipe(shared: Workplace, command: tuple[str, ...], tmp_path: Path) -> None:
    shared.declare()
    os.mkfifo(tmp_path / "pipe")
    name, *more = command
    answer = shared.run(name, tmp_path / "pipe", *more)
    assert answer.code == 2
    assert "pipe is neither a file nor a folder" in answer.err


@pytest.mark.parametrize("option", [("--strategy", "tiers"), ("--no-verify",), ("--for", "podman"), ("--created", "1")])
def test_an_image_that_was_built_is_not_built_otherwise(shared: Workplace, option: tuple[str, ...]) -> None:
    answer = shared.run("push", *option, ".", "localhost:1/x:1")
    assert answer.code == 2
    assert f"{option[0]} says how an image is built, and . was built before" in answer.err


def test_a_registry_that_cannot_be_reached_is_named(shared: Workplace) -> None:
    answer = shared.run("diff", "docker://localhost:1/a/b:1", "docker://localhost:1/a/b:2", "--timeout", "0.1")
    assert answer.code == 1
    assert "localhost:1: the connection failed: Connection refused" in answer.err


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 1, "ocipack: error: standard output: Bad file descriptor\n"),
        (">/dev/full", 1, "ocipack: error: standard output: No space left on device\n"),
        ("<&-", 0, ""),
        ("2>&-", 0, ""),
    ],
)
def test_standard_files_that_are_closed_or_full(shared: Workplace, redirection: str, code: int, said: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {OCIPACK} types {redirection}"],
        cwd=shared.folder,
        env=shared.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert bool(done.stdout) == (not code)


def test_a_working_folder_that_is_gone(shared: Workplace) -> None:
    file = shared.declare()
    done = subprocess.run(
        ["/bin/sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && exec {OCIPACK} docker {file}"],
        cwd=shared.folder,
        env=shared.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "ocipack: error: the working folder is gone\n" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_is_left_behind_by_a_run_that_a_signal_ends(tmp_path: Path, number: signal.Signals) -> None:
    place = workplace(tmp_path)
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "large", "wb") as large:
        large.truncate(4 << 30)
    place.declare(f'[os]\nfiles = [{{ target = "/srv", source = "{source}" }}]\n')
    # The tests themselves may have been started with nohup(1), which ocipack would respect.
    command = ["env", f"--default-signal={number.value}", str(OCIPACK), "oci", "-q"]
    run = subprocess.Popen(command, cwd=place.folder, env=place.environment(), stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not list(place.folder.glob(".*/*")):  # it is at work there, and not just beginning to
        assert time.monotonic() < end
        time.sleep(0.01)
    run.send_signal(number)
    _, said = run.communicate()
    assert run.returncode == 128 + number
    assert "; nothing was left behind" in said
    assert [path.name for path in place.folder.iterdir()] == ["os.toml"]


def test_the_list_of_commands_cuts_nothing_off(shared: Workplace) -> None:
    assert "..." not in shared.run("--help").out.replace("[ARGS]...", "")

"""Copies by ucf, compared with what Debian's own ucf(1) copies and remembers."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File
from layers.reader import Reader
from packer.debian import ucf
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

SOURCES = {"usr/share/p/a.conf": "a = 1\n", "usr/share/p/b.conf": "b = 2\n"}
FILES = {**SOURCES, "usr/bin/ucf": ""}
CALLS = (
    "ucf --three-way --debconf-ok /usr/share/p/a.conf /etc/a.conf",
    "ucf --sum-file /usr/share/p/a.conf /usr/share/p/b.conf /etc/x/b.conf",
)
SCRIPT = "".join(f"{call}\nucfr p {call.split()[-1]}\n" for call in CALLS)


def made(script: str, files: Mapping[str, str] = FILES, name: str = "p") -> tuple[dict[str, str], list[str]]:
    packages = [package(name, dict(files), {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = {entry.path.decode(): content(entry) for entry in ucf.entries(unpacked)}
    return found, [skipped.reason for skipped in unpacked.skipped]


def content(entry: Entry) -> str:
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data.decode()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ucf"), reason="ucf wants to be run by root")
def test_the_same_as_ucf(tmp_path: Path) -> None:
    (tmp_path / "etc/x").mkdir(parents=True)
    (tmp_path / "var/lib/ucf/cache").mkdir(parents=True)
    for path, text in SOURCES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for line in SCRIPT.splitlines():
        program, *words = line.replace(" /", f" {tmp_path}/").split()
        state = f"--state-dir={tmp_path}/var/lib/ucf" if program == "ucfr" else f"{tmp_path}/var/lib/ucf"
        options = [state] if program == "ucfr" else ["--state-dir", state]
        subprocess.run([program, *options, *words], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    theirs = {
        str(path.relative_to(tmp_path)).replace(str(tmp_path).replace("/", ":"), ""): path.read_text().replace(
            str(tmp_path), ""
        )
        for path in sorted(tmp_path.rglob("*"))
        if path.is_file() and path.suffix not in (".0", ".1") and not path.is_relative_to(tmp_path / "usr")
    }
    ours, skipped = made(SCRIPT)
    assert not skipped
    assert ours == theirs


def test_what_is_there_stays() -> None:
    found, _ = made(SCRIPT, {**FILES, "etc/a.conf": "mine\n"})
    assert "etc/a.conf" not in found
    assert "etc/x/b.conf" in found


def test_without_ucf_nothing_is_remembered() -> None:
    assert set(made(SCRIPT, SOURCES)[0]) == {"etc/a.conf", "etc/x/b.conf"}


def test_sshd_config() -> None:
    files = {"usr/share/openssh/sshd_config": "Port 22\n"}
    assert made('ucf "$new_config" /etc/ssh/sshd_config\n', files, "openssh-server")[0] == {
        "etc/ssh/sshd_config": "Port 22\n"
    }


@pytest.mark.parametrize("words", ["$new /etc/a", "/usr/share/p/a.conf", "/usr/share/p/a.conf /etc/../x", "a b"])
def test_what_is_left_out(words: str) -> None:
    found, skipped = made(f"ucf {words}\n", SOURCES)
    assert found == {}
    assert skipped == ["its words depend on what only a shell knows"]

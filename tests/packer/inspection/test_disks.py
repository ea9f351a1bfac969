"""`ocipack inspect` and `ocipack diff` of disks and ISO images, as people run them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.partitions import dump
from tests.support.command_line import Answer, Workplace, workplace
from tests.support.debian_archive import Program
from tests.support.processes import REPOSITORY, needs_root

_DISK = """
[os]
users = [{ name = "ada", uid = 1000 }]
[disk]
bootloader = "none"
partition-table = "gpt"
[[disk.partitions]]
label = "ESP"
file-system = "vfat"
size = "4 MiB"
flags = ["esp"]
mount-point = "/boot/efi"
[[disk.partitions]]
label = "swap"
file-system = "swap"
size = "1 MiB"
[[disk.partitions]]
label = "data"
file-system = "ext2"
size = "2 MiB"
mount-point = "/srv"
[[disk.partitions]]
label = "root"
mount-point = "/"
"""
_CONTAINERS = {"raw": "raw", "qcow2-compressed": "qcow2", "vdi": "vdi", "vpc": "vhd"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace with disks in all containers, and with a squashfs, a tarball and an image of the same system."""
    made = workplace(tmp_path_factory.mktemp("disks"))
    made.declare(_DISK)
    for container, suffix in _CONTAINERS.items():
        _make(made, "disk", "--container", container, "-o", f"it.{suffix}")
    for kind in ("tarball", "squashfs", "docker"):
        _make(made, kind, "-o", f"it.{kind}")
    return made


def _make(place: Workplace, *arguments: str) -> None:
    answer = place.run(*arguments, "-q")
    assert answer.code == 0, answer.err


def _json(answer: Answer) -> Any:
    assert not answer.err
    return json.loads(answer.out)


def test_the_partitions_are_those_of_sfdisk(place: Workplace) -> None:
    found = _json(place.run("inspect", "--json", "it.raw"))
    known = dump(place.folder / "it.raw")
    disk = found["disk"]
    assert (found["kind"], found["form"], found["layers"], found["image"]) == ("disk", "raw", [], None)
    assert (disk["size"], disk["table"]) == ((place.folder / "it.raw").stat().st_size, "gpt")
    assert disk["uuid"] == known["id"].lower()
    assert [(one["number"], one["offset"], one["size"], one["type"], one["label"]) for one in disk["partitions"]] == [
        (number, one["start"] * 512, one["size"] * 512, one["type"].lower(), one["name"])
        for number, one in enumerate(known["partitions"], 1)
    ]
    assert [(one["file-system"], one["mount"]) for one in disk["partitions"]] == [
        ("vfat", "/boot/efi"), ("swap", None), ("ext2", "/srv"), ("ext4", "/"),
    ]  # fmt: skip
    for one in disk["partitions"]:
        said = subprocess.run(
            ["blkid", "-p", "-O", str(one["offset"]), "-S", str(one["size"]), place.folder / "it.raw"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert f' UUID="{one["file-system-uuid"]}"' in said
        assert f' LABEL="{one["file-system-label"]}"' in said or not one["file-system-label"]


def test_items_users_and_entries(place: Workplace) -> None:
    found = _json(place.run("inspect", "--json", "--files", "it.qcow2"))
    image = _json(place.run("inspect", "--json", "it.docker"))
    assert [(item["name"], item["version"]) for item in found["items"]] == [
        (item["name"], item["version"]) for item in image["items"]
    ]
    assert (found["users"], found["system"]) == (image["users"], image["system"])
    files = {file["path"]: file for file in found["files"]}
    assert found["entries"] == len(files)
    assert (files["/usr/bin/tool"]["item"], files["/usr/bin/tool"]["partition"]) == ("tool_1:3.1-2_all", 4)
    assert (files["/boot/efi"]["partition"], files["/srv"]["partition"]) == (1, 3)


def test_text_for_people(place: Workplace) -> None:
    answer = place.run("inspect", "it.qcow2")
    assert (answer.code, answer.err) == (0, "")
    for line in (
        r"it\.qcow2 +disk, qcow2, ", r"table +gpt [0-9a-f-]{36}", r"sizes +[0-9.]+ MiB disk, .* hidden by mounts",
        "partitions: 4", r"1 +1\.0 MiB +4\.0 MiB +EFI system +ESP +vfat +ESP +[0-9A-F]{4}-[0-9A-F]{4} +/boot/efi",
        r"4 .* MiB +Linux.* +root +ext4 +root +[0-9a-f-]{36} +/", "items: 3", "users: 2",
    ):  # fmt: skip
        assert re.search(f"^{line}$" if "MiB" in line else f"^{line}", answer.out, re.MULTILINE), line


@pytest.mark.parametrize("name", ["it.qcow2", "it.vdi", "it.vhd"])
def test_one_disk_in_all_containers(place: Workplace, name: str) -> None:
    answer = place.run("diff", "it.raw", name)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize("other", ["it.tarball", "it.docker"])
def test_a_disk_has_what_other_artefacts_of_the_system_have(place: Workplace, other: str) -> None:
    """But for what belongs to disks alone."""
    found = _json(place.run("diff", "--json", other, "it.vdi"))
    assert {entry["path"] for entry in found["entries"]} == {"/boot/efi", "/etc/fstab"}
    assert (found["items"], found["configuration"], found["layers"]) == ([], {}, [])


def test_a_squashfs_of_the_system(place: Workplace) -> None:
    answer = place.run("diff", "it.tarball", "it.squashfs")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert re.search(r"it\.squashfs +squashfs image, ", place.run("inspect", "it.squashfs").out)
    found = _json(place.run("inspect", "--json", "it.squashfs"))
    assert (found["kind"], found["form"], found["disk"]["table"]) == ("squashfs", "raw", None)


@needs_root
def test_an_iso_image_of_the_system(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    subprocess.run(["tar", "-xf", place.folder / "it.tarball", "-C", tmp_path / "tree"], check=True)
    (tmp_path / "tree" / "usr" / "bin" / "tool").write_bytes(b"another")
    options: list[str | Path] = ["-quiet", "-R", "--hardlinks", "-V", "SYSTEM", "-o", tmp_path / "it.iso"]
    subprocess.run(["xorriso", "-as", "mkisofs", *options, tmp_path / "tree"], check=True, stderr=subprocess.DEVNULL)
    found = _json(place.run("diff", "--json", "it.tarball", tmp_path / "it.iso"))
    assert [(one["path"], one["cause"]) for one in found["entries"]] == [("/usr/bin/tool", "tool 1:3.1-2")]
    said = place.run("inspect", tmp_path / "it.iso").out
    assert re.search(r"it\.iso +ISO 9660 image, ", said)
    assert re.search(r"^disk +0 .* iso9660 +SYSTEM .* /$", said, re.MULTILINE)


@pytest.fixture(scope="module")
def changed(place: Workplace) -> Iterator[Path]:
    """The same disk with a newer package, a file more, and a larger partition."""
    folder = place.folder.parent / "changed"
    shutil.copytree(place.archive.folder, folder / "archive")
    archive = type(place.archive)(folder / "archive")
    archive.add("tool", "1:3.2-1", depends="library (>= 1.5)",
                files={"/usr/bin/tool": Program(b"#!/bin/sh\necho newer tool\n")})  # fmt: skip
    archive.publish()
    newer = replace(place, folder=folder, archive=archive)
    files = '[os]\nfiles = [{ target = "/srv/new", text = "new\\n" }]'
    newer.declare(_DISK.replace("[os]", files).replace('"1 MiB"', '"2 MiB"'))
    _make(newer, "disk", "--refresh", "-o", "it.raw")
    yield folder / "it.raw"


def test_what_differs_and_why(place: Workplace, changed: Path) -> None:
    answer = place.run("diff", "--json", "it.raw", changed)
    assert answer.code == 1
    found = _json(answer)
    [item] = found["items"]
    assert (item["before"]["version"], item["after"]["version"]) == ("1:3.1-2", "1:3.2-1")
    causes = {entry["path"]: entry["cause"] for entry in found["entries"]}
    assert causes["/usr/bin/tool"] == "tool 1:3.2-1"
    assert causes["/srv/new"] == "no item"
    assert found["configuration"]["partition 2 size"] == [1 << 20, 2 << 20]
    moved = {"partition 3 offset", "partition 4 offset", "partition 4 size"}
    assert found["configuration"].keys() <= {"size", "partition 2 size", *moved}
    said = place.run("diff", "it.raw", changed).out
    assert re.search(r"^~ +tool +1:3\.1-2 -> 1:3\.2-1 ", said, re.MULTILINE)
    assert re.search(r"^\+ +/srv/new ", said, re.MULTILINE)
    assert re.search(r"^partition 2 size +1048576 +2097152$", said, re.MULTILINE)


def test_another_boot_loader(place: Workplace, tmp_path: Path) -> None:
    shutil.copy(place.folder / "it.raw", tmp_path / "it.raw")
    with open(tmp_path / "it.raw", "r+b") as file:
        file.write(b"code")
    said = place.run("diff", "it.raw", tmp_path / "it.raw").out
    assert re.search(r"^boot-code +sha256:[0-9a-f]{64}$", said, re.MULTILINE)


def test_what_cannot_be_read_is_wrong_input(place: Workplace, tmp_path: Path) -> None:
    data = (place.folder / "it.qcow2").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    for arguments in (("inspect",), ("diff", "it.raw")):
        answer = place.run(*arguments, tmp_path / "cut")
        assert (answer.code, answer.out) == (2, "")
        assert re.match(r"ocipack: error: .*cut is damaged, or not plain: ", answer.err)
        assert len(answer.err.splitlines()) == 1


def test_every_key_is_documented(place: Workplace) -> None:
    documented = set(re.findall(r"`([a-z-]+)`", (REPOSITORY / "docs" / "inspect.md").read_text()))
    found = _json(place.run("inspect", "--json", "--files", "it.raw"))
    for keys in (found, found["disk"], *found["disk"]["partitions"], *found["files"]):
        assert keys.keys() <= documented

"""What os.toml and its files tell before anything is fetched: all of it at once, by `check` and by builds."""

import os
from pathlib import Path

import pytest

from formats.image_types import TYPES
from packer import early
from packer.config import parse
from packer.mistakes import ConfigError
from tests.packer.test_image_types import HEAD, run


def told(folder: Path, text: str, *names: str) -> list[str]:
    declaration = parse(HEAD + text, "os.toml")
    try:
        early.require(early.mistakes(declaration, names or early.subjects(declaration), str(folder)), "os.toml")
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app/etc").mkdir(parents=True)
    (tmp_path / "app/etc/x").write_text("x\n")
    return tmp_path


def test_no_type_has_mistakes_of_its_own(folder: Path) -> None:
    for name, kind in TYPES.items():
        foreign = bool(kind.platforms) and "x86_64-linux" not in kind.platforms
        assert len(told(folder, "", name)) == foreign


LONG = "a-label-of-17-byt"
TOO_LONG = f"the label '{LONG}' has 17 bytes, and ext4 room for 16"
MORE = ', { size = "4 MiB" }'
LACKING = "ext4 cannot be made without sparse_super"
ESP = '{ label = "ESP", file-system = "vfat", size = "64 MiB", mount-point = "/boot/efi", flags = ["esp"] }'
ROOT = '{ label = "root", mount-point = "/" }'


@pytest.mark.parametrize(
    ("disk", "lines"),
    [
        (f'file-system = "ext3"\nlabel = "{LONG}"', [f"disk.label: {TOO_LONG}"]),
        ('file-system-options = ["^sparse_super"]', [f"disk.file-system-options: {LACKING}"]),
        ('size = "1 MiB"', ["disk.size: the disk has 1048576 bytes, which is "]),
        (
            'partition-table = "efi"\nboot-size = "9 MiB"',
            ["disk.boot-size: the file system has 1048576 bytes, which is "],
        ),
        (
            f'partitions = [{ESP.replace("ESP", "SYSTEM-PARTI")}, {ROOT.replace("root", "é" * 9)}]',
            [
                "disk.partitions[0].label: the label 'SYSTEM-PARTI' has 12 characters, and FAT room for 11",
                f"disk.partitions[1].label: the label '{'é' * 9}' has 18 bytes, and ext4 room for 16",
            ],
        ),
        (f'partitions = [{ESP.replace("ESP", "A+B")}, {ROOT}]', ["disk.partitions[0].label: the label 'A+B' "]),
        (
            f'partitions = [{ESP}, {ROOT}, {{ file-system = "swap" }}, {{ file-system = "unformatted" }}]',
            [
                "disk.partitions[2].size: partition 3 has no size (only file systems know how much they need)",
                "disk.partitions[3].size: partition 4 has no size (only file systems know how much they need)",
            ],
        ),
        (
            f'partitions = [{ESP.replace("64 MiB", "4 KiB")}, {ROOT}]',
            ["disk.partitions[0].size: the file system has 4096 bytes, which is "],
        ),
        (
            'partitions = [{ mount-point = "/", offset = 8388608, size = 8388608 }, { label = "b", offset = 8388608 }]',
            ["disk.partitions: the partitions 'b' and 'number 1' overlap by "],
        ),
        (
            f'partition-table = "mbr"\npartitions = [{ROOT}{MORE * 4}]',
            ["disk.partitions: an MBR has room for 4 partitions, and there are 5"],
        ),
        (
            f'partition-table = "none"\npartitions = [{ESP}, {ROOT}]',
            ["disk.partition-table: a disk without a partition table is one file system, from its first byte on"],
        ),
        (
            f'partitions = [{ROOT}, {{ file-system = "unformatted", size = "1 MiB", flags = ["bios_grub"] }}]',
            ["disk.partitions: partition 2 is for code that has to know where it is"],
        ),
    ],
)  # fmt: skip
def test_mistakes_of_disks(folder: Path, disk: str, lines: list[str]) -> None:
    found = told(folder, f"[disk]\n{disk}\n")
    assert len(found) == len(lines), found
    assert all(one.startswith(line) for one, line in zip(found, lines, strict=True)), found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('[disk]\nlabel = "a label for CDs and DVDs"\n', []),
        ('[disk]\nlabel = "a label for CDs and DVDs"\n[types.ours]\ninherits = "iso9660"\n', []),
        (
            f'[types.ours]\ninherits = "efi-raw"\ndisk.label = "{LONG}"\n',
            [f"types.ours.disk.label: {TOO_LONG}"],
        ),
        ('outputs = ["efi-raw"]\n[disk]\nefi-vars = true\n', []),
        ("[disk]\nefi-vars = true\n", []),
        (
            'outputs = ["docker", "novena-raw"]\n',
            ["platform: novena-raw is for armhf-linux, not for x86_64-linux (`ocipack types` has others)"],
        ),
    ],
)
def test_types_that_os_toml_is_about(folder: Path, text: str, lines: list[str]) -> None:
    assert told(folder, text) == lines


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ('{ target = "/a", text = "" }, { target = "/ab", text = "" }', []),
        ('{ target = "/a", directory = true }, { target = "/a/b", text = "" }', []),
        ('{ target = "/a", source = "app" }, { target = "/a/b", text = "" }', []),
        ('{ target = "/a", source = "a*" }, { target = "/a/b", text = "" }', []),
        (
            '{ target = "/a/b/c", text = "" }, { target = "/a", text = "" }',
            ["os.files[0].target: is below '/a', which is a file of os.files[1] (change one of them)"],
        ),
        (
            '{ target = "/a", source = "app/etc/x" }, { target = "/a/b", directory = true }',
            ["os.files[1].target: is below '/a', which is a file of os.files[0] (change one of them)"],
        ),
        (
            '{ target = "/a", symlink = "/b" }, { target = "/a/b", text = "" }',
            ["os.files[1].target: is below '/a', which is a link of os.files[0] (change one of them)"],
        ),
    ],
)
def test_nothing_is_below_a_file(folder: Path, files: str, lines: list[str]) -> None:
    assert told(folder, f"[os]\nfiles = [{files}]\n") == lines


def test_files_with_keys_are_read(folder: Path) -> None:
    (folder / "ada.pub").write_text("ssh-ed25519 AAAA ada\n")
    text = '[os]\nusers = [{ name = "ada", authorized-keys = [{ source = "ada.pub" }] }]\n'
    line = "ada.pub, line 1: this ssh-ed25519 key is damaged (copy the whole line)"
    assert told(folder, text) == [f"os.users[0].authorized-keys[0].source: {line}"]


MISSING = """
outputs = ["wsl2", "disk", "iso9660"]
[os]
users = [{ name = "ada", authorized-keys = [{ source = "ada.pub" }] }]
files = [{ target = "/a", source = "gone/*" }, { target = "/b", source = "gone" }]
[wsl2]
icon = "hello.ico"
oobe = "app/etc/x"
[disk]
post-build = ["./after"]
partitions = [{ mount-point = "/", label = "a-label-of-17-byt" }, { source = "data" }]
"""

ALL = [
    "os.users[0].authorized-keys[0].source: there is no file",
    "os.files[0].source: nothing matches 'gone/*'",
    "os.files[1].source: there is no file or folder",
    "wsl2.icon: there is no file",
    "disk.partitions[1].source: there is no folder",
    "wsl2.oobe: FOLDER/app/etc/x is no script: it begins with no #!",
    "disk.partitions[0].label: the label 'a-label-of-17-byt' has 17 bytes",
    "disk.post-build: there is no program FOLDER/./after",
]


@pytest.mark.parametrize("command", ["check", "build"])
def test_all_of_it_is_told_at_once(folder: Path, command: str) -> None:
    (folder / "os.toml").write_text(HEAD + MISSING)
    answer = run(folder, command)
    assert answer.code == 2
    lines = [line.removeprefix("ocipack: error: ") for line in answer.err.splitlines()]
    assert [line.partition(" ")[0] for line in lines] == ["os.toml:"] * len(ALL)
    for line, said in zip(lines, ALL, strict=True):
        assert line.removeprefix("os.toml: ").startswith(said.replace("FOLDER", str(folder))), answer.err


@pytest.mark.parametrize("arguments", [("docker",), ("tarball",), ("plan",), ("lock",), ("push", "localhost:1/a:1")])
def test_a_command_asks_for_what_it_reads(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "os.toml").write_text(HEAD + MISSING)
    answer = run(folder, *arguments)
    assert answer.code == 2
    assert [line.partition("os.toml: ")[2] for line in answer.err.splitlines()] == [
        line for line in (line.partition("os.toml: ")[2] for line in run(folder, "check").err.splitlines())
        if line.startswith("os.")
    ]  # fmt: skip


def test_a_store_that_is_not_there(folder: Path) -> None:
    (folder / "os.toml").write_text(HEAD.replace('"app"', '"gone", manifest = "app"'))
    answer = run(folder, "docker")
    hint = "(a relative path starts at the folder of os.toml)"
    assert (answer.code, answer.err.splitlines()) == (
        2,
        [
            f"ocipack: error: os.toml: store.path: there is no folder {folder}/gone {hint}",
            f"os.toml: store.manifest: {folder}/app is a folder {hint}",
        ],
    )


def test_roots_that_are_not_there(folder: Path) -> None:
    gone, there = (f"/nix/store/{digit * 32}-hello" for digit in "01")
    (folder / f"store{there}").mkdir(parents=True)
    (folder / "result").symlink_to(f"{there}/bin")
    (folder / "stale").symlink_to(gone)
    roots = [gone, "stale", "result", "app", "/nix/var/nix/profiles/system"]
    stores = f'[{{ type = "folder", path = "app" }}, {{ type = "nix", root = "store", roots = {roots} }}]'
    (folder / "os.toml").write_text(f'name = "try"\nplatform = "x86_64-linux"\nstore = {stores}\n')
    answer = run(folder, "check")
    expected = [
        (0, f"there is no {gone} in {folder}/store/nix/store"),
        (1, f"there is no {gone} in {folder}/store/nix/store"),
        (3, f"{folder}/app is no link to an item (only links, such as nix-build's `result`, have relative paths)"),
        (4, f"/nix/var/nix/profiles/system leads to /nix/var, which cannot be found below {folder}/store: "),
    ]
    found = [line.partition("os.toml: ")[2] for line in answer.err.splitlines()]
    assert answer.code == 2
    for line, (place, said) in zip(found, expected, strict=True):
        assert line.startswith(f"store[1].roots[{place}]: {said}")


@pytest.mark.parametrize(("kind", "store"), [("nix", "/nix/store"), ("guix", "/gnu/store")])
def test_a_store_that_is_not_there_is_told_once(folder: Path, kind: str, store: str) -> None:
    roots = f'["{store}/x", "{store}/y"]'
    (folder / "os.toml").write_text(
        f'name = "try"\nplatform = "x86_64-linux"\n[store]\ntype = "{kind}"\nroot = "app"\nroots = {roots}\n'
    )
    answer = run(folder, "check")
    hint = "(it is the folder below which the store is; `/` without this key)"
    said = f"ocipack: error: os.toml: store.root: there is no store {store} below {folder}/app {hint}\n"
    assert (answer.code, answer.err) == (2, said)
    assert run(folder, "plan").err == said


@pytest.mark.parametrize(
    ("files", "output", "said"),
    [
        ("", "app/image.tar", "app/image.tar would be packed into itself: store.path packs FOLDER/app"),
        ("", "app/etc/link/image.tar", "would be packed into itself: store.path packs FOLDER/app"),
        ('{ target = "/a", source = "site" }', "site/a/b", "packed into itself: os.files[0].source packs FOLDER/site"),
        ('{ target = "/a", source = "si*" }', "site/a/b", "packed into itself: os.files[0].source packs FOLDER/site"),
        ('{ target = "/a", source = "site/x" }', "site/x", "site/x is read by this run: os.files[0].source names it"),
    ],
)
def test_an_artefact_is_not_packed_into_itself(folder: Path, files: str, output: str, said: str) -> None:
    (folder / "app/etc/link").symlink_to("..")
    (folder / "site/a").mkdir(parents=True)
    (folder / "site/x").write_text("x")
    (folder / "os.toml").write_text(f"{HEAD}[os]\nfiles = [{files}]\n")
    answer = run(folder, "tarball", "-o", output)
    assert (answer.code, said.replace("FOLDER", str(folder)) in answer.err) == (2, True), answer.err
    assert run(folder, "tarball", "--sbom", output, "-o", "out.tar").code == 2
    assert not os.path.lexists(folder / "out.tar")
    assert run(folder, "tarball", "-o", "application.tar").code == 0

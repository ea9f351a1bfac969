"""Keys of `[disk]` that say nothing of what is made: told, unless they are there for another type."""

from pathlib import Path

import pytest

from packer import image_types, unused
from packer.config import parse
from tests.oracle.iso9660 import identity
from tests.packer.test_image_types import HEAD, run

UUID = 'uuid = "00000000-0000-0000-0000-000000000001"'


def told(text: str, *names: str) -> list[str]:
    declaration = parse(HEAD + text, "os.toml")
    made = names or declaration.outputs
    disks = [kind for kind in map(declaration.kind, made) if kind.table == "disk"]
    unfit = [mistake for kind in disks for mistake in unused.unfit(declaration, kind, ())]
    return list(map(str, [*unused.mistakes(declaration, made), *unfit]))


ISO_KEYS = 'label = "MINE"\nbootloader = "none"\npost-build = ["true"]\n'
ANOTHER = "leave it out, or name the disk that it is for in outputs"


@pytest.mark.parametrize(
    ("table", "name", "line"),
    [
        ('container = "qcow2"', "iso9660", f"disk.container: says nothing of iso9660 ({ANOTHER})"),
        ('size = "4 GiB"', "iso9660", f"disk.size: says nothing of iso9660 ({ANOTHER})"),
        (UUID, "iso9660", f"disk.uuid: says nothing of iso9660 ({ANOTHER})"),
        ("volatile-root = false", "iso9660", f"disk.volatile-root: says nothing of iso9660 ({ANOTHER})"),
        ('partitions = [{ mount-point = "/" }]', "iso9660", f"disk.partitions: says nothing of iso9660 ({ANOTHER})"),
        (
            'container = "qcow2"',
            "efi-raw",
            (
                "disk.container: says nothing of efi-raw"
                ' (leave it out, or put it into a type of your own: [types.NAME] with inherits = "efi-raw")'
            ),
        ),
        ('partition-table = "efi"', "efi-raw", f"disk.partition-table: says nothing of efi-raw ({ANOTHER})"),
        ('boot-size = "64 MiB"', "mbr-raw", f"disk.boot-size: says nothing of mbr-raw ({ANOTHER})"),
        ('boot-size = "64 MiB"', "disk", f"disk.boot-size: says nothing of disk ({ANOTHER})"),
        (UUID, "mbr-raw", f"disk.uuid: says nothing of mbr-raw ({ANOTHER})"),
        (UUID, "disk", f"disk.uuid: says nothing of disk ({ANOTHER})"),
        (
            "efi-vars = true",
            "disk",
            (
                "disk.efi-vars: disk has no EFI system partition"
                " (leave it out; a type of [types] says it for some disks and not for others)"
            ),
        ),
        (
            'label = "Größe"',
            "iso9660",
            "disk.label: 'Größe' is no label of an image for CDs (it has at most 32 characters of ASCII)",
        ),
        (
            'bootloader = "u-boot"',
            "iso9660",
            "disk.bootloader: U-Boot starts no image for CDs (take grub, systemd-boot or none)",
        ),
    ],
)
def test_a_key_that_nothing_has_is_a_mistake(table: str, name: str, line: str) -> None:
    assert told(f"[disk]\n{table}\n", name) == [line]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"[disk]\n{ISO_KEYS}", ["iso9660"]),
        ("[disk]\nefi-vars = false\n", ["iso9660", "mbr-raw"]),
        ('[disk]\ncontainer = "qcow2"\n', ["docker"]),
        ('[disk]\ncontainer = "qcow2"\n', ["iso9660", "disk"]),
        ('outputs = ["disk"]\n[disk]\ncontainer = "qcow2"\n', ["iso9660"]),
        ('[disk]\ncontainer = "qcow2"\n[types.x]\ninherits = "disk"\n', ["iso9660", "efi-raw"]),
        (f'[disk]\n{UUID}\nboot-size = "64 MiB"\nefi-vars = true\n', ["efi-raw"]),
        (f'[disk]\n{UUID}\nboot-size = "64 MiB"\npartition-table = "hybrid"\n', ["disk"]),
    ],
)
def test_a_key_that_another_type_has_is_none(text: str, names: list[str]) -> None:
    assert not told(text, *names)


def test_all_are_told_at_once() -> None:
    text = 'outputs = ["x", "iso9660"]\n[disk]\nsize = 1\nfile-system = "ext3"\n[types.x]\ninherits = "iso9660"\n'
    assert told(text) == [
        f"disk.size: says nothing of x, iso9660 ({ANOTHER})",
        f"disk.file-system: says nothing of x, iso9660 ({ANOTHER})",
    ]


def test_check_tells_it_of_outputs(tmp_path: Path) -> None:
    (tmp_path / "os.toml").write_text(f'{HEAD}outputs = ["efi-raw"]\n[disk]\ncontainer = "qcow2"\n')
    answer = run(tmp_path, "check")
    assert (answer.code, "os.toml: disk.container: says nothing of efi-raw" in answer.err) == (2, True)


def test_a_type_of_ones_own_has_its_container_and_its_table() -> None:
    text = """
        [disk]
        container = "qcow2"
        [types.ours]
        inherits = "mbr-raw"
        disk.container = "vdi"
        disk.partition-table = "gpt"
        disk.partitions = [{ mount-point = "/" }]
        """
    made = image_types.options(parse(HEAD + text, "os.toml"), "ours", ".").image
    assert (made.format, made.partition_table_type) == ("vdi", "gpt")


ISO = f"""
[disk]
container = "qcow2"
store-only = true
{ISO_KEYS}
[types.ours]
inherits = "uncompressed-iso9660"
disk = {{ label = "Ours", bootloader = "none", post-build = ["./after"] }}
[types.another]
inherits = "disk"
"""


def test_an_iso_has_what_the_tables_say_of_it(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/x").write_text("x\n")
    (tmp_path / "after").write_text('#!/bin/sh\necho "after $1"\n')
    (tmp_path / "after").chmod(0o755)
    (tmp_path / "os.toml").write_text(HEAD + ISO)
    answer = run(tmp_path, "iso9660", "ours", "-q")
    assert (answer.code, answer.err) == (0, f"after {tmp_path}/try-1-ours-uncompressed.iso\n")
    assert [identity(Path(path))["LABEL"] for path in answer.out.splitlines()] == ["MINE", "OURS"]


def test_post_build_of_an_iso_may_fail(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "os.toml").write_text(f'{HEAD}disk = {{ bootloader = "none", post-build = ["false"] }}\n')
    answer = run(tmp_path, "iso9660", "-q")
    assert (answer.code, "disk.post-build: false failed with 1" in answer.err) == (1, True)


def test_a_type_on_the_command_line_is_made_though_keys_are_for_others(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    disk = 'disk = { size = "4 GiB", bootloader = "none" }\n'
    (tmp_path / "os.toml").write_text(HEAD + disk)
    answer = run(tmp_path, "iso9660")
    assert (answer.code, answer.out) == (0, f"{tmp_path}/try-1.iso\n")
    assert f"ocipack: warning: os.toml: disk.size: says nothing of iso9660 ({ANOTHER})\n" in answer.err
    (tmp_path / "os.toml").write_text(f'outputs = ["iso9660"]\n{HEAD}{disk}')
    answer = run(tmp_path, "build")
    assert (answer.code, answer.err) == (
        2,
        f"ocipack: error: os.toml: disk.size: says nothing of iso9660 ({ANOTHER})\n",
    )


@pytest.mark.parametrize("option", [("--size", "4 GiB"), ("--efi-vars",), ("--container", "vdi")])
def test_options_for_disks_are_not_for_isos(tmp_path: Path, option: tuple[str, ...]) -> None:
    (tmp_path / "os.toml").write_text(HEAD)
    answer = run(tmp_path, "iso9660", *option)
    assert (answer.code, "is for disks, and none is to be made" in answer.err) == (2, True)

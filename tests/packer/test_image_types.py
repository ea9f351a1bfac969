"""Types of artefact: what os.toml and the command line say of disks, and types that inherit."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from formats.image import Image
from formats.image_types import TYPES
from packer import image_types
from packer.cli import ocipack
from packer.config import parse
from packer.mistakes import ConfigError
from packer.tables.types import COMMANDS
from tests.oracle import partitions as tables
from tests.oracle.runtimes import output
from tests.support.command_line import OCIPACK, Answer
from tests.support.volumes import GIB, MIB

HEAD = 'name = "try"\nversion = "1"\nplatform = "x86_64-linux"\nstore = { type = "folder", path = "app" }\n'


def image(text: str, name: str = "disk") -> Image:
    found = image_types.options(parse(HEAD + text, "os.toml"), name, ".").image
    assert isinstance(found, Image)
    return found


def test_no_type_is_a_command() -> None:
    assert set(COMMANDS) == set(ocipack.commands)
    assert not set(COMMANDS) & set(TYPES)


_X86 = ["x86_64-linux", "i686-linux"]
_ALL = [*_X86, "aarch64-linux", "armhf-linux", "riscv64-linux"]

#: What `guix system --list-image-types` lists, and the platforms of each here; none: all.
OF_GUIX = {
    "docker": [], "tarball": [], "wsl2": [], "raw-with-offset": [],
    "iso9660": _X86, "uncompressed-iso9660": _X86, "efi32-raw": _X86,
    "mbr-raw": _ALL, "efi-raw": _ALL, "qcow2": _ALL,
    "pine64-raw": ["aarch64-linux"], "rock64-raw": ["aarch64-linux"], "pinebook-pro-raw": ["aarch64-linux"],
    "novena-raw": ["armhf-linux"], "unmatched-raw": ["riscv64-linux"],
    "hurd-raw": ["i586-gnu"], "hurd-qcow2": ["i586-gnu"],
}  # fmt: skip


def test_all_types_of_guix_are_there_and_three_of_ours() -> None:
    listed = {kind["name"]: kind for kind in json.loads(output(OCIPACK, "types", "--json"))["types"]}
    assert {name: kind["platforms"] for name, kind in listed.items()} == {
        **OF_GUIX,
        "oci": [],
        "squashfs": [],
        "disk": [],
    }
    said = output(OCIPACK, "types").splitlines()
    assert [line.split(maxsplit=1) for line in said] == [[name, kind["makes"]] for name, kind in listed.items()]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ('"4 GiB"', 4 * GIB), ('"4GiB"', 4 * GIB), ('"1.5 MiB"', 3 * MIB // 2), ('"512 B"', 512), ("1048576", MIB),
        ('"0.0000001 KiB"', 1), ('"guess"', None),
    ],
)  # fmt: skip
def test_sizes(size: str, expected: int | None) -> None:
    assert image(f"[disk]\nsize = {size}\n").size == expected


def test_a_disk_is_what_its_table_says() -> None:
    made = image(
        """
        [disk]
        partition-table = "efi"
        container = "vdi"
        boot-size = "64 MiB"
        additional-space = "1 GiB"
        bootloader = "systemd-boot"
        volatile-root = true
        label = "mine"
        file-system = "ext3"
        file-system-options = ["^resize_inode"]
        efi-vars = true
        uuid = "00000000-0000-0000-0000-000000000001"
        """
    )
    esp, root = made.partitions
    assert (made.format, made.partition_table_type, made.boot_loader) == ("vdi", "gpt", "systemd-boot")
    assert (made.additional_space, made.volatile_root, made.efi_variables) == (GIB, True, True)
    assert made.disk_uuid is not None
    assert made.disk_uuid.int == 1
    assert (esp.offset, esp.size) == (8 * MIB, 56 * MIB)
    assert (root.offset, root.label, root.file_system) == (64 * MIB, "mine", "ext3")
    assert root.file_system_options == ("^resize_inode",)


def test_partitions_take_the_place_of_those_of_a_type() -> None:
    text = """
        [[disk.partitions]]
        label = "ESP"
        file-system = "fat32"
        size = "64 MiB"
        offset = "4 MiB"
        flags = ["esp"]
        uuid = "1a2b-3c4d"
        mount-point = "/efi"
        mount-options = ["umask=0077"]

        [[disk.partitions]]
        label = "root"
        size = "guess"
        partition-uuid = "00000000-0000-0000-0000-000000000002"
        type = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
        mount-point = "/"
        """
    made = image(text)
    esp, root = made.partitions
    assert made.partition_table_type == "gpt"
    assert image(text, "mbr-raw").partition_table_type == "mbr"
    assert (esp.size, esp.offset, esp.mount_options) == (64 * MIB, 4 * MIB, ("umask=0077",))
    assert esp.flags == {"esp"}
    assert esp.uuid is not None
    assert esp.uuid.bytes[:4] == bytes.fromhex("1a2b3c4d")
    assert (root.size, root.mount_point) == (None, "/")


def test_what_is_for_disk_alone_leaves_other_types_as_they_are() -> None:
    text = '[disk]\npartition-table = "efi"\ncontainer = "vdi"\nsize = "1 GiB"\nboot-size = "64 MiB"\n'
    assert image(text, "mbr-raw").format == "raw"
    assert len(image(text, "mbr-raw").partitions) == 1
    assert image(text, "mbr-raw").size == GIB
    assert image(text, "efi-raw").partitions[0].size == 64 * MIB


TYPES_TEXT = """
[disk]
size = "1 GiB"
label = "a"
[types.one]
inherits = "efi-raw"
disk = { size = "2 GiB", file-system = "ext3", container = "qcow2" }
[types.two]
inherits = "one"
summary = "ours"
disk.size = "3 GiB"
disk.volatile-root = true
[types.layout]
inherits = "disk"
disk.partition-table = "hybrid"
[types.small]
inherits = "tarball"
tarball = { compression = "zstd", root-name = "x" }
[types.fine]
inherits = "squashfs"
squashfs = { compression = { codec = "xz", level = 9 }, block-size = "1 MiB" }
"""


def test_types_inherit() -> None:
    one, two = image(TYPES_TEXT, "one"), image(TYPES_TEXT, "two")
    assert (one.size, two.size) == (2 * GIB, 3 * GIB)
    assert (one.volatile_root, two.volatile_root) == (False, True)
    assert one.partitions == two.partitions
    assert (two.format, two.partitions[1].file_system, two.partitions[1].label) == ("qcow2", "ext3", "a")
    assert len(image(TYPES_TEXT, "layout").partitions) == 3
    declaration = parse(HEAD + TYPES_TEXT, "os.toml")
    tarball = image_types.options(declaration, "small", ".")
    assert (tarball.codec.name, tarball.root_name) == ("zstd", "x")
    squashfs = image_types.options(declaration, "fine", ".")
    assert (squashfs.codec.name, squashfs.codec.level, squashfs.block) == ("xz", 9, MIB)
    plain = image_types.options(declaration, "squashfs", ".")
    assert (plain.codec.name, plain.codec.level, plain.block) == ("gzip", 3, 128 << 10)
    assert [kind.summary for kind in image_types.kinds(declaration) if kind.name == "two"] == ["ours"]


_UUID = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[disk]\nsize = "4 GB"', "disk.size: '4 GB' is no size"),
        ('[disk]\nsize = "auto"', '\'auto\' is no size (write "guess", "4 GiB", "512 MiB" or a number of bytes)'),
        ('[disk]\nadditional-space = "x"', '\'x\' is no size (write "4 GiB", "512 MiB" or a number of bytes)'),
        ('[disk]\nsize = "65 TiB"', "disk.size: is more than 64 TiB (no disk is made that is larger)"),
        ("[disk]\nsize = 9223372036854775807", "disk.size: is more than 64 TiB"),
        ('[disk]\nsize = "-4 GiB"', "disk.size: '-4 GiB' is no size"),
        ("[disk]\nsize = -1", "disk.size: must be at least 0"),
        ("[disk]\nsize = true", "disk.size: must be a string"),
        ('[disk]\npartition-table = "efi2"', "disk.partition-table: there is no partition table 'efi2'"),
        ('[disk]\npartition-table = "gpt"', "disk.partition-table: gpt says nothing of partitions"),
        ('[disk]\npartition-table = "efi"\npartitions = [{ mount-point = "/" }]', "efi has partitions of its own"),
        ("[disk]\npartitions = [{}]", "disk.partitions: none of them is the root"),
        ("[disk]\npartitions = []", "disk.partitions: must not be empty"),
        ('[disk]\npartitions = [{ mount-point = "/" }, { mount-point = "/" }]', "disk.partitions[1].mount-point: '/'"),
        ('[disk]\npartitions = [{ mount-point = "/", flags = ["bot"] }]', "disk.partitions[0].flags[0]: there is no"),
        ('[disk]\npartitions = [{ mount-point = "/", file-system = "swap" }]', "swap cannot be mounted"),
        ('[disk]\npartitions = [{ mount-point = "/" }, { file-system = "swap", source = "x" }]', "swap holds no files"),
        ('[disk]\npartitions = [{ mount-point = "/", uuid = "1a2b-3c4d" }]', "'1a2b-3c4d' is no UUID of ext4"),
        (
            f'[disk]\npartitions = [{{ mount-point = "/" }}, {{ file-system = "unformatted", uuid = "{_UUID}" }}]',
            ("disk.partitions[1].uuid: unformatted has no file system that could have one"
            " (partition-uuid is that of the partition, type says what is in it)"),
        ),
        ("[disk]\nboot-size = 64", "disk.boot-size: a boot partition of 64 bytes holds no kernel"),
        (
            '[disk]\npartition-table = "efi"\nboot-size = "8 MiB"',
            ("disk.boot-size: the partition 'ESP' would end at 8388608 bytes, and begins at 8388608"
            " (give it a boot size of more than 8 MiB)"),
        ),
        (
            '[disk]\npartition-table = "legacy"\nefi-vars = true',
            "disk.efi-vars: legacy has no EFI system partition",
        ),
        (
            f'[disk]\npartition-table = "legacy+boot"\nuuid = "{_UUID}"',
            "disk.uuid: legacy+boot has no GPT, which could have one",
        ),
        (
            '[types.x]\ninherits = "iso9660"\ndisk.size = 1',
            "types.x.disk.size: says nothing of an image for CDs like iso9660 (leave it out)",
        ),
        (
            '[types.x]\ninherits = "iso9660"\ntarball.root-name = "x"',
            "types.x.tarball: says nothing of iso9660 (leave it out)",
        ),
        (
            '[types.x]\ninherits = "tarball"\nsquashfs.block-size = "4 KiB"',
            "types.x.squashfs: says nothing of tarball (leave it out)",
        ),
        ('[squashfs]\nblock-size = "3 KiB"', "squashfs.block-size: is no power of two from 4 KiB to 1 MiB"),
        ('[squashfs]\nblock-size = "2 MiB"', "squashfs.block-size: is no power of two from 4 KiB to 1 MiB"),
        ('[squashfs]\ncompression = "lz4"', "squashfs.compression: there is no compression 'lz4'"),
        ("[squashfs.compression]\nlevel = 10", "squashfs.compression.level: gzip has no level 10 (it has 1 to 9)"),
        ('[disk]\ncontainer = "ova"', "disk.container: there is no container 'ova'"),
        ('[disk]\nbootloader = "lilo"', "disk.bootloader: there is no boot loader 'lilo'"),
        ("[disk]\npost-build = []", "disk.post-build: must not be empty"),
        ("[disk]\nstore-only = true\nshared-store = true", "disk.shared-store: there would be nothing on the disk"),
        ('outputs = ["effi-raw"]', "outputs[0]: there is no type of artefact 'effi-raw' (did you mean 'efi-raw'?)"),
        ('[types.x]\ninherits = "effi-raw"', "types.x.inherits: there is no type 'effi-raw' (did you mean 'efi-raw'?)"),
        ('[types.x]\nsummary = "y"', "types.x.inherits: is missing"),
        ('[types.a]\ninherits = "b"\n[types.b]\ninherits = "a"', "types.a: inherits from itself: a from b from a"),
        ('[types.a]\ninherits = "a"', "types.a: inherits from itself: a from a"),
        ('[types.docker]\ninherits = "efi-raw"', "types.docker: is a type already"),
        ('[types.push]\ninherits = "efi-raw"', "types.push: is a command already"),
        ('[types."A b"]\ninherits = "efi-raw"', "is not a name of a type"),
        ('[types.x]\ninherits = "efi-raw"\ntarball.root-name = "x"', "types.x.tarball: says nothing of a disk like"),
        ('[types.x]\ninherits = "docker"\ndisk.size = 1', "types.x.disk: says nothing of docker"),
        ('[types.x]\ninherits = "efi-raw"\ndisk.partition-table = "efi"', "types.x.disk.partition-table: efi-raw has"),
        ('[types.x]\ninherits = "efi-raw"\ndisk.sizes = 1', "types.x.disk.sizes: there is no such key"),
        ('[types.x]\ninherits = "efi-raw"\ndisk = 7', "types.x.disk: must be a table, not an integer"),
        ("[types]\nx = 7", "types.x: must be a table, not an integer"),
        (
            '[disk]\npartitions = [{ mount-point = "/" }]\n[types.x]\ninherits = "disk"\ndisk.partition-table = "efi"',
            "types.x.disk.partition-table: efi has partitions of its own",
        ),
    ],
)  # fmt: skip
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + text, "os.toml")
    assert message in str(caught.value)
    assert len(caught.value.mistakes) == 1


def test_all_mistakes_are_told_at_once() -> None:
    text = '[disk]\nsize = "x"\ncontainer = "y"\n'
    text += '[types.a]\ninherits = "b"\ndisk.size = "z"\n[types.docker]\ninherits = "c"\n'
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + text, "os.toml")
    assert [mistake.key for mistake in caught.value.mistakes] == [
        "disk.size", "disk.container", "types.a.inherits", "types.a.disk.size", "types.docker",
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an os.toml and a file to pack."""
    (tmp_path / "app/usr/bin").mkdir(parents=True)
    (tmp_path / "app/usr/bin/x").write_text("x\n")
    (tmp_path / "os.toml").write_text(
        HEAD
        + """
[disk]
additional-space = "1 MiB"
bootloader = "none"
[types.appliance]
inherits = "efi-raw"
disk.size = "64 MiB"
"""
    )
    return tmp_path


def run(folder: Path, *arguments: str) -> Answer:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [OCIPACK, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def test_types_of_os_toml_are_commands(folder: Path) -> None:
    answer = run(folder, "appliance", "-q")
    assert (answer.code, answer.out) == (0, f"{folder}/try-1-appliance.raw\n")
    assert (folder / "try-1-appliance.raw").stat().st_size == 64 * MIB
    assert not tables.complaints(folder / "try-1-appliance.raw")
    assert "no command 'aplliance'; did you mean 'appliance'?" in run(folder, "aplliance").err


def test_types_are_listed(folder: Path) -> None:
    rows = json.loads(run(folder, "types", "--json").out)["types"]
    assert [row["name"] for row in rows] == [*TYPES, "appliance"]
    assert rows[-1]["inherits"] == "efi-raw"
    assert next(row for row in rows if row["name"] == "efi32-raw")["platforms"] == ["x86_64-linux", "i686-linux"]
    assert run(folder, "types").out.splitlines()[-1].split() == [
        "appliance",
        "efi-raw,",
        "as",
        "os.toml",
        "changes",
        "it",
    ]


def test_the_command_line_wins_over_a_type(folder: Path) -> None:
    assert run(folder, "appliance", "-q", "--size", "80 MiB").code == 0
    assert (folder / "try-1-appliance.raw").stat().st_size == 80 * MIB
    answer = run(folder, "disk", "-q", "--partition-table", "hybrid", "--container", "qcow2")
    assert answer.out == f"{folder}/try-1-disk.qcow2\n"
    answer = run(folder, "appliance", "--container", "vdi")
    assert (answer.code, "is for the type disk" in answer.err) == (2, True)


def test_several_types_are_made_from_one_reading(folder: Path) -> None:
    answer = run(folder, "docker", "appliance", "mbr-raw", "-q", "os.toml")
    assert [Path(line).name for line in answer.out.splitlines()] == [
        "try-1.docker.tar", "try-1-appliance.raw", "try-1-mbr.raw",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ('["./after", "two words"]', 0, "two words {disk} 67108864"),
        ('["false"]', 1, "disk.post-build: false failed with 1"),
        ('["no-such-program"]', 2, "disk.post-build: there is no program no-such-program"),
        ('["./os.toml"]', 2, "disk.post-build: ./os.toml: Permission denied"),
    ],
)
def test_a_program_gets_the_disk_when_it_is_there(folder: Path, command: str, code: int, message: str) -> None:
    (folder / "after").write_text('#!/bin/sh\necho "$1 $2 $(stat -c %s "$2")"\n')
    (folder / "after").chmod(0o755)
    with open(folder / "os.toml", "a") as file:
        file.write(f"disk.post-build = {command}\n")
    answer = run(folder, "appliance", "-q", "--check")
    assert answer.code == code
    assert message.format(disk=folder / "try-1-appliance.raw") in answer.err
    assert answer.out == (f"{folder}/try-1-appliance.raw\n" if not code else "")
    assert (folder / "try-1-appliance.raw").exists()


def test_a_program_that_is_not_there_gets_no_disk(folder: Path) -> None:
    with open(folder / "os.toml", "a") as file:
        file.write('disk.post-build = ["./nothing"]\n')
    answer = run(folder, "appliance", "-q")
    message = f"types.appliance.disk.post-build: there is no program {folder}/./nothing"
    assert (answer.code, answer.err) == (2, f"ocipack: error: os.toml: {message}\n")
    assert not (folder / "try-1-appliance.raw").exists()


def test_a_type_for_other_processors_is_refused(folder: Path) -> None:
    text = (folder / "os.toml").read_text().replace("x86_64-linux", "riscv64-linux")
    (folder / "os.toml").write_text(text)
    answer = run(folder, "efi32-raw")
    assert (answer.code, "efi32-raw is for x86_64-linux, i686-linux, not for riscv64-linux" in answer.err) == (2, True)

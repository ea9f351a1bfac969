import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from formats.image import BIOS_GRUB, UNFORMATTED, Image, Partition
from layers.entry import Data, File
from layers.reader import Reader
from packer.boot import fstab
from tests.support.bootable import layout_of, system_of
from tests.support.operating_systems import tree

IMAGE = Image(
    partitions=(
        Partition("bios", 1 << 20, 1 << 20, UNFORMATTED, flags=frozenset({BIOS_GRUB})),
        Partition("ESP", file_system="vfat", mount_point="/boot/efi"),
        Partition("root", mount_point="/"),
        Partition("data", file_system="ext2", mount_point="/srv/my data"),
        Partition("swap", file_system="swap"),
    ),
    partition_table_type="gpt",
)
ROOT = "UUID=3 / ext4 errors=remount-ro 0 1\n"
EFI = "UUID=2 /boot/efi vfat umask=0077 0 0\n"
REST = "UUID=4 /srv/my\\040data ext2 defaults 0 2\nUUID=5 none swap sw 0 0\n"


def written(before: str | bytes | None = None, image: Image = IMAGE) -> str:
    """The file, with the numbers of partitions in place of their UUIDs."""
    layout = layout_of(image, system_of(tree({} if before is None else {"etc/fstab": before})))
    with Reader() as reader:
        files = list(fstab.entries(layout, reader))
    text = ""
    for file in files:
        assert isinstance(file, File)
        assert isinstance(file.content, Data)
        text = file.content.data.decode(errors="surrogateescape")
    for volume in layout.volumes:
        text = text.replace(volume.file_system_uuid or "none at all", str(volume.number))
    return text


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, EFI + ROOT + REST),
        ("# a comment", "# a comment\n" + EFI + ROOT + REST),
        ("LABEL=x / ext4 rw 0 1\n", "LABEL=x / ext4 rw 0 1\n" + EFI + REST),
        ("#LABEL=x / ext4\n\n", "#LABEL=x / ext4\n\n" + EFI + ROOT + REST),
        (b"# caf\xe9\n", "# caf\udce9\n" + EFI + ROOT + REST),
        ("x /srv/my\\040data xfs rw\n", "x /srv/my\\040data xfs rw\n" + EFI + ROOT + "UUID=5 none swap sw 0 0\n"),
        ("/swap none swap sw 0 0\n", "/swap none swap sw 0 0\n" + EFI + ROOT + REST),
    ],
)
def test_partitions_are_added_to_what_is_there(before: str | bytes | None, expected: str) -> None:
    assert written(before) == expected


def test_options_of_partitions_take_the_place_of_the_usual_ones() -> None:
    partitions = tuple(replace(partition, mount_options=("noatime", "ro")) for partition in IMAGE.partitions)
    assert [line.split()[3] for line in written(image=replace(IMAGE, partitions=partitions)).splitlines()] == [
        "noatime,ro"
    ] * 4


def test_a_volatile_root_is_not_mounted_again() -> None:
    assert written(image=replace(IMAGE, volatile_root=True)) == EFI + REST


def test_nothing_to_add_is_no_file() -> None:
    assert written("x / y\n", replace(IMAGE, partitions=IMAGE.partitions[2:3])) == ""


def test_findmnt_reads_it(tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text(written())
    command = ["findmnt", "--tab-file", str(tmp_path / "fstab"), "--noheadings", "--list", "--output", "TARGET,FSTYPE"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:3] == ["/boot/efi    vfat", "/            ext4", "/srv/my data ext2"]

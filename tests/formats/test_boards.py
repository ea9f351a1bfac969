"""What boards want of a disk, next to what their documentation says, and whole disks that have it."""

from dataclasses import replace
from pathlib import Path

import pytest

from formats.boards import BOARDS
from formats.boot import Embedded
from formats.image import Image
from formats.image_types import TYPES, board_disk
from layers.entry import Data, File
from layers.errors import InputError
from tests.oracle import partitions as tables
from tests.support.entries import noise
from tests.support.images import FakeInstaller, made, of_entries

KIB, MIB = 1 << 10, 1 << 20
_ENTRIES = (File(b"boot/vmlinuz", Data(b"kernel" * 1000)),)

#: `dd if=FILE bs=BYTES seek=NUMBER` of U-Boot's documentation for each board, and the size that Debian's file has.
#: sunxi.rst, rockchip.rst, mx6sabreauto.rst and unmatched.rst of doc/board; U-Boot 2025.01-3+deb13u1.
DOCUMENTED = [
    ("pine64", "u-boot-sunxi-with-spl.bin", 8192, 1, 844133),
    ("rock64", "idbloader.img", 512, 64, 135168),
    ("rock64", "u-boot.itb", 512, 16384, 924160),
    ("pinebook-pro", "idbloader.img", 512, 64, 198656),
    ("pinebook-pro", "u-boot.itb", 512, 16384, 1177088),
    ("novena", "SPL", 1024, 1, 48128),
    ("novena", "u-boot.img", 1024, 69, 572364),
    ("unmatched", "u-boot-spl.bin", 512, 34, 86755),
    ("unmatched", "u-boot.itb", 512, 2082, 954241),
]

#: What sfdisk says of the disks: kind of table, then of each partition its first sector and its type.
LAYOUTS = {
    "pine64": ("dos", [(2048, "83")]),
    "rock64": ("dos", [(32768, "83")]),
    "pinebook-pro": ("dos", [(32768, "83")]),
    "novena": ("dos", [(2048, "83")]),
    "unmatched": (
        "gpt",
        [
            (34, "5B193300-FC78-40CD-8002-E86C45580B47"),
            (2082, "2E54B353-1271-4842-806F-E436D6AF6985"),
            (12288, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
        ],
    ),
}


def _installer(board: str) -> FakeInstaller:
    """Writes what U-Boot would be, as large as Debian's."""
    rows = [row for row in DOCUMENTED if row[0] == board]
    return FakeInstaller(
        embedded=tuple(Embedded(file, size * number, Data(noise(length))) for _, file, size, number, length in rows)
    )


def test_every_board_is_documented() -> None:
    assert {name for name, *_ in DOCUMENTED} == set(LAYOUTS) == set(BOARDS)


@pytest.mark.parametrize(("board", "file", "size", "number", "length"), DOCUMENTED)
def test_offsets_are_those_of_the_documentation(board: str, file: str, size: int, number: int, length: int) -> None:
    [stage] = [stage for stage in BOARDS[board].stages[0] if stage.file == file]
    assert stage.offset == size * number


@pytest.mark.parametrize("board", BOARDS)
def test_a_disk_has_its_loader_outside_of_file_systems(board: str, tmp_path: Path) -> None:
    disk, installer = tmp_path / "disk", _installer(board)
    made(disk, of_entries(_ENTRIES), board_disk(BOARDS[board]), installer)
    table = tables.dump(disk)
    assert (table["label"], [(each["start"], each["type"].upper()) for each in table["partitions"]]) == LAYOUTS[board]
    assert not tables.complaints(disk)
    with open(disk, "rb") as file:
        for code in installer.embedded:
            file.seek(code.offset)
            assert isinstance(code.content, Data)
            assert file.read(code.content.size) == code.content.data


@pytest.mark.parametrize("board", BOARDS)
def test_the_root_is_what_u_boot_starts_from(board: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    made(disk, of_entries(_ENTRIES), board_disk(BOARDS[board]))
    *others, root = tables.dump(disk)["partitions"]
    assert root.get("bootable") or root["attrs"] == "LegacyBIOSBootable"
    assert not any(other.get("bootable") or other.get("attrs") for other in others)


def _moved(board: str, offset: int, size: int | None = None) -> Image:
    image = board_disk(BOARDS[board])
    *others, root = image.partitions
    return replace(image, partitions=(*others, replace(root, offset=offset, size=size)))


def _with_gpt(board: str) -> Image:
    return replace(board_disk(BOARDS[board]), partition_table_type="gpt")


@pytest.mark.parametrize(
    ("board", "image", "message"),
    [
        # Guix's offset of the Pinebook Pro, and how far it is from enough.
        (
            "pinebook-pro",
            _moved("pinebook-pro", 9 * MIB),
            r"u-boot.itb \(8388608 to 9565696\) overlaps .* \(9437184 to",
        ),
        ("rock64", _moved("rock64", 1 * MIB, 32 * MIB), "u-boot.itb .* overlaps"),
        ("pine64", _with_gpt("pine64"), "overlaps the partition table"),
        ("novena", _with_gpt("novena"), "SPL .* overlaps the partition table"),
        ("unmatched", _moved("unmatched", 1314816), "the partitions 'uboot' and .* overlap"),
    ],
)
def test_a_loader_that_overlaps_something_is_refused(board: str, image: Image, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        made(tmp_path / "disk", of_entries(_ENTRIES), image, _installer(board))
    assert not (tmp_path / "disk").exists()


def test_image_types_have_the_names_of_guix() -> None:
    names = {f"{name}-raw" for name in BOARDS} | {"hurd-raw", "hurd-qcow2"}
    assert names == {
        "pine64-raw", "rock64-raw", "pinebook-pro-raw", "novena-raw", "unmatched-raw", "hurd-raw", "hurd-qcow2",
    }  # fmt: skip
    for name in names:
        assert TYPES[name].platforms == (getattr(TYPES[name].image.platform, "name", None),)

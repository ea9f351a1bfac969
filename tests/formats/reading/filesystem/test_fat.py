"""FAT, read: what we write, what mkfs.fat and mtools write, and what is damaged."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from formats.filesystem.fat import Fat
from formats.filesystem.fat.structures import BOOT_16
from formats.reading.artefact import ArtefactError
from layers.entry import Data, Directory, Entry, File
from packer.inspection.inspection import Inspection
from tests.oracle import fat
from tests.support.entries import noise
from tests.support.inspections import inspected
from tests.support.readings import as_tar, differences
from tests.support.volumes import VOLUME, write_volume

_TREE: list[Entry] = [
    Directory(b"EFI/BOOT"),
    File(b"EFI/BOOT/BOOTX64.EFI", Data(noise(100_000))),
    File(b"README.TXT", Data(b"short")),
    File(b"lower.txt", Data(b"with a long name, because of the case")),
    File("Grüße aus Köln and 日本語.text".encode(), Data(b"UTF-16")),
    File(b"n" * 255, Data(b"long")),
    *(File(b"x" * size, Data(b"%d" % size)) for size in (12, 13, 14, 25, 26, 27)),
    File(b"empty"),
    Directory(b"empty folder"),
    *(File(b"many/a file among many, %04d" % number, Data(b"%d" % number)) for number in range(500)),
]


@pytest.mark.parametrize("bits", [12, 16, 32])
def test_what_we_write(tmp_path: Path, bits: int) -> None:
    found = inspected(write_volume(tmp_path / "volume", Fat(VOLUME, bits=bits), _TREE))
    assert differences(as_tar(tmp_path, _TREE), found) == {}
    assert found.artefact.disk
    (volume,) = found.artefact.disk.partitions
    known = fat.identity(tmp_path / "volume")
    assert (volume.file_system, volume.label, volume.uuid) == (known["TYPE"], known["LABEL"], known["UUID"])


def _contents(found: Inspection) -> dict[str, tuple[str, int] | None]:
    """Path -> digest and time of a file, or None of a folder."""
    return {
        path.decode(): (placed.node.digest.hex, placed.node.mtime) if placed.node.digest else None
        for path, placed in found.tree.nodes.items()
    }


@pytest.mark.parametrize(
    "arguments", ["-F 12 -C it 2000", "-F 16 -C it 20000", "-F 32 -s 1 -C it 40000", "-S 4096 -C it 40000"]
)
def test_what_others_write(tmp_path: Path, arguments: str) -> None:
    path = tmp_path / "it"
    assert "fail" not in fat.said("mkfs.fat", "-n", "LABEL", *arguments.replace("it", str(path)).split())
    (tmp_path / "large").write_bytes(noise(300_000))
    (tmp_path / "small").write_bytes(b"small")
    for name in ("lower.txt", "UPPER.TXT", "mixed.TXT", "gone", "A long name.text", "Grüße and 日本語", "LOWER1.efi"):
        assert not fat.said("mcopy", "-i", path, tmp_path / ("large" if "long" in name else "small"), f"::/{name}")
    fat.said("mmd", "-i", path, "::/folder", "::/folder/inner")
    for number in range(40):
        fat.said("mcopy", "-i", path, tmp_path / "small", f"::/folder/inner/number {number}")
    fat.said("mdel", "-i", path, "::/gone", "::/folder/inner/number 7")
    fat.said("mcopy", "-i", path, tmp_path / "large", "::/folder/in pieces")
    found = inspected(path)
    expected = {
        name: content and (hashlib.sha256(content[0]).hexdigest(), content[1])
        for name, content in fat.contents(path).items()
    }
    assert len(expected) == 6 + 2 + 39 + 1
    assert _contents(found) == expected
    assert found.artefact.disk
    assert found.artefact.disk.partitions[0].label == "LABEL"


def _change(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def _entry(path: Path, short: bytes, offset: int, data: bytes) -> None:
    """Change the entry of a short name."""
    _change(path, path.read_bytes().index(short) + offset, data)


def _fat(path: Path, short: bytes, value: int) -> None:
    """Change the number of the cluster after the first one of a file, of a volume with FAT16."""
    data = path.read_bytes()
    at = data.index(short)
    first = int.from_bytes(data[at + 26 : at + 28], "little")
    boot = BOOT_16.unpack(data)
    _change(path, boot.reserved * boot.sector + 2 * first, (value or first).to_bytes(2, "little"))


def _first(path: Path, short: bytes) -> int:
    """The first cluster of a file."""
    data = path.read_bytes()
    return int.from_bytes(data[data.index(short) + 26 :][:2], "little")


_FOLDER, _OTHER, _FILE = b"FOLDER     ", b"OTHER      ", b"FILE    TXT"
_WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder in itself": (lambda path: _entry(path, b"INNER      ", 26, b"\x02\0"), "the folder .* is /FOLDER, too"),
    "a chain of a folder in a circle": (lambda path: _fat(path, _FOLDER, 0), "has no end"),
    "a cluster of two folders": (lambda path: _fat(path, _FOLDER, _first(path, _OTHER)), "belongs to two folders"),
    "a chain that ends too early": (lambda path: _fat(path, _FILE, 0xFFFF), "leads to cluster 65535"),
    "a chain to what is free": (lambda path: _fat(path, _FILE, 1), "leads to cluster 1"),
    "a size that the chain has not": (lambda path: _entry(path, _FILE, 29, b"\x80"), "leads to cluster 65535"),
    "a size that no volume has": (lambda path: _entry(path, _FILE, 31, b"\x80"), "is larger than the volume"),
    "a folder without clusters": (lambda path: _entry(path, b"INNER      ", 26, b"\0\0"), "'INNER' has no clusters"),
    "a slash in a name": (lambda path: _entry(path, _FILE, 0, b"FI/E"), "the name 'FI/E.TXT'"),
    "more sectors than there are": (
        lambda path: _change(path, BOOT_16.offset("sectors_16"), b"\xff\xff"), "its boot sector says",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_wrong_is_refused(tmp_path: Path, name: str) -> None:
    damage, message = _WRONG[name]
    entries: list[Entry] = [
        *(File(b"FOLDER/F%d" % number) for number in range(100)),
        Directory(b"FOLDER/INNER"),
        Directory(b"OTHER"),
        File(b"FILE.TXT", Data(b"x" * 10_000)),
    ]
    path = write_volume(tmp_path / "volume", Fat(VOLUME, bits=16), entries)
    assert len(inspected(path).tree.nodes) == 104
    damage(path)
    with pytest.raises(ArtefactError, match=message):
        inspected(path)


def test_a_long_name_of_another_file_does_not_count(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "volume", Fat(VOLUME), [File(b"a long name", Data(b"x"))])
    _entry(path, b"ALONGN~1   ", 0, b"B")
    assert set(inspected(path).tree.nodes) == {b"BLONGN~1"}

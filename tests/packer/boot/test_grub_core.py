"""GRUB's core image, against the one that grub-mkimage makes of the same files."""

import lzma
import os
import subprocess
from pathlib import Path

import pytest

from formats.system import System
from layers.entry import File
from layers.reader import Reader
from packer.boot.grub_core import core_image, on_disk
from packer.boot.grub_files import GrubFiles

FOLDER = b"usr/lib/grub/i386-pc"
CONFIG = "search.fs_uuid 1234 root\nset prefix=($root)/boot/grub\n"
DECOMPRESSOR = 2848  # bytes of lzma_decompress.img
_LZMA = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]


@pytest.fixture(scope="module")
def theirs(bootable_debian: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with GRUB's files, on this machine."""
    folder = tmp_path_factory.mktemp("i386-pc")
    with Reader() as reader:
        for entry in bootable_debian.tree.below(FOLDER):
            if isinstance(entry, File):
                (folder / os.fsdecode(os.path.basename(entry.path))).write_bytes(reader.read(entry.content))
    return folder


def decompressed(core: bytes) -> bytes:
    """What a core image has, without diskboot.img, by what its decompressor is told."""
    compressed, size = (int.from_bytes(core[place : place + 4], "little") for place in (8, 12))
    assert len(core) == DECOMPRESSOR + compressed
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA)
    data = decoder.decompress(core[DECOMPRESSOR:], size)
    assert len(data) == size
    return data


@pytest.mark.parametrize(
    ("modules", "config", "prefix"),
    [
        (["biosdisk", "part_gpt", "ext2"], CONFIG, "/boot/grub"),
        (["biosdisk", "part_msdos", "fat", "normal", "linux", "serial", "search_fs_uuid"], CONFIG, "/"),
        (["multiboot"], "x" * 8, "(hd0,msdos1)/boot/grub"),
    ],
)
def test_it_is_that_of_grub_mkimage(
    modules: list[str], config: str, prefix: str, bootable_debian: System, theirs: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(config)
    command: list[str | Path] = ["grub-mkimage", "-d", theirs, "-O", "i386-pc", "-p", prefix, "-c", tmp_path / "config"]
    subprocess.run([*command, "-o", tmp_path / "core", *modules], check=True)
    expected = (tmp_path / "core").read_bytes()
    with Reader() as reader:
        ours = core_image(GrubFiles(bootable_debian.tree, FOLDER, reader), modules, config, prefix)
    assert decompressed(ours) == decompressed(expected[512:])
    sizes = slice(8, 16)
    assert ours[:8] + ours[16:DECOMPRESSOR] == expected[512:520] + expected[528 : 512 + DECOMPRESSOR]
    assert ours[sizes] != bytes(8)


def test_it_finds_its_other_sectors(bootable_debian: System, theirs: Path) -> None:
    core = b"c" * 1025
    with Reader() as reader:
        boot, second = on_disk(GrubFiles(bootable_debian.tree, FOLDER, reader), core, 34 * 512)
    original = (theirs / "boot.img").read_bytes()[:440]
    assert len(boot) == 440
    assert boot[0x5C:0x64] == (34).to_bytes(8, "little")
    assert boot[0x66:0x68] == b"\x90\x90"
    assert boot[:0x5C] + boot[0x64:0x66] + boot[0x68:] == original[:0x5C] + original[0x64:0x66] + original[0x68:]
    assert second[0x1F4:0x200] == (35).to_bytes(8, "little") + (3).to_bytes(2, "little") + (0x820).to_bytes(2, "little")
    assert second[512:] == core + bytes(511)

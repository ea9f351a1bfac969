"""What starts a computer: El Torito as xorriso and file(1) see it, the partition table as sgdisk does."""

import struct
from pathlib import Path

import pytest

from formats.filesystem.fat import Fat
from formats.filesystem.iso9660 import Iso9660
from formats.filesystem.iso9660.boot import Boot
from layers.entry import Data, Entry, File
from layers.errors import InputError
from layers.reader import Reader
from tests.oracle.ext4 import run
from tests.oracle.fat import complaints, contents
from tests.oracle.iso9660 import identity, is_sound
from tests.support.entries import noise
from tests.support.volumes import MIB, VOLUME, tree_of, write_volume

BIOS = noise(70_001)
CODE = noise(440)
FIRMWARE: list[Entry] = [File(b"EFI/BOOT/BOOTX64.EFI", Data(noise(100_000)))]
TREE: list[Entry] = [File(b"boot/vmlinuz", Data(noise(500_000))), File(b"etc/hostname", Data(b"iso\n"))]


@pytest.fixture
def boot() -> Boot:
    with Reader() as reader:
        return Boot(BIOS, Fat(VOLUME, 16).prepare(tree_of(FIRMWARE), reader).plan(4 * MIB), CODE)


def written(folder: Path, boot: Boot) -> Path:
    return write_volume(folder / "volume", Iso9660(VOLUME, boot), TREE)


def images(volume: Path) -> dict[str, list[str]]:
    """Platform -> what xorriso says of the image for it."""
    said = run("xorriso", "-indev", volume, "-report_el_torito", "plain")
    lines = [line.split() for line in said.splitlines() if line.startswith("El Torito boot img")]
    return {line[6]: line[7:] for line in lines}


def test_each_platform_has_its_image(tmp_path: Path, boot: Boot) -> None:
    volume = written(tmp_path, boot)
    data = volume.read_bytes()
    found = images(volume)
    assert found.keys() == {"BIOS", "UEFI"}
    bootable, emulation, _, _, sectors, block = found["BIOS"][:6]
    assert (bootable, emulation, sectors) == ("y", "none", "4")
    start = int(block) * 2048
    image = data[start : start + len(BIOS)]
    assert image[:8] + image[64:2548] + image[2556:] == BIOS[:8] + BIOS[64:2548] + BIOS[2556:]
    assert struct.unpack_from("<Q", image, 2548) == (int(block) * 4 + 5,)
    words = struct.unpack(f"<{-(-len(image) // 4) - 16}I", image[64:] + bytes(-len(image) % 4))
    assert struct.unpack_from("<4I", image, 8) == (16, int(block), len(BIOS), sum(words) & 0xFFFFFFFF)
    assert image[24:64] == bytes(40)
    assert found["UEFI"][4] == str(4 * MIB // 512)
    assert is_sound(volume)


def test_a_usb_stick_has_the_code_and_the_firmwares_volume(tmp_path: Path, boot: Boot) -> None:
    volume = written(tmp_path, boot)
    data = volume.read_bytes()
    block = int(images(volume)["BIOS"][5])
    assert data[:432] == CODE[:432]
    assert struct.unpack_from("<Q", data, 432) == (block * 4 + 4,)
    assert "No problems found" in run("sgdisk", "-v", volume)
    assert data[446] == 0x80
    said = run("sgdisk", "-i", "1", volume)
    assert "C12A7328-F81F-11D2-BA4B-00A0C93EC93B (EFI system partition)" in said
    first = int(said.split("First sector: ")[1].split()[0])
    assert first == int(images(volume)["UEFI"][5]) * 4
    firmware = tmp_path / "firmware"
    firmware.write_bytes(data[first * 512 :][: 4 * MIB])
    assert complaints(firmware) == ""
    assert contents(firmware).keys() == {"EFI", "EFI/BOOT", "EFI/BOOT/BOOTX64.EFI"}
    found = identity(volume)
    assert (found["TYPE"], found["PTTYPE"]) == ("iso9660", "gpt")


def test_it_may_start_one_kind_of_firmware_alone(tmp_path: Path, boot: Boot) -> None:
    assert images(written(tmp_path, Boot(BIOS))).keys() == {"BIOS"}
    volume = written(tmp_path, Boot(efi=boot.efi))
    assert images(volume).keys() == {"UEFI"}
    assert volume.read_bytes()[:440] == bytes(440)
    assert volume.read_bytes()[446] == 0


def test_a_large_firmware_volume_goes_on_to_the_end(tmp_path: Path) -> None:
    with Reader() as reader:
        efi = Fat(VOLUME).prepare(tree_of(FIRMWARE), reader).plan(40 * MIB)
    assert images(written(tmp_path, Boot(efi=efi)))["UEFI"][4] == "0"


@pytest.mark.parametrize(
    ("boot", "message"),
    [
        (Boot(b"x" * 2555), "the BIOS image has 2555 bytes"),
        (Boot(BIOS, code=bytes(441)), "the boot code has 441 bytes"),
        (Boot(code=CODE), "no BIOS image to start"),
        (Boot(), "nothing that starts"),
    ],
)  # fmt: skip
def test_what_cannot_start_is_refused(boot: Boot, message: str) -> None:
    with Reader() as reader, pytest.raises(InputError, match=message):
        Iso9660(VOLUME, boot).prepare(tree_of([]), reader)

"""ISO 9660 images with a small system, started from a CD and from a disk, by a BIOS and by UEFI firmware."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from formats.image import Image
from formats.image_types import ISO
from formats.system import System
from tests.boot.test_disks import said
from tests.oracle.iso9660 import identity, is_sound
from tests.oracle.qemu import BIOS, UEFI, Cd, Drive, Firmware, started
from tests.support.bootable import write_iso

PLAIN = replace(ISO, compression=False)


@pytest.mark.parametrize(
    ("image", "firmware", "cd", "expected"),
    [
        (ISO, BIOS, "ide", "BIOS"),
        (PLAIN, BIOS, "", "BIOS"),
        (PLAIN, UEFI, "scsi", "UEFI 64"),
        (ISO, UEFI, "", "UEFI 64"),
    ],
    ids=["zisofs-bios-cd", "plain-bios-disk", "plain-uefi-cd", "zisofs-uefi-disk"],
)
def test_an_image_starts(
    image: Image, firmware: Firmware, cd: str, expected: str, bootable_debian: System, tmp_path: Path
) -> None:
    path = tmp_path / "image.iso"
    write_iso(path, image, bootable_debian)
    assert is_sound(path)
    before = path.read_bytes()
    found = said(started(tmp_path, Cd(path, cd) if cd else Drive(path), firmware=firmware))
    assert (found["firmware"], found["root"], found["starts"]) == (expected, "overlay", "1")
    assert re.search(rf"root=UUID={identity(path)['UUID']} ro systemd.volatile=overlay", found["arguments"])
    assert path.read_bytes() == before

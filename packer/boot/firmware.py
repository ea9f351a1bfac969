"""UEFI firmware: what it starts from an EFI system partition when nobody has told it of a boot loader.

UEFI 2.10, section 3.5.1.1: a file in /EFI/BOOT, whose name says for which processor it is.
"""

import os

from formats.boot import Layout, Volume
from formats.image import ESP
from layers.errors import InputError
from packer.boot.efi_variables import BootEntry, Variables, boot_variables

#: Platform -> how UEFI calls its processor, in the names of files.
_PROCESSORS = {
    "x86_64-linux": "x64",
    "i686-linux": "ia32",
    "aarch64-linux": "aa64",
    "armhf-linux": "arm",
    "riscv64-linux": "riscv64",
}


def processor(layout: Layout) -> str:
    """How UEFI calls the processor of the firmware: `x64`.

    Raises:
        InputError: there is no UEFI for it.
    """
    platform = layout.image.firmware or layout.image.platform or layout.system.platform
    if platform.name not in _PROCESSORS:
        raise InputError(f"there is no UEFI firmware for {platform.name}", hint="Leave the EFI system partition out.")
    return _PROCESSORS[platform.name]


def system_partition(layout: Layout) -> Volume | None:
    """The EFI system partition, if the disk has one that is mounted somewhere."""
    flagged = (volume for volume in layout.volumes if ESP in volume.partition.flags and volume.partition.mount_point)
    return next(flagged, None)


def default_path(volume: Volume, name: str) -> bytes:
    """Where in the root file system the file is that firmware starts."""
    return inside(volume, f"EFI/BOOT/BOOT{name.upper()}.EFI")


def starts(volume: Volume, path: bytes, title: str) -> Variables:
    """What makes the variables of firmware that starts a file.

    Args:
        volume: the EFI system partition.
        path: of the file, in the root file system.
        title: in the firmware's menu.
    """
    file = "/" + os.fsdecode(path).removeprefix(volume.partition.mount_point.strip("/")).lstrip("/")
    return boot_variables(BootEntry(title, volume.number, file.replace("/", "\\")))


def inside(volume: Volume, path: str) -> bytes:
    """Where in the root file system a path of a volume is."""
    mount = volume.partition.mount_point.strip("/")
    return f"{mount}/{path}".lstrip("/").encode()

"""Machines that QEMU emulates: what they print on their serial port until they are powered off."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 120  # seconds; a start takes some 15
_TERMINAL = re.compile(r"\x1b[\[\]()][0-9;?=]*[A-Za-z]?|\x1b.|\r")

_OVMF = Path("/usr/share/OVMF")


@dataclass(frozen=True)
class Firmware:
    """What starts a machine.

    Attributes:
        code: file of UEFI firmware; None: a BIOS.
        variables: what that remembers, as it is at first.
    """

    code: Path | None = None
    variables: Path | None = None


BIOS = Firmware()
UEFI = Firmware(_OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd")
UEFI32 = Firmware(_OVMF / "OVMF32_CODE_4M.secboot.fd", _OVMF / "OVMF32_VARS_4M.fd")


@dataclass(frozen=True)
class Drive:
    """A disk, as QEMU is told of it."""

    path: Path
    format: str = "raw"
    interface: str = "virtio"


def started(folder: Path, *drives: Drive, firmware: Firmware = BIOS) -> str:
    """What a machine printed, which powered itself off; its disks were written to.

    Args:
        folder: for its files.
        drives: its disks.
        firmware: what starts it.
    """
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-monitor", "none"]
    command += ["-no-reboot", "-nic", "none", "-serial", f"file:{folder / 'serial'}"]
    if firmware.code and firmware.variables:
        variables = shutil.copy(firmware.variables, folder / "variables")
        # Firmware that could have secure boot wants a q35 with system management.
        command += ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}"]
        command += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    for drive in drives:
        command += ["-drive", f"if={drive.interface},format={drive.format},file={drive.path}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        complaint = f"QEMU answered {done.returncode}: {done.stderr}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        complaint = f"it was not powered off in {_PATIENCE} s"
    serial = _TERMINAL.sub("", (folder / "serial").read_text(errors="replace"))
    assert not complaint, f"{complaint}\n{serial[-3000:]}"
    return serial

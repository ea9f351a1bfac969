"""Machines that QEMU emulates: what they print on their serial port until they are powered off."""

import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 120  # seconds; a start takes some 15
_STEP = 0.1
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
    return printed(folder, command)


def printed(folder: Path, command: Sequence[str | Path], *, answer: int = 0, until: str = "") -> str:
    """What a machine prints until it ends.

    Args:
        folder: for the file `serial`, to which the machine prints.
        command: of QEMU.
        answer: with which it has to end.
        until: what it prints at last, if it does not end by itself.
    """
    serial = folder / "serial"
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + _PATIENCE
    with process:
        while process.poll() is None and time.monotonic() < end and not (until and until in _text(serial)):
            time.sleep(_STEP)
        goes_on = process.poll() is None
        if goes_on:
            process.kill()
        said = process.stdout.read() if process.stdout else b""
    text = _text(serial)
    if until:
        assert until in text, f"it did not print {until!r}: {said!r}\n{text[-3000:]}"
    else:
        assert not goes_on, f"it did not end in {_PATIENCE} s\n{text[-3000:]}"
        assert process.returncode == answer, f"QEMU answered {process.returncode}: {said!r}\n{text[-3000:]}"
    return text


def _text(serial: Path) -> str:
    return _TERMINAL.sub("", serial.read_text(errors="replace")) if serial.exists() else ""

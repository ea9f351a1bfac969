"""Machines that QEMU emulates: what they print on their serial port until they are powered off."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 240  # seconds; a start takes some 15, that of a board 40
_STEP = 0.1
_LONG_PATIENCE = 480  # of a system with systemd: some 60, and four times that on a busy machine
_NO_CONNECTION = 255  # what ssh answers then
_TERMINAL = re.compile(r"\x1b[\[\]()][0-9;?=]*[A-Za-z]?|\x1b.|\r")

_OVMF = Path("/usr/share/OVMF")


@dataclass(frozen=True)
class Firmware:
    """What starts a machine.

    Attributes:
        code: file of UEFI firmware; None: a BIOS.
        variables: what that remembers, as it is at first; None: nothing.
        machine: with it, as QEMU is told.
    """

    code: Path | None = None
    variables: Path | None = None
    machine: tuple[str, ...] = ("qemu-system-x86_64",)


BIOS = Firmware()
UEFI = Firmware(_OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd")
UEFI32 = Firmware(_OVMF / "OVMF32_CODE_4M.secboot.fd", _OVMF / "OVMF32_VARS_4M.fd")
ARM64_UEFI = Firmware(
    Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
    machine=("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57"),
)


@dataclass(frozen=True)
class Drive:
    """A disk, as QEMU is told of it."""

    path: Path
    format: str = "raw"
    interface: str = "virtio"

    @property
    def options(self) -> list[str]:
        """QEMU's."""
        return ["-drive", f"if={self.interface},format={self.format},file={self.path}"]


@dataclass(frozen=True)
class Cd:
    """A CD in its drive.

    Attributes:
        path: of the image.
        interface: of the drive: `ide` or `scsi`.
    """

    path: Path
    interface: str

    @property
    def options(self) -> list[str]:
        """QEMU's."""
        controllers = ["-device", "virtio-scsi-pci"] if self.interface == "scsi" else []
        drive = f"if=none,id=cd,media=cdrom,readonly=on,format=raw,file={self.path}"
        return [*controllers, "-device", f"{self.interface}-cd,drive=cd", "-drive", drive]


def started(folder: Path, *drives: Drive | Cd, firmware: Firmware = BIOS) -> str:
    """What a machine printed, which powered itself off; its disks were written to.

    Args:
        folder: for its files.
        drives: its disks.
        firmware: what starts it.
    """
    return printed(folder, [*_machine(folder, drives, firmware), "-m", "512", "-nic", "none"])


def _machine(folder: Path, drives: Iterable[Drive | Cd], firmware: Firmware) -> list[str]:
    command = [*firmware.machine, "-accel", "tcg", "-display", "none", "-monitor", "none", "-no-reboot"]
    command += ["-serial", f"file:{folder / 'serial'}"]
    if firmware.code and firmware.variables:
        variables = shutil.copy(firmware.variables, folder / "variables")
        if "secboot" in firmware.code.name:  # it alone writes to flash memory in system management mode
            command += ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
        else:
            command += ["-machine", "q35"]
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}"]
        command += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    elif firmware.code:
        command += ["-bios", str(firmware.code)]
    for drive in drives:
        command += drive.options
    return command


def printed(
    folder: Path, command: Sequence[str | Path], *, answer: int = 0, until: str = "", typed: Path | None = None
) -> str:
    """What a machine prints until it ends.

    Args:
        folder: for the file `serial`, to which the machine prints.
        command: of QEMU.
        answer: with which it has to end.
        until: what it prints at last, if it does not end by itself.
        typed: what somebody types on its terminal.
    """
    serial = folder / "serial"
    end = time.monotonic() + _PATIENCE
    with (
        open(typed or os.devnull, "rb") as terminal,
        subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
    ):
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


@dataclass(frozen=True)
class Running:
    """A machine that runs.

    Attributes:
        folder: with its files.
        port: of this machine, behind which is its port for ssh.
        process: QEMU.
    """

    folder: Path
    port: int
    process: subprocess.Popen[str]

    def ssh(self, user: str, key: Path, command: str) -> str:
        """What a command prints over ssh, as soon as somebody answers there."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        settings = [word for option in (*options, "ConnectTimeout=60") for word in ("-o", option)]
        program = ["ssh", "-F", "none", *settings, "-i", str(key), "-p", str(self.port), f"{user}@127.0.0.1", command]
        end = time.monotonic() + _LONG_PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            done = subprocess.run(program, capture_output=True, text=True, timeout=_LONG_PATIENCE, check=False)
            if done.returncode != _NO_CONNECTION:
                return done.stdout
            time.sleep(1)
        raise AssertionError(f"nobody answers:\n{_text(self.folder / 'serial')[-3000:]}")


@contextlib.contextmanager
def running(folder: Path, *drives: Drive, firmware: Firmware = BIOS) -> Iterator[Running]:
    """A machine with a network of its own; who uses it powers it off."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*_machine(folder, drives, firmware), "-m", "1024", "-smp", "2"]
    command += ["-nic", f"user,model=virtio,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-rng-pci"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield Running(folder, port, process)
        assert process.wait(_LONG_PATIENCE) == 0
    except BaseException:
        process.kill()
        raise
    finally:
        _, complaint = process.communicate()
    assert not complaint

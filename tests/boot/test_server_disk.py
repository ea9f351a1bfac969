"""The example `server` as a disk: made by the command line, started by UEFI firmware, and people get in."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.oracle.qemu import ARM64_UEFI, UEFI, Drive, Firmware, running
from tests.support.command_line import OCIPACK
from tests.support.foreign_debian import main_mirror
from tests.support.server import EXAMPLE, Server

#: What is to be true of a server that has started: command and answer.
ANSWERS = {
    "systemctl is-system-running --wait": "running\n",
    "systemctl --failed --no-legend --plain": "",
    "systemctl is-active ssh.service multi-user.target": "active\nactive\n",
    "findmnt --noheadings --raw --output FSTYPE,OPTIONS / | cut -d, -f 1": "ext4 rw\n",
    "findmnt --noheadings --raw --output FSTYPE /boot/efi": "vfat\n",
    "test -e /run/initramfs/fsck-root && echo checked": "checked\n",
    "sudo dpkg --audit": "",
}


#: What of the example is another for another processor.
FOR_ARM64 = {
    "x86_64-linux": "aarch64-linux",
    '"grub-efi-amd64-bin", "grub-pc-bin", "linux-image-cloud-amd64"': '"linux-image-cloud-arm64", "systemd-boot-efi"',
    "console=ttyS0": "console=ttyAMA0",
    # The other pockets of a mirror may be without this processor.
    'type = "debian"\n': f'type = "debian"\nmirror = "{main_mirror()}"\nsuite = "bookworm"\n',
}


@pytest.mark.parametrize(
    ("firmware", "changes", "processor"),
    [(UEFI, {}, "x86_64"), (ARM64_UEFI, FOR_ARM64, "aarch64")],
    ids=["x86_64", "arm64"],
)
def test_a_server_starts_and_lets_its_user_in(
    firmware: Firmware, changes: Mapping[str, str], processor: str, server: Server, tmp_path: Path
) -> None:
    text = (EXAMPLE / "os.toml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    declaration = tmp_path / "os.toml"
    declaration.write_text(text)
    (tmp_path / "ada.pub").write_bytes(server.key.with_suffix(".pub").read_bytes())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(server.cache)}
    command: list[str | Path] = [OCIPACK, "efi-raw", "-q", "-o", tmp_path / "disk", declaration]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    with running(tmp_path, Drive(tmp_path / "disk"), firmware=firmware) as machine:
        script = "; ".join(f"{command}; echo -" for command in ANSWERS)
        # A while later: without a network, ssh would not say that all went well.
        said = machine.ssh(
            "ada", server.key, f"{script}; uname -m; sudo systemd-run -q --on-active=3 systemctl poweroff"
        )
    *answers, kind = said.split("-\n")
    assert dict(zip(ANSWERS, answers, strict=True)) == ANSWERS
    assert kind == f"{processor}\n"
    assert "Power down" in (tmp_path / "serial").read_text(errors="replace")

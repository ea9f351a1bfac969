"""The example `server` as a disk: made by the command line, started by UEFI firmware, and people get in."""

import os
import subprocess
from pathlib import Path

from tests.oracle.qemu import UEFI, Drive, running
from tests.support.command_line import OCIPACK
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


def test_a_server_starts_and_lets_its_user_in(server: Server, tmp_path: Path) -> None:
    declaration = tmp_path / "os.toml"
    declaration.write_bytes((EXAMPLE / "os.toml").read_bytes())
    (tmp_path / "ada.pub").write_bytes(server.key.with_suffix(".pub").read_bytes())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(server.cache)}
    command: list[str | Path] = [OCIPACK, "efi-raw", "-q", "-o", tmp_path / "disk", declaration]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    with running(tmp_path, Drive(tmp_path / "disk"), firmware=UEFI) as machine:
        script = "; ".join(f"{command}; echo -" for command in ANSWERS)
        # A while later: without a network, ssh would not say that all went well.
        said = machine.ssh("ada", server.key, f"{script}; sudo systemd-run -q --on-active=3 systemctl poweroff")
    assert dict(zip(ANSWERS, said.split("-\n"), strict=False)) == ANSWERS
    assert "Power down" in (tmp_path / "serial").read_text(errors="replace")

"""busybox, which is all that an initrd runs: what it would do there."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


def extracted(initrd: bytes, folder: Path) -> Path:
    """An initrd's files; devices are left out where nobody may make them."""
    subprocess.run(["cpio", "--extract", "--quiet", "--no-absolute-filenames"], input=initrd, cwd=folder, check=False)
    return folder


def loaded(initrd: Path, devices: Iterable[str]) -> list[str]:
    """The modules that modprobe loads for devices, in this order.

    Args:
        initrd: its files, of any processor.
        devices: as the kernel calls them, in their `modalias`.
    """
    shutil.copy("/bin/busybox", initrd / "bin/busybox")
    here = initrd / "lib/modules" / os.uname().release
    if not here.is_symlink():
        here.symlink_to(".")  # as init.sh does
    command: list[str | Path] = ["chroot", initrd, "/bin/busybox", "modprobe", "-D", "-a", "-q", *devices]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not said.stderr
    return [Path(line.split()[1]).stem for line in said.stdout.splitlines()]

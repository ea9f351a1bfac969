"""Containers as others read them: qemu-img and dissect.hypervisor."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dissect.hypervisor.disk.qcow2 import QCow2
from dissect.hypervisor.disk.vdi import VDI
from dissect.hypervisor.disk.vhd import VHD
from dissect.util.stream import AlignedStream

#: QEMU's names of formats, by suffix.
FORMATS = {".raw": "raw", ".qcow2": "qcow2", ".vdi": "vdi", ".vhd": "vpc"}


def _said(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout + done.stderr


def complaints(path: Path) -> str:
    """What `qemu-img check` has against a file; it checks no raw disks and no VHDs."""
    if path.suffix in (".raw", ".vhd"):
        return ""
    code, said = _said("qemu-img", "check", "-f", FORMATS[path.suffix], path)
    return said if code or "No errors were found on the image." not in said else ""


def difference(raw: Path, path: Path) -> str:
    """In what qemu-img finds a container to be another disk than a raw one."""
    code, said = _said("qemu-img", "compare", "-f", "raw", "-F", FORMATS[path.suffix], raw, path)
    return "" if not code and said == "Images are identical.\n" else said


def facts(path: Path) -> dict[str, object]:
    """What qemu-img says of a file; nothing if it cannot open it."""
    code, said = _said("qemu-img", "info", "--output=json", "-f", FORMATS[path.suffix], path)
    return {} if code else json.loads(said)


@contextlib.contextmanager
def by_dissect(path: Path) -> Iterator[AlignedStream]:
    """The disk in a file that is not raw."""
    with open(path, "rb") as file:
        if path.suffix == ".vhd":
            yield VHD(file)
        else:
            yield QCow2(file).open() if path.suffix == ".qcow2" else VDI(file).open()


def same_by_dissect(raw: Path, path: Path, pieces: list[tuple[int, int]]) -> bool:
    """Whether dissect reads the same as is in a raw disk, in some ranges of (offset, size)."""
    with open(raw, "rb") as expected, by_dissect(path) as disk:
        for offset, size in pieces:
            # Never across blocks: dissect takes those of a VDI for neighbours in the file.
            for start in range(offset // 65536 * 65536, offset + size, 65536):
                expected.seek(start)
                disk.seek(start)
                if expected.read(65536) != disk.read(65536):
                    return False
    return True

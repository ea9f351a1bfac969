"""FAT as others read it: dosfstools, mtools, blkid and GRUB."""

import os
import re
import subprocess
from pathlib import Path

_ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "0"}


def said(*command: str | Path) -> str:
    """What a program says, whether it fails or not."""
    done = subprocess.run(command, capture_output=True, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, check=False)
    return (done.stdout + done.stderr).decode(errors="surrogateescape")


def complaints(volume: Path) -> str:
    """What fsck.fat has against a volume, even if it lets it pass; nothing if it is clean."""
    answer = said("fsck.fat", "-n", volume)
    clean = rf"fsck\.fat \S+ \(\S+\)\n{re.escape(str(volume))}: \d+ files, \d+/\d+ clusters\n"
    return "" if re.fullmatch(clean, answer) else answer


def clusters(volume: Path) -> tuple[int, int]:
    """How many are used, and how many there are."""
    found = re.search(r"(\d+)/(\d+) clusters", said("fsck.fat", "-n", volume))
    assert found
    return int(found[1]), int(found[2])


def kind(volume: Path) -> tuple[int, int]:
    """Bits of the FAT and bytes of a cluster, as fsck.fat sees them."""
    answer = said("fsck.fat", "-n", "-v", volume)
    found = re.search(r"(\d+) bytes per cluster(?:.|\n)* (\d+) bit entries", answer)
    assert found, answer
    return int(found[2]), int(found[1])


def identity(volume: Path) -> dict[str, str]:
    """What blkid says of it."""
    return dict(re.findall(r'(\w+)="([^"]*)"', said("blkid", "-p", volume)))


def listing(volume: Path) -> str:
    """All folders, as mtools show them, with the short names."""
    return said("mdir", "-a", "-/", "-i", volume, "::/")


def everything(volume: Path) -> str:
    """All that they say of a volume, but for the contents of files."""
    check = said("fsck.fat", "-n", "-v", volume)
    return check + said("minfo", "-i", volume) + listing(volume) + said("blkid", "-p", volume)


def contents(volume: Path) -> dict[str, tuple[bytes, int] | None]:
    """Path -> content and time of a file, or None of a folder, as mtools copy them."""
    folder = volume.with_name(f"{volume.name}.copied")
    folder.mkdir()
    listed = said("mdir", "-a", "-b", "-i", volume, "::/").splitlines()
    names = [re.sub(r"[\[\]]", "?", line) for line in listed if line]  # they are patterns
    if names:
        command: list[str | Path] = ["mcopy", "-s", "-m", "-n", "-i", volume, *names, folder]
        subprocess.run(command, check=True, capture_output=True, env=_ENVIRONMENT)
    found: dict[str, tuple[bytes, int] | None] = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        found[str(path.relative_to(folder))] = (path.read_bytes(), int(status.st_mtime)) if path.is_file() else None
    subprocess.run(["rm", "-r", folder], check=True)
    return found


def by_grub(volume: Path, path: str) -> bytes:
    """The content of a file, as GRUB reads it."""
    return subprocess.run(["grub-fstest", volume, "cat", path], capture_output=True, check=True).stdout

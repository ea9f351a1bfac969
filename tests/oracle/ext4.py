"""ext2, ext3 and ext4 as others read them: e2fsprogs, GRUB and the kernel."""

import contextlib
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from layers.entry import Data, Device, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.reader import Reader
from layers.tree import Tree


def run(*command: str | Path, check: bool = True) -> str:
    """What a program says."""
    done = subprocess.run(command, capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode(errors="surrogateescape")
    assert done.returncode == 0 or not check, f"{command}: {text}"
    return text


_CLEAN = re.compile(r"Pass \d: .*|.*: \d+/\d+ files \(.* non-contiguous\), \d+/\d+ blocks|")


def complaints(volume: Path) -> str:
    """What e2fsck has to say against a volume, even if it lets it pass; nothing if it is clean."""
    done = subprocess.run(["e2fsck", "-fn", volume], capture_output=True, text=True, errors="replace", check=False)
    lines = [line for line in done.stdout.splitlines() if not _CLEAN.fullmatch(line)]
    return "\n".join(lines) or (done.stderr if done.returncode else "")


def header(volume: Path) -> dict[str, str]:
    """The superblock, as dumpe2fs shows it."""
    return dict(re.findall(r"^([^:\n]+):[ \t]+(.*)$", run("dumpe2fs", "-h", volume), re.MULTILINE))


def debugfs(volume: Path, request: str) -> str:
    """The answer of debugfs."""
    return subprocess.run(["debugfs", "-R", request, volume], capture_output=True, text=True, check=True).stdout


def names(volume: Path) -> set[str]:
    """What is in the root folder, but for what mke2fs makes there, too."""
    fields = (line.split("/") for line in debugfs(volume, "ls -p /").splitlines() if line)
    return {found[5] for found in fields} - {".", "..", "lost+found"}


def by_grub(volume: Path, path: str) -> bytes:
    """The content of a file, as GRUB reads it."""
    return subprocess.run(["grub-fstest", volume, "cat", path], capture_output=True, check=True).stdout


@contextlib.contextmanager
def mounted(volume: Path, options: str = "ro") -> Iterator[Path]:
    """The volume, mounted by the kernel."""
    place = volume.with_name(f"{volume.name}.mounted")
    place.mkdir()
    run("mount", "-t", "ext4", "-o", f"loop,{options}", volume, place)
    try:
        yield place
    except BaseException:
        run("umount", "--lazy", place)  # what failed may still have a file open
        raise
    run("umount", place)
    place.rmdir()


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is at a path.

    Attributes:
        mode: type and permissions.
        owner: user and group.
        links: names of a file, or 0 for what is none.
        size: bytes of a file.
        content: hash of a file's bytes, or the target of a symbolic link.
        device: numbers of a device.
        xattrs: all of them.
        times: of access, of change of the content and of the inode.
    """

    mode: int
    owner: tuple[int, int]
    links: int
    size: int
    content: bytes
    device: tuple[int, int]
    xattrs: tuple[tuple[bytes, bytes], ...]
    times: tuple[float, float, float]


def seen(mountpoint: Path) -> dict[bytes, Seen]:
    """Everything below a mount point, but for lost+found."""
    top = os.fsencode(mountpoint)
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            place = os.path.join(folder, name)
            found[os.path.relpath(place, top)] = _seen(place)
    found.pop(b"lost+found", None)
    return found


def _seen(place: bytes) -> Seen:
    status = os.lstat(place)
    is_file = stat.S_ISREG(status.st_mode)
    content = b""
    if is_file:
        with open(place, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(place)
    names = sorted(map(os.fsencode, os.listxattr(place, follow_symlinks=False)))
    return Seen(
        status.st_mode,
        (status.st_uid, status.st_gid),
        status.st_nlink if is_file else 0,
        status.st_size if is_file else 0,
        content,
        (os.major(status.st_rdev), os.minor(status.st_rdev)),
        tuple((name, os.getxattr(place, name, follow_symlinks=False)) for name in names),
        (status.st_atime, status.st_mtime, status.st_ctime),
    )


_TYPES = {File: stat.S_IFREG, Directory: stat.S_IFDIR, Symlink: stat.S_IFLNK}


def expected(tree: Tree, epoch: int) -> dict[bytes, Seen]:
    """What there should be of a tree, everything as old as the epoch."""
    links = _links(tree)
    found = {}
    with Reader() as reader:
        for entry in tree:
            file = tree.get(entry.target) if isinstance(entry, Hardlink) else entry
            assert file is not None and not isinstance(file, Hardlink)
            found[entry.path] = _expected(file, links.get(file.path, 1), (float(epoch),) * 3, reader)
    found.pop(b"lost+found", None)
    return found


def _links(tree: Iterable[Entry]) -> dict[bytes, int]:
    links: dict[bytes, int] = {}
    for entry in tree:
        if isinstance(entry, Hardlink):
            links[entry.target] = links.get(entry.target, 1) + 1
    return links


def _expected(
    entry: File | Directory | Symlink | Device, links: int, times: tuple[float, float, float], reader: Reader
) -> Seen:
    meta: Meta = entry.meta
    content, size, device = b"", 0, (0, 0)
    if isinstance(entry, File):
        size = entry.content.size
        data = entry.content.data if isinstance(entry.content, Data) else reader.read(entry.content, 1 << 30)
        content = hashlib.sha256(data).digest()
    elif isinstance(entry, Symlink):
        content = entry.target
    elif isinstance(entry, Device):
        device = (entry.major, entry.minor)
    kind = entry.kind.value if isinstance(entry, Device) else _TYPES[type(entry)]
    is_file = isinstance(entry, File)
    return Seen(
        kind | meta.mode, (meta.uid, meta.gid), links if is_file else 0, size, content, device, meta.xattrs, times
    )


def by_debugfs(volume: Path, path: str) -> bytes:
    """The content of a file, as debugfs reads it."""
    return subprocess.run(["debugfs", "-R", f"cat {path}", volume], capture_output=True, check=True).stdout

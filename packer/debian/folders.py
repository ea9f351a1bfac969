"""Folders and links that every root has, whichever packages are in it (hier(7), file-hierarchy(7), FHS 3.0)."""

from collections.abc import Iterator

from layers.entry import Directory, Entry, Meta, Symlink
from packer.debian.unpacked import Unpacked

_FOLDERS = (
    ("boot", 0o755), ("dev", 0o755), ("etc", 0o755), ("etc/opt", 0o755), ("home", 0o755), ("media", 0o755),
    ("mnt", 0o755), ("opt", 0o755), ("proc", 0o755), ("root", 0o700), ("run", 0o755), ("run/lock", 0o1777),
    ("srv", 0o755), ("sys", 0o755), ("tmp", 0o1777), ("usr/local", 0o755), ("usr/local/bin", 0o755),
    ("usr/local/etc", 0o755), ("usr/local/games", 0o755), ("usr/local/include", 0o755), ("usr/local/lib", 0o755),
    ("usr/local/sbin", 0o755), ("usr/local/share", 0o755), ("usr/local/share/man", 0o755), ("usr/local/src", 0o755),
    ("var/cache", 0o755), ("var/lib", 0o755), ("var/log", 0o755), ("var/opt", 0o755), ("var/spool", 0o755),
    ("var/tmp", 0o1777),
)  # fmt: skip

_MAIL = 8  # group `mail`: debian-policy, 9.2.2

_LINKS = (
    ("etc/mtab", "../proc/self/mounts"),
    ("usr/local/man", "share/man"),
    ("var/spool/mail", "../mail"),
)


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The folders and links."""
    yield from unpacked.links
    for path, mode in _FOLDERS:
        yield Directory(path.encode(), Meta(mode))
    yield Directory(b"var/mail", Meta(0o2775, 0, _MAIL))
    for path, target in _LINKS:
        yield Symlink(path.encode(), target.encode())

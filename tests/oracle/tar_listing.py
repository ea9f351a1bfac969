"""What is in a tar, as GNU tar, bsdtar and Python's tarfile read it, in one form that can be compared."""

import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Member:
    """An entry as a reader sees it.

    Attributes:
        kind: the letter of `ls -l`; `h` for a hard link.
        path: without a slash at its end.
        mode: permission bits.
        uid: owner.
        gid: group.
        mtime: seconds since 1970.
        size: bytes of the content.
        target: of a link.
        device: major and minor number of a device.
        xattrs: names of extended attributes below `user.`, with the sizes of their values.
    """

    kind: str
    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: bytes
    device: tuple[int, int]
    xattrs: tuple[tuple[str, int], ...] = ()


_KINDS = {
    tarfile.REGTYPE: "-",
    tarfile.LNKTYPE: "h",
    tarfile.SYMTYPE: "l",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
    tarfile.DIRTYPE: "d",
    tarfile.FIFOTYPE: "p",
}


def by_tarfile(archive: Path) -> list[Member]:
    """As Python's tarfile reads it."""
    with tarfile.open(archive, encoding="utf-8", errors="surrogateescape") as file:
        return [_from_tarfile(info) for info in file]


def _from_tarfile(info: tarfile.TarInfo) -> Member:
    kind = _KINDS[info.type]
    xattrs = {
        name.removeprefix("SCHILY.xattr."): len(os.fsencode(value))
        for name, value in info.pax_headers.items()
        if name.startswith("SCHILY.xattr.user.")
    }
    return Member(
        kind,
        os.fsencode(info.name),
        info.mode,
        info.uid,
        info.gid,
        int(info.mtime),
        info.size,
        os.fsencode(info.linkname),
        (info.devmajor, info.devminor) if kind in "cb" else (0, 0),
        tuple(sorted(xattrs.items())),
    )


_GNU = re.compile(
    rb"(?P<kind>.)(?P<mode>.{9})[ *.+]+ *(?P<uid>\d+)/(?P<gid>\d+) +(?:(?P<major>\d+),)?(?P<size>\d+)"
    rb' (?P<time>\S+ \S+) "(?P<path>(?:[^"\\]|\\.)*)"(?: (?:->|link to) "(?P<target>(?:[^"\\]|\\.)*)")?'
)
_GNU_XATTR = re.compile(rb"  x: (?P<size>\d+) (?P<name>user\..*)")


def by_gnu_tar(archive: Path) -> list[Member]:
    """As GNU tar reads it."""
    listing = _listing("tar", "--numeric-owner", "--full-time", "--quoting-style=c", "--xattrs", "-tvvf", archive)
    members: list[Member] = []
    for line in listing.splitlines():
        if xattr := _GNU_XATTR.fullmatch(line):
            last = members.pop()
            found = (xattr["name"].decode(), int(xattr["size"]))
            members.append(replace(last, xattrs=tuple(sorted((*last.xattrs, found)))))
            continue
        match = _GNU.fullmatch(line)
        assert match, line
        mtime = int(datetime.fromisoformat(match["time"].decode() + "+00:00").timestamp())
        members.append(_from_line(match, mtime))
    return members


_BSD = re.compile(
    rb"(?P<kind>.)(?P<mode>.{9})\+? +\d+ +(?P<uid>\d+) +(?P<gid>\d+) +(?:(?P<major>\d+),)?(?P<size>\d+)"
    rb" \w+ +\d+ +[\d:]+ (?P<path>.*?)(?: (?:->|link to) (?P<target>.*))?"
)


def by_bsdtar(archive: Path) -> list[Member]:
    """As bsdtar reads it; its listing has no seconds, so that times come from the mtree that it makes."""
    mtree = _listing("bsdtar", "-cf", "-", "--format=mtree", "--options=!all,time", b"@" + os.fsencode(archive))
    times = {}
    for line in mtree.splitlines()[1:]:
        path, _, time = line.partition(b" time=")
        times[_plain(path).removeprefix(b"./")] = int(float(time.split()[0]))
    return [replace(member, mtime=times[member.path]) for member in by_bsdtar_without_times(archive)]


def by_bsdtar_without_times(archive: Path) -> list[Member]:
    """As bsdtar lists it, without reading contents: for archives of many GiB. All times are 0."""
    members = []
    for line in _listing("bsdtar", "--numeric-owner", "-tvf", archive).splitlines():
        match = _BSD.fullmatch(line)
        assert match, line
        members.append(_from_line(match, 0))
    return members


def _from_line(match: re.Match[bytes], mtime: int) -> Member:
    kind = match["kind"].decode()
    device = (int(match["major"]), int(match["size"])) if match["major"] else (0, 0)
    return Member(
        kind,
        _plain(match["path"]).rstrip(b"/"),
        _mode(match["mode"].decode()),
        int(match["uid"]),
        int(match["gid"]),
        mtime,
        0 if match["major"] else int(match["size"]),
        _plain(match["target"] or b""),
        device,
    )


def without_xattrs(members: list[Member]) -> list[Member]:
    """The members as a reader lists them that does not show extended attributes."""
    return [replace(member, xattrs=()) for member in members]


#: All readers by name; each gives the members in the order of the archive.
READERS: dict[str, Callable[[Path], list[Member]]] = {
    "tarfile": by_tarfile,
    "GNU tar": by_gnu_tar,
    "bsdtar": by_bsdtar,
}

_HARMLESS = b"tar: Ignoring unknown extended header keyword 'hdrcharset'"


def _listing(*command: str | bytes | Path) -> bytes:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    complaints = [line for line in done.stderr.splitlines() if line != _HARMLESS]
    assert done.returncode == 0, complaints
    assert not complaints
    return done.stdout


def _mode(letters: str) -> int:
    """The number of `rwsr-xr-t`."""
    mode = 0
    for place, letter in enumerate(letters):
        bit = 1 << (8 - place)
        if letter in "rwxst":
            mode |= bit
        if letter in "sStT":
            mode |= {2: 0o4000, 5: 0o2000, 8: 0o1000}[place]
    return mode


_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}


def _plain(escaped: bytes) -> bytes:
    return b"".join(_unescaped(escaped))


def _unescaped(escaped: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"\\([0-7]{3})|\\(.)|([^\\]+)", escaped, re.DOTALL):
        octal, letter, text = match.groups()
        if octal:
            yield bytes([int(octal, 8)])
        elif letter:
            yield bytes([_LETTERS[letter]]) if letter in _LETTERS else letter
        else:
            yield text

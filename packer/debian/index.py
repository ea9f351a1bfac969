"""What is in a package: read once from its two tar archives, then kept as columns that load fast.

The index of a package stands beside its archives, as one line of JSON and one with the line's SHA-256. Columns, not
rows, because JSON takes and gives long strings and lists of numbers at once: the 4,941 entries of a kernel load in
4 ms, and become entries in another 10.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from layers.entry import (
    FILE,
    FOLDER,
    LINK,
    Device,
    DeviceKind,
    Directory,
    Entry,
    File,
    Hardlink,
    Meta,
    Slice,
    Symlink,
    checked_path,
)
from layers.errors import PackError

DATA = "data.tar"
CONTROL = "control.tar"
INDEX = "index"

_FORMAT = 1  # of the index; another one is made anew
_SEPARATOR = "\0"  # the one character that no path has
_BLOCK = 512
_CHUNK = 1 << 20
_LARGEST_MEMBER = 16 << 20  # of control.tar: the largest md5sums of Debian has 5 MiB
_LARGEST_EXTENSION = 1 << 20  # of a long name or of pax records
_MOST_MEMBERS = 256  # of control.tar
_LAST_ID = 2**32 - 2
_XATTR = "SCHILY.xattr."
_XATTR_NAMESPACES = ("security.", "system.posix_acl_", "trusted.", "user.")
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_KINDS = {
    tarfile.REGTYPE: "f",
    tarfile.AREGTYPE: "f",
    tarfile.CONTTYPE: "f",
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
    tarfile.FIFOTYPE: "p",
}
_DEVICES = {"c": DeviceKind.CHARACTER, "b": DeviceKind.BLOCK, "p": DeviceKind.FIFO}
_SHARED = {meta: meta for meta in (FILE, FOLDER, LINK)}


class DebError(PackError):
    """A .deb that is damaged, or holds what no package may hold."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is in `data.tar` and `control.tar`.

    Attributes:
        stanza: the control file to the letter, without an empty line at its end.
        members: the other files of control.tar: name -> (offset, size), in bytes.
        digests: MD5 in hexadecimal by path (`/etc/x`): of conffiles; of all files if there is no `md5sums`.
        sizes: bytes of data.tar and of control.tar.
        paths: of the entries, in the order of data.tar.
        kinds: a letter an entry: f, d, l, h, c, b, p.
        numbers: two an entry: offset and size of a file, major and minor of a device, else zeros.
        targets: what symbolic links and hard links lead to, in their order.
        metas: an entry's place in `known`.
        known: the different metadata.
    """

    stanza: str
    members: Mapping[str, tuple[int, int]]
    digests: Mapping[bytes, str]
    sizes: tuple[int, int]
    paths: tuple[bytes, ...]
    kinds: str
    numbers: tuple[int, ...]
    targets: tuple[bytes, ...]
    metas: tuple[int, ...]
    known: tuple[Meta, ...]

    @property
    def file_size(self) -> int:
        """Bytes of all files."""
        return sum(size for kind, size in zip(self.kinds, self.numbers[1::2], strict=True) if kind == "f")

    def entries(self, data: str) -> Iterator[Entry]:
        """The entries, in the order of data.tar.

        Args:
            data: where data.tar is.
        """
        known, targets, numbers = self.known, iter(self.targets), iter(self.numbers)
        for path, kind, place, first, second in zip(self.paths, self.kinds, self.metas, numbers, numbers, strict=True):
            if kind == "f":
                yield File(path, Slice(data, first, second), known[place])
            elif kind == "d":
                yield Directory(path, known[place])
            elif kind == "l":
                yield Symlink(path, next(targets), known[place])
            elif kind == "h":
                yield Hardlink(path, next(targets))
            else:
                yield Device(path, _DEVICES[kind], first, second, known[place])

    def save(self, folder: str) -> None:
        """Write it beside the archives."""
        facts = {
            "format": _FORMAT,
            "stanza": self.stanza,
            "members": self.members,
            "digests": {_text(path): digest for path, digest in self.digests.items()},
            "sizes": self.sizes,
            "paths": _joined(self.paths),
            "kinds": self.kinds,
            "numbers": self.numbers,
            "targets": _joined(self.targets),
            "metas": self.metas,
            "known": [
                [meta.mode, meta.uid, meta.gid, [[name.hex(), value.hex()] for name, value in meta.xattrs]]
                for meta in self.known
            ],
        }
        line = json.dumps(facts, separators=(",", ":")).encode()
        with open(os.path.join(folder, INDEX), "wb") as file:
            file.write(line + b"\n" + hashlib.sha256(line).hexdigest().encode())

    @classmethod
    def load(cls, folder: str) -> "Index | None":
        """The index of a folder; none if it, or an archive beside it, is missing or not whole."""
        try:
            with open(os.path.join(folder, INDEX), "rb") as file:
                line, _, checksum = file.read().partition(b"\n")
            sizes = tuple(os.stat(os.path.join(folder, name)).st_size for name in (DATA, CONTROL))
        except OSError:
            return None
        if hashlib.sha256(line).hexdigest().encode() != checksum:
            return None
        facts = json.loads(line)
        if facts["format"] != _FORMAT or tuple(facts["sizes"]) != sizes:
            return None
        return cls._from_json(facts)

    @classmethod
    def _from_json(cls, facts: Any) -> "Index":
        metas = [
            Meta(mode, uid, gid, tuple((bytes.fromhex(name), bytes.fromhex(value)) for name, value in xattrs))
            for mode, uid, gid, xattrs in facts["known"]
        ]
        return cls(
            facts["stanza"],
            {name: (offset, size) for name, (offset, size) in facts["members"].items()},
            {_bytes(path): digest for path, digest in facts["digests"].items()},
            (facts["sizes"][0], facts["sizes"][1]),
            _split(facts["paths"]),
            facts["kinds"],
            tuple(facts["numbers"]),
            _split(facts["targets"]),
            tuple(facts["metas"]),
            tuple(_SHARED.get(meta, meta) for meta in metas),
        )


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")  # whatever the locale is


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _joined(paths: tuple[bytes, ...]) -> str:
    return "".join(_text(path) + _SEPARATOR for path in paths)


def _split(text: str) -> tuple[bytes, ...]:
    return tuple(_bytes(text).split(b"\0")[:-1])


def read_index(folder: str, origin: str) -> Index:
    """Read the two archives of a folder.

    Args:
        folder: holds them.
        origin: the .deb that they come from, for the message.

    Raises:
        DebError: one of them is damaged, or holds what no package may hold.
        EntryError: a path leads out of the package.
    """
    control, data = os.path.join(folder, CONTROL), os.path.join(folder, DATA)
    members = _control_members(control, f"{CONTROL} of {origin}")
    if "control" not in members:
        raise DebError(f"{origin} has no control file")
    stanza = _read(control, *members.pop("control")).decode("utf-8", "surrogateescape").rstrip("\n")
    builder = _Builder(f"{DATA} of {origin}")
    for member in _tar_members(data, builder.origin):
        builder.add(member)
    digests: dict[bytes, str] = {}
    conffiles = _conffiles(_read(control, *members["conffiles"])) if "conffiles" in members else ()
    for path in builder.files if "md5sums" not in members else conffiles:
        if path in builder.files:
            digests[b"/" + path] = _md5(data, *builder.files[path])
    return Index(
        stanza,
        members,
        digests,
        (os.stat(data).st_size, os.stat(control).st_size),
        tuple(builder.paths),
        "".join(builder.kinds),
        tuple(builder.numbers),
        tuple(builder.targets),
        tuple(builder.metas),
        tuple(builder.known),
    )


def _conffiles(data: bytes) -> tuple[bytes, ...]:
    """Paths as entries have them; flags stand before a path (deb-conffiles(5)), and those files are not there."""
    return tuple(line.strip().lstrip(b"/") for line in data.split(b"\n") if line.startswith(b"/"))


class _Builder:
    """Makes columns of the members of data.tar."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.paths: list[bytes] = []
        self.kinds: list[str] = []
        self.numbers: list[int] = []
        self.targets: list[bytes] = []
        self.metas: list[int] = []
        self.known: dict[Meta, int] = {}
        self.files: dict[bytes, tuple[int, int]] = {}  # hard links included
        self._seen: dict[bytes, str] = {}

    def add(self, member: tarfile.TarInfo) -> None:
        path = checked_path(_bytes(member.name), self.origin)
        kind = _KINDS.get(member.type, "")
        if not kind or member.issparse():
            raise DebError(f"{self.origin}: {member.name!r} is of a type that packages do not have: {member.type!r}")
        if path in self._seen:
            if kind == self._seen[path] == "d":
                return  # some old packages name a folder twice
            raise DebError(f"{self.origin}: {member.name!r} is there twice")
        self._seen[path] = kind
        numbers = (0, 0)
        if kind == "f":
            numbers = self.files[path] = (member.offset_data, member.size)
        elif kind == "h":
            self.targets.append(self._linked(path, member))
        elif kind == "l":
            self.targets.append(self._target(member))
        elif kind in "cb":
            numbers = (member.devmajor, member.devminor)
        self.paths.append(path)
        self.kinds.append(kind)
        self.numbers += numbers
        self.metas.append(self.known.setdefault(self._meta(member), len(self.known)))

    def _linked(self, path: bytes, member: tarfile.TarInfo) -> bytes:
        target = checked_path(_bytes(member.linkname), self.origin)
        if target not in self.files:
            raise DebError(f"{self.origin}: {member.name!r} is a hard link to what is no earlier file of the package")
        self.files[path] = self.files[target]
        return target

    def _target(self, member: tarfile.TarInfo) -> bytes:
        if not member.linkname or "\0" in member.linkname:
            raise DebError(f"{self.origin}: {member.name!r} is a symbolic link to nothing")
        return _bytes(member.linkname)

    def _meta(self, member: tarfile.TarInfo) -> Meta:
        if not (0 <= member.uid <= _LAST_ID and 0 <= member.gid <= _LAST_ID):
            raise DebError(f"{self.origin}: {member.name!r} belongs to {member.uid}:{member.gid}")
        xattrs = []
        for key, value in member.pax_headers.items():
            if key.startswith(_XATTR):
                name = key.removeprefix(_XATTR)
                if not name.startswith(_XATTR_NAMESPACES) or not name.isprintable() or "=" in name:
                    raise DebError(f"{self.origin}: {member.name!r} has the extended attribute {name!r}")
                xattrs.append((_bytes(name), _bytes(value)))
        return Meta(member.mode & 0o7777, member.uid, member.gid, tuple(sorted(xattrs)))


def _control_members(path: str, origin: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for member in _tar_members(path, origin):
        name = member.name.removeprefix("./")
        if member.isdir() and name in (".", ""):
            continue
        if not member.isreg() or member.issparse() or not name or "/" in name or name in (".", ".."):
            raise DebError(f"{origin}: {member.name!r} is no plain file of its root")
        if name in found or len(found) == _MOST_MEMBERS or member.size > _LARGEST_MEMBER:
            raise DebError(f"{origin}: {member.name!r} is there twice, is too large, or is one of too many")
        found[name] = (member.offset_data, member.size)
    return found


class _Member(tarfile.TarInfo):
    """A member whose header is checked before tarfile acts on its size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _EXTENSIONS and member.size > _LARGEST_EXTENSION):
            raise tarfile.ReadError(f"a member of {member.size} bytes, of type {member.type!r}")
        return member


def _tar_members(path: str, origin: str) -> Iterator[tarfile.TarInfo]:
    """The members of a tar archive that is whole to its last block.

    The standard library takes a damaged header for the end of the archive, so that what follows the end is looked at;
    and, by its version, it follows sizes backwards or passes over a member with a bad one, so that every member has to
    begin where the one before it ends.
    """
    end, position = os.stat(path).st_size, 0
    with open(path, "rb") as file:
        try:
            with tarfile.TarFile(fileobj=file, tarinfo=_Member, encoding="utf-8", errors="surrogateescape") as archive:
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # or it keeps them all
                    if member.offset != position or not 0 <= member.size <= end - member.offset_data:
                        raise DebError(f"{origin} is damaged: {member.name!r} does not fit into it")
                    position = archive.offset
                    yield member
                position = archive.offset
        except (tarfile.TarError, ValueError, OverflowError) as error:
            raise DebError(f"{origin} is damaged: {error}") from error
        file.seek(position)
        first = file.read(_BLOCK)
        if len(first) < _BLOCK or any(first) or any(any(chunk) for chunk in iter(lambda: file.read(_CHUNK), b"")):
            raise DebError(f"{origin} is damaged at byte {position}")


def _read(path: str, offset: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def _md5(path: str, offset: int, size: int) -> str:
    state = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        file.seek(offset)
        while size and (chunk := file.read(min(size, _CHUNK))):
            state.update(chunk)
            size -= len(chunk)
    return state.hexdigest()

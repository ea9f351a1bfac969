"""What is in a package: read once from its two tar archives, then kept as columns that load fast.

The index of a package stands beside its archives, as one line of JSON and one with the line's SHA-256. Columns, not
rows, because JSON takes and gives long strings and lists of numbers at once: the 4,941 entries of a kernel load in
4 ms, and become entries in another 10.
"""

import hashlib
import json
import os
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
)
from layers.errors import PackError
from layers.tar_reader import ArchiveError, FileStream, Header, Kind, TarReader

DATA = "data.tar"
CONTROL = "control.tar"
INDEX = "index"

_FORMAT = 1  # of the index; another one is made anew
_SEPARATOR = "\0"  # the one character that no path has
_CHUNK = 1 << 20
_LARGEST_MEMBER = 16 << 20  # of control.tar: the largest md5sums of Debian has 5 MiB
_MOST_MEMBERS = 256  # of control.tar
_LAST_ID = 2**32 - 2
_XATTR_NAMESPACES = ("security.", "system.posix_acl_", "trusted.", "user.")
_KINDS = {
    Kind.FILE: "f",
    Kind.DIRECTORY: "d",
    Kind.SYMLINK: "l",
    Kind.HARDLINK: "h",
    Kind.CHARACTER: "c",
    Kind.BLOCK: "b",
    Kind.FIFO: "p",
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
    for member, offset in _members(data, builder.origin):
        builder.add(member, offset)
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

    def add(self, member: Header, offset: int) -> None:
        path, kind = member.path, _KINDS[member.kind]
        if path in self._seen:
            if kind == self._seen[path] == "d":
                return  # some old packages name a folder twice
            raise DebError(f"{self.origin}: {_shown(member)} is there twice")
        self._seen[path] = kind
        numbers = member.device
        if kind == "f":
            numbers = self.files[path] = (offset, member.size)
        elif kind == "h":
            if member.target not in self.files:
                what = f"{_shown(member)} is a hard link to what is no earlier file of the package"
                raise DebError(f"{self.origin}: {what}")
            self.files[path] = self.files[member.target]
        if kind in "hl":
            self.targets.append(member.target)
        self.paths.append(path)
        self.kinds.append(kind)
        self.numbers += numbers
        self.metas.append(self._place(member))

    def _place(self, member: Header) -> int:
        meta = member.meta
        place = self.known.get(meta)
        if place is not None:
            return place
        if max(meta.uid, meta.gid) > _LAST_ID:
            raise DebError(f"{self.origin}: {_shown(member)} belongs to {meta.uid}:{meta.gid}")
        for key, _ in meta.xattrs:
            name = _text(key)
            if not name.startswith(_XATTR_NAMESPACES) or not name.isprintable() or "=" in name:
                raise DebError(f"{self.origin}: {_shown(member)} has the extended attribute {name!r}")
        place = self.known[meta] = len(self.known)
        return place


def _shown(member: Header) -> str:
    return repr(_text(member.path))


def _control_members(path: str, origin: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for member, offset in _members(path, origin):
        if member.kind is Kind.DIRECTORY and not member.path:
            continue
        if member.kind is not Kind.FILE or not member.path or b"/" in member.path:
            raise DebError(f"{origin}: {_shown(member)} is no plain file of its root")
        name = _text(member.path)
        if name in found or len(found) == _MOST_MEMBERS or member.size > _LARGEST_MEMBER:
            raise DebError(f"{origin}: {_shown(member)} is there twice, is too large, or is one of too many")
        found[name] = (offset, member.size)
    return found


def _members(path: str, origin: str) -> Iterator[tuple[Header, int]]:
    """The members of a tar archive that is whole to its last block, and where their contents begin."""
    with open(path, "rb", buffering=0) as file:
        stream = FileStream(file.fileno(), os.fstat(file.fileno()).st_size)
        try:
            for header in TarReader(stream, origin):
                yield header, stream.position
        except ArchiveError as error:
            raise DebError(str(error)) from error


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

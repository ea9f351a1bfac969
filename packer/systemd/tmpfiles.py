"""tmpfiles.d(5): files and folders that must be there, with their owners and modes; what systemd-tmpfiles(8) makes.

    TYPE PATH MODE USER GROUP AGE ARGUMENT

| type | made here |
|---|---|
| d D v q Q | a folder; one that is there gets the mode and the owner of the line |
| e z Z m | mode and owner of what is there, by a pattern; Z with all that is below |
| f | a file with the argument as its content; one that is there gets the mode and the owner of the line |
| L | a symbolic link to the argument, or below /usr/share/factory |
| C | a copy of the argument, or of what is below /usr/share/factory |
| p b c | a FIFO, a device |

Made once for an image, so that it is right before, or without, a first boot. Content that is there is never changed,
whatever `+` says: what a package ships wins. Left to the boot: everything in /dev, /proc, /run, /sys, /tmp and
/var/tmp; lines with `!`; credentials (`^`); specifiers that name a machine; what is removed or written (r R w x X); and
attributes and access control lists (a h t), which the file systems of images need not have.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from layers.entry import FILE, FOLDER, Data, Device, DeviceKind, Directory, Entry, File, Meta, Symlink, parents
from layers.number import LAST_ID, LAST_MAJOR, LAST_MINOR, whole_number
from layers.reader import Reader
from layers.tree import Tree
from packer.accounts import Ids
from packer.systemd.configuration import configuration_files

FOLDERS = (b"etc/tmpfiles.d", b"usr/local/lib/tmpfiles.d", b"usr/lib/tmpfiles.d")

_FACTORY = "/usr/share/factory"
_AT_BOOT = (b"dev", b"proc", b"run", b"sys", b"tmp", b"var/tmp")

_FIELD = r'\s*("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\S+)'
_LINE = re.compile(rf"{_FIELD}{_FIELD}(?:{_FIELD})?(?:{_FIELD})?(?:{_FIELD})?(?:{_FIELD})?(?:\s+(.*))?")
_TYPE = re.compile(r"([a-zA-Z])([+!=~^$?-]*)")
_MODE = re.compile(r"([:~]*)([0-7]{3,4})")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.?)", re.DOTALL)
_ESCAPED = {
    b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"s": b" ", b"t": b"\t", b"v": b"\v",
    b"\\": b"\\", b'"': b'"', b"'": b"'",
}  # fmt: skip

#: Specifiers that are the same on every machine, for the system's manager (tmpfiles.d(5), "Specifiers").
_SPECIFIERS = {
    "%%": "%", "%C": "/var/cache", "%h": "/root", "%L": "/var/log", "%S": "/var/lib", "%T": "/tmp", "%t": "/run",  # noqa: S108
    "%U": "0", "%u": "root", "%V": "/var/tmp", "%g": "root", "%G": "0",  # noqa: S108
}  # fmt: skip

_MAKES_FOLDER = frozenset("dDvqQ")
_BY_PATTERN = frozenset("ezZm")
_DONE = frozenset("fLCpbc") | _MAKES_FOLDER | _BY_PATTERN


@dataclass(frozen=True, slots=True)
class Line:
    """A line that something is made of.

    Attributes:
        kind: the letter.
        path: absolute.
        mode: as it stands there; empty for none.
        user: name or number; empty for none.
        group: name or number; empty for none.
        argument: its escapes replaced, if it is not in base64.
        is_encoded: whether the argument is in base64.
    """

    kind: str
    path: str
    mode: str
    user: str
    group: str
    argument: str
    is_encoded: bool

    @classmethod
    def parse(cls, text: str) -> "Line | None":
        """The line that a text is; None for a comment, for what is left to the boot, and for what is malformed."""
        match = _LINE.fullmatch(text.strip())
        if match is None or text.lstrip().startswith("#"):
            return None
        fields = [unquoted for field in match.groups()[:6] if (unquoted := _unquoted(field or "-")) is not None]
        kind = _TYPE.fullmatch(fields[0]) if len(fields) == 6 else None
        if kind is None or kind[1] not in _DONE or set("!^") & set(kind[2]):
            return None
        is_encoded = "~" in kind[2]
        path, argument = _expanded(fields[1]), _argument(match[7] or "-", is_encoded=is_encoded)
        if path is None or argument is None or not path.startswith("/") or ".." in path.split("/"):
            return None
        mode, user, group = ("" if field == "-" else field for field in fields[2:5])
        return cls(kind[1], path, mode, user, group, argument, is_encoded)


def entries(tree: Tree, reader: Reader, ids: Ids) -> Sequence[Entry]:
    """What the files of tmpfiles.d add to a root, and folders and files of the root that they give others.

    Args:
        tree: the root, with the links of a merged /usr.
        reader: reads the files.
        ids: numbers of the accounts; a line that names another account is left out.

    Returns:
        Entries sorted by path, without the parents that they need.
    """
    lines: list[Line] = []
    for file in configuration_files(tree, FOLDERS, ".conf"):
        text = reader.read(file.content).decode(errors="surrogateescape")
        lines += [line for line in map(Line.parse, text.split("\n")) if line]
    making: dict[str, Line] = {}
    for line in lines:
        if line.kind not in _BY_PATTERN:
            making.setdefault(line.path.rstrip("/"), line)  # of two lines for one path the first counts
    made = _Made(tree, ids)
    for path in sorted(making):
        made.make(making[path])
    for line in lines:
        if line.kind in _BY_PATTERN:
            made.adjust(line)
    return made.entries()


class _Made:
    """A root, and what lines have made of it so far."""

    def __init__(self, tree: Tree, ids: Ids) -> None:
        self._tree = tree
        self._ids = ids
        self._made: dict[bytes, Entry] = {}

    def entries(self) -> Sequence[Entry]:
        return [self._made[path] for path in sorted(self._made)]

    def make(self, line: Line) -> None:
        """Apply a line of a type that makes something."""
        path = self._real(line.path)
        usual = FOLDER if line.kind in _MAKES_FOLDER else FILE
        meta = self._meta(line, usual)
        if meta is None or not path or _is_at_boot(path) or not self._can_be(path):
            return
        there = self._get(path)
        if line.kind == "C":
            self._copy(line, path)
        elif there is None:
            self._put(self._new(line, path, meta))
        elif isinstance(there, Directory if line.kind in _MAKES_FOLDER else File) and line.kind not in "LC":
            self._change(there, line)

    def adjust(self, line: Line) -> None:
        """Apply a line of a type that gives another mode or owner to what is there."""
        path = self._real(line.path)
        for entry in self._matching(path):
            self._change(entry, line)
            if line.kind == "Z":
                for below in self._below(entry.path):
                    self._change(below, line)

    def _new(self, line: Line, path: bytes, meta: Meta) -> Entry | None:
        if line.kind in _MAKES_FOLDER:
            return Directory(path, meta)
        if line.kind == "f":
            content = _content(line)
            return None if content is None else File(path, Data(content), meta)
        if line.kind == "L":
            return Symlink(path, _bytes(line.argument or f"{_FACTORY}{line.path}"))
        if line.kind == "p":
            return Device(path, DeviceKind.FIFO, meta=meta)
        first, _, second = line.argument.partition(":")
        major, minor = whole_number(first, LAST_MAJOR), whole_number(second, LAST_MINOR)
        kind = DeviceKind.BLOCK if line.kind == "b" else DeviceKind.CHARACTER
        return None if major is None or minor is None else Device(path, kind, major, minor, meta)

    def _copy(self, line: Line, path: bytes) -> None:
        source = self._real(line.argument or f"{_FACTORY}{line.path}")
        origin, there = self._get(source), self._get(path)
        if there is not None and (not isinstance(there, Directory) or any(self._below(path))):
            return
        for entry in (origin, *self._below(source)) if origin else ():
            if isinstance(entry, File | Directory | Symlink):
                self._put(replace(entry, path=path + entry.path[len(source) :]))
        if (copied := self._get(path)) is not None and origin:
            self._change(copied, line)

    def _change(self, entry: Entry, line: Line) -> None:
        if isinstance(entry, File | Directory) and not _is_at_boot(entry.path):
            if line.kind == "e" and not isinstance(entry, Directory):
                return
            meta = self._meta(line, entry.meta, is_there=True)
            if meta and "~" in line.mode and isinstance(entry, File):
                meta = replace(meta, mode=meta.mode & 0o777)
            if meta and meta != entry.meta:
                self._put(replace(entry, meta=meta))

    def _meta(self, line: Line, usual: Meta, *, is_there: bool = False) -> Meta | None:
        """The line's mode and owner; None for an account that is not there, or a malformed mode."""
        mode = usual.mode
        if line.mode:
            match = _MODE.fullmatch(line.mode)
            if match is None:
                return None
            if not (is_there and ":" in match[1]):
                mode = _masked(int(match[2], 8), usual.mode) if "~" in match[1] else int(match[2], 8)
        uid = _number(line.user, self._ids.users, usual.uid, is_there=is_there)
        gid = _number(line.group, self._ids.groups, usual.gid, is_there=is_there)
        return None if uid is None or gid is None else replace(usual, mode=mode, uid=uid, gid=gid)

    def _matching(self, pattern: bytes) -> Sequence[Entry]:
        names = _text(pattern).split("/")
        plain = next((rank for rank, name in enumerate(names) if set("*?[") & set(name)), len(names))
        if plain == len(names):
            found = self._get(pattern)
            return [found] if found else []
        folder = _bytes("/".join(names[:plain]))
        return [entry for entry in self._below(folder) if _fits(_text(entry.path).split("/"), names)]

    def _below(self, folder: bytes) -> Iterator[Entry]:
        found = {entry.path: entry for entry in self._tree.below(folder)}
        found |= {path: entry for path, entry in self._made.items() if path.startswith(folder + b"/")}
        return iter([found[path] for path in sorted(found)])

    def _can_be(self, path: bytes) -> bool:
        """Whether nothing but folders is above a path."""
        return all(isinstance(self._get(parent), Directory | None) for parent in parents(path))

    def _put(self, entry: Entry | None) -> None:
        if entry:
            self._made[entry.path] = entry

    def _get(self, path: bytes) -> Entry | None:
        return self._made.get(path) or self._tree.get(path)

    def _real(self, path: str) -> bytes:
        return self._tree.real(_bytes(path))


def _is_at_boot(path: bytes) -> bool:
    return any(path == folder or path.startswith(folder + b"/") for folder in _AT_BOOT)


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def _masked(mode: int, present: int) -> int:
    """The mode without bits that nobody has: of executing, reading or writing (tmpfiles.d(5), "Mode")."""
    for bits in (0o111, 0o222, 0o444):
        mode &= ~0 if present & bits else ~bits
    return mode


def _number(name: str, known: Mapping[str, int], usual: int, *, is_there: bool) -> int | None:
    bare = name.removeprefix(":")
    if not bare or (is_there and bare != name):
        return usual
    number = whole_number(bare, LAST_ID)
    return known.get(bare) if number is None else number


def _content(line: Line) -> bytes | None:
    if not line.is_encoded:
        return _bytes(line.argument)
    try:
        return base64.b64decode("".join(line.argument.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _expanded(text: str) -> str | None:
    """The text with its specifiers replaced; None if one of them is another on each machine."""
    unknown = [found for found in re.findall(r"%.?", text) if found not in _SPECIFIERS]
    return None if unknown else re.sub(r"%.", lambda found: _SPECIFIERS[found[0]], text)


def _argument(field: str, *, is_encoded: bool) -> str | None:
    text = "" if field == "-" else field
    unescaped = text if is_encoded else _unescaped(text)
    return None if unescaped is None else _expanded(unescaped)


def _unquoted(field: str) -> str | None:
    quoted = len(field) > 1 and field[0] == field[-1] and field[0] in "\"'"
    return _unescaped(field[1:-1] if quoted else field)


def _unescaped(text: str) -> str | None:
    """The text with its escapes replaced, which stand for bytes; None if one of them is none, or a NUL."""
    try:
        data = _ESCAPE.sub(_meant, _bytes(text))
    except (KeyError, ValueError):
        return None
    return None if b"\0" in data else _text(data)


def _meant(found: re.Match[bytes]) -> bytes:
    code = found[1]
    if len(code) < 2:
        return _ESCAPED[code]
    if code[:1] in b"uU":
        return chr(int(code[1:], 16)).encode()
    return bytes((int(code[1:], 16) if code.startswith(b"x") else int(code, 8),))


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")

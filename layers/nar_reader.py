"""Reading a NAR: from the archive as a file to an index of its entries, whose contents are slices of that file.

The grammar is in `layers.nar`. It has one way to write a tree, and anything else is refused: names out of order, twice
or with a slash, padding that is not zero, bytes behind the end. What is unpacked by nobody needs no place to go to; but
what lies here is put into images, so no path may lead out of the item.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from layers.entry import LINK, LONGEST_PATH, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import PackError
from layers.output import PendingFile

#: What is in a store has these permissions (nix: src/libstore/posix-fs-canonicalise.cc).
STORE_FILE = Meta(0o444)
STORE_PROGRAM = Meta(0o555)
STORE_FOLDER = Meta(0o555)

#: How deep folders may lie in each other.
MOST_LEVELS = 64

_FORMAT = 1  # of a kept index; another one is made anew
_BUFFER = 1 << 16
_MOST_MEMORY = 256 << 20  # bytes, of an index: a million entries
_ENTRY_BYTES = 200  # of memory, beside path and target
_LONGEST_NAME = 255  # NAME_MAX of every file system that Linux has
_LONGEST_TARGET = 4095  # symlink(2): PATH_MAX without the NUL
_LONGEST_TOKEN = 16  # of the grammar's own words: `nix-archive-1` and a little
_NAME = re.compile(rb"[^/\0]{1,255}", re.DOTALL)
_KIND_METAS = {"f": STORE_FILE, "x": STORE_PROGRAM}


class NarError(PackError):
    """A NAR that is damaged, or that holds what no store has."""


@dataclass(frozen=True, slots=True)
class NarIndex:
    """What is in a NAR, as columns: an index of 5,000 entries is read back in 2 ms.

    Attributes:
        size: bytes of the NAR.
        paths: of the entries below the item, in the order of the archive; the first is the item itself, `b""`.
        kinds: a letter an entry: `f`, a file; `x`, a file that may be executed; `d`, a folder; `l`, a symbolic link.
        numbers: two a file: the offset of its content in the NAR and its size, in bytes.
        targets: of the symbolic links.
    """

    size: int
    paths: tuple[bytes, ...]
    kinds: str
    numbers: tuple[int, ...]
    targets: tuple[bytes, ...]

    @property
    def file_size(self) -> int:
        """Bytes of all files."""
        return sum(self.numbers[1::2])

    def entries(self, root: bytes, nar: str) -> Iterator[Entry]:
        """The entries, in `tree_order`.

        Args:
            root: path of the item, as entries have it: `nix/store/HASH-NAME`.
            nar: where the NAR is on this machine.
        """
        numbers, targets = iter(self.numbers), iter(self.targets)
        below = root + b"/"
        for path, kind in zip(self.paths, self.kinds, strict=True):
            path = below + path if path else root
            if kind == "d":
                yield Directory(path, STORE_FOLDER)
            elif kind == "l":
                yield Symlink(path, next(targets), LINK)
            else:
                yield File(path, Slice(nar, next(numbers), next(numbers)), _KIND_METAS[kind])

    def save(self, folder: str, name: str) -> None:
        """Keep it in a folder.

        Raises:
            OutputError: the folder does not take it.
        """
        facts = {
            "format": _FORMAT,
            "size": self.size,
            "paths": _joined(self.paths),
            "kinds": self.kinds,
            "numbers": self.numbers,
            "targets": _joined(self.targets),
        }
        line = json.dumps(facts, separators=(",", ":")).encode()
        with PendingFile(folder) as file:
            file.write(line + b"\n" + hashlib.sha256(line).hexdigest().encode())
            file.publish(name, mode=0o400, durable=False)

    @classmethod
    def load(cls, path: str) -> "NarIndex | None":
        """The index that was kept, or None if it is not there or not whole."""
        try:
            with open(path, "rb") as file:
                line, _, checksum = file.read().partition(b"\n")
            if hashlib.sha256(line).hexdigest().encode() != checksum:
                return None
            return cls._from_json(json.loads(line))
        except (OSError, ValueError, LookupError, TypeError):
            return None

    @classmethod
    def _from_json(cls, facts: Any) -> "NarIndex | None":
        if facts["format"] != _FORMAT:
            return None
        return cls(
            facts["size"],
            _split(facts["paths"]),
            facts["kinds"],
            tuple(facts["numbers"]),
            _split(facts["targets"]),
        )


def _joined(names: tuple[bytes, ...]) -> str:
    # NUL ends a name: the one byte that no path and no target has.
    return b"".join(name + b"\0" for name in names).decode("utf-8", "surrogateescape")


def _split(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode("utf-8", "surrogateescape").split(b"\0")[:-1])


def read_nar(file: BinaryIO, origin: str) -> NarIndex:
    """Read a NAR from its beginning to its end; the contents of its files are passed over.

    Args:
        file: an open, regular file; where it stands does not matter. It stays open.
        origin: what it is, for the message.

    Raises:
        NarError: it is no NAR, or one that has no place in a store.
    """
    size = os.fstat(file.fileno()).st_size
    with open(file.fileno(), "rb", buffering=_BUFFER, closefd=False) as stream:
        stream.seek(0)
        parser = _Parser(stream, size, origin)
        parser.archive()
    return NarIndex(
        size,
        tuple(parser.paths),
        "".join(parser.kinds),
        tuple(parser.numbers),
        tuple(parser.targets),
    )


class _Parser:
    """Reads strings one by one; each method reads one rule of the grammar."""

    def __init__(self, stream: BinaryIO, size: int, origin: str) -> None:
        self._stream = stream
        self._left = size
        self._size = size
        self._origin = origin
        self._memory = _MOST_MEMORY
        self.paths: list[bytes] = []
        self.kinds: list[str] = []
        self.numbers: list[int] = []
        self.targets: list[bytes] = []

    def archive(self) -> None:
        self._expect(b"nix-archive-1")
        self._node(b"", 0)
        if self._left:
            raise self._wrong(f"{self._left} bytes follow its end")

    def _node(self, path: bytes, level: int) -> None:
        self._expect(b"(")
        self._expect(b"type")
        kind = self._token()
        self._take(_ENTRY_BYTES + len(path))
        self.paths.append(path)
        if kind == b"regular":
            self._regular()
        elif kind == b"directory":
            self.kinds.append("d")
            self._entries(path, level)  # reads the closing parenthesis, too
            return
        elif kind == b"symlink":
            self._symlink(path)
        else:
            raise self._wrong(f"{_shown(path)} is of the unknown type {_shown(kind)}")
        self._expect(b")")

    def _regular(self) -> None:
        token, kind = self._token(), "f"
        if token == b"executable":
            self._expect(b"")
            token, kind = self._token(), "x"
        if token != b"contents":
            raise self._unexpected(token, b"contents")
        self.kinds.append(kind)
        size = self._length(self._left - 8)
        self.numbers += (self._size - self._left, size)
        self._stream.seek(size, os.SEEK_CUR)
        self._left -= size
        self._padding(size)

    def _symlink(self, path: bytes) -> None:
        self._expect(b"target")
        target = self._string(_LONGEST_TARGET)
        if not target or b"\0" in target:
            raise self._wrong(f"the target of {_shown(path)} is empty, or has a NUL")
        self._take(len(target))
        self.kinds.append("l")
        self.targets.append(target)

    def _entries(self, path: bytes, level: int) -> None:
        prefix, last = path + b"/" if path else b"", b""
        while (token := self._token()) != b")":
            if token != b"entry":
                raise self._unexpected(token, b"entry")
            if level == MOST_LEVELS:
                raise self._wrong(f"more than {MOST_LEVELS} folders lie in each other: {_shown(path[:100])}…")
            self._expect(b"(")
            self._expect(b"name")
            last = self._name(path, last)
            if len(prefix) + len(last) > LONGEST_PATH:
                raise self._wrong(f"a path of {len(prefix) + len(last)} bytes")
            self._expect(b"node")
            self._node(prefix + last, level + 1)
            self._expect(b")")

    def _name(self, path: bytes, last: bytes) -> bytes:
        name = self._string(_LONGEST_NAME)
        if not _NAME.fullmatch(name) or name in (b".", b".."):
            raise self._wrong(f"{_shown(path)} has an entry named {_shown(name)}, which no folder can have")
        if name <= last:
            how = "is there twice" if name == last else f"comes after {_shown(last)}"
            raise self._wrong(f"the entries of {_shown(path)} are not sorted: {_shown(name)} {how}")
        return name

    def _take(self, size: int) -> None:
        """Count memory: an archive of a few bytes can be a compressed one of many entries."""
        self._memory -= size
        if self._memory < 0:
            raise self._wrong("it has more entries than any store has")

    def _expect(self, token: bytes) -> None:
        found = self._token()
        if found != token:
            raise self._unexpected(found, token)

    def _token(self) -> bytes:
        return self._string(_LONGEST_TOKEN)

    def _string(self, most: int) -> bytes:
        size = self._length(most)
        data = self._read(size)
        self._padding(size)
        return data

    def _length(self, most: int) -> int:
        size = int.from_bytes(self._read(8), "little")
        if size > most:
            raise self._wrong(f"a string of {size} bytes where at most {most} can be", at=self._size - self._left - 8)
        return size

    def _padding(self, size: int) -> None:
        if -size % 8 and any(self._read(-size % 8)):
            raise self._wrong("the padding of a string is not zero")

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size) if size <= self._left else b""
        if len(data) != size:
            raise self._wrong("it ends too early", at=self._size)
        self._left -= size
        return data

    def _unexpected(self, found: bytes, wanted: bytes) -> NarError:
        return self._wrong(f"{_shown(found)} where {_shown(wanted)} should be")

    def _wrong(self, what: str, at: int | None = None) -> NarError:
        return NarError(
            f"{self._origin} is no valid NAR: {what} (byte {self._size - self._left if at is None else at})"
        )


def _shown(name: bytes) -> str:
    return repr(name.decode(errors="backslashreplace"))

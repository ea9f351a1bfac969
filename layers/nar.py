r"""NAR, the Nix archive: what store items are hashed as.

E. Dolstra, "The Purely Functional Software Deployment Model", section 5.2.1; nix: src/libutil/archive.cc. A string is
its length (64 bits, little endian), its bytes, and zeros up to a multiple of 8:

    archive    str("nix-archive-1") node
    node       str("(") str("type") kind str(")")
    kind       str("regular") [ str("executable") str("") ] str("contents") str(DATA)
             | str("symlink") str("target") str(TARGET)
             | str("directory") { str("entry") str("(") str("name") str(NAME) str("node") node str(")") }

Names of a folder are sorted by their bytes, so that entries in `tree_order` are in the order of the archive. Owners,
times, and permissions other than "may be executed" are not part of it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from layers.entry import Directory, Entry, File, Symlink
from layers.errors import EntryError

if TYPE_CHECKING:
    from layers.output import Buffer

_EXECUTABLE = 0o100


def string(data: bytes) -> bytes:
    """A string as the archive has it."""
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def _strings(*texts: bytes) -> bytes:
    return b"".join(map(string, texts))


_MAGIC = string(b"nix-archive-1")
_REGULAR = _strings(b"(", b"type", b"regular", b"contents")
_PROGRAM = _strings(b"(", b"type", b"regular", b"executable", b"", b"contents")
_SYMLINK = _strings(b"(", b"type", b"symlink", b"target")
_DIRECTORY = _strings(b"(", b"type", b"directory")
_CLOSE = string(b")")


@lru_cache(4096)  # many names are in many folders
def _entry(name: bytes) -> bytes:
    return _strings(b"entry", b"(", b"name", name, b"node")


class NarWriter:
    """Writes a NAR: entries in `tree_order`, each file's content after its entry.

    Args:
        sink: takes the archive piece by piece.
    """

    def __init__(self, sink: Callable[["Buffer | memoryview"], object]) -> None:
        self._sink = sink
        self._open: list[bytes] = []  # names of the folders that are not closed yet; the root's is empty
        self._left = -1  # bytes of content that are to come; -1 when no file is open
        self._padding = b""
        self.size = 0
        self._put(_MAGIC)

    def add(self, path: bytes, entry: Entry) -> None:
        """Begin an entry.

        Args:
            path: relative to the item; the item itself is `b""`.
            entry: a file, a folder or a symbolic link; its own path does not matter.

        Raises:
            EntryError: any other kind of entry: an archive cannot hold it.
        """
        self._end_file()
        names = path.split(b"/") if path else []
        self._close_to(len(names))
        if names:
            self._put(_entry(names[-1]))
        if isinstance(entry, File):
            self._put(
                (_PROGRAM if entry.meta.mode & _EXECUTABLE else _REGULAR) + entry.content.size.to_bytes(8, "little")
            )
            self._left = entry.content.size
            self._padding = bytes(-entry.content.size % 8)
            self._open.append(b"")
        elif isinstance(entry, Symlink):
            self._put(_SYMLINK + string(entry.target) + _CLOSE + (_CLOSE if names else b""))
        elif isinstance(entry, Directory):
            self._put(_DIRECTORY)
            self._open.append(names[-1] if names else b"")
        else:
            raise EntryError(f"{entry.path!r}: a NAR holds files, folders and symbolic links only")

    def data(self, chunk: "Buffer | memoryview") -> None:
        """The next bytes of the file that was added last.

        Raises:
            EntryError: they are more than its entry said.
        """
        if len(chunk) > self._left:
            raise EntryError("a file has more bytes than was said")
        self._left -= len(chunk)
        self._put(chunk)

    def close(self) -> None:
        """End the archive."""
        self._end_file()
        self._close_to(0)

    def _end_file(self) -> None:
        if self._left < 0:
            return
        self._open.pop()
        if self._left:
            raise EntryError(f"a file has {self._left} bytes less than was said")
        self._put(self._padding + _CLOSE + (_CLOSE if self._open else b""))
        self._left = -1

    def _close_to(self, depth: int) -> None:
        while len(self._open) > depth:
            self._open.pop()
            self._put(_CLOSE + (_CLOSE if self._open else b""))

    def _put(self, data: "Buffer | memoryview") -> None:
        self._sink(data)
        self.size += len(data)

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
_ENTRY = _strings(b"entry", b"(", b"name")
_NODE = string(b"node")
_DIRECTORY = _strings(b"(", b"type", b"directory")
_CLOSE = string(b")")
_CLOSE_IN_FOLDER = _CLOSE * 2

_BATCH = 1 << 15  # what is smaller is handed on together: a call costs as much as hashing 200 bytes


class NarWriter:
    """Writes a NAR: entries in `tree_order`, each file's content after its entry.

    Args:
        sink: takes the archive piece by piece; what it is given may change afterwards.

    Attributes:
        size: bytes that the sink has been given; of the whole archive, when it is closed.
    """

    def __init__(self, sink: Callable[["Buffer | memoryview"], object]) -> None:
        self._sink = sink
        self._batch = bytearray(_MAGIC)
        self._open = 0  # how many nodes are not closed: the last entry, and the folders above it
        self._left = 0  # bytes of the last file's content that are to come
        self.size = 0

    def add(self, path: bytes, entry: Entry) -> None:
        """Begin an entry.

        Args:
            path: relative to the item; the item itself is `b""`.
            entry: a file, a folder or a symbolic link; its own path does not matter.

        Raises:
            EntryError: any other kind of entry: an archive cannot hold it; or the last file's content is not complete.
        """
        if path:
            above = path.count(b"/") + 1
            self._close_to(above)
            self._batch += _ENTRY + string(path[path.rfind(b"/") + 1 :]) + _NODE
            self._open = above + 1
        else:
            self._open = 1
        if isinstance(entry, File):
            self._left = entry.content.size
            self._batch += _PROGRAM if entry.meta.mode & _EXECUTABLE else _REGULAR
            self._batch += self._left.to_bytes(8, "little")
        elif isinstance(entry, Symlink):
            self._batch += _SYMLINK + string(entry.target)
        elif isinstance(entry, Directory):
            self._batch += _DIRECTORY
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
        if len(chunk) < _BATCH:
            self._batch += chunk
        else:
            self._flush()
            self._sink(chunk)
            self.size += len(chunk)
        if not self._left:
            self._batch += bytes(-(self.size + len(self._batch)) % 8)
        if len(self._batch) >= _BATCH:
            self._flush()

    def close(self) -> None:
        """End the archive.

        Raises:
            EntryError: the last file's content is not complete.
        """
        self._close_to(1)
        self._batch += _CLOSE
        self._flush()

    def _close_to(self, count: int) -> None:
        """Close nodes, all of them in folders, until so many are open."""
        if self._left:
            raise EntryError(f"a file has {self._left} bytes less than was said")
        self._batch += _CLOSE_IN_FOLDER * (self._open - count)

    def _flush(self) -> None:
        self._sink(self._batch)
        self.size += len(self._batch)
        self._batch = bytearray()

"""Items on disk: the entries of a store path, as Nix and Guix see them.

Stores make everything canonical when they register it: root's, 0444 or 0555, without times. What other permissions a
file may have by now does not matter: a NAR knows one bit of them. Files that `nix-store --optimise` has linked to each
other are files of their own.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from layers.digest import Digest
from layers.entry import Directory, Entry, File, Slice, Symlink
from layers.errors import ChangedError, EntryError, PackError
from layers.nar import NarWriter
from layers.nar_reader import STORE_FILE, STORE_FOLDER, STORE_PROGRAM
from layers.output import said
from layers.reader import Reader

_PIECE = 1 << 20


class MissingItemError(PackError):
    """An item that is registered and not there."""


@dataclass(frozen=True, slots=True)
class StoreContents:
    """The entries of an item, from its store.

    Attributes:
        root: path of the item, as entries have it: `nix/store/HASH-NAME`.
        place: where it is on the host.
    """

    root: bytes
    place: bytes

    def entries(self) -> Iterator[Entry]:
        """The item's entries, in `tree_order`; no link is followed.

        Raises:
            MissingItemError: the item is not there.
            ChangedError: something of it vanished meanwhile.
            EntryError: something of it is neither a file, a folder nor a symbolic link.
            PackError: it cannot be read.
        """
        waiting = [(self.root, self.place)]
        while waiting:
            path, place = waiting.pop()
            try:
                entry = _entry(path, place)
                names = os.listdir(place) if isinstance(entry, Directory) else []
            except OSError as error:
                raise self._unreadable(path, error) from error
            if entry is None:
                raise EntryError(f"{self}: /{os.fsdecode(path)} is neither a file, a folder nor a symbolic link")
            yield entry
            waiting += [(path + b"/" + name, place + b"/" + name) for name in sorted(names, reverse=True)]

    def nar_hash(self) -> tuple[Digest, int]:
        """Digest and size of its NAR.

        Raises:
            PackError: as `entries`.
        """
        state = hashlib.sha256()
        buffer = memoryview(bytearray(_PIECE))
        writer = NarWriter(state.update)
        with Reader() as reader:
            for entry in self.entries():
                writer.add(entry.path[len(self.root) + 1 :], entry)
                if isinstance(entry, File) and isinstance(entry.content, Slice):
                    for start in range(0, entry.content.size, _PIECE):
                        piece = buffer[: min(_PIECE, entry.content.size - start)]
                        reader.read_into(entry.content, start, piece)
                        writer.data(piece)
        writer.close()
        return Digest(state.hexdigest()), writer.size

    def __str__(self) -> str:
        return f"/{os.fsdecode(self.root)}"

    def _unreadable(self, path: bytes, error: OSError) -> PackError:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if gone and path == self.root:
            return MissingItemError(
                f"{self} is registered, but it is not at {os.fsdecode(self.place)}",
                hint="nix-store --verify or guix gc --verify finds out what else is missing.",
            )
        if gone:
            return ChangedError(f"{self}: /{os.fsdecode(path)} vanished while it was being packed")
        return PackError(f"{self}: cannot read /{os.fsdecode(path)}: {said(error)}")


def _entry(path: bytes, place: bytes) -> Entry | None:
    status = os.lstat(place)
    if stat.S_ISREG(status.st_mode):
        meta = STORE_PROGRAM if status.st_mode & stat.S_IXUSR else STORE_FILE
        return File(path, Slice(os.fsdecode(place), 0, status.st_size), meta)
    if stat.S_ISDIR(status.st_mode):
        return Directory(path, STORE_FOLDER)
    if stat.S_ISLNK(status.st_mode):
        return Symlink(path, os.readlink(place))
    return None

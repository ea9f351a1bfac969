"""What the modules of `[os]` read: the image so far. What is wrong with os.toml is told to it, to be said at once."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from layers.entry import Entry, File
from layers.errors import EntryError, InputError
from layers.reader import Reader
from layers.tree import Tree
from packer.mistakes import Mistake
from packer.similar import nearest

_EXECUTABLE = 0o111


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is being made.

    Attributes:
        tree: what is in it.
        reader: reads its files.
        folder: of os.toml: relative sources start there.
        stores: paths of folders with items that are compared with their hashes: of Nix and of Guix.
        mistakes: what was found wrong so far.
    """

    tree: Tree
    reader: Reader
    folder: str
    stores: frozenset[bytes] = frozenset()
    mistakes: list[Mistake] = field(default_factory=list)

    def wrong(self, key: str, message: str, hint: str = "") -> None:
        """Remember a mistake: the key, the rest of a sentence that starts with it, and what to do."""
        self.mistakes.append(Mistake(key, message, hint))

    def refused(self, key: str, error: InputError) -> None:
        """Remember what somebody else has found wrong."""
        self.mistakes.append(Mistake.of(key, error))

    def refuse_in_items(self, key: str, entries: Iterable[Entry]) -> None:
        """Say of the first entry that would be in an item that it cannot be there."""
        for entry in entries if self.stores else ():
            path = self.tree.real(entry.path)
            if any(path.startswith(store + b"/") for store in self.stores):
                where = "" if path == entry.path else f", as /{os.fsdecode(path)}"
                message = f"/{os.fsdecode(entry.path)} would be in the store{where}, where nothing but items can be"
                self.wrong(key, message, "" if path == entry.path else "leave out the link that leads there")
                return

    def follow(self, path: str | bytes) -> Entry | None:
        """What is at a path, all links followed; nothing if they lead in a circle."""
        try:
            return self.tree.follow(os.fsencode(path).strip(b"/"))
        except EntryError:
            return None

    def text(self, path: str | bytes) -> str:
        """The content of a file, or nothing if it is not there; what is no UTF-8 is kept as surrogates.

        Raises:
            PackError: it cannot be read.
        """
        entry = self.follow(path)
        return self.reader.read(entry.content).decode(errors="surrogateescape") if isinstance(entry, File) else ""

    def has_program(self, path: str | bytes) -> bool:
        """Whether a path leads to a file that may be executed."""
        entry = self.follow(path)
        return isinstance(entry, File) and bool(entry.meta.mode & _EXECUTABLE)

    def is_debian(self) -> bool:
        """Whether dpkg looks after it."""
        return self.follow("/var/lib/dpkg/status") is not None

    def is_linked(self, path: str) -> bool:
        """Whether systemd puts a link of Debian's in the place of a file at each start (tmpfiles.d(5), `L+`)."""
        rules = (line.split() for line in self.text("/usr/lib/tmpfiles.d/debian.conf").splitlines())
        return any(rule[:2] == ["L+", path] for rule in rules)

    def with_entries(self, entries: Iterable[Entry]) -> "Image":
        """The image with more in it."""
        added = {path: replace(entry, path=path) for entry in entries if (path := self.tree.real(entry.path))}
        return replace(self, tree=Tree(self.tree.by_path() | added)) if added else self


def suggestion(given: str, names: Iterable[str], otherwise: str = "") -> str:
    """A hint: what somebody may have meant, or else something more general."""
    near = nearest(given, names)
    return f"did you mean {near!r}?" if near else otherwise

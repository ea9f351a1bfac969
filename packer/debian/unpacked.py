"""What the packages alone make of a root: their files, and their maintainer scripts as text.

Every module that writes what belongs to no package reads it through `Unpacked`, and tells it what a script says that
cannot be followed without running it.
"""

from collections.abc import Iterable, Iterator

from layers.entry import Directory, Entry, File, Symlink
from layers.reader import Reader
from layers.tree import Tree
from packer.debian.package import DebianItem
from packer.debian.placement import MERGED, RUNTIME
from packer.debian.scripts import Script
from packer.skipped import Skipped


def _links(tree: Tree) -> Iterator[Symlink]:
    """The links that stand for `PLACEMENT`, but those that a package ships."""
    for name in MERGED:
        if name not in tree and isinstance(tree.get(b"usr/" + name), Directory):
            yield Symlink(name, b"usr/" + name)
    for path, target in RUNTIME:
        if path not in tree:
            yield Symlink(path, b"/" + target)


class Unpacked:
    """The packages' files and scripts.

    Attributes:
        packages: sorted by name.
        tree: their merged entries, and `links`.
        reader: reads their files.
        links: from the root into /usr, and from /var into /run, that no package ships.
        skipped: what modules have left out so far.

    Args:
        packages: all of them.
        tree: their merged entries.
        reader: reads their files.
    """

    def __init__(self, packages: Iterable[DebianItem], tree: Tree, reader: Reader) -> None:
        self.packages = tuple(sorted(packages, key=lambda package: (package.name, package.architecture)))
        self.skipped: list[Skipped] = []
        self._names = frozenset(package.name for package in self.packages)
        self.reader = reader
        self.links = tuple(_links(tree))
        entries = {entry.path: entry for entry in (*tree, *self.links)}
        self.tree = Tree(entries)
        self._scripts = {
            (package.name, name): Script(package.name, name, self._member(package, name))
            for package in self.packages
            for name in ("preinst", "postinst")
            if name in package.members
        }

    def __contains__(self, package: str) -> bool:
        return package in self._names

    def real(self, path: str | bytes) -> bytes:
        """Where a path of a script is in the tree: `/bin/bash` gives `usr/bin/bash`."""
        return self.tree.real(path if isinstance(path, bytes) else path.encode(errors="surrogateescape"))

    def get(self, path: str | bytes) -> Entry | None:
        """What is at a path, its parents' links followed, the last one not."""
        return self.tree.get(self.real(path))

    def follow(self, path: str | bytes) -> Entry | None:
        """What is at a path, all links followed."""
        return self.tree.follow(self.real(path))

    def below(self, folder: str | bytes) -> Iterator[Entry]:
        """What is below a folder, sorted."""
        return self.tree.below(self.real(folder))

    def files(self, folder: str, suffix: str) -> Iterator[File]:
        """Regular files, or links to some, anywhere below a folder, sorted: as they are named there."""
        for entry in self.below(folder):
            found = self.follow(entry.path) if entry.path.endswith(suffix.encode()) else None
            if isinstance(found, File):
                yield File(entry.path, found.content, found.meta)

    def read(self, path: str | bytes) -> bytes | None:
        """The content of a file of at most 16 MiB, or None when there is none.

        Raises:
            PackError: it cannot be read.
        """
        entry = self.follow(path)
        return self.reader.read(entry.content) if isinstance(entry, File) else None

    def text(self, path: str | bytes) -> str | None:
        """The content of a file as text; bytes that are no UTF-8 survive `encode(errors="surrogateescape")`."""
        data = self.read(path)
        return None if data is None else data.decode(errors="surrogateescape")

    def scripts(self, *names: str) -> Iterator[Script]:
        """The packages' scripts of these names, by package name."""
        for (_, name), script in self._scripts.items():
            if name in names:
                yield script

    def script(self, package: str, name: str) -> str:
        """The text of one script; empty when the package has none."""
        script = self._scripts.get((package, name))
        return script.text if script else ""

    def skip(self, script: Script, command: str, reason: str) -> None:
        """Remember that something was not done."""
        self.skipped.append(Skipped(script.package, script.name, command, reason))

    def _member(self, package: DebianItem, name: str) -> str:
        return self.reader.read(package.members[name]).decode(errors="surrogateescape")

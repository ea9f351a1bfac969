"""A folder of this machine as what is in a partition: laid over what the system has at the partition's mount point.

As with `files` of `[os]`, all is root's, and permissions are 0755 or 0644 by whether a file may be executed: a folder
beside os.toml comes from a repository, which keeps no more than that.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from layers.digest import Digest
from layers.entry import FILE, FOLDER, LINK, PROGRAM, Directory, File, Hardlink, Symlink
from layers.errors import EntryError
from layers.item import StoreItem
from layers.progress import NoProgress
from layers.tree import Tree, overlay
from packer.folder.contents import read_digests
from packer.folder.items import item, pieces
from packer.folder.scan import Found, scan


@dataclass(frozen=True)
class FolderInitializer:
    """Fills a partition from a folder, which is not read before somebody asks; see `formats.image.Initializer`.

    Attributes:
        folder: its path.
        key: of os.toml, that names it.
    """

    folder: str
    key: str

    @property
    def identity(self) -> Digest:
        """The digest of all that is in the folder.

        Raises:
            MissingFolderError: there is no such folder.
            EntryError: there is a device or a socket in it.
            PackError: something cannot be read.
        """
        return self._item.identity

    @cached_property
    def _item(self) -> StoreItem:
        found = pieces(self._scanned(), {})
        digests = read_digests([piece.file for piece in found if piece.file], NoProgress())
        return item(self.folder, os.path.basename(self.folder), found, digests)

    def _scanned(self) -> Iterator[Found]:
        for found in scan(self.folder, self.key):
            entry = found.entry
            if isinstance(entry, File):
                yield replace(found, entry=replace(entry, meta=PROGRAM if entry.meta.mode & stat.S_IXUSR else FILE))
            elif isinstance(entry, Directory):
                yield replace(found, entry=replace(entry, meta=FOLDER))
            elif isinstance(entry, Symlink):
                yield replace(found, entry=replace(entry, meta=LINK))
            else:
                raise EntryError(f"{self.key}: {found.place} is neither a file, a folder nor a symbolic link")

    def fill(self, below: Tree) -> Tree:
        """What is there, with what is in the folder over it.

        Raises:
            ConflictError: one of both has a folder where the other has something else.
            PackError: as of `identity`.
        """
        entries = {entry.path: entry for entry in self._item.contents.entries()}
        links = {path: entry for path, entry in entries.items() if isinstance(entry, Hardlink)}
        files = [entry for path, entry in entries.items() if path not in links]
        return Tree(overlay(below, files).by_path() | links)

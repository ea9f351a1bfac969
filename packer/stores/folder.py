"""The folder store: a root file system, or files and folders, as they are on this machine."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from layers.cache import CacheFolder, Kept
from layers.entry import Entry
from layers.item import Closure
from layers.tree import Tree
from packer import forms
from packer.folder import contents, manifest
from packer.folder.contents import ContentDigests
from packer.folder.items import check, item, pieces, sub_folders
from packer.folder.scan import scan
from packer.record import Record, settings
from packer.stores import StoreContext

_FOLDER = "folder"  # of the cache
_ONE = "one"
_SUB_FOLDERS = "sub-folders"


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(Record):
    """A folder of this machine: a root file system, or what is to be added to an empty one.

    Permissions are the file system's. Owners and extended attributes (`security.capability`, `user.*`, access control
    lists) are, too, if the folder itself belongs to root; else everything in it is root's, because the number of
    whoever works on a machine means nothing in an image. A manifest says what is to be different.

    As one `[[store]]` of several it adds files: to a root of Debian `/srv/app` or `/etc/app.conf`. It replaces none,
    and puts nothing below a link: where `/bin` is a link to `usr/bin`, programs are in `usr/bin` of the folder. Folders
    that the first store has keep their owner and permissions.
    """

    EXAMPLE: ClassVar[str] = """\
[store]
type = "folder"
path = "root"
manifest = "root.mtree"
"""
    LOCKED: ClassVar[tuple[str, ...]] = ("path", "items")

    path: Annotated[str, forms.NOT_EMPTY, forms.PACKED_FOLDER] = Field(
        description="The folder; a relative path starts at os.toml's folder. Links in it are not followed.",
        examples=["root"],
    )
    items: Annotated[str, forms.Choice("way to take a folder", {_ONE: _ONE, _SUB_FOLDERS: _SUB_FOLDERS})] = Field(
        default=_ONE,
        description="`one`: the folder is one item; `sub-folders`: each of its folders is one, and what is in it lands"
        " at the root.",
    )
    manifest: Annotated[str, forms.HOST_FILE] = Field(
        default="",
        description="A file in the format of mtree(5), relative to os.toml's folder: owners, modes, devices and"
        " `xattr.NAME=BASE64`, where they are not the file system's. Sizes and SHA-256 digests in it are checked.",
    )


def open_store(options: Options, context: StoreContext) -> "FolderStore":
    """The store that the options describe; nothing is read yet."""
    return FolderStore(options, context)


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """See `layers.cache.Keeper`."""
    return contents.kept(cache.below(_FOLDER))


class FolderStore:
    """A folder of this machine.

    Args:
        options: which one, and how.
        context: what may be used.
    """

    def __init__(self, options: Options, context: StoreContext) -> None:
        self._options = options
        self._context = context
        self._folder = os.path.normpath(os.path.join(context.folder, options.path))

    def closure(self) -> Closure:
        """The folder, or its sub-folders; files that were read before and did not change are not read again.

        Raises:
            MissingFolderError: there is no such folder.
            SubFolderError: it has something else than sub-folders.
            ManifestError: the manifest cannot be used.
            DifferentError: a file is not what the manifest says.
            PackError: something cannot be read, or cannot be in an image.
        """
        options = self._options
        stated = manifest.read(os.path.join(self._context.folder, options.manifest)) if options.manifest else {}
        found = pieces(scan(self._folder), stated)
        digests = ContentDigests(os.path.join(self._context.cache, _FOLDER), self._folder).of(
            (piece.file for piece in found if piece.file), self._context.progress
        )
        check(found, digests)
        if options.items == _SUB_FOLDERS:
            parts = sub_folders(found, self._folder).items()
            items = [item(f"{options.path}/{name}", name, part, digests) for name, part in parts]
        else:
            items = [item(options.path, _name(options.path), found, digests)]
        return Closure(items, (one.path for one in items))

    def system_entries(
        self,
        closure: Closure,  # noqa: ARG002
        tree: Tree,  # noqa: ARG002
        omitted: Mapping[str, frozenset[bytes]],  # noqa: ARG002  # nothing is known about what is in a folder
    ) -> Iterable[Entry]:
        """Nothing: a folder has all that belongs to it."""
        return ()

    def base_entries(self) -> Iterable[Entry]:
        """Nothing: who packs a folder knows what is in it."""
        return ()


def _name(path: str) -> str:
    """What people call a folder, by its path in os.toml alone."""
    return os.path.basename(os.path.normpath(path)).strip(".") or "folder"

"""A folder as items: what is found and what a manifest says, brought together, and named by what comes of it.

The identity of an item is a digest of all that is packed of it: paths, metadata, contents. So equal folders are equal
items on every machine, and a layer that is kept is as good as one that is made.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from layers.digest import Digest
from layers.entry import LINK, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink, tree_order
from layers.errors import InputError, PackError
from layers.item import StoreItem
from packer.document import quoted
from packer.folder.manifest import ManifestError, Stated
from packer.folder.scan import Found

_FORMAT = 1  # of identities: another one names the same folder anew

_KINDS: Mapping[type[Entry], str] = {File: "file", Directory: "dir", Symlink: "link"}
_DEVICE_KINDS = {"block": DeviceKind.BLOCK, "char": DeviceKind.CHARACTER, "fifo": DeviceKind.FIFO}
_DEVICE_NAMES = {kind: name for name, kind in _DEVICE_KINDS.items()}
_DEFAULT_MODES = {"dir": 0o755}


class DifferentError(PackError):
    """A file is not what the manifest says."""


class SubFolderError(InputError):
    """A folder that cannot be taken as one item a sub-folder."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What an image is to have at one path.

    Attributes:
        entry: never a hard link.
        found: it on the host; none if only the manifest has it.
        stated: it in the manifest; none if it does not have it.
    """

    entry: Entry
    found: Found | None
    stated: Stated | None

    @property
    def file(self) -> Found | None:
        """The host's file, if it is one that has a content."""
        return self.found if isinstance(self.entry, File) else None


@dataclass(frozen=True, slots=True)
class _Entries:
    all: tuple[Entry, ...]

    def entries(self) -> Iterator[Entry]:
        yield from self.all


def pieces(found: Iterable[Found], manifest: Mapping[bytes, Stated]) -> list[Piece]:
    """What is found and what a manifest says, brought together, in `tree_order`.

    What the manifest does not say about a path stays as it was found; devices, folders and links that are only in the
    manifest are made.

    Raises:
        ManifestError: it says of something found that it is something else, or has a file that is nowhere.
    """
    there = {one.entry.path: one for one in found}
    made = [Piece(_stated(one.entry, manifest.get(path)), one, manifest.get(path)) for path, one in there.items()]
    for path, stated in manifest.items():
        if path not in there and (entry := _made(stated)):
            made.append(Piece(entry, None, stated))
    return sorted(made, key=lambda piece: tree_order(piece.entry.path))


def _stated(entry: Entry, stated: Stated | None) -> Entry:
    """An entry with what a manifest says about it."""
    if stated is None or isinstance(entry, Hardlink):
        return entry
    kind = _DEVICE_NAMES[entry.kind] if isinstance(entry, Device) else _KINDS[type(entry)]
    path = quoted(os.fsdecode(entry.path))
    if stated.type not in (None, kind):
        raise ManifestError(f"{stated.origin}: {path} is of type {kind}, and not {stated.type}")
    if isinstance(entry, Symlink):
        if stated.target not in (None, entry.target):
            raise ManifestError(f"{stated.origin}: {path} is a link to {quoted(os.fsdecode(entry.target))}")
        return replace(entry, meta=_meta(replace(entry.meta, mode=LINK.mode), replace(stated, mode=None)))
    if isinstance(entry, File) and stated.size not in (None, entry.content.size):
        raise ManifestError(f"{stated.origin}: {path} has {entry.content.size} bytes, and not {stated.size}")
    changed = replace(entry, meta=_meta(entry.meta, stated))
    if isinstance(changed, Device) and stated.device:
        return replace(changed, major=stated.device[0], minor=stated.device[1])
    return changed


def _meta(meta: Meta, stated: Stated) -> Meta:
    return Meta(
        meta.mode if stated.mode is None else stated.mode,
        meta.uid if stated.uid is None else stated.uid,
        meta.gid if stated.gid is None else stated.gid,
        meta.xattrs if stated.xattrs is None else stated.xattrs,
    )


def _made(stated: Stated) -> Entry | None:
    """The entry that a manifest alone says there is."""
    meta = _meta(Meta(_DEFAULT_MODES.get(stated.type or "", 0o644)), stated)
    if stated.type == "dir":
        return Directory(stated.path, meta)
    if stated.type == "link":
        return Symlink(stated.path, stated.target or b"", replace(meta, mode=LINK.mode))
    if stated.type in _DEVICE_KINDS:
        numbers = stated.device if stated.device and stated.type != "fifo" else (0, 0)
        return Device(stated.path, _DEVICE_KINDS[stated.type], *numbers, meta)
    if stated.optional:
        return None
    raise ManifestError(
        f"{stated.origin}: there is no file {quoted(os.fsdecode(stated.path))}",
        hint="Devices, folders and links can be in a manifest alone; the content of a file is in the folder.",
    )


def check(all_of_them: Iterable[Piece], digests: Mapping[tuple[int, int], Digest]) -> None:
    """Compare files with the digests that the manifest has.

    Raises:
        DifferentError: a file has another one.
    """
    for piece in all_of_them:
        if not piece.file or not piece.stated or not piece.stated.digest:
            continue
        digest, stated = digests[piece.file.inode], piece.stated
        if digest != stated.digest:
            raise DifferentError(
                f"{piece.file.place}: its digest is {digest}, and {stated.origin} says {stated.digest}",
                hint="Mend the file, or make the manifest anew.",
            )


def sub_folders(all_of_them: Iterable[Piece], folder: str) -> dict[str, list[Piece]]:
    """The pieces of each sub-folder by its name, with their paths in it.

    Raises:
        SubFolderError: there is something else than folders, or nothing.
    """
    found: dict[str, list[Piece]] = {}
    for piece in all_of_them:
        first, slash, rest = piece.entry.path.partition(b"/")
        name = os.fsdecode(first)
        if not slash and (not isinstance(piece.entry, Directory) or not _is_plain(name)):
            raise SubFolderError(
                f"store.items: {quoted(name)} of {folder} is no folder, or has a name that items cannot have",
                hint='Every sub-folder is an item; items = "one" takes the folder as it is.',
            )
        below = found.setdefault(name, [])
        if slash:
            below.append(replace(piece, entry=replace(piece.entry, path=rest)))
    if not found:
        raise SubFolderError(f"store.items: {folder} has no sub-folders", hint='items = "one" takes it as it is.')
    return found


def _is_plain(name: str) -> bool:
    return name.isprintable()  # surrogates, of names that are no UTF-8, are not


def item(path: str, name: str, all_of_them: Iterable[Piece], digests: Mapping[tuple[int, int], Digest]) -> StoreItem:
    """The item of some pieces.

    Args:
        path: of the item, unique among all.
        name: what people call it.
        all_of_them: in `tree_order`.
        digests: of files, by inode.
    """
    state = hashlib.sha256(f"folder {_FORMAT}\n".encode())
    entries, size = [], 0
    for piece, entry in _linked(all_of_them):
        content = str(digests[piece.file.inode]) if piece.file and isinstance(entry, File) else ""
        state.update(json.dumps(_facts(entry, content), separators=(",", ":")).encode() + b"\n")
        entries.append(entry)
        size += entry.content.size if isinstance(entry, File) else 0
    return StoreItem(
        path=path,
        name=name,
        version="",
        identity=Digest(state.hexdigest()),
        size=size,
        references=(),
        contents=_Entries(tuple(entries)),
    )


def _linked(all_of_them: Iterable[Piece]) -> Iterator[tuple[Piece, Entry]]:
    """Names of one file become hard links to its first one, unless a manifest tells them apart."""
    first: dict[object, bytes] = {}
    for piece in all_of_them:
        entry = piece.entry
        if piece.file is None or not isinstance(entry, File) or piece.file.status.st_nlink == 1:
            yield piece, entry
            continue
        key = (piece.file.inode, entry.meta)
        if key in first:
            yield piece, Hardlink(entry.path, first[key])
        else:
            first[key] = entry.path
            yield piece, entry


def _facts(entry: Entry, content: str) -> list[object]:
    """All of an entry that is packed."""
    path = entry.path.hex()
    if isinstance(entry, Hardlink):
        return ["hard", path, entry.target.hex()]
    meta = entry.meta
    own = [meta.mode, meta.uid, meta.gid, [[name.hex(), value.hex()] for name, value in meta.xattrs]]
    if isinstance(entry, File):
        return ["file", path, own, entry.content.size, content]
    if isinstance(entry, Symlink):
        return ["link", path, own, entry.target.hex()]
    if isinstance(entry, Directory):
        return ["dir", path, own]
    return [_DEVICE_NAMES[entry.kind], path, own, entry.major, entry.minor]

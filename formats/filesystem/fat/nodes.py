"""A tree as FAT has it: folders with names, and files; whatever else there is, it has no place for."""

import os
from dataclasses import dataclass

from formats.filesystem.fat import names
from formats.filesystem.fat.geometry import ENTRY_BYTES
from formats.filesystem.holes import Ranges, data_ranges, pinned
from layers.entry import Content, Directory, Entry, File, Hardlink, Symlink
from layers.errors import EntryError
from layers.reader import Reader
from layers.tree import Tree

_LARGEST_FILE = (1 << 32) - 1
_MOST_ENTRIES = 1 << 16  # of a folder: 2 MiB
_SPECIAL_BITS = 0o7000
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Child:
    """What a folder says of one of its own.

    Attributes:
        path: in the tree.
        long: entries of its long name.
        short: its short name.
        size: bytes of a file; None of a folder.
    """

    path: bytes
    long: bytes
    short: bytes
    size: int | None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder.

    Attributes:
        path: in the tree; empty is the root.
        children: in order.
        bytes: that its entries take.
    """

    path: bytes
    children: list[Child]
    bytes: int


@dataclass(frozen=True, slots=True)
class Nodes:
    """A tree, as far as it does not depend on the volume's size.

    Attributes:
        tree: as it came.
        folders: in order, the root first.
        files: path -> content and its ranges that are not zeros, in the order of the tree.
    """

    tree: Tree
    folders: list[Folder]
    files: dict[bytes, tuple[Content, Ranges]]

    def clusters(self, size: int, root: bool) -> int:
        """How many clusters of so many bytes all of it takes, with the root or without."""
        folders = sum(-(-folder.bytes // size) for folder in self.folders[0 if root else 1 :])
        return folders + sum(-(-content.size // size) for content, _ in self.files.values())


def survey(tree: Tree, label: str, reader: Reader) -> Nodes:
    """Look at a tree.

    Args:
        tree: what shall be in the root folder.
        label: of the volume; it takes an entry of the root.
        reader: looks at the contents.

    Raises:
        EntryError: with all that FAT cannot hold.
    """
    problems: list[str] = []
    inside: dict[bytes, list[File | Directory]] = {b"": []}
    for entry in tree:
        if problem := _problem(entry):
            problems.append(f"/{os.fsdecode(entry.path)} {problem}")
        elif isinstance(entry, File | Directory):
            inside.setdefault(os.path.dirname(entry.path), []).append(entry)
            if isinstance(entry, Directory):
                inside.setdefault(entry.path, [])
    problems += [text for entries in inside.values() for text in _collisions(entries)]
    folders = [] if problems else [_folder(path, entries, label) for path, entries in inside.items()]
    problems += [
        f"/{os.fsdecode(folder.path)} has more names than a folder of FAT has room for"
        for folder in folders
        if folder.bytes > _MOST_ENTRIES * ENTRY_BYTES
    ]
    if problems:
        more = f"\n  and {len(problems) - _MOST_TOLD} more" if len(problems) > _MOST_TOLD else ""
        raise EntryError(
            "FAT cannot hold all of the tree:\n  " + "\n  ".join(problems[:_MOST_TOLD]) + more,
            hint="Leave it out, or put it on another file system.",
        )
    files = (entry for entry in tree if isinstance(entry, File))
    return Nodes(tree, folders, {entry.path: _looked_at(entry.content, reader) for entry in files})


def _problem(entry: Entry) -> str:
    if isinstance(entry, Hardlink):
        return "is a hard link"
    if not isinstance(entry, File | Directory):
        return "is a symbolic link" if isinstance(entry, Symlink) else "is a device or a pipe"
    if entry.meta.mode & _SPECIAL_BITS:
        return "is setuid, setgid or sticky"
    if entry.meta.xattrs:
        return "has extended attributes"
    if isinstance(entry, File) and entry.content.size > _LARGEST_FILE:
        return f"has {entry.content.size} bytes, which is more than 4 GiB - 1"
    return names.problem(os.path.basename(entry.path))


def _collisions(entries: list[File | Directory]) -> list[str]:
    seen: dict[str, bytes] = {}
    found = []
    for entry in entries:
        name = names.folded(os.path.basename(entry.path).decode())
        if name in seen:
            found.append(f"/{os.fsdecode(entry.path)} has the name of /{os.fsdecode(seen[name])}, but for the case")
        seen.setdefault(name, entry.path)
    return found


def _folder(path: bytes, entries: list[File | Directory], label: str) -> Folder:
    by_name = {os.path.basename(entry.path).decode(): entry for entry in entries}
    short = names.ShortNames(list(by_name))
    children = [
        Child(entry.path, short.long(name), short.short(name), entry.content.size if isinstance(entry, File) else None)
        for name, entry in by_name.items()
    ]
    first = 2 if path else bool(label)  # `.` and `..`, or the label
    size = sum(len(child.long) + ENTRY_BYTES for child in children) + first * ENTRY_BYTES
    return Folder(path, children, max(size, ENTRY_BYTES))


def _looked_at(content: Content, reader: Reader) -> tuple[Content, Ranges]:
    content = pinned(content, reader)
    return content, data_ranges(content, reader)

"""Files, folders and links that `[os]` declares.

What comes from a folder of the host is the same on every machine: permissions are 0755 or 0644 by whether a file may
be executed, owners are those that os.toml names, and the order is that of the names.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from layers.entry import FILE, FOLDER, PROGRAM, Data, Directory, Entry, File, Meta, Slice, Symlink
from layers.errors import InputError
from layers.output import said
from layers.reader import Reader
from layers.tree import Tree
from packer.tables.files import FileDeclaration


def entries(files: Iterable[FileDeclaration], lower: Tree, folder: str) -> Iterator[Entry]:
    """What `files` of `[os]` asks for.

    Args:
        files: the declarations.
        lower: what is in the image already: owners are looked up there.
        folder: where relative sources start.

    Raises:
        InputError: a source cannot be read, or an owner does not exist in the image.
    """
    for place, file in enumerate(files):
        yield from _Declared(file, f"os.files[{place}]", lower, folder).entries()


@dataclass(frozen=True, slots=True)
class _Declared:
    """One file declaration, and what it is resolved against."""

    file: FileDeclaration
    key: str
    lower: Tree
    folder: str

    def entries(self) -> Iterator[Entry]:
        file, target = self.file, os.fsencode(self.file.target.strip("/"))
        if file.source is not None:
            yield from self._copied(os.path.realpath(os.path.join(self.folder, file.source)), target)
        elif file.text is not None:
            yield File(target, Data(file.text.encode()), self._meta(FILE))
        elif file.symlink is not None:
            yield Symlink(target, os.fsencode(file.symlink), self._owned(0o777))
        else:
            yield Directory(target, self._meta(FOLDER))

    def _copied(self, source: str, target: bytes) -> Iterator[Entry]:
        status = self._status(source)
        if stat.S_ISREG(status.st_mode):
            meta = self._meta(PROGRAM if status.st_mode & stat.S_IXUSR else FILE)
            yield File(target, Slice(source, 0, status.st_size), meta)
        elif stat.S_ISLNK(status.st_mode):
            yield Symlink(target, os.fsencode(os.readlink(source)), self._owned(0o777))
        elif stat.S_ISDIR(status.st_mode):
            yield Directory(target, self._owned(FOLDER.mode))
            for name in sorted(self._names(source)):
                below = os.fsencode(name)
                yield from self._copied(os.path.join(source, name), target + b"/" + below if target else below)
        else:
            raise InputError(f"{self.key}.source: {source} is neither a file, a folder nor a symbolic link")

    def _status(self, path: str) -> os.stat_result:
        try:
            return os.lstat(path)
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _names(self, path: str) -> list[str]:
        try:
            return os.listdir(path)
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: str, error: OSError) -> InputError:
        return InputError(
            f"{self.key}.source: {path}: {said(error)}", hint="A relative path starts at the folder of os.toml."
        )

    def _meta(self, usual: Meta) -> Meta:
        permissions = self.file.permissions
        return self._owned(usual.mode if permissions is None else permissions)

    def _owned(self, mode: int) -> Meta:
        user, group = self.file.user, self.file.group
        if user is None or group is None:
            return Meta(mode)
        return Meta(mode, self._number(user, "user", b"etc/passwd"), self._number(group, "group", b"etc/group"))

    def _number(self, account: int | str, key: str, path: bytes) -> int:
        if isinstance(account, int):
            return account
        known = _accounts(self.lower, path)
        if account not in known:
            near = get_close_matches(account, known, n=1)
            raise InputError(
                f"{self.key}.{key}: there is no {key} {account!r} in the image",
                hint=f"Did you mean {near[0]!r}?" if near else "Give its number, or add the package that makes it.",
            )
        return known[account]


def _accounts(tree: Tree, path: bytes) -> dict[str, int]:
    """Names and numbers of passwd(5) or group(5): both have the number in the third field."""
    entry = tree.follow(path)
    if not isinstance(entry, File):
        return {"root": 0}
    with Reader() as reader:
        lines = reader.read(entry.content).decode(errors="replace").splitlines()
    fields = (line.split(":") for line in lines)
    return {field[0]: int(field[2]) for field in fields if len(field) > 2 and field[2].isdecimal()}

"""Files, folders and links that `[os]` declares.

What comes from a folder of the host is the same on every machine: permissions are 0755 or 0644 by whether a file may
be executed, owners are those that os.toml names, and the order is that of the names.
"""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from layers.entry import FILE, FOLDER, PROGRAM, Data, Directory, Entry, File, Meta, Slice, Symlink, parents
from layers.output import said
from layers.reader import state
from packer.accounts import Accounts
from packer.host_paths import matching
from packer.operating_system.image import Image, suggestion
from packer.tables.files import FileDeclaration

#: Folder -> uid and gid of the user whose home it is.
Homes = Mapping[bytes, tuple[int, int]]


def entries(files: Iterable[FileDeclaration], image: Image, accounts: Accounts, homes: Homes) -> list[Entry]:
    """What `files` of `[os]` asks for; what is wrong with them is told to the image.

    Args:
        files: the declarations.
        image: what is in the image already.
        accounts: who may own files.
        homes: what is below one of them is its user's, if nothing else is said.
    """
    found: dict[bytes, tuple[str, Entry]] = {}
    for place, file in enumerate(files):
        declared = _Declared(file, f"os.files[{place}]", image, accounts, homes)
        made = list(declared.entries())
        image.refuse_in_items(declared.key, made)
        for entry in made:
            path = image.tree.real(entry.path)
            key, before = found.get(path, ("", entry))
            if not (isinstance(entry, Directory) and isinstance(before, Directory)) and key:
                message = f"/{os.fsdecode(path)} comes from {key} already"
                image.wrong(declared.key, message, "keep one of them")
            found[path] = (declared.key, entry)
    _refuse_below_files(found, image)
    wanted = [entry for _, entry in found.values()]
    return [*_folders_in_homes(wanted, image, homes), *wanted]


def _refuse_below_files(found: Mapping[bytes, tuple[str, Entry]], image: Image) -> None:
    """Say of what would be in a file or a link that both are declared."""
    for path, (key, _) in found.items():
        for above in parents(path):
            other, entry = found.get(above, ("", None))
            if entry and not isinstance(entry, Directory):
                message = f"/{os.fsdecode(path)} is below /{os.fsdecode(above)}, which is no folder, from {other}"
                image.wrong(key, message, "change one of them")


def _folders_in_homes(entries: Iterable[Entry], image: Image, homes: Homes) -> Iterator[Entry]:
    """The folders that are missing between homes and files in them: users must be able to write there."""
    for entry in entries:
        owner = _home_owner(entry.path, homes)
        for path in parents(entry.path):
            if owner is None or path in homes:
                break
            if path not in image.tree:
                yield Directory(path, Meta(FOLDER.mode, *owner))


def _home_owner(path: bytes, homes: Homes) -> tuple[int, int] | None:
    return next((homes[above] for above in parents(path) if above in homes), None)


@dataclass(frozen=True, slots=True)
class _Declared:
    """One file declaration, and what it is resolved against."""

    file: FileDeclaration
    key: str
    image: Image
    accounts: Accounts
    homes: Homes

    def entries(self) -> Iterator[Entry]:
        file, target = self.file, os.fsencode(self.file.target.strip("/"))
        owner = self._owner(target)
        if file.source is not None and glob.has_magic(file.source):
            yield from self._matching(file.source, target, owner)
        elif file.source is not None:
            yield from self._copied(os.path.realpath(os.path.join(self.image.folder, file.source)), target, owner)
        elif file.text is not None:
            yield File(target, Data(file.text.encode()), self._meta(FILE, owner))
        elif file.symlink is not None:
            yield Symlink(target, os.fsencode(file.symlink), Meta(0o777, *owner))
        else:
            yield Directory(target, self._meta(FOLDER, owner))

    def _matching(self, pattern: str, target: bytes, owner: tuple[int, int]) -> Iterator[Entry]:
        """What a pattern matches, in the folder `target`, which stays as it is if it is there."""
        found = matching(pattern, self.image.folder)
        if not found:
            self.image.wrong(f"{self.key}.source", f"nothing matches {pattern!r}", "a relative path starts at os.toml")
        if target and self.image.follow(target) is None:
            yield Directory(target, Meta(FOLDER.mode, *owner))
        for path in found:
            name = os.fsencode(os.path.basename(path.rstrip("/")))
            yield from self._copied(path.rstrip("/"), target + b"/" + name if target else name, owner)

    def _copied(self, source: str, target: bytes, owner: tuple[int, int]) -> Iterator[Entry]:
        try:
            status = os.lstat(source)
            names = sorted(os.listdir(source)) if stat.S_ISDIR(status.st_mode) else []
            link = os.readlink(source) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            hint = "a relative path starts at the folder of os.toml"
            self.image.wrong(f"{self.key}.source", f"{source}: {said(error)}", hint)
            return
        if stat.S_ISREG(status.st_mode):
            meta = self._meta(PROGRAM if status.st_mode & stat.S_IXUSR else FILE, owner)
            yield File(target, Slice(source, 0, status.st_size, state=state(status)), meta)
        elif link:
            yield Symlink(target, os.fsencode(link), Meta(0o777, *owner))
        elif stat.S_ISDIR(status.st_mode):
            yield Directory(target, Meta(FOLDER.mode, *owner))
            for name in names:
                below = os.fsencode(name)
                yield from self._copied(os.path.join(source, name), target + b"/" + below if target else below, owner)
        else:
            message = f"{source} is neither a file, a folder nor a symbolic link"
            self.image.wrong(f"{self.key}.source", message)

    def _meta(self, usual: Meta, owner: tuple[int, int]) -> Meta:
        permissions = self.file.permissions
        return Meta(usual.mode if permissions is None else permissions, *owner)

    def _owner(self, target: bytes) -> tuple[int, int]:
        user, group = self.file.user, self.file.group
        if user is None or group is None:
            return _home_owner(target, self.homes) or self.homes.get(target, (0, 0))
        users = {known.name: known.uid for known in self.accounts.users}
        groups = {known.name: known.gid for known in self.accounts.groups}
        return self._number(user, "user", users), self._number(group, "group", groups)

    def _number(self, account: int | str, kind: str, known: Mapping[str, int]) -> int:
        if isinstance(account, int):
            return account
        if account not in known:
            hint = suggestion(account, known, f"give its number, or add it to os.{kind}s")
            self.image.wrong(f"{self.key}.{kind}", f"there is no {kind} {account!r} in the image", hint)
        return known.get(account, 0)

"""Homes of users: made from the image's /etc/skel, as adduser(8) does, with the keys that may log in over ssh."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from layers.entry import Data, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.output import said
from packer.accounts import NOWHERE, SYSTEM, Accounts, User
from packer.authorized_keys import KeyLineError, authorized_keys
from packer.operating_system.image import Image
from packer.tables.users import AuthorizedKey, UserDeclaration

_SKELETON = b"etc/skel"
_MOST_BYTES = 1 << 20
_NONE = ("/", NOWHERE)


def owners(users: Iterable[UserDeclaration], known: Accounts) -> dict[bytes, tuple[int, int]]:
    """The homes of declared users, and whose they are."""
    found: dict[bytes, tuple[int, int]] = {}
    for declared in users:
        user = known.user(declared.name)
        if user and user.home not in _NONE:
            found.setdefault(_path(user), (user.uid, user.gid))
    return found


def entries(new: Collection[User], image: Image) -> Iterator[Entry]:
    """The homes of new users; one that is there already is left alone.

    Services get an empty one that everybody may look into (adduser.conf(5): DIR_MODE, SYS_DIR_MODE).
    """
    made: set[bytes] = set()
    skeleton = tuple(_skeleton(image)) if new else ()
    for user in new:
        path = _path(user)
        if user.home in _NONE or path in made or image.follow(path) is not None:
            continue
        made.add(path)
        is_service = user.uid in SYSTEM
        yield Directory(path, Meta(0o755 if is_service else 0o700, user.uid, user.gid))
        if not is_service:
            yield from (_owned(entry, path, user) for entry in skeleton)


def key_entries(users: Iterable[UserDeclaration], known: Accounts, image: Image) -> Iterator[Entry]:
    """The files ~/.ssh/authorized_keys; what is wrong with keys is told to the image."""
    for place, declared in enumerate(users):
        user = known.user(declared.name)
        if user and declared.authorized_keys:
            yield from _keys(declared.authorized_keys, user, image, f"os.users[{place}].authorized-keys")


def _path(user: User) -> bytes:
    return os.fsencode(user.home.strip("/"))


def _skeleton(image: Image) -> Iterator[File | Directory | Symlink]:
    """What is in /etc/skel, as it is called there."""
    folder = image.tree.real(_SKELETON)
    for entry in image.tree.below(folder):
        found = image.tree.follow(entry.path) if isinstance(entry, Hardlink) else entry
        if isinstance(found, File | Directory | Symlink):
            yield replace(found, path=entry.path[len(folder) + 1 :])


def _owned(entry: File | Directory | Symlink, home: bytes, user: User) -> Entry:
    return replace(entry, path=home + b"/" + entry.path, meta=Meta(entry.meta.mode, user.uid, user.gid))


def _keys(keys: Iterable[AuthorizedKey], user: User, image: Image, key: str) -> Iterator[Entry]:
    if user.home in _NONE:
        image.wrong(key, f"the user {user.name!r} has no home where keys could be")
        return
    lines: dict[str, None] = {}
    for place, one in enumerate(keys):
        try:
            lines.update(dict.fromkeys(key_lines(one, image.folder)))
        except KeyLineError as error:
            image.refused(f"{key}[{place}].source", error)
    folder = _path(user) + b"/.ssh"
    yield Directory(folder, Meta(0o700, user.uid, user.gid))
    text = "".join(f"{line}\n" for line in lines)
    yield File(
        folder + b"/authorized_keys", Data(text.encode(errors="surrogateescape")), Meta(0o600, user.uid, user.gid)
    )


def key_lines(one: AuthorizedKey, folder: str) -> list[str]:
    """The keys, one to a line, without comments.

    Args:
        one: a key, or a file with some.
        folder: of os.toml.

    Raises:
        KeyLineError: the file cannot be read, or a line of it is no key.
    """
    if one.source is None:
        return authorized_keys(one.key or "", "authorized-keys")
    path = os.path.join(folder, one.source)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise KeyLineError(f"{one.source} is no file")
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        hint = "A relative path starts at the folder of os.toml."
        raise KeyLineError(f"{one.source}: {said(error)}", hint=hint) from error
    if len(data) > _MOST_BYTES:
        raise KeyLineError(f"{one.source} is larger than {_MOST_BYTES >> 20} MiB")
    return authorized_keys(data.decode(errors="surrogateescape"), one.source)

"""What `[os]` makes of an image of a few files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from layers.entry import FILE, PROGRAM, Data, Directory, Entry, File, Meta, Symlink
from layers.tree import Tree, add_parents
from packer.accounts import Ids
from packer.config import parse
from packer.mistakes import ConfigError
from packer.operating_system import Declared, declare

#: An image with accounts, two shells and what new homes are made from.
SMALL: Mapping[str, str | Entry] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nadm:x:4:\nsudo:x:27:\nwww-data:x:33:\nusers:x:100:\n",
    "etc/shadow": "root:*::::::: \nwww-data:*:::::::\n".replace(" ", ""),
    "etc/gshadow": "root:*::\nadm:*::\nsudo:*::\nwww-data:*::\nusers:*::\n",
    "etc/shells": "# shells\n/bin/sh\n/bin/bash\n/bin/gone\n",
    "etc/skel/.profile": "umask 022\n",
    "etc/skel/bin": Directory(b"etc/skel/bin", Meta(0o750)),
    "etc/skel/link": Symlink(b"etc/skel/link", b".profile"),
    "bin": Symlink(b"bin", b"usr/bin"),
    "usr/bin/sh": File(b"usr/bin/sh", Data(b"sh"), PROGRAM),
    "usr/bin/bash": File(b"usr/bin/bash", Data(b"bash"), PROGRAM),
    "usr/bin/text": "no program",
}


def tree(files: Mapping[str, str | bytes | Entry]) -> Tree:
    """A tree of files by path, with their parents."""
    entries: dict[bytes, Entry] = {}
    for path, content in files.items():
        key = path.encode()
        if isinstance(content, str | bytes):
            entries[key] = File(key, Data(content.encode() if isinstance(content, str) else content), FILE)
        else:
            entries[key] = content
    add_parents(entries)
    return Tree(entries)


def declared(
    table: str,
    files: Mapping[str, str | bytes | Entry] = SMALL,
    *,
    folder: Path = Path("/nonexistent"),
    ids: Ids | None = None,
    made: Mapping[str, str | bytes | Entry] | None = None,
) -> Declared:
    """What `[os]` with these keys asks for, in an image of packages' files and those that a store made."""
    text = f'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\npackages = ["bash"]\n[os]\n{table}'
    lower = tree({**files, **(made or {})})
    return declare(parse(text, "os.toml").os, lower, tree(files), folder=str(folder), file="os.toml", ids=ids or Ids())


def written(table: str, *arguments: object, **more: object) -> dict[str, str]:
    """The contents of what `[os]` makes: texts of files, `-> TARGET` of links, `MODE UID:GID` of folders."""
    found = {}
    for entry in declared(table, *arguments, **more).entries:  # type: ignore[arg-type]
        if isinstance(entry, File):
            assert isinstance(entry.content, Data)
            found[entry.path.decode()] = entry.content.data.decode()
        elif isinstance(entry, Symlink):
            found[entry.path.decode()] = f"-> {entry.target.decode()}"
        elif isinstance(entry, Directory):
            found[entry.path.decode()] = f"{entry.meta.mode:o} {entry.meta.uid}:{entry.meta.gid}"
    return found


def owners(table: str, *arguments: object, **more: object) -> dict[str, str]:
    """Modes and owners of what `[os]` makes."""
    return {
        entry.path.decode(): f"{entry.meta.mode:o} {entry.meta.uid}:{entry.meta.gid}"
        for entry in declared(table, *arguments, **more).entries  # type: ignore[arg-type]
        if isinstance(entry, File | Directory | Symlink)
    }


def mistakes(table: str, *arguments: object, **more: object) -> list[str]:
    """What is wrong with it, a line each."""
    with pytest.raises(ConfigError) as caught:
        declared(table, *arguments, **more)  # type: ignore[arg-type]
    return [str(mistake) for mistake in caught.value.mistakes]

"""Folders of configuration, as systemd merges them: /etc goes before /run, and that before /usr/lib."""

import os
from collections.abc import Sequence

from layers.entry import File
from layers.tree import Tree


def configuration_files(tree: Tree, folders: tuple[bytes, ...], suffix: str) -> Sequence[File]:
    """The files of several folders by name; of those with one name the first folder's, and none if it is empty.

    That is how systemd merges folders of configuration (tmpfiles.d(5), sysusers.d(5), systemd.preset(5)): what is in
    /etc goes before what is in /usr/lib, and a link to /dev/null takes a file away.
    """
    found: dict[bytes, File | None] = {}
    for folder in dict.fromkeys(tree.real(folder) for folder in folders):
        for entry in tree.below(folder):
            name = os.path.relpath(entry.path, folder)
            if b"/" not in name and name.endswith(suffix.encode()) and name not in found:
                file = tree.follow(entry.path)
                found[name] = File(entry.path, file.content, file.meta) if isinstance(file, File) else None
    return [file for name in sorted(found) if (file := found[name])]

"""/etc/shells: debianutils' list and those of the packages, as update-shells(8) merges them (shells(5)).

Packages have a file in shells.d, or call add-shell(8) in their postinst.
Each shell is followed by its other name, when its folder is a link: /bin/bash by /usr/bin/bash.
"""

import os
from collections.abc import Iterable, Iterator

from layers.entry import Data, Entry, File
from packer.debian.scripts import commands
from packer.debian.unpacked import Unpacked

TEMPLATE = "/usr/share/debianutils/shells"
FOLDER = "/usr/share/debianutils/shells.d"


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The list, and update-shells' memory of what it put there."""
    template = unpacked.text(TEMPLATE)
    if template is None:
        return
    shells = list(dict.fromkeys(_packaged(unpacked, template)))
    kept = list(dict.fromkeys(line for line in template.split("\n") if line))
    lines = dict.fromkeys((*kept, *shells, *_added(unpacked)))
    yield _file(b"etc/shells", lines)
    yield _file(b"var/lib/shells.state", shells)


def _packaged(unpacked: Unpacked, template: str) -> Iterator[str]:
    texts = [template] + [unpacked.text(file.path) or "" for file in unpacked.files(FOLDER, "")]
    for line in "\n".join(texts).split("\n"):
        yield from _names(unpacked, line.partition("#")[0].strip())


def _added(unpacked: Unpacked) -> Iterator[str]:
    for script in unpacked.scripts("postinst"):
        for command in commands(script, "add-shell"):
            if command.resolved:
                for shell in command.words[1:]:
                    yield from _names(unpacked, shell)
            else:
                unpacked.skip(script, " ".join(command.words), "its words depend on what only a shell knows")


def _names(unpacked: Unpacked, shell: str) -> Iterator[str]:
    if shell.startswith("/"):
        yield shell
        yield "/" + os.fsdecode(unpacked.real(shell))


def _file(path: bytes, lines: Iterable[str]) -> File:
    return File(path, Data("".join(line + "\n" for line in lines).encode(errors="surrogateescape")))

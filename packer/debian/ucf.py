"""Configuration that packages copy to /etc with ucf(1), which asks before it overwrites what somebody has changed.

    /var/lib/ucf/hashfile       MD5 and path of what was copied, for comparison with the next version
                 registry       package and path
                 cache/:etc:x   the copy itself

A package calls `ucf [OPTION]... SOURCE DESTINATION`, and `ucfr PACKAGE DESTINATION`. openssh-server copies a file that
it has made of its own and of two answers to debconf; by default that is its own to the letter.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from layers.entry import Data, Entry, File
from packer.debian.scripts import Command, commands
from packer.debian.unpacked import Unpacked

_FOLDER = b"var/lib/ucf/"
_PROGRAM = "/usr/bin/ucf"
_WITH_VALUE = frozenset(("-s", "--src-dir", "--sum-file", "--state-dir", "--sum-dir", "--debug"))

_OF_ITS_OWN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "openssh-server": (("/usr/share/openssh/sshd_config", "/etc/ssh/sshd_config"),),
}


@dataclass(frozen=True, slots=True)
class _Copied:
    """A file that a package copies."""

    package: str
    destination: str
    source: File


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The copies, and what ucf remembers of them if it is there."""
    copies = {copied.destination: copied for copied in _copies(unpacked)}
    for destination, copied in copies.items():
        yield File(unpacked.real(destination), copied.source.content, copied.source.meta)
    if unpacked.follow(_PROGRAM):
        yield from _memory(unpacked, copies)


def _memory(unpacked: Unpacked, copies: Mapping[str, _Copied]) -> Iterator[File]:
    hashes = registry = b""
    for destination, copied in copies.items():
        name = destination.encode(errors="surrogateescape")
        yield File(_FOLDER + b"cache/" + name.replace(b"/", b":"), copied.source.content)
        digest = hashlib.md5(unpacked.reader.read(copied.source.content), usedforsecurity=False).hexdigest()
        hashes += f"{digest}  ".encode() + name + b"\n"
        registry += f"{copied.package} \t ".encode() + name + b"\n"
    yield File(_FOLDER + b"hashfile", Data(hashes))
    yield File(_FOLDER + b"registry", Data(registry))


def _copies(unpacked: Unpacked) -> Iterator[_Copied]:
    for script in unpacked.scripts("postinst"):
        if script.package in _OF_ITS_OWN:
            for source, destination in _OF_ITS_OWN[script.package]:
                yield from _copied(unpacked, script.package, source, destination)
            continue
        for command in commands(script, "ucf"):
            words = _arguments(command)
            if not command.resolved or len(words) != 2 or not words[1].startswith("/") or "/../" in words[1]:
                unpacked.skip(script, " ".join(command.words), "its words depend on what only a shell knows")
            else:
                yield from _copied(unpacked, script.package, *words)


def _copied(unpacked: Unpacked, package: str, source: str, destination: str) -> Iterator[_Copied]:
    file = unpacked.follow(source)
    if isinstance(file, File) and unpacked.get(destination) is None:
        yield _Copied(package, destination, file)


def _arguments(command: Command) -> list[str]:
    words: list[str] = []
    rest = iter(command.words[1:])
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, "")
        elif not word.startswith("-"):
            words.append(word)
    return words

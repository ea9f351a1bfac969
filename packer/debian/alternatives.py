"""Alternatives: `update-alternatives --install` calls of postinsts, applied (update-alternatives(1)).

Each name has one link (`/usr/bin/awk`), a link in /etc/alternatives that says which program it is, and a file below
/var/lib/dpkg/alternatives that lists the choices, its lines being

    auto
    LINK
    SLAVE             name and link of each slave, sorted
    SLAVE LINK
                      an empty line
    PATH              each choice, sorted by path
    PRIORITY
    SLAVE PATH        one for each slave, empty where the choice has none
                      an empty line
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from layers.entry import Data, Entry, File, Symlink
from layers.number import whole_number
from packer.debian.scripts import Command, commands
from packer.debian.unpacked import Unpacked

FOLDER = b"etc/alternatives"
DATABASE = b"var/lib/dpkg/alternatives"

_HIGHEST = (1 << 31) - 1  # update-alternatives keeps priorities in an int


@dataclass(frozen=True, slots=True)
class Choice:
    """One program that can be behind a name.

    Attributes:
        path: of the program.
        priority: the highest wins; of equal ones the first by path.
        slaves: name -> (link, path) of what comes along with it.
    """

    path: str
    priority: int
    slaves: Mapping[str, tuple[str, str]]


@dataclass(slots=True)
class Alternative:
    """A name with its choices.

    Attributes:
        link: where programs look for it.
        choices: by path; a later call for the same path takes the place of an earlier one.
    """

    link: str
    choices: dict[str, Choice] = field(default_factory=dict)

    @property
    def best(self) -> Choice:
        """The choice that the link leads to."""
        return min(self.choices.values(), key=lambda choice: (-choice.priority, choice.path))

    def record(self) -> str:
        """The file of the database."""
        slaves = {name: link for choice in self.choices.values() for name, (link, _) in choice.slaves.items()}
        lines = ["auto", self.link]
        for name, link in sorted(slaves.items()):
            lines += [name, link]
        lines.append("")
        for choice in sorted(self.choices.values(), key=lambda choice: choice.path):
            lines += [choice.path, str(choice.priority)]
            lines += [choice.slaves.get(name, ("", ""))[1] for name in sorted(slaves)]
        return "\n".join([*lines, "", ""])


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The links and the database of all alternatives."""
    for name, alternative in sorted(_found(unpacked).items()):
        yield from _links(unpacked, name, alternative.link, alternative.best.path)
        for slave, (link, path) in sorted(alternative.best.slaves.items()):
            if unpacked.follow(path):
                yield from _links(unpacked, slave, link, path)
        yield File(DATABASE + b"/" + _bytes(name), Data(_bytes(alternative.record())))


def _links(unpacked: Unpacked, name: str, link: str, path: str) -> Iterator[Entry]:
    if unpacked.get(link) is None:
        place = FOLDER + b"/" + _bytes(name)
        yield Symlink(place, _bytes(path))
        yield Symlink(unpacked.real(link), b"/" + place)


def _found(unpacked: Unpacked) -> dict[str, Alternative]:
    found: dict[str, Alternative] = {}
    for script in unpacked.scripts("postinst"):
        for command in commands(script, "update-alternatives"):
            if not any("--install" in word for word in command.words):
                continue
            if reason := _install(unpacked, command, found):
                unpacked.skip(script, " ".join(command.words), reason)
    return found


def _install(unpacked: Unpacked, command: Command, found: dict[str, Alternative]) -> str:
    """Apply a call; or say why not."""
    if not command.resolved:
        return "its words depend on what only a shell knows"
    words = command.words[command.words.index("--install") + 1 :]
    groups = _split(words, "--slave")
    if not groups or any(len(group) < size for group, size in zip(groups, (4, *[3] * len(groups)), strict=False)):
        return "words are missing"
    link, name, path, number = groups[0][:4]
    slaves = {group[1]: (group[0], group[2]) for group in groups[1:]}
    names = (name, *slaves)
    paths = (link, path, *(part for pair in slaves.values() for part in pair))
    if any("/" in part or part in (".", "..") for part in names) or any(part[:1] != "/" for part in paths):
        return "a name has a slash, or a path has none at its start"
    if (priority := _priority(number)) is None:
        return "its priority is no number"
    if unpacked.follow(path) is None:
        return f"there is no {path}"
    alternative = found.setdefault(name, Alternative(link))
    alternative.choices[path] = Choice(path, priority, slaves)
    return ""


def _priority(text: str) -> int | None:
    number = whole_number(text.removeprefix("-"), _HIGHEST)
    return -number if number is not None and text.startswith("-") else number


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _split(words: tuple[str, ...], at: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in words:
        if word == at:
            groups.append([])
        else:
            groups[-1].append(word)
    return groups

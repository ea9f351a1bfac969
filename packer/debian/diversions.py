"""Diversions: files that packages move out of the way (dpkg-divert(1)), as far as they can be known.

Only the database has to know of those that move nothing, and these are done here:

- Before Debian 13 dash's postinst takes over /bin/sh and its manual page in a function with arguments, which no pattern
  finds. It ships both itself.
- Packages of Debian 13 keep what others have moved into /usr from being removed with the old name (DEP 17, M4 and M8),
  until their own postinst takes that back. Of the files nobody ships one under these names. Of the links to /usr, as
  /bin, packages have folders; dpkg makes those under the new name, empty, for what is in them is in /usr all the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from layers.entry import Directory
from packer.debian.scripts import Command, Script, commands
from packer.debian.unpacked import Unpacked


@dataclass(frozen=True, slots=True)
class Diversion:
    """Three lines of dpkg's database.

    Attributes:
        path: that others may want.
        target: where theirs goes.
        package: whose own file stays at the path.
    """

    path: str
    target: str
    package: str


_DASH = (
    Diversion("/usr/share/man/man1/sh.1.gz", "/usr/share/man/man1/sh.distrib.1.gz", "dash"),
    Diversion("/bin/sh", "/bin/sh.distrib", "dash"),
)
_PROTECTIVE = ".usr-is-merged"


def diversions(unpacked: Unpacked) -> tuple[Diversion, ...]:
    """The diversions that packages make."""
    found: dict[Diversion, None] = {}
    removed: set[Diversion] = set()
    for script in unpacked.scripts("preinst", "postinst"):
        if _is_of_dash(script):
            found.update(dict.fromkeys(_DASH))
            continue
        for command in commands(script, "dpkg-divert"):
            diversion = _protective(command)
            if diversion and "--remove" in command.words:
                removed.add(diversion)
            elif diversion:
                found[diversion] = None
            elif any("--add" in word or "--divert" in word for word in command.words):
                unpacked.skip(script, " ".join(command.words), "nothing is diverted")
    return tuple(diversion for diversion in found if diversion not in removed)


def folders(unpacked: Unpacked, made: Sequence[Diversion]) -> Iterator[Directory]:
    """The folders that packages have under names that are protected from them; dpkg --verify looks for them.

    Args:
        unpacked: the packages.
        made: their diversions.
    """
    protected = {each.path.encode(): each for each in made if each.target.endswith(_PROTECTIVE)}
    for package in unpacked.packages if protected else ():
        for path in package.paths:
            diversion = protected.get(path)
            if diversion and package.name != diversion.package and isinstance(unpacked.follow(path), Directory):
                yield Directory(diversion.target[1:].encode())


def _is_of_dash(script: Script) -> bool:
    return script.package == "dash" and all(
        text in script.text for text in ("claim_binsh /bin/sh dash", "--divert $distrib --add $dfile")
    )


def _protective(command: Command) -> Diversion | None:
    """The diversion of a call, if it only protects a name, and not on behalf of another package."""
    target, own = _value(command.words, "--divert"), command.script.package
    if not command.resolved or not target.endswith(_PROTECTIVE) or "--rename" in command.words:
        return None
    if _value(command.words, "--package") not in ("", own):
        return None
    words = [word for word in command.words[1:] if not word.startswith("--") and word not in (target, own)]
    return Diversion(words[-1], target, own) if words else None


def _value(words: Iterable[str], option: str) -> str:
    """The value of an option of dpkg-divert, which stands behind it; empty without it."""
    following = iter(words)
    return next(following, "") if option in following else ""

"""Diversions: files that packages move out of the way (dpkg-divert(1)), as far as they can be known.

dash's postinst takes over /bin/sh and its manual page in a function with arguments, which no pattern finds. It ships
both itself, so that nothing moves: only the database has to know.
"""

from dataclasses import dataclass

from packer.debian.scripts import commands
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


def diversions(unpacked: Unpacked) -> tuple[Diversion, ...]:
    """The diversions that packages make."""
    found: list[Diversion] = []
    for script in unpacked.scripts("preinst", "postinst"):
        if script.package == "dash" and "claim_binsh /bin/sh dash" in script.text:
            found += _DASH
            continue
        for command in commands(script, "dpkg-divert"):
            if any("--add" in word or "--divert" in word for word in command.words):
                unpacked.skip(script, " ".join(command.words), "nothing is diverted")
    return tuple(found)

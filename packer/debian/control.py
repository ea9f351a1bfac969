"""Control data: stanzas of fields, and relations between packages (deb822(5), deb-control(5))."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from layers.errors import PackError
from packer.debian import version

#: What a package's name may look like (Debian policy, 5.6.1).
PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")

_FIELD = re.compile(r"([!-,./-9;-~][!-9;-~]*):[ \t]*(.*)")
_RELATION = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?"
    r"(?:\s*\[(?P<architectures>[^\][]*)\])?"
    r"(?P<profiles>(?:\s*<[^<>]*>)*)"
)
_OBSOLETE_OPERATORS = {"<": "<=", ">": ">="}  # Debian policy, 7.1


class ControlError(PackError):
    """Control data that nobody can make sense of."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One package that another one needs, provides or replaces: `libc6:any (>= 2.36) [amd64] <!nocheck>`.

    Attributes:
        name: of the package, possibly a virtual one.
        architecture: what follows the colon: `any`, `native`, an architecture, or empty.
        operator: `<<`, `<=`, `=`, `>=`, `>>`, or empty.
        version: what the operator compares with, or empty.
        architectures: in square brackets: where the relation holds; empty: everywhere.
        profiles: in angle brackets, a list each: with which build profiles it holds.
    """

    name: str
    architecture: str = ""
    operator: str = ""
    version: str = ""
    architectures: tuple[str, ...] = ()
    profiles: tuple[tuple[str, ...], ...] = ()

    def admits(self, other: str) -> bool:
        """Whether a version is one that the relation is about."""
        return version.admits(self.operator, self.version, other)


#: Alternatives, in the order of preference.
Clause = tuple[Relation, ...]


def stanzas(text: str, origin: str) -> Iterator[dict[str, str]]:
    """The stanzas of a text: a field's name in lower case -> its value.

    A value that goes on in other lines keeps the line breaks, without the blank that each line begins with.

    Args:
        text: stanzas with empty lines between them; lines that begin with `#` are comments.
        origin: where it was read, for the message.

    Raises:
        ControlError: a line is no field, or a stanza has a field twice.
    """
    fields: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t" and last:
            fields[last] += "\n" + line[1:]
        elif line[0] != "#":
            field = _FIELD.fullmatch(line)
            last = field[1].lower() if field else ""
            if not field or last in fields:
                raise ControlError(f"{origin}, line {number}: not a field, or one that is there twice: {line[:80]!r}")
            fields[last] = field[2].rstrip()
    if fields:
        yield fields


def stanza(text: str, origin: str) -> Mapping[str, str]:
    """The fields of a text of one stanza, as `stanzas` gives them.

    Raises:
        ControlError: it has none or several, or one that cannot be read.
    """
    found = list(stanzas(text, origin))
    if len(found) != 1:
        raise ControlError(f"{origin}: {len(found)} stanzas where one was expected")
    return found[0]


def clauses(text: str, origin: str) -> tuple[Clause, ...]:
    """The clauses of a field like Depends: `a | b (>= 1), c` gives two.

    Raises:
        ControlError: one of them is no relation.
    """
    alternatives = (clause.split("|") for clause in text.split(",") if clause.strip())
    return tuple(tuple(_relation(alternative.strip(), origin) for alternative in clause) for clause in alternatives)


def _relation(text: str, origin: str) -> Relation:
    found = _RELATION.fullmatch(text)
    if not found:
        raise ControlError(f"{origin}: {text[:80]!r} is no relation between packages")
    operator = found["operator"] or ""
    return Relation(
        found["name"],
        found["architecture"] or "",
        _OBSOLETE_OPERATORS.get(operator, operator),
        found["version"] or "",
        tuple((found["architectures"] or "").split()),
        tuple(tuple(profile.split()) for profile in re.findall(r"<([^<>]*)>", found["profiles"])),
    )

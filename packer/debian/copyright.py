"""debian/copyright in its machine-readable form (Debian's copyright-format 1.0): the licences of a package.

    Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

    Files: *
    Copyright: 1990 Ada
    License: GPL-2+ or Artistic-2.0, and BSD-3-clause        "," binds loosest, then "or", then "and" (section 7.2)

A short name becomes an SPDX identifier only where both mean the same for sure. `MIT` does not, because the format says
that there are many of these, nor do exceptions, which it does not name; they become a `LicenseRef`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from layers.digest import Digest
from packer.debian.control import ControlError, stanzas

_FORMAT = re.compile(r"https?://(www\.)?debian\.org/doc/packaging-manuals/copyright-format/1\.0/?")
_LOOSE = re.compile(r", +(and|or) +", re.IGNORECASE)
_OR = re.compile(r" +or +", re.IGNORECASE)
_AND = re.compile(r" +and +", re.IGNORECASE)
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9.-]+")
_MOST_OF_A_NAME = 40  # characters

#: Versions that there are of a licence whose name goes on with `-only` or `-or-later`.
_GNU: Mapping[str, tuple[str, ...]] = {
    "GPL": ("1.0", "2.0", "3.0"),
    "LGPL": ("2.0", "2.1", "3.0"),
    "AGPL": ("1.0", "3.0"),
    "GFDL": ("1.1", "1.2", "1.3"),
    "GFDL-NIV": ("1.1", "1.2", "1.3"),
}
_GNU_NAME = re.compile(r"(A?GPL|LGPL|GFDL(?:-NIV)?)-(\d+(?:\.\d+)*)(\+?)", re.IGNORECASE)

#: Licences with the same name and version in both lists.
_VERSIONED = (
    *("Apache-1.0", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BSL-1.0", "CC0-1.0", "CDDL-1.0", "CDDL-1.1"),
    *("CPL-1.0", "EFL-1.0", "EFL-2.0", "EPL-1.0", "EPL-2.0", "LPPL-1.0", "LPPL-1.1", "LPPL-1.2", "LPPL-1.3c"),
    *("MPL-1.0", "MPL-1.1", "MPL-2.0", "OFL-1.0", "OFL-1.1", "QPL-1.0"),
    *(f"CC-{kind}-{version}" for kind in ("BY", "BY-SA") for version in ("1.0", "2.0", "2.5", "3.0", "4.0")),
)
_NAMED = ("0BSD", "BSD-2-Clause", "BSD-3-Clause", "FSFAP", "FSFUL", "FSFULLR", "ISC", "Unlicense", "Zlib")

_IDENTIFIERS = {
    **{name.lower(): name for name in (*_VERSIONED, *_NAMED)},
    **{name.lower().removesuffix(".0"): name for name in _VERSIONED if name.endswith(".0")},
    "expat": "MIT",
}


@dataclass(frozen=True, slots=True)
class Licences:
    """What a package says about its licences.

    Attributes:
        expression: of SPDX: all licences of the package's source.
        references: names of the licences that have no identifier, by the `LicenseRef` of the expression.
    """

    expression: str
    references: Mapping[str, str]


def licences(text: str, digest: Digest) -> Licences | None:
    """The licences that a copyright file declares; None if it is not in the machine-readable form.

    Args:
        text: of the file.
        digest: of the file: names of licences that have no identifier are its own.
    """
    try:
        header, *others = stanzas(text, "copyright")
    except (ControlError, ValueError):
        return None
    files = [stanza for stanza in others if "files" in stanza]
    names = {" ".join(stanza.get("license", "").partition("\n")[0].split()) for stanza in files}
    if not _FORMAT.fullmatch(header.get("format", "").strip()) or not names or "" in names:
        return None
    reader = _Reader(digest, {})
    terms = {term for name in names for term in reader.terms(name)}
    return Licences(" AND ".join(sorted(terms)), dict(sorted(reader.references.items())))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads short names of one file.

    Attributes:
        digest: of the file.
        references: names by reference, of those that have been read.
    """

    digest: Digest
    references: dict[str, str]

    def terms(self, text: str) -> list[str]:
        """What all has to hold, each part so that it can stand beside `AND`."""
        operators = {operator.lower() for operator in _LOOSE.findall(text)}
        if len(operators) == 2:  # which of them binds closer, the format does not say
            return [self._identifier(text)]
        clauses = [self._alternatives(clause) for clause in _LOOSE.split(text)[::2]]
        if operators == {"or"}:
            return [f"({_joined(' OR ', clauses)})"]
        return [term for clause in clauses for term in _factors(clause)]

    def _alternatives(self, text: str) -> str:
        return _joined(" OR ", (self._conjunction(alternative) for alternative in _OR.split(text)))

    def _conjunction(self, text: str) -> str:
        return _joined(" AND ", (self._identifier(name) for name in _AND.split(text)))

    def _identifier(self, name: str) -> str:
        if known := identifier(name):
            return known
        own = Digest.of(f"{self.digest} {name}".encode()).hex[:16]
        readable = _NOT_IN_IDS.sub("-", name)[:_MOST_OF_A_NAME].strip("-.")
        reference = f"LicenseRef-{own}-{readable}".rstrip("-")
        self.references[reference] = name
        return reference


def identifier(name: str) -> str:
    """The SPDX identifier of a short name; empty if there is none for sure."""
    if gnu := _GNU_NAME.fullmatch(name):
        family, later = gnu[1].upper(), "or-later" if gnu[3] else "only"
        version = re.sub(r"(\.0)+$", "", gnu[2])
        version = version if "." in version else f"{version}.0"
        if version not in _GNU[family]:
            return ""
        if family == "GFDL-NIV":
            return f"GFDL-{version}-no-invariants-{later}"
        return f"{family}-{version}-{later}"
    return _IDENTIFIERS.get(name.lower(), "")


def _joined(operator: str, parts: Iterable[str]) -> str:
    return operator.join(dict.fromkeys(parts))


def _factors(clause: str) -> list[str]:
    return [f"({clause})"] if " OR " in clause else clause.split(" AND ")

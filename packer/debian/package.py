"""A Debian package as a store item, and how packages refer to each other."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.entry import Content, Entry, Slice
from layers.item import StoreItem
from packer.debian.control import PACKAGE_NAME, Clause, Relation, clauses, stanza
from packer.debian.deb import Package
from packer.debian.index import CONTROL, DATA, DebError, Index
from packer.debian.placement import PLACEMENT
from packer.debian.version import VERSION

_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_SOURCE_NAME = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, eq=False)
class DebianItem(StoreItem):
    """A binary package: its `path` is `NAME_VERSION_ARCHITECTURE`, its `identity` the digest of the .deb.

    Attributes:
        architecture: Debian's name, or `all`.
        multi_arch: the field Multi-Arch: `same`, `foreign`, `allowed` or empty.
        stanza: the control file to the letter, without an empty line at its end.
        members: the other files of control.tar by name: `postinst`, `conffiles`, `md5sums`, `triggers`, …
        paths: every path of data.tar in its order, as packages have them: `/.`, `/bin`, `/bin/bash`.
        digests: MD5 in hexadecimal by path (as in `paths`): of conffiles; of all files if there is no `md5sums`.
    """

    architecture: str
    multi_arch: str
    stanza: str
    members: Mapping[str, Content]
    paths: tuple[bytes, ...]
    digests: Mapping[bytes, str]

    def replaces(self, other: StoreItem) -> bool:
        """Whether dpkg would let this package's file take the place of the other's.

        It does if the other one, by its real name and version, is in the field Replaces (Debian policy, 7.6.1), or if
        it is the same package for another architecture (Multi-Arch: same; then their files are equal).
        """
        if not isinstance(other, DebianItem):
            return False
        if other.name == self.name:
            return self.multi_arch == other.multi_arch == "same"
        field = stanza(self.stanza, self.path).get("replaces", "")
        return any(
            relation.name == other.name and relation.admits(other.version)
            for clause in clauses(field, self.path)
            for relation in clause
        )


@dataclass(frozen=True, slots=True)
class _Contents:
    """An item's entries, from its index."""

    index: Index
    data: str

    def entries(self) -> Iterator[Entry]:
        return self.index.entries(self.data)


@dataclass(frozen=True, slots=True)
class _Unresolved:
    """A package whose fields were read, and whose relations have to be resolved among all packages."""

    package: Package
    path: str
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.fields["package"]

    @property
    def version(self) -> str:
        return self.fields["version"]

    def has_architecture(self, wanted: str) -> bool:
        return wanted in ("", "any", "native", self.fields["architecture"]) or self.fields["architecture"] == "all"


def items(packages: Sequence[Package]) -> list[DebianItem]:
    """The packages as items that refer to each other.

    An item needs, for each clause of its Pre-Depends and Depends, the first alternative that is among the packages:
    by its name and version, or as what another one provides.

    Args:
        packages: of one architecture, complete.

    Raises:
        DebError: a control file lacks a field, or has a name or a version that is none.
        ControlError: a control file cannot be read.
    """
    unresolved = [_read(package) for package in packages]
    resolver = _Resolver(unresolved)
    return [_item(one, resolver.references(one)) for one in unresolved]


def _read(package: Package) -> _Unresolved:
    origin = f"the control file of the .deb {package.digest.hex[:12]}…"
    fields = stanza(package.index.stanza, origin)
    patterns = {"package": PACKAGE_NAME, "version": VERSION, "architecture": _ARCHITECTURE}
    for field, pattern in patterns.items():
        if not pattern.fullmatch(fields.get(field, "")):  # they become names of files
            raise DebError(f"{origin}: {field} is {fields.get(field, '')[:80]!r}")
    return _Unresolved(package, "_".join(fields[field] for field in patterns), fields)


def _item(one: _Unresolved, references: tuple[str, ...]) -> DebianItem:
    folder, index, fields = one.package.folder, one.package.index, one.fields
    control, data = os.path.join(folder, CONTROL), os.path.join(folder, DATA)
    source = _SOURCE_NAME.match(fields.get("source", ""))
    return DebianItem(
        path=one.path,
        name=one.name,
        version=one.version,
        identity=one.package.digest,
        size=index.file_size,
        references=references,
        contents=_Contents(index, data),
        placement=PLACEMENT,
        architecture=fields["architecture"],
        multi_arch=fields.get("multi-arch", "").replace("no", ""),
        source=source[0] if source else one.name,
        stanza=index.stanza,
        members={name: Slice(control, *place) for name, place in index.members.items()},
        paths=tuple(b"/" + (path or b".") for path in index.paths),
        digests=index.digests,
    )


class _Resolver:
    """Finds what satisfies a relation."""

    def __init__(self, packages: Sequence[_Unresolved]) -> None:
        self._real: dict[str, list[_Unresolved]] = {}
        self._virtual: dict[str, list[tuple[_Unresolved, Relation]]] = {}
        for package in sorted(packages, key=lambda package: package.path):
            self._real.setdefault(package.name, []).append(package)
            for clause in clauses(package.fields.get("provides", ""), package.path):
                for relation in clause:
                    self._virtual.setdefault(relation.name, []).append((package, relation))

    def references(self, package: _Unresolved) -> tuple[str, ...]:
        found = {
            self._first(clause)
            for field in ("pre-depends", "depends")
            for clause in clauses(package.fields.get(field, ""), package.path)
        }
        return tuple(sorted(found - {"", package.path}))

    def _first(self, clause: Clause) -> str:
        for relation in clause:
            for real in self._real.get(relation.name, ()):
                if relation.admits(real.version) and real.has_architecture(relation.architecture):
                    return real.path
            for provider, provided in self._virtual.get(relation.name, ()):
                # What is provided without a version satisfies only relations without one: Debian policy, 7.5.
                if not relation.operator or (provided.version and relation.admits(provided.version)):
                    return provider.path
        return ""

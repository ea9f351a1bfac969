"""Units: the links that `systemctl enable`, `mask` and `set-default` would make (systemctl(1); systemd.unit(5)).

The section [Install] of a unit file says what wants the unit. To enable U is to make links, all of them to U's file:

    WantedBy=T      /etc/systemd/system/T.wants/U
    RequiredBy=T    /etc/systemd/system/T.requires/U
    UpheldBy=T      /etc/systemd/system/T.upholds/U
    Alias=A         /etc/systemd/system/A
    Also=V          V is enabled too

U@I.service is made from the file of U@.service; enabling the template itself enables its DefaultInstance. Links lead to
the first folder of the search path in which the file is. Up to version 254 the path of Debian's systemctl has
/lib/systemd/system, so that its links lead there with a merged /usr, as those that deb-systemd-helper makes where there
is no systemctl. Later versions know /usr alone (systemd's NEWS, 255: "Support for split-usr has been removed").
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from layers.entry import Directory, File, Symlink
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree
from packer.similar import nearest
from packer.systemd.unit_files import Install, UnitName

_NOTHING = b"/dev/null"

_SPLIT = b"lib/systemd/system"
_FIRST_WITHOUT_SPLIT = 255
# The library that systemd's programs share has systemd's version in its name, in every distribution.
_LIBRARY = re.compile(rb"libsystemd-shared-([0-9]+).*\.so")


class UnitError(InputError):
    """A unit that does not exist, or that cannot be enabled."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose units.

    Attributes:
        configuration: the folder in which links are made.
        folders: the search path, what wins first; `configuration` is its first.
    """

    configuration: bytes
    folders: tuple[bytes, ...]


#: The system's own (systemd.unit(5), "System Unit Search Path").
SYSTEM = Scope(
    b"etc/systemd/system",
    (b"etc/systemd/system", b"usr/local/lib/systemd/system", _SPLIT, b"usr/lib/systemd/system"),
)

#: Those of every user's own manager (systemd.unit(5), "User Unit Search Path").
USER = Scope(
    b"etc/systemd/user",
    (
        b"etc/systemd/user",
        b"usr/local/share/systemd/user",
        b"usr/share/systemd/user",
        b"usr/local/lib/systemd/user",
        b"usr/lib/systemd/user",
    ),
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit whose file was found.

    Attributes:
        name: real name, all aliases followed.
        path: of the file.
        install: what its file and drop-ins say.
    """

    name: UnitName
    path: bytes
    install: Install


class Units:
    """The units of a root.

    Args:
        tree: the root, with the links of a merged /usr.
        reader: reads the unit files.
        scope: whose units.
    """

    def __init__(self, tree: Tree, reader: Reader, scope: Scope = SYSTEM) -> None:
        self._tree = tree
        self._reader = reader
        self._scope = scope
        self._folders = _listed(tree, _searched(tree, scope))

    @property
    def names(self) -> Sequence[str]:
        """All units that have a file, templates among them, sorted."""
        found = {name for names in self._folders.values() for name in names}
        return sorted(name for name in map(os.fsdecode, found) if UnitName.parse(name))

    def enabled(self, name: str) -> tuple[Symlink, ...]:
        """The links that enable a unit and those that it names in `Also`, without their folders.

        What `Also` names comes first, then aliases: the order in which deb-systemd-helper notes them down.

        Args:
            name: `ssh.service`, `getty@tty1.service`, or a template with a default instance.

        Raises:
            UnitError: there is no such unit, it is masked, it has no [Install] section, or it is a template that needs
                an instance.
        """
        unit = self._unit(name)
        if not unit.install:
            raise UnitError(
                f"the unit {name} has no [Install] section: it cannot be enabled",
                hint="Other units start it when they need it.",
            )
        return tuple({link.path: link for link in self._closure(unit, {str(unit.name)})}.values())

    def masked(self, name: str) -> Symlink:
        """The link that keeps a unit from ever being started.

        Raises:
            UnitError: there is no such unit.
        """
        if self._find(name) is None:
            raise self._unknown(name)
        return Symlink(self._scope.configuration + b"/" + name.encode(), _NOTHING)

    def _closure(self, unit: _Unit, seen: set[str]) -> Iterator[Symlink]:
        for other in unit.install.also:
            if other not in seen:
                seen.add(other)
                # What `Also` names and cannot be enabled is passed over, as systemctl does.
                with contextlib.suppress(UnitError):
                    yield from tuple(self._closure(self._unit(other), seen))
        yield from self._links(unit)

    def _unit(self, text: str) -> _Unit:
        name, path = self._resolved(text)
        return _Unit(name, path, Install.read(self._texts(name, path)))

    def _resolved(self, text: str) -> tuple[UnitName, bytes]:
        """Real name and file of a unit: a link between unit files is another name of the one that it leads to."""
        seen: set[str] = set()
        name = text
        while name not in seen:
            seen.add(name)
            found = self._named(name)
            if not isinstance(found, str):
                return found
            name = found
        raise UnitError(f"the unit {text} is a link that leads to itself: it cannot be enabled")

    def _named(self, text: str) -> tuple[UnitName, bytes] | str:
        """Name and file of a unit; of a link between unit files, the name that it leads to."""
        path = self._find(text)
        name = UnitName.parse(text)
        if path is None or name is None:
            raise self._unknown(text)
        entry, file = self._tree.get(self._tree.real(path)), self._tree.follow(path)
        target = entry.target if isinstance(entry, Symlink) else b""
        if target == _NOTHING or (isinstance(file, File) and not file.content.size):
            raise UnitError(f"the unit {text} is masked: it cannot be enabled")
        other = UnitName.parse(os.fsdecode(os.path.basename(target)))
        if other and str(other) != text and self._find(str(other)):
            instance = name.instance if other.is_template and name.instance else other.instance
            return str(UnitName(other.prefix, instance, other.kind))
        return name, path

    def _find(self, text: str) -> bytes | None:
        """The path of the file of a unit, or of the template that it is made from, as links to it have it."""
        name = UnitName.parse(text)
        if name is None:
            return None
        for each in (name, name.template) if name.instance is not None else (name,):
            encoded = str(each).encode()
            for folder, names in self._folders.items():
                if encoded in names:
                    return folder + b"/" + encoded
        return None

    def _texts(self, name: UnitName, path: bytes) -> Iterator[str]:
        """The unit's file, then its drop-ins by name, those of the template among them."""
        yield self._text(path)
        drop_ins: dict[bytes, bytes] = {}
        for unit in (name, name.template) if name.instance else (name,):
            for folder, names in self._folders.items():
                inside = f"{unit}.d/".encode()
                for each in names:
                    if each.startswith(inside) and each.endswith(b".conf"):
                        drop_ins.setdefault(each[len(inside) :], folder + b"/" + each)
        for each in sorted(drop_ins):
            yield self._text(drop_ins[each])

    def _text(self, path: bytes) -> str:
        file = self._tree.follow(path)
        return self._reader.read(file.content).decode(errors="replace") if isinstance(file, File) else ""

    def _links(self, unit: _Unit) -> Iterator[Symlink]:
        name, install = unit.name, unit.install
        if name.is_template and install.default_instance:
            name = UnitName(name.prefix, _expanded(install.default_instance, name), name.kind)
        for alias in install.alias:
            path = _checked(_expanded(alias, name), unit.name)
            if not path.endswith(f".{name.kind}"):
                raise UnitError(f"the unit {unit.name} has the alias {path}, which is of another kind")
            if path != str(unit.name):
                yield self._link(unit, path.encode())
        for folder, others in (
            (b".wants/", install.wanted_by),
            (b".requires/", install.required_by),
            (b".upholds/", install.upheld_by),
        ):
            for other in others:
                target = _checked(_expanded(other, name), unit.name)
                if name.is_template and "@." not in target:
                    instance = UnitName(name.prefix, "NAME", name.kind)
                    raise UnitError(f"the unit {name} needs an instance", hint=f"Name one, like {instance}.")
                yield self._link(unit, target.encode() + folder + str(name).encode())

    def _link(self, unit: _Unit, path: bytes) -> Symlink:
        return Symlink(self._scope.configuration + b"/" + path, b"/" + unit.path)

    def _unknown(self, name: str) -> UnitError:
        near = f"{name}.service" if self._find(f"{name}.service") else nearest(name, self.names)
        hint = f"Did you mean {near}?" if near else "Add the package that it belongs to."
        return UnitError(f"there is no unit {name!r} in the image", hint=hint)


def _searched(tree: Tree, scope: Scope) -> tuple[bytes, ...]:
    """The search path of the root's own systemctl."""
    version = _version(tree) if tree.follow(b"usr/bin/systemctl") else 0
    return tuple(folder for folder in scope.folders if folder != _SPLIT or version < _FIRST_WITHOUT_SPLIT)


def _version(tree: Tree) -> int:
    """That of systemd; 0 where it cannot be seen."""
    libraries = (b"usr/lib", b"usr/lib64", *(b"usr/lib/" + name for name in tree.names(b"usr/lib")))
    names = (name for folder in libraries for name in tree.names(folder + b"/systemd"))
    return max((int(match[1]) for name in names if (match := _LIBRARY.fullmatch(name))), default=0)


def _listed(tree: Tree, folders: tuple[bytes, ...]) -> Mapping[bytes, frozenset[bytes]]:
    """Folder of the search path -> paths below it; a folder that is another one by a link counts once."""
    listed: dict[bytes, frozenset[bytes]] = {}
    seen: set[bytes] = set()
    for folder in folders:
        real = tree.real(folder)
        if real not in seen:
            seen.add(real)
            listed[folder] = frozenset(
                entry.path[len(real) + 1 :] for entry in tree.below(real) if not isinstance(entry, Directory)
            )
    return listed


def _expanded(text: str, name: UnitName) -> str:
    """The specifiers of a name that say something of the unit itself (systemd.unit(5), "Specifiers")."""
    values = {
        "%i": name.instance or "",
        "%p": name.prefix,
        "%j": name.prefix.rpartition("-")[2],
        "%n": str(name),
        "%N": str(name).rpartition(".")[0],
        "%%": "%",
    }
    expanded, rest = "", text
    while rest:
        taken = values.get(rest[:2])
        expanded, rest = (expanded + rest[0], rest[1:]) if taken is None else (expanded + taken, rest[2:])
    return expanded


def _checked(text: str, unit: UnitName) -> str:
    if UnitName.parse(text) is None:
        raise UnitError(f"the unit {unit} names {text!r} in its [Install] section, which is no name of a unit")
    return text

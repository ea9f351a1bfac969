"""dpkg's database, /var/lib/dpkg, as dpkg itself leaves it after it has installed the packages (dpkg(1), FILES).

status                 a stanza a package, by name: its control file, fields in dpkg's order (lib/dpkg/parse.c),
                       with `Status: install ok installed` and `Conffiles` with their MD5, `newconffile` for those
                       that are left out
available              empty: what could be installed is apt's business
arch                   architectures, dpkg's own first
arch-native            dpkg's own, of versions of dpkg whose postinst notes it down
diversions             three lines a diversion: path, target, package
statoverride           USER GROUP MODE PATH
info/format            `1`: names of packages with `Multi-Arch: same` have their architecture (deb-infodb)
info/PACKAGE.list      every path of the package, but what another package replaced
info/PACKAGE.*         the other files of control.tar; md5sums is made when a package has none, of what is not left out
triggers/File          PATH PACKAGE: who wants to know what changes below a path (deb-triggers(5))
triggers/NAME          the packages that are interested in a trigger of this name
triggers/Unincorp      triggers that wait for nobody: empty
triggers/Lock          empty, 0600
updates/ parts/        empty
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from layers.entry import Data, Directory, Entry, File, Meta
from layers.errors import PackError
from layers.reader import Reader
from packer.debian.attributes import Override
from packer.debian.diversions import Diversion
from packer.debian.package import DebianItem
from packer.debian.placement import PLACEMENT

_ROOT = b"var/lib/dpkg/"

_FIRST = ("Package", "Essential", "Protected", "Status", "Priority", "Section", "Installed-Size", "Origin",
          "Maintainer", "Bugs", "Architecture", "Multi-Arch", "Source", "Version", "Replaces", "Provides", "Depends",
          "Pre-Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Enhances", "Conffiles",
          "Description")  # fmt: skip
_ORDER = {name.lower(): position for position, name in enumerate(_FIRST)}

# Fields that only dpkg itself may set, or whose value `no` it leaves out.
_ITS_OWN = frozenset(("status", "conffiles", "config-version", "triggers-awaited", "triggers-pending"))
_ABSENT_IS_NO = frozenset(("essential", "multi-arch", "protected"))

_PROGRAMS = frozenset(("config", "postinst", "postrm", "preinst", "prerm"))
_NO_DIGEST = "newconffile"  # NEWCONFFILEFLAG of dpkg: a conffile that was never there
_NO_MORE = b"remove-on-upgrade"  # the one flag of deb-conffiles(5)
_NOT_KEPT = frozenset(("control", "list"))
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # debian-policy, 5.6.1
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")  # deb-control(5)
_MEMBER = re.compile(r"[a-z][a-z0-9-]*")
_TRIGGER = re.compile(r"[a-z0-9][A-Za-z0-9+.:_-]*")


class DatabaseError(PackError):
    """A package that dpkg's database cannot hold."""


def entries(
    packages: Sequence[DebianItem],
    omitted: Mapping[str, Collection[bytes]],
    diversions: Sequence[Diversion],
    overrides: Sequence[Override],
    reader: Reader,
) -> Iterator[Entry]:
    """The database.

    Args:
        packages: all of them.
        omitted: item's path -> placed paths of its files that another package's have replaced.
        diversions: in the order in which they shall stand.
        overrides: owners and modes that are not the packages'.
        reader: reads the packages' control members.

    Raises:
        DatabaseError: a package's name, a path or a trigger cannot stand in the database.
        PackError: a package's file cannot be read.
    """
    packages = sorted(packages, key=lambda package: (package.name, package.architecture))
    yield from _fixed(packages, diversions, overrides)
    shared = _shared(packages)
    stanzas = []
    for package in packages:
        kept = _kept(package, omitted.get(package.path, frozenset()), shared.get(package.name, frozenset()))
        stanzas.append(_stanza(package, frozenset(kept), _conffiles(package, reader)))
        yield from _info(package, kept)
    yield _file("status", "".join(stanza + "\n" for stanza in stanzas))
    yield from _triggers(packages, reader)
    yield from _native(packages, reader)


def _shared(packages: Sequence[DebianItem]) -> Mapping[str, frozenset[bytes]]:
    """Name -> the paths of packages that are there for several architectures: they share files, and all keep them."""
    names = Counter(package.name for package in packages)
    paths: dict[str, Counter[bytes]] = defaultdict(Counter)
    for package in packages:
        if names[package.name] > 1:
            paths[package.name].update(package.paths)
    return {name: frozenset(path for path in counted if counted[path] > 1) for name, counted in paths.items()}


def _fixed(
    packages: Sequence[DebianItem], diversions: Sequence[Diversion], overrides: Sequence[Override]
) -> Iterator[Entry]:
    for folder in ("", "alternatives", "info", "parts", "triggers", "updates"):
        yield Directory((_ROOT + folder.encode()).rstrip(b"/"))
    yield _file("info/format", "1\n")
    yield _file("available", "")
    if architectures := _architectures(packages):
        yield _file("arch", "".join(name + "\n" for name in architectures))
    yield _file("diversions", "".join(f"{each.path}\n{each.target}\n{each.package}\n" for each in diversions))
    yield _file("statoverride", "".join(f"{each.user} {each.group} {each.mode:o} {each.path}\n" for each in overrides))
    yield _file("triggers/Unincorp", "")
    yield File(_ROOT + b"triggers/Lock", meta=Meta(0o600))


def _architectures(packages: Sequence[DebianItem]) -> list[str]:
    """All architectures, the first one being dpkg's own, or else that of the first package by name."""
    names = {package.architecture for package in packages} - {"all"}
    own = [package.architecture for package in packages if package.name == "dpkg" and package.architecture in names]
    others = [package.architecture for package in packages if package.architecture in names]
    return list(dict.fromkeys(own + others[:1] + sorted(names)))


def _native(packages: Sequence[DebianItem], reader: Reader) -> Iterator[Entry]:
    for package in packages:
        script = package.members.get("postinst") if package.name == "dpkg" else None
        if script and b"/arch-native\n" in reader.read(script):
            yield _file("arch-native", f"{package.architecture}\n")
            return


def _kept(package: DebianItem, omitted: Collection[bytes], shared: Collection[bytes]) -> Sequence[bytes]:
    """The paths that are still the package's own."""
    if not omitted:
        return package.paths
    return [path for path in package.paths if path in shared or PLACEMENT.path(path[1:]) not in omitted]


def _info(package: DebianItem, kept: Sequence[bytes]) -> Iterator[Entry]:
    name = f"info/{_qualified_name(package)}"
    if any(b"\n" in path for path in package.paths):
        raise DatabaseError(f"{package}: one of its files has a newline in its name, which dpkg's database cannot hold")
    yield _file(f"{name}.list", b"".join(path + b"\n" for path in kept))
    for member, content in sorted(package.members.items()):
        if member not in _NOT_KEPT and _MEMBER.fullmatch(member):
            meta = Meta(0o755 if member in _PROGRAMS else 0o644)
            yield File(_ROOT + f"{name}.{member}".encode(), content, meta)
    if "md5sums" not in package.members:
        lines = (
            package.digests[path].encode() + b"  " + path[1:] + b"\n"
            for path in package.paths
            if path in package.digests and not _is_left_out(package, path)
        )
        yield _file(f"{name}.md5sums", b"".join(lines))


def _qualified_name(package: DebianItem) -> str:
    if not _PACKAGE.fullmatch(package.name) or not _ARCHITECTURE.fullmatch(package.architecture):
        raise DatabaseError(f"{package.name!r}, {package.architecture!r}: no name of a package and its architecture")
    return f"{package.name}:{package.architecture}" if package.multi_arch == "same" else package.name


def _conffiles(package: DebianItem, reader: Reader) -> list[bytes]:
    """The lines of deb-conffiles(5): a path, or a flag and the path of a file that the package has no more."""
    content = package.members.get("conffiles")
    return [line.rstrip() for line in reader.read(content).split(b"\n") if line.strip()] if content else []


def _stanza(package: DebianItem, kept: Collection[bytes], conffiles: Sequence[bytes]) -> str:
    fields = [field for field in _fields(package) if not _is_dropped(field)]
    fields.append("Status: install ok installed")
    lines = [line for conffile in conffiles if (line := _conffile(package, conffile, kept))]
    if lines:
        fields.append("Conffiles:" + "".join(f"\n {line}" for line in lines))
    fields.sort(key=lambda field: _ORDER.get(_name(field), len(_ORDER)))
    return "".join(field + "\n" for field in fields)


def _conffile(package: DebianItem, line: bytes, kept: Collection[bytes]) -> str:
    """A line of `Conffiles` for one of _conffiles; empty for a file that the package has not."""
    if line.startswith(_NO_MORE):
        return f"{_text(line.removeprefix(_NO_MORE).lstrip())} {_NO_DIGEST} {_NO_MORE.decode()}"
    if line not in package.digests:
        return ""
    return f"{_text(line)} {_digest(package, line)}{'' if line in kept else ' obsolete'}"


def _digest(package: DebianItem, path: bytes) -> str:
    return _NO_DIGEST if _is_left_out(package, path) else package.digests[path]


def _is_left_out(package: DebianItem, path: bytes) -> bool:
    return package.placement.path(path[1:]) in package.left_out


def _fields(package: DebianItem) -> list[str]:
    fields: list[str] = []
    for line in package.stanza.rstrip("\n").split("\n"):
        if line[:1] in (" ", "\t") and fields and line.strip():
            fields[-1] += "\n" + line
        elif line[:1].strip() and ":" in line:
            fields.append(line)
        else:
            raise DatabaseError(f"{package}: its control file has a line that belongs to no field: {line!r}")
    return fields


def _name(field: str) -> str:
    return field.partition(":")[0].lower()


def _is_dropped(field: str) -> bool:
    name = _name(field)
    return name in _ITS_OWN or (name in _ABSENT_IS_NO and field.partition(":")[2].strip() == "no")


def _triggers(packages: Sequence[DebianItem], reader: Reader) -> Iterator[Entry]:
    files: list[str] = []
    named: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        content = package.members.get("triggers")
        for line in reader.read(content).decode(errors="surrogateescape").split("\n") if content else []:
            directive, name = [*line.partition("#")[0].split(), "", ""][:2]
            if not directive.startswith("interest"):
                continue
            interested = _qualified_name(package) + ("/noawait" if directive == "interest-noawait" else "")
            if name.startswith("/"):
                files.append(f"{name} {interested}\n")
            elif _TRIGGER.fullmatch(name):
                named[name].append(f"{interested}\n")
            else:
                raise DatabaseError(f"{package}: {name!r} is no name of a trigger")
    yield _file("triggers/File", "".join(sorted(files)))
    for name, lines in sorted(named.items()):
        yield _file(f"triggers/{name}", "".join(sorted(lines)))


def _file(name: str, content: str | bytes) -> File:
    data = content if isinstance(content, bytes) else content.encode(errors="surrogateescape")
    return File(_ROOT + name.encode(), Data(data))


def _text(path: bytes) -> str:
    return path.decode(errors="surrogateescape")

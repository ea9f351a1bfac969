"""Paths of packages that are left out, as `dpkg --path-exclude --path-include` leaves them out (dpkg(1)).

A path is left out if it matches one of `exclude` and none of `include`, as when dpkg is told the latter after the
former. Rules are about paths as packages have them: `/bin/x`, wherever that lands.

A folder or a link that may lead to something included stays: one that begins with what stands before an include's
first wildcard (filter_should_skip() of dpkg's src/main/filters.c). That is more than would be needed. dpkg could not
unpack into a folder that is left out, or link to a file that is; here a folder stays if something in it does, and the
content of a file if it has a name left.

dpkg's database has packages whole: what is not there any more is what `dpkg --verify` calls missing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from layers.entry import Data, Directory, Entry, File, Symlink, parents
from layers.tree import Tree, without
from packer.debian.glob import Glob
from packer.debian.package import DebianItem
from packer.document import quoted

_CONFIGURATION = b"etc/dpkg/dpkg.cfg.d"


@dataclass(frozen=True, slots=True)
class PathRules:
    """What is left out.

    Attributes:
        exclude: patterns of what is.
        include: patterns of what is not, even so.
    """

    exclude: tuple[Glob, ...] = ()
    include: tuple[Glob, ...] = ()

    @classmethod
    def parse(cls, exclude: Iterable[str], include: Iterable[str]) -> "PathRules":
        """The rules of some patterns.

        Raises:
            GlobError: one of them is none.
        """
        return cls(tuple(map(Glob.parse, exclude)), tuple(map(Glob.parse, include)))

    def excludes(self, path: bytes) -> bool:
        """Whether a path, with its `/` at the start, matches one of `exclude`."""
        return any(glob.matches(path) for glob in self.exclude)

    def includes(self, path: bytes, *, leads_on: bool) -> bool:
        """Whether a path stays though `exclude` has it.

        Args:
            path: with its `/` at the start.
            leads_on: whether it is a folder or a symbolic link.
        """
        if any(glob.matches(path) for glob in self.include):
            return True
        return leads_on and any(path.startswith(glob.fixed) for glob in self.include)

    def entries(self, tree: Tree) -> Iterator[Entry]:
        """The rules for dpkg in the image, if it is there: what is installed later is treated alike (dpkg.cfg(5)).

        Args:
            tree: what packages have.
        """
        if self.exclude and isinstance(tree.get(_CONFIGURATION), Directory):
            rules = {"path-exclude": self.exclude, "path-include": self.include}
            lines = [f"{option}={glob.text}\n" for option, globs in rules.items() for glob in globs]
            yield File(_CONFIGURATION + b"/path-rules", Data("".join(lines).encode()))


@dataclass(frozen=True, slots=True)
class Filtered:
    """What rules make of packages.

    Attributes:
        items: the packages, each with what is left out of it.
        idle: what is to be said of rules that change nothing.
    """

    items: Sequence[DebianItem]
    idle: Sequence[str]


def filtered(items: Sequence[DebianItem], rules: PathRules) -> Filtered:
    """Packages less what rules leave out.

    Raises:
        PackError: as `layers.item.Contents.entries`.
    """
    if not rules.exclude:
        return Filtered(items, ())
    found: list[DebianItem] = []
    excluded: list[bytes] = []
    gone: list[bytes] = []
    for item in items:
        paths = frozenset(path for path in item.paths if rules.excludes(path))
        left_out = _left_out(item, paths, rules) if paths else {}
        found.append(_without(item, frozenset(left_out.values())) if left_out else item)
        excluded += paths
        gone += left_out
    idle = [f"path-exclude: {quoted(glob.text)} leaves out nothing" for glob in _idle(rules.exclude, gone)]
    idle += [f"path-include: {quoted(glob.text)} brings back nothing" for glob in _idle(rules.include, excluded)]
    return Filtered(found, idle)


def _idle(globs: Iterable[Glob], paths: Sequence[bytes]) -> Iterator[Glob]:
    return (glob for glob in globs if not any(map(glob.matches, paths)))


def _left_out(item: DebianItem, excluded: frozenset[bytes], rules: PathRules) -> dict[bytes, bytes]:
    """The paths that go, as the package has them -> where they would land."""
    gone: dict[bytes, bytes] = {}
    stays: set[bytes] = {b""}
    for entry, placed in zip(item.contents.entries(), item.all_entries(), strict=True):
        path = b"/" + entry.path
        if path in excluded and not rules.includes(path, leads_on=isinstance(entry, Directory | Symlink)):
            gone[path] = placed.path
        else:
            stays.update((placed.path, *parents(placed.path)))
    return {path: place for path, place in gone.items() if place not in stays}


def _without(item: DebianItem, left_out: frozenset[bytes]) -> DebianItem:
    packed = without(item.all_entries(), left_out)
    return replace(item, left_out=left_out, size=sum(entry.content.size for entry in packed if isinstance(entry, File)))

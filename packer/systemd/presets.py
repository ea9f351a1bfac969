"""Presets: which units are enabled when they are installed, unless somebody says otherwise (systemd.preset(5)).

    enable ssh.service
    enable getty@.service tty1 tty2     a template, for some instances only
    disable systemd-*
    ignore x.service                    as if it were enabled: what is there stays

The first line that fits decides; a unit that no line fits is enabled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from layers.entry import File
from layers.reader import Reader
from layers.tree import Tree
from packer.systemd.configuration import configuration_files
from packer.systemd.unit_files import UnitName

#: Where presets of the system's units, and of users' units, are; what wins first.
SYSTEM = tuple(f"{base}/systemd/system-preset".encode() for base in ("etc", "usr/local/lib", "lib", "usr/lib"))
USER = tuple(f"{base}/systemd/user-preset".encode() for base in ("etc", "usr/local/lib", "usr/lib"))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line of a preset."""

    action: str
    pattern: str
    instances: Sequence[str]

    def fits(self, unit: UnitName) -> bool:
        if fnmatchcase(str(unit), self.pattern) and not (unit.is_template and self.instances):
            return True
        return unit.instance in self.instances and fnmatchcase(str(unit.template), self.pattern)


class Presets:
    """The presets of a root.

    Args:
        tree: the root, with the links of a merged /usr.
        reader: reads the files.
        folders: `SYSTEM` or `USER`.
    """

    def __init__(self, tree: Tree, reader: Reader, folders: tuple[bytes, ...] = SYSTEM) -> None:
        self._rules = tuple(_rules(configuration_files(tree, folders, ".preset"), reader))

    def enables(self, unit: str) -> bool:
        """Whether a unit is enabled when it is installed."""
        name = UnitName.parse(unit)
        fitting = (rule.action != "disable" for rule in self._rules if name and rule.fits(name))
        return next(fitting, True)


def _rules(files: Sequence[File], reader: Reader) -> Iterator[_Rule]:
    for file in files:
        for line in reader.read(file.content).decode(errors="replace").split("\n"):
            words = line.split()
            if len(words) > 1 and words[0] in ("enable", "disable", "ignore"):
                yield _Rule(words[0], words[1], words[2:])

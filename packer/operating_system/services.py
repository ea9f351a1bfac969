"""Services: the links below /etc/systemd/system that `systemctl enable`, `mask` and `disable` would make or remove."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from layers.entry import Entry, File, Symlink
from layers.tree import Tree
from packer.operating_system.image import Image
from packer.systemd.units import SYSTEM, UnitError, Units
from packer.tables.services import Services

_NOTHING = b"/dev/null"


@dataclass(frozen=True, slots=True)
class Links:
    """What becomes of links.

    Attributes:
        made: new ones.
        removed: paths of those that are not to be there.
    """

    made: tuple[Entry, ...] = ()
    removed: frozenset[bytes] = frozenset()


def links(services: Services, image: Image, items: Tree) -> Links:
    """What `services` of `[os]` asks for.

    Args:
        services: the declaration.
        image: the image, with the units that `files` of `[os]` brings.
        items: what packages ship, which nobody can remove from an image.
    """
    if not (services.enable or services.mask or services.disable):
        return Links()
    units = Units(image.tree, image.reader)
    made: list[Entry] = []
    removed: set[bytes] = set()
    for place, name in enumerate(services.disable):
        removed |= _disabled(name, f"os.services.disable[{place}]", units, image, items)
    for place, name in enumerate(services.mask):
        made += _masked(name, f"os.services.mask[{place}]", units, image)
    for place, name in enumerate(services.enable):
        try:
            made += units.enabled(name)
        except UnitError as error:
            image.refused(f"os.services.enable[{place}]", error)
    return Links(tuple(made), frozenset(removed - {entry.path for entry in made}))


def _masked(name: str, key: str, units: Units, image: Image) -> Iterator[Entry]:
    try:
        link = units.masked(name)
    except UnitError as error:
        image.refused(key, error)
        return
    if isinstance(image.tree.get(image.tree.real(link.path)), File):
        message = f"/{os.fsdecode(link.path)} is a file, whose place a link to /dev/null would take"
        image.wrong(key, message, "disable it, or leave the file out")
    yield link


def _disabled(name: str, key: str, units: Units, image: Image, items: Tree) -> set[bytes]:
    """The paths of the links that start a unit, or give it another name."""
    try:
        units.masked(name)  # whether there is such a unit
    except UnitError as error:
        image.refused(key, error)
        return set()
    found = {link.path for link in _leading_to(name, image.tree.below(image.tree.real(SYSTEM.configuration)))}
    for path in sorted(path for path in found if path in items):
        image.wrong(key, f"a package ships /{os.fsdecode(path)}, which cannot be removed", "mask the unit")
    return found


def _leading_to(name: str, entries: Iterable[Entry]) -> Iterator[Symlink]:
    for entry in entries:
        if isinstance(entry, Symlink) and entry.target != _NOTHING:
            names = (os.path.basename(entry.path), os.path.basename(entry.target))
            if name.encode() in names:
                yield entry

"""Boot loaders: a module each, named as in os.toml.

Where none is named, it is GRUB, or what the system has in its place; on a disk with a partition for boot loader
entries, the other way round.
"""

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from formats.image import BLS_BOOT
from layers.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from formats.boot import Installed, Layout
    from layers.reader import Reader
    from packer.boot.kernel import Kernel

#: Names of boot loaders.
LOADERS = ("grub", "systemd-boot", "u-boot")

#: The name for none.
NONE = "none"


class Loader(Protocol):
    """A module here."""

    def fits(self, layout: "Layout") -> bool:
        """Whether it is in the system, and could start this disk."""
        ...

    def install(self, layout: "Layout", kernels: "Sequence[Kernel]", reader: "Reader") -> "Installed":
        """What starts these kernels, of which all files are in the root file system.

        Raises:
            InputError: something of the boot loader is not in the system, or the disk has no place for it.
        """
        ...


def loader(layout: "Layout") -> Loader | None:
    """The boot loader of a disk: the image's, or what fits; none if it is to have none.

    Raises:
        InputError: there is no such boot loader.
    """
    name = layout.image.boot_loader
    if name == NONE or (not name and layout.image.partition_table_type == "none"):
        return None
    if name and name not in LOADERS:
        raise InputError(f"there is no boot loader {name!r}", hint=f"There are {', '.join((*LOADERS, NONE))}.")
    if name:
        return _module(name)
    for_entries = any(BLS_BOOT in volume.partition.flags for volume in layout.volumes)
    modules = [_module(each) for each in (LOADERS[::-1] if for_entries else LOADERS)]
    return next((module for module in modules if module.fits(layout)), modules[0])


def _module(name: str) -> Loader:
    return cast("Loader", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))

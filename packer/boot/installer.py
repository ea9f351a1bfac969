"""The installer: all that a disk needs so that a machine starts it, put together."""

import os
from collections.abc import Sequence
from dataclasses import replace

from formats.boot import Installed, Layout
from layers.entry import Data, Directory, Entry, File
from layers.reader import Reader
from packer.boot import depmod, fstab, hurd
from packer.boot.initrd import initrd
from packer.boot.kernel import Kernel, device_trees, kernels, missing, root_volume
from packer.boot.known_modules import known_modules
from packer.boot.loaders import loader
from packer.boot.modules import Modules

#: Where an initrd mounts what the kernel shows of itself, while nobody can write to the root.
_MOUNT_POINTS = (b"dev", b"proc", b"run", b"sys")


class BootInstaller:
    """Makes disks start; see `formats.boot.Installer`."""

    def install(self, layout: Layout, reader: Reader) -> Installed:
        """What the disk needs besides the system.

        Without a boot loader, there is still what somebody else's needs, if the disk has a root and that a kernel.

        Raises:
            InputError: the system lacks something that has to be in it, with the package that has it.
            PackError: something of the system cannot be read.
        """
        starting = loader(layout)
        if starting is None and not layout.at("/"):
            return Installed()
        found, made = _of_hurd(layout, reader) if hurd.is_hurd(layout) else _of_linux(layout, reader)
        if starting and not found:
            raise missing(layout)
        installed = starting.install(layout, found, reader) if starting else Installed()
        loaded = {file.path for kernel in found for file in kernel.files}
        return replace(installed, entries=(*made, *installed.entries), loaded=frozenset(loaded))


def _of_hurd(layout: Layout, reader: Reader) -> tuple[list[Kernel], list[Entry]]:
    """GNU Mach, and what is added to the root."""
    mach = hurd.kernel(layout, reader)
    unpacked = [] if layout.system.tree.get(mach.file.path) == mach.file else [mach.file]
    return [mach], [*unpacked, *hurd.entries(layout)]


def _of_linux(layout: Layout, reader: Reader) -> tuple[list[Kernel], list[Entry]]:
    """The kernels, and what is added to the root for them."""
    found = kernels(layout, reader)
    made: list[Entry] = [Directory(name) for name in _MOUNT_POINTS if name not in layout.system.tree]
    if not all(kernel.is_debian for kernel in found):
        return found, made
    started, companions = _with_initrds(layout, found, reader)
    return started, [*made, *fstab.entries(layout, reader), *companions]


def _with_initrds(layout: Layout, found: Sequence[Kernel], reader: Reader) -> tuple[list[Kernel], list[Entry]]:
    """The kernels with their initrds, and what is added to the root for that."""
    started: list[Kernel] = []
    made: list[Entry] = []
    for kernel in found:
        modules = known_modules(layout, kernel.version, reader)
        image = _initrd(layout, kernel, modules, reader)
        started.append(replace(kernel, initrd=image))
        made.append(image)
        if modules.folder + b"/modules.dep" not in layout.system.tree:
            made += depmod.tables(modules, layout.system.tree, reader)
    return started, made


def _initrd(layout: Layout, kernel: Kernel, modules: Modules, reader: Reader) -> File:
    """The initrd, beside its kernel."""
    data = initrd(
        modules,
        layout.system.tree,
        reader,
        file_system=root_volume(layout).partition.file_system,
        volatile=layout.image.volatile_root,
        boards=device_trees(layout.system.tree, kernel) is not None,
        epoch=layout.system.epoch,
    )
    folder, _, _ = kernel.file.path.rpartition(b"/")
    return File(folder + b"/initrd.img-" + os.fsencode(kernel.version), Data(data))

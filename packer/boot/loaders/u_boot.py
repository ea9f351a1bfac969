"""U-Boot: what boards have as firmware, and what starts a kernel that a menu names.

The menu is /boot/extlinux/extlinux.conf (U-Boot, doc/develop/bootstd/extlinux.rst and doc/README.pxe). U-Boot looks for
it in the partitions that are marked as bootable, or in the first if none is; all files that it names have to be in the
same file system. Those that are elsewhere are copied to /boot.

U-Boot itself is in the machine, or on the disk where the board looks for it (`formats.boards`). Then its parts come
from the package of U-Boot that is in the system, and they have to begin as the board expects.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from formats.boards import BOARDS, Board, Stage
from formats.boot import Embedded, Installed, Layout, Volume
from formats.image import BOOT, ESP
from layers.entry import Data, Directory, Entry, File, Hardlink
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.elf import part
from packer.boot.kernel import Kernel, device_trees
from packer.boot.places import find, is_on_disk, place

_MENU = b"boot/extlinux/extlinux.conf"
_PLATFORMS = ("aarch64-linux", "armhf-linux", "riscv64-linux")
_UNSAFE = re.compile(r"[^A-Za-z0-9+._-]")  # in labels and names of folders


def fits(layout: Layout) -> bool:
    """See `packer.boot.loaders.Loader`."""
    flags = {flag for volume in layout.volumes for flag in volume.partition.flags}
    return bool(layout.image.board) or (layout.system.platform.name in _PLATFORMS and ESP not in flags)


def install(layout: Layout, kernels: Sequence[Kernel], reader: Reader) -> Installed:
    """See `packer.boot.loaders.Loader`."""
    board = _board(layout)
    menu = layout.system.tree.real(_MENU)
    holder, _ = place(layout, menu)
    _check_found(layout, holder)
    lines = ["MENU TITLE U-Boot", "PROMPT 0", f"TIMEOUT {10 if len(kernels) == 1 else 50}"]
    files = _Files(layout, holder)
    for kernel in kernels:
        lines += ["", *_entry(kernel, board, files)]
    text = File(menu, Data(os.fsencode("\n".join(lines) + "\n")))
    return Installed((*files.copied, text), embedded=tuple(_embedded(layout, board, reader)) if board else ())


def _board(layout: Layout) -> Board | None:
    name = layout.image.board
    if not name:
        return None
    if name not in BOARDS:
        raise InputError(f"there is no board {name!r}", hint=f"There are {', '.join(BOARDS)}.")
    board, system = BOARDS[name], layout.system.platform
    if board.platform != system:
        raise InputError(f"the system is for {system.name}, and the {board.title} is {board.platform.name}")
    return board


def _check_found(layout: Layout, holder: Volume) -> None:
    """Refuse a menu where U-Boot does not look for it."""
    flagged = [volume for volume in layout.volumes if BOOT in volume.partition.flags] or list(layout.volumes[:1])
    if holder not in flagged:
        raise InputError(
            f"U-Boot would not find its menu, /{os.fsdecode(_MENU)}: its partition has not the flag {BOOT!r}",
            hint="Give it to that partition, and to no other.",
        )


def _entry(kernel: Kernel, board: Board | None, files: "_Files") -> Iterator[str]:
    """The lines of a kernel."""
    label = _safe(kernel.version)
    yield f"LABEL {label}"
    yield f"    MENU LABEL {' '.join(kernel.title.split())}"
    yield f"    KERNEL {files.path(kernel.file, label)}"
    if kernel.initrd:
        yield f"    INITRD {files.path(kernel.initrd, label)}"
    if found := _device_tree(files.tree, kernel, board):
        yield f"    {'FDT' if isinstance(found, File) else 'FDTDIR'} {files.path(found, label)}"
    yield f"    APPEND {' '.join(_arguments(kernel, board))}"


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)


def _arguments(kernel: Kernel, board: Board | None) -> tuple[str, ...]:
    """What the kernel is told: with the board's console, if nobody has named one."""
    if board is None or any(argument.startswith("console=") for argument in kernel.arguments):
        return kernel.arguments
    return (*kernel.arguments, board.console)


def _device_tree(tree: Tree, kernel: Kernel, board: Board | None) -> File | Directory | None:
    """The kernel's folder of device trees, of which U-Boot knows the one to take; or that one, if it does not."""
    found = device_trees(tree, kernel)
    known = (
        tree.follow(found.path + b"/" + board.device_tree.encode()) if found and board and board.device_tree else None
    )
    return known if isinstance(known, File) else found


class _Files:
    """Where the menu finds files: in its own file system, to which those of others, and of a shared store, are copied.

    Args:
        layout: of the disk.
        holder: the volume with the menu.

    Attributes:
        tree: the root file system.
        copied: what is added to it.
    """

    def __init__(self, layout: Layout, holder: Volume) -> None:
        self._layout = layout
        self._holder = holder
        self.tree = layout.system.tree
        self.copied: list[Entry] = []

    def path(self, entry: File | Directory, folder: str) -> str:
        """The path of a file or a folder, from the root folder of the menu's file system on.

        Args:
            entry: of the root file system.
            folder: below /boot, if it has to be copied.
        """
        volume, path = place(self._layout, entry.path)
        if volume == self._holder and is_on_disk(self._layout, entry.path):
            return path
        target = b"/".join((b"boot", folder.encode(), os.path.basename(entry.path)))
        self.copied += self._copies(entry, target)
        return place(self._layout, target)[1]

    def _copies(self, entry: File | Directory, target: bytes) -> Iterator[Entry]:
        yield replace(entry, path=target)
        for below in self.tree.below(entry.path) if isinstance(entry, Directory) else ():
            found = self.tree.follow(below.path) if isinstance(below, Hardlink) else below
            if found:
                yield replace(found, path=target + below.path[len(entry.path) :])


def _embedded(layout: Layout, board: Board, reader: Reader) -> Iterator[Embedded]:
    """U-Boot's parts, where the board looks for them."""
    for stage, file in _stages(layout.system.tree, board):
        end = stage.magic_offset + len(stage.magic)
        beginning = reader.read(part(file.content, 0, min(end, file.content.size)))
        if beginning[stage.magic_offset :] != stage.magic:
            raise InputError(
                f"/{os.fsdecode(file.path)} is not what the {board.title} starts:"
                f" it has not the bytes {stage.magic.hex(' ')} at {stage.magic_offset}"
            )
        _check_room(layout, stage, file)
        yield Embedded(f"{stage.file} of U-Boot", stage.offset, file.content)


def _stages(tree: Tree, board: Board) -> list[tuple[Stage, File]]:
    """The parts, as the package in the system has cut U-Boot."""
    for stages in board.stages:
        found = [(stage, _file(tree, board, stage)) for stage in stages]
        files = [(stage, file) for stage, file in found if file is not None]
        if len(files) == len(found):
            return files
    raise InputError(
        f"the system has no U-Boot for the {board.title}: /usr/lib/u-boot/{board.folder}/{board.stages[0][0].file}",
        hint=f"Debian: add the package {board.package} to store.packages. Nix and Guix: the board's package of U-Boot.",
    )


def _file(tree: Tree, board: Board, stage: Stage) -> File | None:
    """A file of U-Boot: where Debian has it, Guix, or Nix."""
    path = find(tree, [f"lib/u-boot/{board.folder}/{stage.file}", f"libexec/{stage.file}", stage.file])
    found = tree.follow(path) if path else None
    return found if isinstance(found, File) else None


def _check_room(layout: Layout, stage: Stage, file: File) -> None:
    """Refuse a part that is larger than the partition that it is for."""
    for volume in layout.volumes:
        size = volume.partition.size
        if volume.partition.offset == stage.offset and size is not None and file.content.size > size:
            raise InputError(
                f"/{os.fsdecode(file.path)} has {file.content.size} bytes, and its partition"
                f" {volume.partition.label!r} has {size}"
            )

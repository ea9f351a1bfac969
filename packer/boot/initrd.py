"""Our own initrd, for systems that bring none: the first root file system, in memory, which mounts the real one.

    /init             init.sh, the same in every image
    /bin/busybox      static, of the image; it is the shell and all commands
    /etc/modules      the kernel modules to load, in this order, each with those without which it cannot be
    /lib/modules/     these modules, not compressed

Which modules there are depends on what the root needs, and not on the machine that packs: the drivers of the disks that
machines and hypervisors have, the file system, and all that these ask for. Those of boards are there besides, with the
tables by which modprobe finds them (`packer.boot.drivers`). The root file system is checked by its own e2fsck, if it
has one: that has to be there anyway, and here it would bring its libraries.

The archive is not compressed. What is on a disk shall be the same for ever (its compressed form depends on a library's
version), and it has 5 to 8 MB; with all drivers of boards up to 30.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from io import BytesIO
from itertools import chain

from layers.entry import PROGRAM, Data, Device, DeviceKind, Directory, Entry, File, Meta
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot import depmod, drivers
from packer.boot.cpio import archive
from packer.boot.elf import read_elf
from packer.boot.modules import Module, Modules

_BUSYBOX = (b"usr/bin/busybox", b"bin/busybox", b"sbin/busybox")
_BUSYBOX_HINT = "Add the package busybox-static to store.packages."
_MOST = 256 << 20  # bytes; machines of 512 MiB have to start with it

#: What mounts a root of these kinds; kernels have it built in, or as a module.
_FILE_SYSTEMS = {"ext2": "ext4", "ext3": "ext4", "ext4": "ext4", "iso9660": "isofs"}


def initrd(
    modules: Modules, tree: Tree, reader: Reader, *, file_system: str, volatile: bool, boards: bool = False, epoch: int
) -> bytes:
    """The initrd of a kernel.

    Args:
        modules: of the kernel.
        tree: the root file system.
        reader: reads modules and busybox.
        file_system: of the root.
        volatile: whether the root shall be laid under a file system in memory.
        boards: whether machines may have a device tree, which says what drivers they need.
        epoch: the time of everything in it, in seconds since 1970.

    Raises:
        InputError: the root has no static busybox, or the kernel cannot mount such a root.
        PackError: something cannot be read.
    """
    needed = [_FILE_SYSTEMS.get(file_system, file_system), *(["overlay"] if volatile else [])]
    for name in needed:
        if name not in modules.by_name and name not in modules.built_in:
            raise InputError(
                f"the kernel {modules.version} has no module {name} in /{modules.folder.decode(errors='replace')}",
                hint="Take another kernel, or another file system for the root.",
            )
    always = modules.needed([*drivers.ALWAYS, *needed])
    entries = _entries(_busybox(tree, reader), always, reader)
    data = BytesIO()  # gives away what it has, where a bytearray would be copied
    for piece in archive(chain(entries, _of_boards(modules, always, reader) if boards else ()), reader, epoch):
        data.write(piece)
        if data.tell() > _MOST:
            raise InputError(f"the initrd of the kernel {modules.version} has more than {_MOST >> 20} MiB")
    return data.getvalue()


def _entries(busybox: File, modules: Sequence[Module], reader: Reader) -> Iterator[Entry]:
    """All of it, modules one at a time: compressed ones are in memory as long as they are read."""
    script = _script()
    there = {module.name for module in modules}
    names = "".join(" ".join([module.name, *filter(there.__contains__, module.depends)]) + "\n" for module in modules)
    yield Directory(b"bin")
    yield File(b"bin/busybox", busybox.content, PROGRAM)
    yield Directory(b"dev")
    yield Device(b"dev/console", DeviceKind.CHARACTER, 5, 1, Meta(0o600))
    yield Directory(b"etc")
    yield File(b"etc/modules", Data(names.encode()))
    yield File(b"init", Data(script), PROGRAM)
    yield from map(Directory, (b"lib", b"lib/modules", b"proc", b"root", b"run", b"sys"))
    for module in modules:
        yield File(b"lib/modules/" + module.name.encode() + b".ko", module.content(reader))


def _of_boards(modules: Modules, always: Sequence[Module], reader: Reader) -> Iterator[Entry]:
    """Modules that are loaded when the kernel asks for them, and the tables of all."""
    there = {module.name for module in always}
    others = [module for module in modules.needed(drivers.of_boards(modules)) if module.name not in there]
    for module in others:
        yield File(b"lib/modules/" + module.name.encode() + b".ko", module.content(reader))
    flat = tuple(replace(module, path=f"{module.name}.ko") for module in (*always, *others))
    for name, table in depmod.lookups(replace(modules, all=flat)).items():
        yield File(b"lib/modules/" + name.encode(), Data(table))


def _busybox(tree: Tree, reader: Reader) -> File:
    for path in _BUSYBOX:
        entry = tree.follow(path)
        if isinstance(entry, File):
            if ".interp" in read_elf(entry.content, reader, f"/{path.decode()}").sections:
                raise InputError(f"/{path.decode()} needs libraries, which an initrd has not", hint=_BUSYBOX_HINT)
            return entry
    raise InputError("the root file system has no busybox, which its initrd is made of", hint=_BUSYBOX_HINT)


@cache
def _script() -> bytes:
    return resources.files(__package__).joinpath("init.sh").read_bytes()

"""The GNU Hurd: GNU Mach, the servers that it starts before there is a file system, and what these expect in it.

A boot loader gives GNU Mach, a multiboot kernel, programs as modules. Their command lines say how they find each other:
the kernel puts ports and tasks in the place of `${...}`, and runs `$(...)` (GNU Mach, kern/boot_script.c).

    pci-arbiter -> rumpdisk -> ext2fs -> exec     disks are driven by a server
                               ext2fs -> exec     disks are driven by the kernel, if the system has no such servers

Everything comes from the system: gnumach in /boot or in an item, the servers in /hurd or in an item. Translators are
not set here: a Hurd that was just installed sets them at its first start, as Guix's does.
"""

import os
import struct
from collections.abc import Iterator
from functools import cmp_to_key

from formats.boot import Layout
from layers.decompress import decompressed
from layers.entry import Data, Directory, Entry, File, Meta
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.elf import part
from packer.boot.kernel import Kernel, MultibootModule, guix_arguments, release, root_volume
from packer.boot.places import find
from packer.debian.version import compare

_KERNEL = b"boot/gnumach"
_LARGEST = 64 << 20  # bytes of a kernel; Debian's has 2 MB
_GZIP = b"\x1f\x8b"
_MULTIBOOT = struct.pack("<I", 0x1BADB002)  # Multiboot specification 0.6.96, section 3.1.1
_HEADER_END = 8192
_HEADER_ALIGNMENT = 4

_DISK_SERVERS = (
    (
        "pci-arbiter.static", "pci-arbiter", "--host-priv-port=${host-port}", "--device-master-port=${device-port}",
        "--next-task=${disk-task}", "$(pci-task=task-create)", "$(task-resume)",
    ),
    ("rumpdisk.static", "rumpdisk", "--next-task=${fs-task}", "$(disk-task=task-create)"),
)  # fmt: skip
_FILE_SYSTEM = ("ext2fs.static", "ext2fs", "--multiboot-command-line=${kernel-command-line}")
_AFTER_DISK_SERVERS = (
    "--exec-server-task=${exec-task}", "--store-type=typed", "--x-xattr-translator-records", "${root}",
    "$(fs-task=task-create)",
)  # fmt: skip
_ALONE = (
    "--host-priv-port=${host-port}", "--device-master-port=${device-port}", "--exec-server-task=${exec-task}",
    "--store-type=typed", "--x-xattr-translator-records", "${root}", "$(fs-task=task-create)", "$(task-resume)",
)  # fmt: skip
_EXEC = ("exec.static", "exec", "$(exec-task=task-create)")

#: Where servers will be (Guix, gnu/build/hurd-boot.scm): nodes for translators, which must not be the same file.
_NODES = ("startup", "exec", "proc", "password", "default-pager", "crash-dump-core", "kill", "suspend")
_FOLDERS = ("dev", "servers", "servers/socket", "servers/bus", "servers/bus/pci")


def is_hurd(layout: Layout) -> bool:
    """Whether a system is one of the Hurd."""
    return layout.system.platform.system == "hurd"


def entries(layout: Layout) -> Iterator[Entry]:
    """What the servers expect in the root file system, and what is not there yet."""
    tree = layout.system.tree
    for folder in map(os.fsencode, _FOLDERS):
        if folder not in tree:
            yield Directory(folder)
    for name in _NODES:
        path = f"servers/{name}".encode()
        if path not in tree:
            yield File(path, Data(path), Meta(0o444))


def kernel(layout: Layout, reader: Reader) -> Kernel:
    """GNU Mach with its modules; an uncompressed one, as it is in the root file system or will be.

    Raises:
        InputError: something of the Hurd is not in the system, or the root is to be volatile.
        PackError: something cannot be read.
    """
    if layout.image.volatile_root:
        raise InputError("the Hurd has no volatile root", hint="Leave disk.volatile-root out.")
    tree = layout.system.tree
    mach = _mach(tree, reader)
    modules = tuple(_modules(tree))
    title = release(tree, reader).get("PRETTY_NAME") or "GNU"
    return Kernel(title, "gnumach", mach, None, _arguments(layout, reader), modules)


def _mach(tree: Tree, reader: Reader) -> File:
    """The kernel, not compressed: GRUB's core has no program for that."""
    found = next((file for file in map(tree.follow, _places(tree)) if isinstance(file, File)), None)
    if found is None:
        hint = "Guix: the root has to be a whole system. A folder: put gnumach there."
        raise InputError("the system has no GNU Mach: /boot/gnumach", hint=hint)
    name = os.fsdecode(found.path)
    if reader.read(part(found.content, 0, min(found.content.size, len(_GZIP)))) == _GZIP:
        data = bytearray()
        for piece in decompressed(reader.pieces(found.content), "gzip", f"/{name}"):
            data += piece
            if len(data) > _LARGEST:
                raise InputError(f"/{name} has more than {_LARGEST >> 20} MiB")
        found = File(_KERNEL, Data(bytes(data)))
    beginning = reader.read(part(found.content, 0, min(found.content.size, _HEADER_END)))
    if not any(beginning.startswith(_MULTIBOOT, at) for at in range(0, len(beginning), _HEADER_ALIGNMENT)):
        raise InputError(f"/{name} is no multiboot kernel: there is no header in its first {_HEADER_END} bytes")
    return found


def _places(tree: Tree) -> Iterator[bytes]:
    """Where GNU Mach may be: in /boot, of which Debian's name with the highest version; or in an item."""
    yield _KERNEL
    prefix = _KERNEL + b"-"
    named = [os.fsdecode(entry.path) for entry in tree.below(b"boot") if entry.path.startswith(prefix)]
    yield from map(os.fsencode, sorted(named, key=cmp_to_key(compare), reverse=True))
    if found := find(tree, [os.fsdecode(_KERNEL)]):
        yield found


def _modules(tree: Tree) -> Iterator[MultibootModule]:
    """The servers, in the order in which they are loaded."""
    drives_disks = all(_server(tree, name) for name, *_ in _DISK_SERVERS)
    if drives_disks:
        wanted = [*_DISK_SERVERS, (*_FILE_SYSTEM, *_AFTER_DISK_SERVERS), _EXEC]
    else:
        wanted = [(*_FILE_SYSTEM, *_ALONE), _EXEC]
    for name, *arguments in wanted:
        file = _server(tree, name)
        if file is None:
            hint = "The servers of the package hurd have to be in the system, linked statically."
            raise InputError(f"the system has no server of the Hurd: /hurd/{name}", hint=hint)
        yield MultibootModule(file, tuple(arguments))


def _server(tree: Tree, name: str) -> File | None:
    """A program in /hurd, or in an item."""
    for path in (b"hurd/" + os.fsencode(name), find(tree, [f"hurd/{name}"])):
        found = tree.follow(path) if path else None
        if isinstance(found, File):
            return found
    return None


def _arguments(layout: Layout, reader: Reader) -> tuple[str, ...]:
    """What the kernel is told: the root by its number on the first disk, whose name depends on who drives it."""
    arguments = (*guix_arguments(layout, reader), *layout.system.boot.kernel_arguments)
    if any(argument.startswith("root=") for argument in arguments):
        return arguments
    disk = "wd0" if "noide" in arguments else "hd0"
    return (f"root=part:{root_volume(layout).number}:device:{disk}", *arguments)

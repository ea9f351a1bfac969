"""Kernels: what of a system starts, and what it has to be told.

Who made the root decides how it starts:

    Debian  /boot/vmlinuz-VERSION, with modules in /lib/modules/VERSION; it brings no initrd
    Nix     /nix/var/nix/profiles/system, or a root of the closure, is an item with `kernel`, `initrd`, `init` and
            `kernel-params` (NixOS, system.build.toplevel)
    Guix    /var/guix/profiles/system, or a root of the closure, is an item with `parameters`, a record of Scheme
            (gnu/system.scm, read-boot-parameters)
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cmp_to_key

from formats.boot import Layout, Volume
from formats.image import BOOT, ISO9660
from layers.entry import Directory, Entry, File
from layers.errors import EntryError, InputError, PackError
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.s_expression import field, parse, strings
from packer.debian.version import compare

_FILES = (b"vmlinuz-", b"vmlinux-")
_PROFILES = (b"nix/var/nix/profiles/system", b"var/guix/profiles/system")
_DEBIAN_PACKAGES = {"armhf": "linux-image-armmp", "i386": "linux-image-686-pae", "ppc64el": "linux-image-powerpc64le"}


@dataclass(frozen=True, slots=True)
class MultibootModule:
    """A program that a boot loader loads beside a multiboot kernel.

    Attributes:
        file: at its path in the root file system.
        arguments: its command line, with its name at the beginning.
    """

    file: File
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel, and all that a boot loader has to know of it.

    Attributes:
        title: for people, in a menu.
        version: tells it from the other kernels of the system; as `uname -r` has it, if that is known.
        file: the kernel, at its path in the root file system.
        initrd: the first root file system, at its path; None: it still has to be made.
        arguments: what it is told, in this order.
        modules: of a multiboot kernel; no other has any.
    """

    title: str
    version: str
    file: File
    initrd: File | None
    arguments: tuple[str, ...]
    modules: tuple[MultibootModule, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """All that a boot loader reads of it."""
        return (self.file, *([self.initrd] if self.initrd else []), *(module.file for module in self.modules))

    def with_files(self, changed: Callable[[File], File]) -> "Kernel":
        """The kernel with other files in the place of each of these."""
        modules = tuple(replace(module, file=changed(module.file)) for module in self.modules)
        initrd = changed(self.initrd) if self.initrd else None
        return replace(self, file=changed(self.file), initrd=initrd, modules=modules)

    @property
    def is_debian(self) -> bool:
        """Whether it comes without an initrd, as Debian's do."""
        return self.initrd is None


def root_volume(layout: Layout) -> Volume:
    """The volume with the root file system.

    Raises:
        InputError: the image has none.
    """
    found = layout.at("/") or next((each for each in layout.volumes if BOOT in each.partition.flags), None)
    if found is None:
        raise InputError("the image has no partition with the root file system", hint='One needs mount-point = "/".')
    return found


def kernels(layout: Layout, reader: Reader) -> list[Kernel]:
    """The kernels of a system, the one to start first.

    Args:
        layout: of the disk, with the system.
        reader: reads what systems say of themselves.

    Raises:
        InputError: the image is to be volatile, and the system's own initrd decides on that.
        PackError: something cannot be read.
    """
    found = list(_of_items(layout, reader)) or list(_of_debian(layout, reader))
    brings_initrd = bool(found) and not found[0].is_debian
    # Nobody can write to ISO 9660: what such a system's initrd lays over it is its own matter.
    if layout.image.volatile_root and brings_initrd and root_volume(layout).partition.file_system != ISO9660:
        raise InputError(
            "a volatile root is for systems that get their initrd here, and this one brings its own",
            hint="Leave disk.volatile-root out, and declare the root as a tmpfs or an overlay in the system itself.",
        )
    return found


def device_trees(tree: Tree, kernel: Kernel) -> Directory | None:
    """The folder with a kernel's device trees: where Debian has it, Nix, or Guix."""
    beside = os.path.dirname(kernel.file.path)
    for folder in (b"usr/lib/linux-image-" + os.fsencode(kernel.version), beside + b"/dtbs", beside + b"/lib/dtbs"):
        found = tree.follow(folder)
        if isinstance(found, Directory):
            return found
    return None


def missing(layout: Layout) -> InputError:
    """What to say of a system without a kernel."""
    debian = layout.system.platform.debian
    package = _DEBIAN_PACKAGES.get(debian, f"linux-image-{debian}")
    return InputError(
        "the system has no kernel, neither in /boot nor as a system of Nix or Guix",
        hint=f"Debian: add the package {package} to store.packages, Ubuntu: linux-image-generic. Nix and Guix: the root"
        " has to be a whole system.",
    )


def _arguments(layout: Layout, *own: str) -> tuple[str, ...]:
    """What the kernel is told: what the system says, and what os.toml says, which wins as it comes last."""
    return (*own, *layout.system.boot.kernel_arguments)


def _of_debian(layout: Layout, reader: Reader) -> Iterator[Kernel]:
    """Kernels in /boot, the newest first."""
    tree = layout.system.tree
    folder = tree.real(b"boot/x").removesuffix(b"/x")
    versions: dict[str, File] = {}
    for entry in tree.below(folder):
        name = entry.path.removeprefix(folder + b"/")
        prefix = next((prefix for prefix in _FILES if name.startswith(prefix)), None)
        if prefix and b"/" not in name and isinstance(entry, File):
            versions[os.fsdecode(name.removeprefix(prefix))] = entry
    uuid = root_volume(layout).file_system_uuid
    init = [f"init={layout.system.boot.init}"] if layout.system.boot.init else []
    how = ["ro", "systemd.volatile=overlay"] if layout.image.volatile_root else ["ro"]
    title = release(tree, reader).get("PRETTY_NAME") or layout.system.name
    for version in sorted(versions, key=cmp_to_key(compare), reverse=True):
        arguments = _arguments(layout, f"root=UUID={uuid}", *how, *init)
        yield Kernel(f"{title}, Linux {version}", version, versions[version], None, arguments)


def release(tree: Tree, reader: Reader) -> dict[str, str]:
    """What the system says of itself in /etc/os-release (os-release(5))."""
    rows = (line.partition("=") for line in _text(tree.follow(b"etc/os-release"), reader).splitlines())
    return {key: value.strip("\"'") for key, separator, value in rows if separator}


def _of_items(layout: Layout, reader: Reader) -> Iterator[Kernel]:
    """The system of Nix or Guix."""
    tree = layout.system.tree
    for item in _items(layout):
        if isinstance(tree.follow(item + b"/parameters"), File):
            yield _guix(layout, item, reader)
            return
        if tree.follow(item + b"/kernel") and tree.follow(item + b"/kernel-params"):
            yield _nix(layout, item, reader)
            return


def _items(layout: Layout) -> Iterator[bytes]:
    """What may be a whole system: the profile's, and then the roots of the closure."""
    tree = layout.system.tree
    roots = [os.fsencode(root.strip("/")) for root in layout.system.closure.roots]
    for place in (*_PROFILES, *roots):
        try:
            item = tree.follow(place)
        except EntryError:
            continue
        if isinstance(item, Directory):
            yield item.path


def guix_arguments(layout: Layout, reader: Reader) -> tuple[str, ...]:
    """What a kernel is told of a system of Guix, and by it; nothing if there is none.

    Raises:
        PackError: what the system says of itself cannot be read.
    """
    tree = layout.system.tree
    item = next((item for item in _items(layout) if isinstance(tree.follow(item + b"/parameters"), File)), None)
    if item is None:
        return ()
    system = os.fsdecode(b"/" + item)
    own = strings(field(_guix_parameters(tree, item, reader), "kernel-arguments") or [])
    return (f"gnu.system={system}", f"gnu.load={system}/boot", *own)


def _guix_parameters(tree: Tree, item: bytes, reader: Reader) -> object:
    origin = os.fsdecode(b"/" + item + b"/parameters")
    return parse(_text(tree.follow(item + b"/parameters"), reader), origin)


def _nix(layout: Layout, item: bytes, reader: Reader) -> Kernel:
    tree = layout.system.tree
    kernel, initrd = (_file(tree, item + name) for name in (b"/kernel", b"/initrd"))
    given = _text(tree.follow(item + b"/kernel-params"), reader).split()
    init = os.fsdecode(b"/" + item + b"/init")
    root = [] if any(word.startswith("root=") for word in given) else [f"root=UUID={_root_uuid(layout)}"]
    release = _text(tree.follow(item + b"/nixos-version"), reader).strip()
    name = os.fsdecode(os.path.basename(item))
    title = f"NixOS {release}" if release else name
    return Kernel(title, name, kernel, initrd, _arguments(layout, f"init={init}", *root, *given))


def _guix(layout: Layout, item: bytes, reader: Reader) -> Kernel:
    tree = layout.system.tree
    origin = os.fsdecode(b"/" + item + b"/parameters")
    record = _guix_parameters(tree, item, reader)

    def path(name: str) -> bytes:
        found = strings(field(record, name) or [])
        if not found:
            raise PackError(f"{origin} does not say which {name} it starts")
        return os.fsencode(found[0].strip("/"))

    kernel, initrd = _file(tree, path("kernel")), _file(tree, path("initrd"))
    title = (strings(field(record, "label") or []) or ["GNU"])[0]
    # Guix tells a UUID from a label by its looks (gnu/build/file-systems.scm, canonicalize-device-spec).
    arguments = (f"root={_root_uuid(layout)}", *guix_arguments(layout, reader))
    return Kernel(title, os.fsdecode(os.path.basename(item)), kernel, initrd, _arguments(layout, *arguments))


def _root_uuid(layout: Layout) -> str:
    return root_volume(layout).file_system_uuid


def _file(tree: Tree, path: bytes) -> File:
    found = tree.follow(path)
    if not isinstance(found, File):
        raise PackError(f"/{os.fsdecode(path)}, which the system starts with, is not in the image")
    return found


def _text(entry: Entry | None, reader: Reader) -> str:
    return reader.read(entry.content).decode(errors="surrogateescape") if isinstance(entry, File) else ""

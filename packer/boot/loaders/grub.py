"""GRUB, for a BIOS and for UEFI firmware: a menu in /boot/grub/grub.cfg, which both read.

For a BIOS, a core image with all that a menu needs is in the gap before the first partition, or in a BIOS boot
partition; it finds the file system with grub.cfg by its UUID. For UEFI there is the program that Debian's packages
have, with all modules in it; it looks for /EFI/VENDOR/grub.cfg on its own partition, which leads to the other one.
Where a system has the modules alone, as those of Guix, a program like the core image is made of them.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from formats.boot import Embedded, Installed, Layout, Volume
from formats.image import BIOS_GRUB, ESP, ISO9660
from layers.entry import Content, Data, Entry, File
from layers.errors import InputError
from layers.reader import Reader
from packer.boot import firmware
from packer.boot.grub_core import core_image, on_cd, on_disk
from packer.boot.grub_efi import PROCESSORS, efi_image
from packer.boot.grub_files import GrubFiles
from packer.boot.kernel import Kernel
from packer.boot.loaders import systemd_boot
from packer.boot.places import find, is_on_disk, place

_MENU = b"boot/grub/grub.cfg"
_BIOS_FILES = "lib/grub/i386-pc"
_BIOS_PACKAGE = "Debian: add the package grub-pc-bin to store.packages."

#: Processor, as UEFI calls it -> GRUB's name, and Debian's package.
_UEFI = {
    "x64": ("x86_64-efi", "grub-efi-amd64-bin"),
    "ia32": ("i386-efi", "grub-efi-ia32-bin"),
    "aa64": ("arm64-efi", "grub-efi-arm64-bin"),
    "arm": ("arm-efi", "grub-efi-arm-bin"),
}

#: What finds grub.cfg and starts a kernel: disks, tables, file systems, the menu and its terminals.
_MODULES = (
    "biosdisk", "part_msdos", "part_gpt", "ext2", "fat", "search", "search_fs_uuid", "configfile", "normal", "linux",
    "echo", "test", "serial", "terminal", "vga_text", "reboot", "halt", "ls", "cat", "minicmd",
)  # fmt: skip

#: What of these only a BIOS has, and what UEFI firmware has in their place: Linux shows itself on its screen.
_BIOS_MODULES = ("biosdisk", "vga_text")
_UEFI_MODULES = ("efi_gop",)

#: What reads the root of an image for CDs.
_ISO_MODULES = ("iso9660",)

#: What starts the kernel of the Hurd.
_MULTIBOOT_MODULES = ("multiboot",)

#: The folder in which the program for UEFI looks for its menu, as `struct grub_module_header` of OBJ_TYPE_PREFIX has it
#: (include/grub/kernel.h): that of whoever built it.
_UEFI_PREFIX = re.compile(rb"\x03\0\0\0.{4}/(EFI/[A-Za-z0-9._-]+)\0", re.DOTALL)
_USUAL_PREFIX = b"EFI/debian"
_LARGEST_PROGRAM = 16 << 20  # bytes: they have 3 MiB

_UNSAFE = re.compile(r"[^A-Za-z0-9+._-]")  # in names of folders
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+-]+")
_SERIAL = re.compile(r"console=ttyS(\d)(?:,(\d+))?")
_SPEED = "115200"


@dataclass(frozen=True, slots=True)
class _MenuPlace:
    """Where grub.cfg is.

    Attributes:
        file_system: its UUID.
        folder: in that.
    """

    file_system: str
    folder: str

    @property
    def core_config(self) -> str:
        """Commands for a GRUB that has nothing yet but its modules; it reads grub.cfg after them."""
        return f"search.fs_uuid {self.file_system} root\nset prefix=($root){self.folder}\n"

    @property
    def lead(self) -> str:
        """A grub.cfg that leads to it."""
        search = f"search --no-floppy --fs-uuid --set=root {self.file_system}"
        return f"{search}\nset prefix=($root){self.folder}\nconfigfile $prefix/grub.cfg\n"


def fits(layout: Layout) -> bool:
    """See `packer.boot.loaders.Loader`.

    A program that can be copied goes before one that is made: systemd-boot, too.
    """
    tree = layout.system.tree
    to_make = firmware.system_partition(layout) and not find(tree, _uefi_programs(layout))
    if to_make and (_uefi_folder(layout) is None or systemd_boot.fits(layout)):
        return False
    return not _needs_bios(layout) or find(tree, [_BIOS_FILES]) is not None


def install(layout: Layout, kernels: Sequence[Kernel], reader: Reader) -> Installed:
    """See `packer.boot.loaders.Loader`."""
    esp = firmware.system_partition(layout)
    if not esp and not layout.gap:
        raise InputError(
            "GRUB has no place on this disk",
            hint="It needs an EFI system partition, a BIOS boot partition, or room before the first partition.",
        )
    kernels, copies = zip(*(_copied(layout, kernel) for kernel in kernels), strict=True)
    holder, path = place(layout, _MENU)
    menu = _MenuPlace(holder.file_system_uuid, path.rpartition("/")[0])
    text = Data(_menu(layout, kernels).encode(errors="surrogateescape"))
    entries: list[Entry] = [*chain.from_iterable(copies), File(_MENU, text)]
    uefi = _uefi(layout, esp, menu, kernels, reader) if esp else Installed()
    entries += uefi.entries
    variables = uefi.efi_variables
    if not _needs_bios(layout):
        return Installed(tuple(entries), efi_variables=variables)
    modules = _modules(layout, kernels)
    if _is_iso(layout):
        files = _bios_files(layout, reader)
        code, image = on_cd(files, core_image(files, modules, menu.core_config, ""))
        return Installed(tuple(entries), code, el_torito=Data(image), efi_variables=variables)
    code, embedded = _bios(layout, menu.core_config, modules, reader)
    return Installed(tuple(entries), code, (embedded,), efi_variables=variables)


def _modules(layout: Layout, kernels: Sequence[Kernel]) -> tuple[str, ...]:
    """What a BIOS's GRUB has in it."""
    more = _MULTIBOOT_MODULES if any(kernel.modules for kernel in kernels) else ()
    return (*_MODULES, *more, *(_ISO_MODULES if _is_iso(layout) else ()))


def _uefi(layout: Layout, esp: Volume, menu: _MenuPlace, kernels: Sequence[Kernel], reader: Reader) -> Installed:
    """What UEFI firmware starts: a program that can be copied, systemd-boot on an image for CDs, one that is made.

    An image for CDs of a store that has none of them is started by a BIOS alone.
    """
    found, folder = find(layout.system.tree, _uefi_programs(layout)), _uefi_folder(layout)
    if _is_iso(layout) and not found:
        if systemd_boot.fits(layout):
            return systemd_boot.install(layout, kernels, reader)
        if folder is None and b"/store/" in kernels[0].file.path:
            return Installed()
    program = firmware.default_path(esp, firmware.processor(layout))
    variables = firmware.starts(esp, program, "GRUB")
    if folder is not None and not found:
        made = Data(_made(layout, folder, menu, kernels, reader))
        return Installed((File(program, made),), efi_variables=variables)
    lead = Data(menu.lead.encode())
    content = _uefi_program(layout)
    place_of_lead = _uefi_menu(content, reader)
    entries = [File(program, content), File(firmware.inside(esp, place_of_lead), lead)]
    if _is_iso(layout):  # on a CD, GRUB looks for it in the root
        entries.append(File(place_of_lead.encode(), lead))
    return Installed(tuple(entries), efi_variables=variables)


def _made(layout: Layout, folder: bytes, menu: _MenuPlace, kernels: Sequence[Kernel], reader: Reader) -> bytes:
    """GRUB for UEFI firmware, of its modules."""
    files = GrubFiles(layout.system.tree, folder, reader)
    modules = (name for name in _modules(layout, kernels) if name not in _BIOS_MODULES)
    name, _ = _UEFI[firmware.processor(layout)]
    return efi_image(files, name, (*modules, *_UEFI_MODULES), menu.core_config, "")


def _copied(layout: Layout, kernel: Kernel) -> tuple[Kernel, list[File]]:
    """The kernel with files that are on the disk, and copies in /boot of those that are in a store of the host."""
    folder = b"boot/" + os.fsencode(_UNSAFE.sub("_", kernel.version)) + b"/"
    copies: list[File] = []

    def moved(file: File) -> File:
        if is_on_disk(layout, file.path):
            return file
        copies.append(replace(file, path=folder + os.path.basename(file.path)))
        return copies[-1]

    return kernel.with_files(moved), copies


def _uefi_program(layout: Layout) -> Content:
    path = find(layout.system.tree, _uefi_programs(layout))
    entry = layout.system.tree.follow(path) if path else None
    if isinstance(entry, File):
        return entry.content
    processor = firmware.processor(layout)
    if processor not in _UEFI:
        raise InputError(f"there is no GRUB for UEFI on {processor}", hint="Take systemd-boot.")
    name, package = _UEFI[processor]
    hint = (
        f"Debian: add the package {package} to store.packages. Other stores: have it among the items, or systemd-boot."
    )
    raise InputError(f"the system has no GRUB for UEFI: /usr/lib/grub/{name}", hint=hint)


def _uefi_menu(program: Content, reader: Reader) -> str:
    """Where a program looks for its menu."""
    stated = _UEFI_PREFIX.search(reader.read(program)) if program.size <= _LARGEST_PROGRAM else None
    return f"{(stated[1] if stated else _USUAL_PREFIX).decode()}/grub.cfg"


def _uefi_programs(layout: Layout) -> list[str]:
    processor = firmware.processor(layout)
    if processor not in _UEFI:
        return []
    return [f"lib/grub/{_UEFI[processor][0]}/monolithic/grub{processor}.efi"]


def _uefi_folder(layout: Layout) -> bytes | None:
    """The folder with the modules that a program is made of."""
    name, _ = _UEFI.get(firmware.processor(layout), ("", ""))
    found = find(layout.system.tree, [f"lib/grub/{name}/kernel.img"]) if name in PROCESSORS else None
    return found.rpartition(b"/")[0] if found else None


def _needs_bios(layout: Layout) -> bool:
    """Whether a BIOS is to start the disk: a gap before the first partition is there on many that only UEFI starts."""
    if _is_iso(layout):
        return True
    flags = frozenset(flag for volume in layout.volumes for flag in volume.partition.flags)
    return layout.gap is not None and (BIOS_GRUB in flags or ESP not in flags)


def _is_iso(layout: Layout) -> bool:
    return layout.image.format == ISO9660


def _bios_files(layout: Layout, reader: Reader) -> GrubFiles:
    folder = find(layout.system.tree, [_BIOS_FILES])
    if folder is None:
        raise InputError(f"the system has no GRUB for a BIOS: /usr/{_BIOS_FILES}", hint=_BIOS_PACKAGE)
    return GrubFiles(layout.system.tree, folder, reader)


def _bios(layout: Layout, config: str, modules: Sequence[str], reader: Reader) -> tuple[bytes, Embedded]:
    """Code for the first sector, and the core image where the disk has a gap."""
    files = _bios_files(layout, reader)
    first, end = layout.gap or (0, 0)
    code, core = on_disk(files, core_image(files, modules, config, ""), first)
    if len(core) > end - first:
        raise InputError(
            f"GRUB has {len(core)} bytes, and the disk a gap of {end - first} for them",
            hint="Let the first partition begin at 1 MiB, or make the BIOS boot partition larger.",
        )
    return code, Embedded("GRUB", first, Data(core))


def _menu(layout: Layout, kernels: Sequence[Kernel]) -> str:
    """grub.cfg."""
    lines = ["set default=0", f"set timeout={1 if len(kernels) == 1 else 5}", *_terminals(kernels[0])]
    for kernel in kernels:
        lines += ["", f"menuentry {_quoted(kernel.title)} {{", *_commands(layout, kernel), "}"]
    return "\n".join(lines) + "\n"


def _terminals(kernel: Kernel) -> Iterator[str]:
    """Commands that show the menu on a serial port, too, if the kernel is told of one."""
    found = [match for argument in kernel.arguments if (match := _SERIAL.match(argument))]
    if found:
        unit, speed = found[-1].groups()
        yield f"if serial --unit={unit} --speed={speed or _SPEED}; then"
        yield "    terminal_input console serial"
        yield "    terminal_output console serial"
        yield "fi"


def _commands(layout: Layout, kernel: Kernel) -> Iterator[str]:
    volume, path = place(layout, kernel.file.path)
    yield f"    search --no-floppy --fs-uuid --set=root {volume.file_system_uuid}"
    yield "    " + " ".join(["multiboot" if kernel.modules else "linux", *map(_quoted, (path, *kernel.arguments))])
    if kernel.initrd:
        yield f"    initrd {_quoted(place(layout, kernel.initrd.path)[1])}"
    for module in kernel.modules:
        words = (place(layout, module.file.path)[1], *module.arguments)
        yield "    " + " ".join(["module", *map(_quoted, words)])


def _quoted(word: str) -> str:
    """A word as GRUB's shell takes it."""
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"

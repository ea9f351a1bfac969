"""systemd-boot: a menu of what is in /loader/entries, which UEFI firmware starts.

Kernels and initrds have to be where firmware can read them: in the partition for boot loaders (XBOOTLDR), if there is
one, or else in the EFI system partition. Those that are there anyway, because it is mounted at /boot, stay where they
are; all others are copied to /TOKEN/VERSION, by the rules of the Boot Loader Specification (UAPI group, version 1):
type #1 entries, in /loader/entries/TOKEN-VERSION.conf. The token is the name that os-release has for the system, as a
machine has no identifier before it has started.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from formats.boot import Installed, Layout, Volume
from formats.image import BLS_BOOT
from layers.entry import Data, Entry, File
from layers.errors import InputError
from layers.reader import Reader
from packer.boot import firmware
from packer.boot.kernel import Kernel, release
from packer.boot.places import find, place

_PROGRAM = "lib/systemd/boot/efi/systemd-boot{}.efi"
_UNSAFE = re.compile(r"[^A-Za-z0-9+._-]")  # in names of entries


def fits(layout: Layout) -> bool:
    """See `packer.boot.loaders.Loader`."""
    return bool(firmware.system_partition(layout) and find(layout.system.tree, [_program(layout)]))


def _program(layout: Layout) -> str:
    return _PROGRAM.format(firmware.processor(layout))


def install(layout: Layout, kernels: Sequence[Kernel], reader: Reader) -> Installed:
    """See `packer.boot.loaders.Loader`."""
    volume = firmware.system_partition(layout)
    if not volume:
        raise InputError("systemd-boot needs an EFI system partition", hint="Take another image type, or grub.")
    program = find(layout.system.tree, [_program(layout)])
    entry = layout.system.tree.follow(program) if program else None
    if not isinstance(entry, File):
        hint = "Debian: add the package systemd-boot-efi to store.packages."
        raise InputError(f"the system has no systemd-boot: /usr/{_program(layout)}", hint=hint)
    processor = firmware.processor(layout)
    own = firmware.inside(volume, f"EFI/systemd/systemd-boot{processor}.efi")
    made: list[Entry] = [File(firmware.default_path(volume, processor), entry.content), File(own, entry.content)]
    flagged = (each for each in layout.volumes if BLS_BOOT in each.partition.flags and each.partition.mount_point)
    target = next(flagged, volume)
    token = _safe(release(layout.system.tree, reader).get("ID", "") or layout.system.name)
    names = []
    for kernel in kernels:
        names.append(f"{token}-{_safe(kernel.version)}.conf")
        made += _entry(layout, kernel, target, token, names[-1])
    made.append(File(firmware.inside(volume, "loader/loader.conf"), Data(_loader(names).encode())))
    return Installed(tuple(made), efi_variables=firmware.starts(volume, own, "Linux Boot Manager"))


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)


def _loader(names: Sequence[str]) -> str:
    timeout = 1 if len(names) == 1 else 5
    return f"default {names[0]}\ntimeout {timeout}\n"


def _entry(layout: Layout, kernel: Kernel, target: Volume, token: str, name: str) -> Iterator[Entry]:
    """The entry of a kernel, and what of it is not in the target yet."""
    lines = {"title": kernel.title, "version": kernel.version}
    folder = f"{token}/{_safe(kernel.version)}"
    for key, file in (("linux", kernel.file), ("initrd", kernel.initrd)):
        if file is None:
            continue
        volume, path = place(layout, file.path)
        if volume.number != target.number:
            path = f"/{folder}/{key}"
            yield replace(file, path=firmware.inside(target, path.lstrip("/")))
        lines[key] = path
    lines["options"] = " ".join(kernel.arguments)
    text = "".join(f"{key:<8} {value}\n" for key, value in lines.items())
    yield File(firmware.inside(target, f"loader/entries/{name}"), Data(os.fsencode(text)))

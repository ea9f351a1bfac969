"""Disks with GNU Mach and servers of the Hurd, of which none is the real one, started by an emulated machine."""

import struct
from pathlib import Path

import pytest

from formats.image_types import HURD_DISK, TYPES
from formats.system import System
from layers.entry import Data, Entry, File
from layers.tree import Tree, add_parents
from tests.oracle.ext4 import complaints, debugfs, header
from tests.oracle.qemu import printed
from tests.support.bootable import system_of, write_bootable
from tests.support.images import partitions
from tests.support.small_debian import produced

SERVERS = ("pci-arbiter", "rumpdisk", "ext2fs", "exec")
_ADDRESS = 0x200000  # where the small kernel is loaded
_ENDED = 33  # what QEMU answers when 16 is written to the port of its exit device

#: Prints its command line, then of each module that and its content, on the first serial port; i386, by hand.
_CODE = bytes.fromhex(
    "8b7310 e824000000"  # mov esi, [ebx+16]; call print
    "8b7b18 8b6b14"  # mov edi, [ebx+24]; mov ebp, [ebx+20]: modules, and how many
    "85ed 7415"  # next: test ebp, ebp; jz end
    "8b7708 e812000000"  # mov esi, [edi+8]; call print
    "8b37 83c710 4d"  # mov esi, [edi]; add edi, 16; dec ebp
    "e807000000 ebe7"  # call print; jmp next
    "b010 e6f4 f4"  # end: mov al, 16; out 0xf4, al; hlt
    "baf8030000"  # print: mov edx, 0x3f8
    "ac 84c0 7403 ee ebf8"  # character: lodsb; test al, al; jz line; out dx, al; jmp character
    "b00a ee c3"  # line: mov al, 10; out dx, al; ret
)


def multiboot_kernel() -> bytes:
    """An ELF file with one segment, in which the multiboot header is before the code."""
    headers = 52 + 32
    magic = 0x1BADB002
    multiboot = struct.pack("<III", magic, 0, -magic & 0xFFFFFFFF)
    entry = _ADDRESS + headers + len(multiboot)
    size = headers + len(multiboot) + len(_CODE)
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, entry, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, _ADDRESS, _ADDRESS, size, size, 5, 0x1000)
    return header + segment + multiboot + _CODE


@pytest.fixture(scope="module")
def gnumach(tmp_path_factory: pytest.TempPathFactory) -> File:
    """Debian's GNU Mach, as its package has it."""
    declaration = """\
name = "mach"
platform = "x86_64-linux"
[store]
type = "debian"
packages = ["gnumach-image-1.8-486"]
"""
    system = produced(declaration, tmp_path_factory.mktemp("gnumach"))
    [found] = [entry for entry in system.tree.below(b"boot") if entry.path.endswith(b".gz")]
    assert isinstance(found, File)
    return found


def hurd(mach: File, debian: System, *arguments: str) -> System:
    """A system of a kernel, servers that are texts, and GRUB of Debian."""
    files = [mach]
    files += [File(f"hurd/{name}.static".encode(), Data(f"this is {name}\0".encode())) for name in SERVERS]
    files += [entry for entry in debian.tree.below(b"usr/lib/grub/i386-pc") if isinstance(entry, File)]
    entries: dict[bytes, Entry] = {entry.path: entry for entry in files}
    add_parents(entries)
    return system_of(Tree(entries), *arguments, platform="i586-gnu")


def machine(folder: Path, disk: Path, form: str) -> list[str | Path]:
    """The command of QEMU; Debian's GNU Mach for this machine has 64 bits."""
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-monitor", "none", "-no-reboot",
        "-nic", "none", "-serial", f"file:{folder / 'serial'}",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", f"file={disk},format={form},if=ide",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "form"), [("hurd-raw", "raw"), ("hurd-qcow2", "qcow2")])
def test_grub_starts_a_kernel_with_its_modules(name: str, form: str, bootable_debian: System, tmp_path: Path) -> None:
    mach, disk = File(b"boot/gnumach", Data(multiboot_kernel())), tmp_path / "disk"
    assert mach.content.size < 1024
    write_bootable(disk, TYPES[name].image, hurd(mach, bootable_debian, "console=com0"))
    lines = printed(tmp_path, machine(tmp_path, disk, form), answer=_ENDED).splitlines()
    ports = "--host-priv-port=${host-port} --device-master-port=${device-port}"
    root = "--multiboot-command-line=${kernel-command-line} --exec-server-task=${exec-task} --store-type=typed"
    start = next(place for place, line in enumerate(lines) if line.startswith("root="))
    assert lines[start:] == [
        "root=part:1:device:hd0 console=com0",
        f"pci-arbiter {ports} --next-task=${{disk-task}} $(pci-task=task-create) $(task-resume)",
        "this is pci-arbiter",
        "rumpdisk --next-task=${fs-task} $(disk-task=task-create)",
        "this is rumpdisk",
        f"ext2fs {root} --x-xattr-translator-records ${{root}} $(fs-task=task-create)",
        "this is ext2fs",
        "exec $(exec-task=task-create)",
        "this is exec",
    ]  # fmt: skip


def test_gnu_mach_of_debian_starts(gnumach: File, bootable_debian: System, tmp_path: Path) -> None:
    """It prints to this port because its command line says so."""
    disk = tmp_path / "disk"
    write_bootable(disk, HURD_DISK, hurd(gnumach, bootable_debian, "console=com0"))
    serial = printed(tmp_path, machine(tmp_path, disk, "raw"), until="4 multiboot modules")
    assert "GNU Mach 1.8" in serial
    for number, name in enumerate(SERVERS):
        assert f"module {number}: {name} " in serial


def test_the_disk_is_the_hurds(bootable_debian: System, tmp_path: Path) -> None:
    mach = File(b"boot/gnumach", Data(multiboot_kernel()))
    write_bootable(tmp_path / "disk", HURD_DISK, hurd(mach, bootable_debian))
    [root] = partitions(tmp_path / "disk")
    assert not complaints(root)
    assert header(root)["Filesystem OS type"] == "Hurd"
    assert debugfs(root, "cat /servers/exec") == "servers/exec"
    assert "socket" in debugfs(root, "ls /servers")

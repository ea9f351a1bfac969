import gzip
import re
import struct
from dataclasses import replace

import pytest

from formats.boot import Installed
from formats.image_types import HURD_DISK
from layers.entry import Data, Directory, Entry, File
from layers.errors import InputError
from layers.reader import Reader
from packer.boot import hurd
from packer.boot.installer import BootInstaller
from packer.boot.kernel import Kernel
from tests.support.bootable import layout_of, system_of
from tests.support.operating_systems import tree

MACH = bytes(64) + struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF) + bytes(100)
SERVERS = ("pci-arbiter", "rumpdisk", "ext2fs", "exec")

#: A Hurd in one folder, and as Guix has it.
FOLDER: dict[str, str | bytes | Entry] = {
    "boot/gnumach": MACH,
    **{f"hurd/{name}.static": name for name in SERVERS},
}
GUIX: dict[str, str | bytes | Entry] = {
    "gnu/store/m-gnumach/boot/gnumach": MACH,
    **{f"gnu/store/h-hurd/hurd/{name}.static": name for name in SERVERS},
    "var/guix/profiles/system": Directory(b"var/guix/profiles/system"),
    "var/guix/profiles/system/parameters": '(boot-parameters (version 0) (kernel-arguments ("noide")))',
}


def kernel(files: dict[str, str | bytes | Entry], *arguments: str) -> Kernel:
    with Reader() as reader:
        layout = layout_of(HURD_DISK, system_of(tree(files), *arguments, platform="i586-gnu"))
        return hurd.kernel(layout, reader)


def installed(files: dict[str, str | bytes | Entry]) -> Installed:
    with Reader() as reader:
        grub = replace(HURD_DISK, boot_loader="none")
        return BootInstaller().install(layout_of(grub, system_of(tree(files), platform="i586-gnu")), reader)


def without(*names: str) -> dict[str, str | bytes | Entry]:
    return {path: content for path, content in FOLDER.items() if path not in names}


def test_servers_are_told_of_each_other() -> None:
    made = kernel(FOLDER)
    assert made.arguments == ("root=part:1:device:hd0",)
    assert [(module.file.path.decode(), *module.arguments) for module in made.modules] == [
        ("hurd/pci-arbiter.static", "pci-arbiter", "--host-priv-port=${host-port}",
         "--device-master-port=${device-port}", "--next-task=${disk-task}", "$(pci-task=task-create)",
         "$(task-resume)"),
        ("hurd/rumpdisk.static", "rumpdisk", "--next-task=${fs-task}", "$(disk-task=task-create)"),
        ("hurd/ext2fs.static", "ext2fs", "--multiboot-command-line=${kernel-command-line}",
         "--exec-server-task=${exec-task}", "--store-type=typed", "--x-xattr-translator-records", "${root}",
         "$(fs-task=task-create)"),
        ("hurd/exec.static", "exec", "$(exec-task=task-create)"),
    ]  # fmt: skip


def test_a_kernel_that_drives_disks_starts_the_file_system_itself() -> None:
    made = kernel(without("hurd/rumpdisk.static"))
    assert [module.arguments[0] for module in made.modules] == ["ext2fs", "exec"]
    assert {"--host-priv-port=${host-port}", "$(task-resume)"} <= set(made.modules[0].arguments)


def test_a_system_of_guix_is_named() -> None:
    made = kernel(GUIX, "console=com0")
    assert made.file.path == b"gnu/store/m-gnumach/boot/gnumach"
    assert made.arguments == (
        "root=part:1:device:wd0", "gnu.system=/var/guix/profiles/system", "gnu.load=/var/guix/profiles/system/boot",
        "noide", "console=com0",
    )  # fmt: skip
    assert {module.file.path.partition(b"/hurd/")[0] for module in made.modules} == {b"gnu/store/h-hurd"}


def test_a_root_that_is_named_stays() -> None:
    assert kernel(FOLDER, "root=device:hd1s1").arguments == ("root=device:hd1s1",)


def test_a_compressed_kernel_is_unpacked_and_the_newest_is_taken() -> None:
    names = ("boot/gnumach-1.8-486.gz", "boot/gnumach-1.10-486.gz")
    packed: dict[str, str | bytes | Entry] = {name: gzip.compress(MACH + name.encode(), mtime=0) for name in names}
    made = kernel({**without("boot/gnumach"), **packed})
    assert made.file == File(b"boot/gnumach", Data(MACH + names[1].encode()))


def test_what_servers_expect_is_made() -> None:
    made = installed(FOLDER)
    files = {entry.path.decode(): entry for entry in made.entries if isinstance(entry, File)}
    assert {path: entry.meta.mode for path, entry in files.items()} == {
        f"servers/{name}": 0o444
        for name in ("startup", "exec", "proc", "password", "default-pager", "crash-dump-core", "kill", "suspend")
    }
    assert all(entry.content == Data(path.encode()) for path, entry in files.items())
    folders = {entry.path.decode() for entry in made.entries if isinstance(entry, Directory)}
    assert folders == {"dev", "servers", "servers/socket", "servers/bus", "servers/bus/pci"}
    others = installed({**FOLDER, "servers/exec": "a node", "dev/null": ""})
    assert {entry.path for entry in made.entries} - {entry.path for entry in others.entries} == {
        b"servers/exec", b"servers", b"dev",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (without("boot/gnumach"), "the system has no GNU Mach: /boot/gnumach"),
        (without("hurd/exec.static"), "the system has no server of the Hurd: /hurd/exec.static"),
        (FOLDER | {"boot/gnumach": bytes(9000) + MACH}, "/boot/gnumach is no multiboot kernel: there is no header"),
        (FOLDER | {"boot/gnumach": b"x" + MACH}, "/boot/gnumach is no multiboot kernel"),
        (FOLDER | {"boot/gnumach": b""}, "/boot/gnumach is no multiboot kernel"),
    ],
)
def test_what_is_missing_is_said(files: dict[str, str | bytes | Entry], complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)):
        kernel(files)


def test_a_volatile_root_is_refused() -> None:
    with Reader() as reader, pytest.raises(InputError, match="no volatile root"):
        layout = layout_of(replace(HURD_DISK, volatile_root=True), system_of(tree(FOLDER), platform="i586-gnu"))
        hurd.kernel(layout, reader)

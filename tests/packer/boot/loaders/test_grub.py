import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from formats.boot import Installed
from formats.image import BIOS_GRUB, ESP, UNFORMATTED, Image, Partition
from formats.image_types import ISO
from formats.platform import PLATFORMS
from formats.system import System
from layers.entry import Data, File
from layers.errors import InputError
from layers.item import Closure
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.kernel import Kernel
from packer.boot.loaders import grub
from tests.support.bootable import layout_of, system_of
from tests.support.nar_items import nar_item
from tests.support.operating_systems import tree

MIB = 1 << 20
ROOT = Partition("root", 300 * MIB, mount_point="/")
FIRMWARE = Partition("ESP", 40 * MIB, MIB, "vfat", flags=frozenset({ESP}), mount_point="/boot/efi")
BIOS = Partition("bios", MIB, MIB, UNFORMATTED, flags=frozenset({BIOS_GRUB}))
MBR = Image(partitions=(replace(ROOT, offset=MIB),))
EFI = Image(partitions=(FIRMWARE, ROOT), partition_table_type="gpt")
EFI32 = replace(EFI, firmware=PLATFORMS["i686-linux"])
EFI_ON_MBR = replace(EFI, partition_table_type="mbr")
HYBRID = Image(partitions=(replace(FIRMWARE, mount_point="/boot"), BIOS, ROOT), partition_table_type="gpt")

KERNEL = Kernel(
    "Debian's own, Linux 6.1",
    "6.1",
    File(b"boot/vmlinuz-6.1"),
    File(b"boot/initrd.img-6.1"),
    ("root=UUID=1", "ro", "console=tty0", "console=ttyS1,57600n8", 'dyndbg="file x +p; $y"', "it's=x"),
)


def installed(image: Image, system: System, *kernels: Kernel) -> Installed:
    with Reader() as reader:
        return grub.install(layout_of(image, system), kernels or [KERNEL], reader)


def files(made: Installed) -> dict[str, bytes]:
    return {
        entry.path.decode(): entry.content.data if isinstance(entry.content, Data) else b"a file of the image"
        for entry in made.entries
        if isinstance(entry, File)
    }


@pytest.mark.parametrize(
    ("image", "programs", "first"),
    [
        (MBR, [], 512),
        (EFI, ["boot/efi/EFI/BOOT/BOOTX64.EFI", "boot/efi/EFI/debian/grub.cfg"], None),
        (EFI32, ["boot/efi/EFI/BOOT/BOOTIA32.EFI", "boot/efi/EFI/debian/grub.cfg"], None),
        (HYBRID, ["boot/EFI/BOOT/BOOTX64.EFI", "boot/EFI/debian/grub.cfg"], MIB),
        (EFI_ON_MBR, ["boot/efi/EFI/BOOT/BOOTX64.EFI", "boot/efi/EFI/debian/grub.cfg"], None),
    ],
    ids=["mbr", "efi", "efi32", "hybrid", "efi on an MBR"],
)  # fmt: skip
def test_what_is_where(image: Image, programs: list[str], first: int | None, bootable_debian: System) -> None:
    made = installed(image, bootable_debian)
    assert sorted(files(made)) == sorted([*programs, "boot/grub/grub.cfg"])
    assert [each.offset for each in made.embedded] == ([first] if first else [])
    assert len(made.code) == (440 if first else 0)


def test_the_menu(bootable_debian: System) -> None:
    image = MBR
    volume = layout_of(image, bootable_debian).volumes[0]
    older = replace(KERNEL, title="older", file=File(b"boot/vmlinuz-5"), initrd=None, arguments=("ro",))
    text = files(installed(image, bootable_debian, KERNEL, older))["boot/grub/grub.cfg"].decode()
    assert (
        text
        == f"""\
set default=0
set timeout=5
if serial --unit=1 --speed=57600; then
    terminal_input console serial
    terminal_output console serial
fi

menuentry 'Debian'\\''s own, Linux 6.1' {{
    search --no-floppy --fs-uuid --set=root {volume.file_system_uuid}
    linux /boot/vmlinuz-6.1 root=UUID=1 ro console=tty0 console=ttyS1,57600n8 'dyndbg="file x +p; $y"' 'it'\\''s=x'
    initrd /boot/initrd.img-6.1
}}

menuentry older {{
    search --no-floppy --fs-uuid --set=root {volume.file_system_uuid}
    linux /boot/vmlinuz-5 ro
}}
"""
    )
    subprocess.run(["grub-script-check"], input=text, text=True, check=True)


def test_kernels_on_another_partition_have_paths_of_it(bootable_debian: System) -> None:
    made = files(installed(HYBRID, bootable_debian))
    boot = layout_of(HYBRID, bootable_debian).volumes[0].file_system_uuid
    assert f"--set=root {boot}\n    linux /vmlinuz-6.1 ".encode() in made["boot/grub/grub.cfg"]
    assert made["boot/EFI/debian/grub.cfg"].decode() == (
        f"search --no-floppy --fs-uuid --set=root {boot}\nset prefix=($root)/grub\nconfigfile $prefix/grub.cfg\n"
    )
    subprocess.run(["grub-script-check"], input=made["boot/EFI/debian/grub.cfg"], check=True)


def test_the_menu_of_a_program_that_says_no_folder_is_where_debian_has_it(bootable_debian: System) -> None:
    name = b"usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"
    program = File(name, Data(b"no prefix, and /EFI/ubuntu\0 elsewhere"))
    tree = Tree({**bootable_debian.tree.by_path(), name: program})
    assert "boot/efi/EFI/debian/grub.cfg" in files(installed(EFI, replace(bootable_debian, tree=tree)))


def without(system: System, *names: bytes) -> System:
    """The system without what has one of these names in its path."""
    entries = {path: entry for path, entry in system.tree.by_path().items() if not any(name in path for name in names)}
    return replace(system, tree=Tree(entries))


@pytest.mark.parametrize(
    ("image", "program"),
    [
        (EFI, "boot/efi/EFI/BOOT/BOOTX64.EFI"),
        (EFI32, "boot/efi/EFI/BOOT/BOOTIA32.EFI"),
        (ISO, "boot/efi/EFI/BOOT/BOOTX64.EFI"),
    ],
    ids=["efi", "efi32", "iso"],
)
def test_without_a_program_that_could_be_copied_one_is_made(
    image: Image, program: str, bootable_debian: System
) -> None:
    modules = without(bootable_debian, b"/monolithic", b"/systemd/boot")
    layout = layout_of(image, modules)
    root = next(each for each in layout.volumes if each.partition.mount_point == "/").file_system_uuid
    made = installed(image, modules)
    found = files(made)
    assert set(found) == {program, "boot/grub/grub.cfg"}
    assert found[program].startswith(b"MZ")
    assert f"search.fs_uuid {root} root\nset prefix=($root)/boot/grub\n\0".encode() in found[program]
    assert made.efi_variables
    assert grub.fits(layout)
    assert files(installed(image, modules)) == found


def test_what_can_be_copied_goes_before_what_is_made(bootable_debian: System) -> None:
    assert files(installed(EFI, bootable_debian))["boot/efi/EFI/BOOT/BOOTX64.EFI"] == b"a file of the image"
    systemd_boot = without(bootable_debian, b"/monolithic")
    assert not grub.fits(layout_of(EFI, systemd_boot))
    assert "boot/efi/EFI/systemd/systemd-bootx64.efi" in files(installed(ISO, systemd_boot))
    assert grub.fits(layout_of(MBR, systemd_boot))
    neither = without(systemd_boot, b"x86_64-efi/kernel.img", b"/systemd/boot")
    assert not grub.fits(layout_of(EFI, neither))


@pytest.mark.parametrize("vendor", ["debian", "ubuntu", "x-y.z_1"])
@pytest.mark.parametrize(
    ("image", "name", "folders"),
    [(EFI, "x64", ["boot/efi/"]), (EFI32, "ia32", ["boot/efi/"]), (ISO, "x64", ["boot/efi/", ""])],
    ids=["efi", "efi32", "iso"],
)
def test_the_menu_is_where_the_program_looks_for_it(
    vendor: str, image: Image, name: str, folders: list[str], bootable_debian: System, tmp_path: Path
) -> None:
    """Ubuntu makes its program with another folder than Debian: one that grub-mkimage has made so."""
    kind = {"x64": "x86_64-efi", "ia32": "i386-efi"}[name]
    with Reader() as reader:
        for entry in bootable_debian.tree.below(b"usr/lib/grub/" + kind.encode()):
            if isinstance(entry, File):
                (tmp_path / os.path.basename(entry.path).decode()).write_bytes(reader.read(entry.content))
    program = tmp_path / "program"
    command: list[str | Path] = [
        "grub-mkimage",
        "-d",
        tmp_path,
        "-O",
        kind,
        "-p",
        f"/EFI/{vendor}",
        "-o",
        program,
        "fat",
    ]
    subprocess.run(command, check=True)
    path = f"usr/lib/grub/{kind}/monolithic/grub{name}.efi".encode()
    entries = {**bootable_debian.tree.by_path(), path: File(path, Data(program.read_bytes()))}
    found = set(files(installed(image, replace(bootable_debian, tree=Tree(entries)))))
    menus = {f"{folder}EFI/{vendor}/grub.cfg" for folder in folders}
    assert {path for path in found if "/EFI/" in f"/{path}" and "/BOOT/" not in path} == menus


ITEMS = [nar_item(f"/nix/store/{digit * 32}-x") for digit in "01"]
OF_STORE = replace(
    KERNEL,
    version="a nixos",
    file=File(f"{ITEMS[0].path[1:]}/bzImage".encode()),
    initrd=File(ITEMS[1].path[1:].encode()),
)


def test_what_is_in_a_store_of_the_host_is_copied(bootable_debian: System) -> None:
    shared, system = replace(MBR, shared_store=True), replace(bootable_debian, closure=Closure(ITEMS))
    found = files(installed(shared, system, OF_STORE, KERNEL))
    initrd = os.path.basename(ITEMS[1].path)
    assert set(found) == {"boot/a_nixos/bzImage", f"boot/a_nixos/{initrd}", "boot/grub/grub.cfg"}
    menu = found["boot/grub/grub.cfg"].decode()
    for line in ("linux /boot/a_nixos/bzImage ", f"initrd /boot/a_nixos/{initrd}\n", "linux /boot/vmlinuz-6.1 "):
        assert f"    {line}" in menu
    assert set(files(installed(MBR, system, OF_STORE))) == {"boot/grub/grub.cfg"}


@pytest.mark.parametrize(
    ("image", "complaint", "package"),
    [
        (MBR, "no GRUB for a BIOS: /usr/lib/grub/i386-pc", "grub-pc-bin"),
        (EFI, "no GRUB for UEFI: /usr/lib/grub/x86_64-efi", "grub-efi-amd64-bin"),
        (EFI32, "no GRUB for UEFI: .*i386-efi", "grub-efi-ia32-bin"),
        (ISO, "no GRUB for UEFI: /usr/lib/grub/x86_64-efi", "grub-efi-amd64-bin"),
        (replace(EFI, firmware=PLATFORMS["riscv64-linux"]), "no GRUB for UEFI on riscv64", "systemd-boot"),
        (replace(EFI, firmware=PLATFORMS["s390x-linux"]), "no UEFI firmware for s390x-linux", "Leave"),
        (Image(partitions=(ROOT,), partition_table_type="gpt"), "no place on this disk", "BIOS boot partition"),
    ],
)
def test_what_is_missing_is_named(image: Image, complaint: str, package: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        installed(image, system_of(tree({"etc/motd": ""})))
    assert package in caught.value.hint


@pytest.mark.parametrize(
    "image",
    [Image(partitions=(replace(ROOT, offset=64 << 10),)),
     replace(HYBRID, partitions=(FIRMWARE, replace(BIOS, size=64 << 10), ROOT))],
)  # fmt: skip
def test_a_gap_that_is_too_small_is_refused(image: Image, bootable_debian: System) -> None:
    with pytest.raises(InputError, match=r"GRUB has \d+ bytes, and the disk a gap of"):
        installed(image, bootable_debian)

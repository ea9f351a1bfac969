"""The image types that everybody has: what Guix and nixpkgs make of a system, by the names that they have there.

`mbr-raw` to `raw-with-offset` are those of `gnu/system/image.scm` of Guix: a root file system without features that
U-Boot does not know, after an EFI system partition or at 1 MiB, where GRUB has room before it. `disk` is nixpkgs'
`make-disk-image.nix` with its layouts, and its containers. Those of boards (`formats.boards`) and of the Hurd are
Guix's again, from `gnu/system/images/`. Types of os.toml inherit from these.

A root of these is written to, as that of nixpkgs; in Guix, `volatile-root?` is true unless said otherwise.
"""

from collections.abc import Mapping
from dataclasses import replace

from formats.boards import BOARDS, Board
from formats.format import NAMES
from formats.image import BIOS_GRUB, BLS_BOOT, BOOT, ESP, ISO9660, UNFORMATTED, Image, ImageType, Partition
from formats.partition.gpt import FIRST_USABLE
from formats.platform import PLATFORMS
from layers.errors import InputError

#: The form of a type's name: it is a word of the command line, and part of a file's name.
NAME_PATTERN = "[a-z0-9][a-z0-9+-]{0,63}"

_MIB = 1 << 20

#: Where the first partition begins: GRUB's code for a BIOS is before it.
ROOT_OFFSET = 1 * _MIB

#: The root of Guix's images: what U-Boot does not know is left out of it.
ROOT = Partition(file_system_options=("^metadata_csum", "^64bit"), flags=frozenset({BOOT}), mount_point="/")

#: The EFI system partition of Guix's images, of 40 MiB; larger if kernels are in it that need more.
ESP_PARTITION = Partition(
    "GNU-ESP",
    offset=ROOT_OFFSET,
    file_system="vfat",
    flags=frozenset({ESP}),
    mount_point="/boot/efi",
    minimum_size=40 * _MIB,
)

MBR_DISK = Image(partitions=(replace(ROOT, offset=ROOT_OFFSET),))
EFI_DISK = Image(partitions=(ESP_PARTITION, ROOT), partition_table_type="gpt")
_X86 = ("x86_64-linux", "i686-linux")

#: An image for CDs and USB sticks: the root is the volume itself. On a CD nobody sees the EFI system partition.
ISO = Image(
    format="iso9660",
    partitions=(
        Partition(file_system=ISO9660, flags=frozenset({BOOT}), mount_point="/"),
        Partition(
            "GNU-ESP",
            file_system="vfat",
            flags=frozenset({ESP}),
            mount_point="/boot/efi",
            mount_options=("noauto", "umask=0077"),
        ),
    ),
    partition_table_type="gpt",
    boot_loader="grub",
    volatile_root=True,
)
_U_BOOT = ("aarch64-linux", "armhf-linux", "riscv64-linux")

#: The GNU Hurd: the ext2 that its servers read, after GRUB's code.
HURD_DISK = Image(
    platform=PLATFORMS["i586-gnu"],
    partitions=(Partition(offset=ROOT_OFFSET, file_system="ext2-hurd", flags=frozenset({BOOT}), mount_point="/"),),
    boot_loader="grub",
)

#: Layouts of nixpkgs' make-disk-image: what its `partitionTableType` can be.
LAYOUTS = ("none", "legacy", "legacy+boot", "legacy+gpt", "efi", "efixbootldr", "hybrid")

#: What `bootSize` is there: where the boot partition ends.
BOOT_END = 256 * _MIB

#: What `additionalSpace` is there: how much stays free in a root whose size is not given.
ADDITIONAL_SPACE = 512 * _MIB

_ESP_OFFSET = 8 * _MIB
_XBOOTLDR_OFFSET = 100 * _MIB


def layout(name: str, boot_end: int = BOOT_END) -> Image:
    """A disk as make-disk-image lays it out.

    Args:
        name: one of `LAYOUTS`.
        boot_end: the byte after the partition with the kernels, or with what UEFI firmware starts.

    Raises:
        InputError: there is no such layout, or it leaves no room for that partition.
    """
    if name not in LAYOUTS:
        raise InputError(f"there is no layout {name!r}", hint=f"There are {', '.join(LAYOUTS)}.")
    table, partitions = _layout(name, boot_end)
    for partition in partitions:
        if partition.size is not None and partition.size <= 0:
            least = partition.offset or 0
            raise InputError(
                f"the partition {partition.label!r} would end at {boot_end} bytes, and begins at {least}",
                hint=f"Give it a boot size of more than {least // _MIB} MiB.",
            )
    return Image(partitions=partitions, partition_table_type=table, additional_space=ADDITIONAL_SPACE)


def _layout(name: str, boot_end: int) -> tuple[str, tuple[Partition, ...]]:
    """The kind of table, and the partitions."""
    root = Partition(offset=boot_end, mount_point="/")
    esp = Partition("ESP", boot_end - _ESP_OFFSET, _ESP_OFFSET, "fat32", flags=frozenset({ESP}), mount_point="/boot")
    match name:
        case "none":
            return "none", (replace(root, offset=None),)
        case "legacy":
            return "mbr", (replace(root, offset=ROOT_OFFSET),)
        case "legacy+boot":
            flags = frozenset({BOOT})
            boot = Partition("BOOT", boot_end - ROOT_OFFSET, ROOT_OFFSET, "fat32", flags=flags, mount_point="/boot")
            return "mbr", (boot, root)
        case "legacy+gpt":
            return "gpt", (_bios_boot(ROOT_OFFSET, 2 * _MIB), replace(root, offset=2 * _MIB))
        case "efi":
            return "gpt", (esp, root)
        case "efixbootldr":
            small = replace(esp, size=_XBOOTLDR_OFFSET - _ESP_OFFSET, mount_point="/efi")
            size, flags = boot_end - _XBOOTLDR_OFFSET, frozenset({BLS_BOOT})
            boot = Partition("BOOT", size, _XBOOTLDR_OFFSET, "fat32", flags=flags, mount_point="/boot")
            return "gpt", (small, boot, root)
        case _:
            return "gpt", (esp, _bios_boot(FIRST_USABLE, ROOT_OFFSET), root)


def _bios_boot(start: int, end: int) -> Partition:
    return Partition("no-fs", end - start, start, UNFORMATTED, flags=frozenset({BIOS_GRUB}))


def board_disk(board: Board) -> Image:
    """The disk that a board starts from."""
    return Image(
        platform=board.platform,
        partitions=(*board.partitions, replace(ROOT, offset=board.root_offset)),
        partition_table_type=board.partition_table_type,
        boot_loader="u-boot",
        board=board.name,
    )


#: Those that are formats of their own: without partitions.
_FORMATS = tuple(ImageType(name, summary, Image(format=name)) for name, summary in NAMES.items() if name != ISO.format)

_ISOS = (
    ImageType("iso9660", NAMES["iso9660"], ISO, _X86),
    ImageType("uncompressed-iso9660", "the same without zisofs", replace(ISO, compression=False), _X86),
)

_DISKS = (
    ImageType("mbr-raw", "a disk that a BIOS or U-Boot starts: MBR, ext4", MBR_DISK, (*_X86, *_U_BOOT)),
    ImageType(
        "efi-raw", "a disk that UEFI firmware starts: GPT, EFI system partition, ext4", EFI_DISK, (*_X86, *_U_BOOT)
    ),
    ImageType(
        "efi32-raw", "the same for UEFI firmware of 32 bits", replace(EFI_DISK, firmware=PLATFORMS["i686-linux"]), _X86
    ),
    ImageType(
        "qcow2",
        "the same as mbr-raw for QEMU, compressed",
        replace(MBR_DISK, format="qcow2-compressed"),
        (*_X86, *_U_BOOT),
    ),
    ImageType("raw-with-offset", "the same as mbr-raw, for any processor: the root begins at 1 MiB", MBR_DISK),
    ImageType("disk", "a disk with one of nixpkgs' layouts, in a container: see [disk] of os.toml", layout("legacy")),
)

_BOARDS = tuple(
    ImageType(
        f"{board.name}-raw", f"a disk for the {board.title}, with its U-Boot", board_disk(board), (board.platform.name,)
    )
    for board in BOARDS.values()
)

_HURD = (
    ImageType("hurd-raw", "a disk with the GNU Hurd that a BIOS starts: MBR, GRUB, ext2", HURD_DISK, ("i586-gnu",)),
    ImageType(
        "hurd-qcow2", "the same for QEMU, compressed", replace(HURD_DISK, format="qcow2-compressed"), ("i586-gnu",)
    ),
)

#: Every type by its name, in the order in which people are told of them.
TYPES: Mapping[str, ImageType] = {kind.name: kind for kind in (*_FORMATS, *_ISOS, *_DISKS, *_BOARDS, *_HURD)}

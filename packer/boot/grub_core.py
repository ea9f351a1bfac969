"""GRUB's core image for a BIOS, made of the files of its package; nothing is executed.

    +---------------------+
    | diskboot.img    512 |  loads what follows it on the disk: at 0x1f4 its list of blocks, sector 8, number 2,
    |                     |  segment 2
    | lzma_decompress.img |  at 8 and 12 of it, the bytes of what follows: compressed 4, decompressed 4
    | LZMA, compressed:   |
    |   kernel.img        |  what of that ELF file is loaded
    |   list of modules   |  `packer.boot.grub_files`
    +---------------------+

boot.img, the first 440 bytes of the disk, loads diskboot.img. GRUB 2.06 to 2.12, util/mkimage.c, util/setup.c,
include/grub/kernel.h and include/grub/i386/pc/boot.h; grub-mkimage makes the same, but for the compressed bytes.
"""

import lzma
from collections.abc import Iterable

from formats.structure import Structure
from layers.errors import InputError
from packer.boot.grub_files import GrubFiles

SECTOR = 512
_BOOT_CODE = 440
_KERNEL_SECTOR = 0x5C  # of boot.img
_DRIVE_CHECK = 0x66  # of boot.img: a jump that floppy disks need, and that believes in BIOSes
_NO_OPERATION = b"\x90\x90"
_BLOCK_LIST = 0x1F4  # of diskboot.img
_LOAD_SEGMENT = 0x820
_SIZES = 8  # of lzma_decompress.img

_BLOCKS = Structure("<", "sector:Q number:H segment:H")
_COMPRESSED = Structure("<", "compressed:I decompressed:I")
_MACHINE = 3  # EM_386
_LARGEST = 0x78000  # bytes of the core image: what is between 0x8200 and the memory of the BIOS

_FILTERS = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]


def core_image(files: GrubFiles, modules: Iterable[str], config: str, prefix: str) -> bytes:
    """What comes after diskboot.img: the decompressor, and the compressed GRUB.

    Args:
        files: GRUB's.
        modules: names of modules; what they need is added.
        config: commands that are run first.
        prefix: the folder with grub.cfg and the modules that are not here; empty: none.

    Raises:
        InputError: a file is missing.
        PackError: a file is not what it should be.
    """
    listed = files.module_list(modules, config, prefix, _MACHINE, 32)
    raw = files.loaded("kernel.img") + listed
    packed = lzma.compress(raw, lzma.FORMAT_RAW, filters=_FILTERS)
    decompressor = bytearray(files.read("lzma_decompress.img"))
    sizes = _COMPRESSED.pack(compressed=len(packed), decompressed=len(raw))
    decompressor[_SIZES : _SIZES + len(sizes)] = sizes
    if len(decompressor) + len(packed) > _LARGEST:
        raise InputError(f"GRUB's core image has more than {_LARGEST} bytes")
    return bytes(decompressor) + packed


def on_cd(files: GrubFiles, core: bytes) -> tuple[bytes, bytes]:
    """Code for an ISO 9660 image; the writer of that says in both of them where the second is.

    Args:
        files: GRUB's.
        core: as `core_image` makes it.

    Returns:
        What goes into the first 440 bytes, for a disk; and what a BIOS loads from a CD: cdboot.img, diskboot.img and
        the core image.
    """
    return files.read("boot_hybrid.img")[:_BOOT_CODE], files.read("cdboot.img") + _loaded(files, core, 0)


def on_disk(files: GrubFiles, core: bytes, offset: int) -> tuple[bytes, bytes]:
    """Code for a disk.

    Args:
        files: GRUB's.
        core: as `core_image` makes it.
        offset: where the second of both goes, a multiple of 512.

    Returns:
        What goes into the first 440 bytes of the disk, and what goes to the offset: diskboot.img and the core image.
    """
    first = offset // SECTOR
    boot = bytearray(files.read("boot.img")[:_BOOT_CODE])
    boot[_KERNEL_SECTOR : _KERNEL_SECTOR + 8] = first.to_bytes(8, "little")
    boot[_DRIVE_CHECK : _DRIVE_CHECK + len(_NO_OPERATION)] = _NO_OPERATION
    return bytes(boot), _loaded(files, core, first + 1)


def _loaded(files: GrubFiles, core: bytes, sector: int) -> bytes:
    """diskboot.img and the core image, which it looks for at a sector."""
    first = bytearray(files.read("diskboot.img"))
    blocks = _BLOCKS.pack(sector=sector, number=-(-len(core) // SECTOR), segment=_LOAD_SEGMENT)
    first[_BLOCK_LIST : _BLOCK_LIST + len(blocks)] = blocks
    code = bytes(first) + core
    return code + bytes(-len(code) % SECTOR)

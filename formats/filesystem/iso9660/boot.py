"""What makes a volume start: El Torito from a CD, MBR and GPT from a USB stick.

    boot catalog:   validation | BIOS image | of the section for UEFI: header | its image        32 bytes each

El Torito 1.0, section 2; the section for UEFI is UEFI 2.10, 13.3.2.1. A BIOS image gets what it has to know of its own
place: the boot information table at byte 8 (mkisofs(8), `-boot-info-table`), and GRUB's own at byte 2548, the sector
of 512 bytes where the rest of the image begins. The code in the MBR has that at byte 432. Both are what
`--grub2-boot-info` and `--grub2-mbr` of xorriso write.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from formats.filesystem import Plan, Volume
from formats.filesystem.iso9660.structures import BLOCK, BOOT_RECORD, STANDARD, blocks
from formats.filesystem.pieces import Bytes
from formats.partition import MBR_CODE, SECTOR, Disk, Partition, gpt, types
from formats.structure import Structure
from layers.errors import InputError

_RECORD = Structure("<", "type:B standard:5s version:B system:32s unused:32s catalog:I")
_VALIDATION = Structure("<", "header:B platform:B reserved:H maker:24s checksum:H key:2s")
_SECTION = Structure("<", "header:B platform:B entries:H maker:28s")
_ENTRY = Structure("<", "bootable:B media:B segment:H system:B unused:B sectors:H block:I criteria:20s")
_SYSTEM = b"EL TORITO SPECIFICATION"
_BIOS, _UEFI = 0, 0xEF
_VALID, _LAST_SECTION = 1, 0x91
_KEY = b"\x55\xaa"
_BOOTABLE = 0x88
_LOADED = 4  # sectors of a BIOS image that the BIOS loads; the image loads the rest

_TABLE = Structure("<", "descriptor:I block:I size:I checksum:I reserved:40s")
_TABLE_OFFSET = 8
_GRUB_OFFSET = 2548
_GRUB_START = 5  # sectors
_CODE_OFFSET = 432
_CODE_START = 4
_PLACE = struct.Struct("<Q")
_PER_BLOCK = BLOCK // SECTOR


@dataclass(frozen=True, slots=True)
class Boot:
    """What starts a computer.

    Attributes:
        bios: what a BIOS loads from a CD: GRUB's `cdboot.img` with a core image behind it, or what takes a boot
            information table as that does; empty: it does not start there.
        efi: the FAT volume that firmware with UEFI looks into; None: it does not start there.
        code: for the first 440 bytes: GRUB's `boot_hybrid.img`, which starts `bios` from a USB stick.
    """

    bios: bytes = b""
    efi: Plan | None = None
    code: bytes = b""

    def checked(self) -> "Boot":
        """This.

        Raises:
            InputError: an image cannot be what it should be.
        """
        if not self.bios and not self.efi:
            raise InputError(
                "the boot code has no BIOS image to start" if self.code else "there is nothing that starts"
            )
        if self.bios and len(self.bios) < _GRUB_OFFSET + _PLACE.size:
            raise InputError(f"the BIOS image has {len(self.bios)} bytes, which is too few for GRUB's cdboot.img")
        if len(self.code) > MBR_CODE:
            raise InputError(f"the boot code has {len(self.code)} bytes, and an MBR room for {MBR_CODE}")
        if self.code and not self.bios:
            raise InputError("the boot code has no BIOS image to start")
        return self


@dataclass(frozen=True, slots=True)
class Placed:
    """Where everything is.

    Attributes:
        boot: what it is.
        catalog: its block.
        bios: first block of the BIOS image.
        efi: first block of the FAT volume.
        end: the block after all of them.
    """

    boot: Boot
    catalog: int

    @property
    def bios(self) -> int:
        """See above."""
        return self.catalog + 1

    @property
    def efi(self) -> int:
        """See above."""
        return self.bios + blocks(len(self.boot.bios))

    @property
    def end(self) -> int:
        """See above."""
        return self.efi + (blocks(self.boot.efi.size) if self.boot.efi else 0)

    def record(self) -> bytes:
        """The volume descriptor that leads to the catalog."""
        data = _RECORD.pack(type=BOOT_RECORD, standard=STANDARD, version=1, system=_SYSTEM, catalog=self.catalog)
        return data.ljust(BLOCK, b"\0")

    def pieces(self, descriptor: int) -> Iterator[Bytes]:
        """The catalog and the BIOS image.

        Args:
            descriptor: block of the primary volume descriptor.
        """
        yield Bytes(self.catalog * BLOCK, self._catalog())
        if self.boot.bios:
            yield Bytes(self.bios * BLOCK, self._bios_image(descriptor))

    def _catalog(self) -> bytes:
        entries = []
        if self.boot.bios:
            entries.append((_BIOS, self._entry(self.bios, _LOADED)))
        if self.boot.efi:
            sectors = self.boot.efi.size // SECTOR
            # What has no room in the field is said to go on up to the end of the medium: UEFI 2.10, 13.3.2.1.
            entries.append((_UEFI, self._entry(self.efi, sectors if sectors < 1 << 16 else 0)))
        (platform, first), *others = entries
        sections = (_SECTION.pack(header=_LAST_SECTION, platform=other, entries=1) + entry for other, entry in others)
        return _validation(platform) + first + b"".join(sections)

    def _entry(self, block: int, sectors: int) -> bytes:
        return _ENTRY.pack(bootable=_BOOTABLE, sectors=sectors, block=block)

    def _bios_image(self, descriptor: int) -> bytes:
        image = bytearray(self.boot.bios)
        _PLACE.pack_into(image, _GRUB_OFFSET, self.bios * _PER_BLOCK + _GRUB_START)
        first = _TABLE_OFFSET + _TABLE.size
        words = bytes(image[first:]) + bytes(-len(image) % 4)
        checksum = sum(struct.unpack(f"<{len(words) // 4}I", words)) & 0xFFFFFFFF
        table = _TABLE.pack(descriptor=descriptor, block=self.bios, size=len(image), checksum=checksum)
        image[_TABLE_OFFSET:first] = table
        return bytes(image)

    def disk(self, volume: Volume, size: int) -> Iterator[Bytes]:
        """Boot code and partition table, which are in the system area and at the end.

        Args:
            volume: whose identity the disk has.
            size: bytes of all of it.
        """
        code = bytearray(self.boot.code)
        if code:
            _PLACE.pack_into(code, _CODE_OFFSET, self.bios * _PER_BLOCK + _CODE_START)
            yield Bytes(0, bytes(code))
        efi = self.boot.efi
        partitions = [Partition("EFI", self.efi * BLOCK, efi.size, types.ESP)] if efi else []
        yield from gpt.pieces(Disk(volume.identity, size, partitions, pmbr_boot=bool(code)))


def _validation(platform: int) -> bytes:
    """The first entry; its words add up to zero."""
    words = struct.unpack("<16H", _VALIDATION.pack(header=_VALID, platform=platform, key=_KEY))
    return _VALIDATION.pack(header=_VALID, platform=platform, checksum=-sum(words) & 0xFFFF, key=_KEY)

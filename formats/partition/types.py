"""What partitions are for, in the words of both tables.

GUIDs: UEFI 2.10, section 5.3.3, and the Discoverable Partitions Specification of the UAPI group, by which systemd finds
a root without being told. Bytes: the list of partition types that all fdisks share; 0xea is the Boot Loader
Specification's.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PartitionType:
    """What a partition is for.

    Attributes:
        guid: in a GPT.
        mbr: in an MBR; None if it makes no sense there.
    """

    guid: UUID
    mbr: int | None


ESP = PartitionType(UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), 0xEF)
BIOS_BOOT = PartitionType(UUID("21686148-6449-6e6f-744e-656564454649"), None)
XBOOTLDR = PartitionType(UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"), 0xEA)
LINUX = PartitionType(UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"), 0x83)
SWAP = PartitionType(UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"), 0x82)
_BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
FAT16 = PartitionType(_BASIC_DATA, 0x0E)
FAT32 = PartitionType(_BASIC_DATA, 0x0C)

#: GUIDs of root file systems, by platform; the Hurd has none of its own.
ROOTS = {
    "x86_64-linux": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "i686-linux": "44479540-f297-41b2-9af7-d131d5f0458a",
    "aarch64-linux": "b921b045-1df0-41c3-af44-4c6f280d3fae",
    "armhf-linux": "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
    "riscv64-linux": "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
    "ppc64le-linux": "c31c45e6-3f39-412e-80fb-4809c4980599",
    "s390x-linux": "5eead9a9-fe09-4a1e-a1d7-520d00531306",
    "mips64el-linux": "700bda43-7a34-4507-b179-eeb93d7a7ca3",
}

#: What people call the types that most disks have: by GUID, and by an MBR's bytes.
TITLES = {
    **{str(kind.guid): title for kind, title in (
        (ESP, "EFI system"), (BIOS_BOOT, "BIOS boot"), (XBOOTLDR, "XBOOTLDR"), (LINUX, "Linux"), (SWAP, "Linux swap"),
    )},
    str(_BASIC_DATA): "basic data",
    **{guid: f"Linux root, {name.partition('-')[0]}" for name, guid in ROOTS.items()},
    "0x05": "extended", "0x0c": "FAT32", "0x0e": "FAT16", "0x0f": "extended", "0x82": "Linux swap", "0x83": "Linux",
    "0xea": "XBOOTLDR", "0xee": "GPT", "0xef": "EFI system",
}  # fmt: skip

"""Single-board computers: what is on a disk that they start from.

A processor without firmware in a chip reads its first program from a fixed place of the disk, and that one reads the
rest of U-Boot from another. None of these places is in a file system: all of them are before the first partition, or in
partitions of their own. U-Boot then looks for a kernel in the file systems (see `packer.boot.loaders.u_boot`).

    sector 0     2      16         64            138      2048         16384         32768
    novena       SPL                             U-Boot   root
    pine64              SPL, U-Boot                       root
    rock64, pinebook-pro           idbloader                           U-Boot        root

    sector 0     1      34            2082              12288
    unmatched    GPT    partition     partition         root
                        with SPL      with U-Boot

A GPT has sectors 1 to 33, where U-Boot begins on novena and pine64: these have an MBR. Where it goes is what its
documentation says, `doc/board` in its sources; Debian's packages bring what they were configured with.
"""

from dataclasses import dataclass
from uuid import UUID

from formats.image import UNFORMATTED, Partition
from formats.partition import SECTOR
from formats.platform import Platform

_KIB, _MIB = 1 << 10, 1 << 20

_FIT = b"\xd0\x0d\xfe\xed"  # a flattened image tree, which begins as device trees do (devicetree specification, 5.2)
_UIMAGE = b"\x27\x05\x19\x56"  # U-Boot, include/image.h, IH_MAGIC


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of U-Boot, and where the processor or the part before it looks for it.

    Attributes:
        file: its name in the board's folder of a U-Boot package.
        offset: its first byte on the disk.
        magic: what is looked for in it; empty: nothing is.
        magic_offset: where in the file.
    """

    file: str
    offset: int
    magic: bytes = b""
    magic_offset: int = 0


@dataclass(frozen=True, slots=True)
class Board:
    """A single-board computer.

    Attributes:
        name: ours, and Guix's in the names of image types.
        title: its maker's.
        package: of Debian, with its U-Boot.
        folder: of this package, below /usr/lib/u-boot; U-Boot's own name of the board.
        stages: what is written outside of file systems. There can be several ways to cut it; a package has one.
        platform: its processor.
        root_offset: where the root file system begins.
        console: the kernel's argument for its serial port.
        device_tree: the file of its device tree, if its U-Boot does not know the name.
        partition_table_type: as `formats.image.Image` has it.
        partitions: before the root.
    """

    name: str
    title: str
    package: str
    folder: str
    stages: tuple[tuple[Stage, ...], ...]
    platform: Platform
    root_offset: int
    console: str
    device_tree: str = ""
    partition_table_type: str = "mbr"
    partitions: tuple[Partition, ...] = ()


#: doc/board/allwinner/sunxi.rst, "Installing on a (micro-) SD card": sector 16. The boot ROM looks for "eGON.BT0"
#: (linux-sunxi.org/EGON); what is 32 KiB on, behind the SPL, is a flattened image tree. Debian 12 has it in two files.
_SUNXI = (
    (Stage("u-boot-sunxi-with-spl.bin", 8 * _KIB, b"eGON.BT0", 4),),
    (
        Stage("sunxi-spl.bin", 8 * _KIB, b"eGON.BT0", 4),
        Stage("u-boot-sunxi-with-spl.fit.itb", 40 * _KIB, _FIT),
    ),
)

#: doc/board/rockchip/rockchip.rst, "Flashing": sectors 64 and 16384. The boot ROM looks for 0x0ff0aa55, which the
#: header has encrypted with RC4 by a key that is the same for all (tools/rkcommon.c).
_ROCKCHIP = (
    (
        Stage("idbloader.img", 64 * SECTOR, b"\x3b\x8c\xdc\xfc"),
        Stage("u-boot.itb", 16384 * SECTOR, _FIT),
    ),
)

#: doc/board/nxp/mx6sabreauto.rst and others of this processor: 1 KiB and 69 KiB. The boot ROM looks for an image vector
#: table of 32 bytes, version 4.0 (i.MX 6Dual/6Quad reference manual, section 8.7.1).
_IMX6 = (
    (
        Stage("SPL", 1 * _KIB, b"\xd1\x00\x20\x40"),
        Stage("u-boot.img", 69 * _KIB, _UIMAGE),
    ),
)

#: doc/board/sifive/unmatched.rst, "Flashing": sectors 34 to 2081 and 2082 to 10273. The boot ROM looks for the first
#: partition by its type, and takes any bytes; U-Boot's SPL reads the second from sector 2082, whatever the table says.
_SIFIVE = (
    (
        Stage("u-boot-spl.bin", 34 * SECTOR),
        Stage("u-boot.itb", 2082 * SECTOR, _FIT),
    ),
)
_SIFIVE_PARTITIONS = (
    Partition(
        "spl",
        size=2048 * SECTOR,
        offset=34 * SECTOR,
        file_system=UNFORMATTED,
        type=UUID("5b193300-fc78-40cd-8002-e86c45580b47"),
    ),
    Partition(
        "uboot",
        size=8192 * SECTOR,
        offset=2082 * SECTOR,
        file_system=UNFORMATTED,
        type=UUID("2e54b353-1271-4842-806f-e436d6af6985"),
    ),
)

#: All boards, by name.
BOARDS = {
    board.name: board
    for board in (
        Board(
            name="pine64",
            title="Pine A64 LTS",
            package="u-boot-sunxi",
            folder="pine64-lts",
            stages=_SUNXI,
            platform=Platform.parse("aarch64-linux"),
            root_offset=1 * _MIB,
            console="console=ttyS0,115200",
        ),
        Board(
            name="rock64",
            title="Rock64",
            package="u-boot-rockchip",
            folder="rock64-rk3328",
            stages=_ROCKCHIP,
            platform=Platform.parse("aarch64-linux"),
            root_offset=16 * _MIB,
            console="console=ttyS2,1500000",
        ),
        Board(
            name="pinebook-pro",
            title="Pinebook Pro",
            package="u-boot-rockchip",
            folder="pinebook-pro-rk3399",
            stages=_ROCKCHIP,
            platform=Platform.parse("aarch64-linux"),
            # Guix has it at 9 MiB, which is 126 KiB before the end of u-boot.itb.
            root_offset=16 * _MIB,
            console="console=ttyS2,1500000",
        ),
        Board(
            name="novena",
            title="Novena",
            package="u-boot-imx",
            folder="novena-rawsd",  # the SPL of the other one reads the rest from a file in a FAT
            stages=_IMX6,
            platform=Platform.parse("armhf-linux"),
            root_offset=1 * _MIB,
            console="console=ttymxc1,115200",
        ),
        Board(
            name="unmatched",
            title="HiFive Unmatched",
            package="u-boot-sifive",
            folder="sifive_unmatched",
            stages=_SIFIVE,
            platform=Platform.parse("riscv64-linux"),
            root_offset=6 * _MIB,
            console="console=ttySIF0,115200",
            device_tree="sifive/hifive-unmatched-a00.dtb",
            partition_table_type="gpt",
            partitions=_SIFIVE_PARTITIONS,
        ),
    )
}

"""What is known by its magic, and not looked into: swap spaces, and file systems that nobody here reads.

Where they are, and where UUIDs and labels stand, is what libblkid looks at (util-linux, libblkid/src/superblocks/).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from formats.reading.filesystem import Object
from formats.reading.source import Source

_UUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Magic:
    """What a file system is known by: offsets are bytes of the volume.

    Attributes:
        kind: as blkid has it.
        offset: of the magic.
        magic: the bytes.
        uuid: offset; None if there is none, or in another shape.
        label: offset and bytes.
    """

    kind: str
    offset: int
    magic: bytes
    uuid: int | None = None
    label: tuple[int, int] | None = None


_MAGICS = (
    _Magic("swap", 4086, b"SWAPSPACE2", 1036, (1052, 16)),
    _Magic("btrfs", 0x10040, b"_BHRfS_M", 0x10020, (0x1012B, 256)),
    _Magic("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    _Magic("erofs", 1024, b"\xe2\xe1\xf5\xe0", 1072, (1088, 16)),
    _Magic("exfat", 3, b"EXFAT   "),
    _Magic("f2fs", 1024, b"\x10\x20\xf5\xf2", 1132),
    _Magic("LVM2_member", 536, b"LVM2 001"),
    _Magic("ntfs", 3, b"NTFS    "),
    _Magic("xfs", 0, b"XFSB", 32, (108, 12)),
)


def open_volume(volume: Source) -> "Other | None":
    """See `formats.reading.filesystem`."""
    for known in _MAGICS:
        end = known.offset + len(known.magic)
        if end <= volume.size and volume.read(known.offset, len(known.magic)) == known.magic:
            return Other(known.kind, _label(volume, known), _uuid(volume, known))
    return None


def _label(volume: Source, known: _Magic) -> str:
    if not known.label or sum(known.label) > volume.size:
        return ""
    return volume.read(*known.label).partition(b"\0")[0].decode(errors="replace")


def _uuid(volume: Source, known: _Magic) -> str:
    if known.uuid is None or known.uuid + _UUID_BYTES > volume.size:
        return ""
    return str(UUID(bytes=volume.read(known.uuid, _UUID_BYTES)))


@dataclass(frozen=True, slots=True)
class Other:
    """A volume; see `formats.reading.filesystem.FileSystem`."""

    kind: str
    label: str
    uuid: str
    notes: tuple[str, ...] = ()

    def root(self) -> None:
        """See `formats.reading.filesystem.FileSystem`."""

    def names(self, folder: Object) -> Iterator[tuple[bytes, Object]]:
        """See `formats.reading.filesystem.FileSystem`."""
        raise NotImplementedError

    def content(self, file: Object) -> Iterator[bytes]:
        """See `formats.reading.filesystem.FileSystem`."""
        raise NotImplementedError

"""Entries, items and tars, made of bytes."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from layers.digest import Digest
from layers.entry import Data, Device, DeviceKind, Directory, Entry, File, Hardlink, Meta, Symlink
from layers.item import StoreItem
from layers.placement import Placement
from layers.reader import Reader
from layers.tar import TarWriter

#: A file capability as the kernel has it (`cap_net_bind_service=ep`): bytes that are no text.
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")

#: An access control list with all kinds of entries.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [
        (1, 7, 2**32 - 1),
        (2, 5, 1000),
        (4, 5, 2**32 - 1),
        (8, 6, 70000),
        (0x10, 7, 2**32 - 1),
        (0x20, 0, 2**32 - 1),
    ]
)

#: What a tar has to hold: every kind of entry, and every field beyond what ustar has room for.
ALL_KINDS: tuple[Entry, ...] = (
    Directory(b"blocks"),
    File(b"blocks/0"),
    File(b"blocks/1", Data(b"1")),
    File(b"blocks/511", Data(b"x" * 511)),
    File(b"blocks/512", Data(b"x" * 512)),
    File(b"blocks/513", Data(b"x" * 513)),
    Directory(b"devices", Meta(0o700)),
    Device(b"devices/disk", DeviceKind.BLOCK, 259, 1048575, Meta(0o660, 0, 6)),
    Device(b"devices/fifo", DeviceKind.FIFO, meta=Meta(0o600, 1, 1)),
    Device(b"devices/null", DeviceKind.CHARACTER, 1, 3, Meta(0o666)),
    Directory(b"links"),
    File(b"links/file", Data(b"one file\n"), Meta(0o640, 1000, 100, ((b"user.origin", b"links"),))),
    Hardlink(b"links/hard", b"links/file"),
    Symlink(b"links/absolute", b"/usr/bin/env"),
    Symlink(b"links/dangling", b"../no where"),
    Symlink(b"links/target-of-100", b"t" * 100),
    Symlink(b"links/target-of-101", b"t" * 101),
    Symlink(b"links/target-of-300", b"t" * 300),
    Symlink(b"links/target-\xff", b"\xff" * 5),
    Symlink(b"links/target-\xff-of-200", b"\xff" * 200),
    Directory(b"metas", Meta(0o1777)),
    File(b"metas/capability", Data(b"x"), Meta(0o755, xattrs=((b"security.capability", CAPABILITY),))),
    File(b"metas/large-ids", Data(b"x"), Meta(0o600, 2097152, 2**31)),
    File(b"metas/largest-small-ids", Data(b"x"), Meta(0o600, 2097151, 2097151)),
    File(b"metas/no-permissions", Data(b"x"), Meta(0)),
    File(b"metas/setgid", Data(b"x"), Meta(0o2755, 0, 42)),
    File(b"metas/setuid", Data(b"x"), Meta(0o4755)),
    File(
        b"metas/xattrs",
        Data(b"x"),
        Meta(0o644, xattrs=((b"user.binary", b"\0\xff\n=\0"), (b"user.empty", b""), (b"user.long", b"v" * 2000))),
    ),
    Directory(b"names"),
    File(b"names/" + b"f" * 94, Data(b"path of 100")),
    File(b"names/" + b"g" * 95, Data(b"path of 101")),
    File(b"names/" + b"h" * 255, Data(b"component of 255")),
    Directory(b"names/" + b"i" * 93),
    Directory(b"names/" + b"j" * 94),
    Directory(b"names/" + b"k" * 200),
    File(b"names/" + b"k" * 200 + b"/" + b"l" * 200, Data(b"path of 407")),
    Hardlink(b"names/" + b"k" * 200 + b"/" + b"m" * 200, b"names/" + b"k" * 200 + b"/" + b"l" * 200),
    File("names/é ü".encode(), Data(b"UTF-8")),
    File(b"names/" + "é".encode() * 100, Data(b"long UTF-8")),
    File(b"names/\xff\xfe", Data(b"not UTF-8")),
    File(b"names/" + b"\xff" * 200, Data(b"long, not UTF-8")),
    File(b"names/new\nline and \\", Data(b"text that programs escape")),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """Contents that are at hand."""

    all: tuple[Entry, ...]

    def entries(self) -> Iterator[Entry]:
        yield from self.all


def make_item(
    path: str,
    *entries: Entry,
    size: int = 1,
    references: Iterable[str] = (),
    name: str | None = None,
    version: str = "",
    placement: Placement = Placement(),  # noqa: B008  # frozen
    source: str = "",
) -> StoreItem:
    """An item; its name is its path, unless another is given."""
    return StoreItem(
        path,
        path if name is None else name,
        version,
        Digest.of(path.encode()),
        size,
        tuple(references),
        Listed(entries),
        placement=placement,
        source=source,
    )


def tar_of(entries: Iterable[Entry], epoch: int = 1) -> bytes:
    """The tar of some entries."""
    pieces: list[bytearray] = []
    with Reader() as reader:
        writer = TarWriter(pieces.append, epoch, reader)
        writer.add_all(entries)
        writer.close()
    return b"".join(pieces)


def noise(size: int) -> bytes:
    """Bytes that repeat after 64 KiB only: the same on every machine, and half of them compress."""
    block = b"".join(Digest.of(b"%d" % number).hex.encode() for number in range(1024))
    return (block * (size // len(block) + 1))[:size]

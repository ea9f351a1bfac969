"""The plan of a disk: how large everything is and where it begins, before a byte is written; and its bytes in order.

    +----------+------------------------+-----------+-----------+- ... -+-----------+
    | table,   | code of a boot loader, | partition | partition |       | copy of   |
    | MBR code | or nothing             | 1         | 2         |       | the table |
    +----------+------------------------+-----------+-----------+- ... -+-----------+

Without a table, the one file system is the disk.

A partition without a size gets what its content needs, and some room. When the disk has a size, the last of these gets
all that is left.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from formats import filesystem
from formats import partition as tables
from formats.boot import Embedded, Installed, Installer, Layout, Volume
from formats.disk.contents import Content, contents
from formats.disk.file_systems import file_system, partition_type
from formats.disk.identity import disk_identity, file_system_volume, volumes
from formats.disk.naming import naming, title
from formats.disk.sizes import Sized, Table, partition_size, sized, table_of
from formats.filesystem import Plan, Prepared, SharedPlan
from formats.filesystem.pieces import Bytes, Copy, Piece
from formats.image import BIOS_GRUB, BOOT, Image, Partition
from formats.partition import MBR_CODE
from formats.system import System
from layers.digest import Digest
from layers.entry import Data
from layers.errors import InputError
from layers.reader import Reader
from layers.tree import Tree

Segment = tuple[int, Callable[[int, int, Reader], Iterator[Piece]]]
"""Where something on a disk begins, and what makes it, or a worker's part of it; its pieces' offsets are the disk's."""


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """A disk that knows where everything goes.

    Attributes:
        identity: of what is packed; identifiers derive from it.
        size: bytes.
        partitions: where they are, in the order of their numbers.
        installed: what makes it start.
        segments: what it is made of, in the order of their offsets.
    """

    identity: Digest
    size: int
    partitions: tuple[tables.Partition, ...]
    installed: Installed
    segments: tuple[Segment, ...]

    def pieces(self, reader: Reader) -> Iterator[Piece]:
        """All bytes of it but zeros, in the order of their offsets.

        Raises:
            ChangedError: a content is not what it was when it was looked at.
            CorruptError: an item is not what its store has hashed.
        """
        return self.pieces_of(0, 1, reader)

    def pieces_of(self, number: int, count: int, reader: Reader) -> Iterator[Piece]:
        """Of all these pieces, what one of several workers writes.

        Args:
            number: of the worker, from 0 on.
            count: how many there are.
            reader: of the contents.

        Raises:
            PackError: as `pieces`.
        """
        return itertools.chain.from_iterable(make(number, count, reader) for _, make in self.segments)


def plan_disk(
    image: Image, system: System, installer: Installer | None, reader: Reader, *, verify: bool, cache: str = ""
) -> DiskPlan:
    """Decide where everything goes.

    Args:
        image: the disk, with all labels.
        system: what is packed.
        installer: makes it start, if anybody does.
        reader: looks at the contents.
        verify: whether items are compared with what their store has hashed.
        cache: folder of the cache, for the installer; empty: it keeps nothing.

    Raises:
        InputError: partitions do not fit to each other, to the disk, or to what they shall hold.
        EntryError: a file system cannot hold something, which is named.
        CorruptError: an item that is compared now is not what its store has hashed.
    """
    table = table_of(image)
    identity = disk_identity(image, system)
    known = volumes(image, identity)
    layout = Layout(system, image, known, _gap(image), cache)
    installed = installer.install(layout, reader) if installer else Installed()
    parts = contents(image, system, installed, reader, verify=verify)
    prepared = [
        _prepared(volume, number, part, identity, system.epoch, reader)
        for number, (volume, part) in enumerate(zip(known, parts, strict=True), 1)
    ]
    disk = sized(image, prepared, table)
    plans = [
        _planned(volume, number, ready, size)
        for number, (volume, ready, size) in enumerate(zip(known, prepared, disk.sizes, strict=True), 1)
    ]
    found, written = _tabled(image, table, known, disk, identity, installed.code)
    _check_embedded(installed.embedded, known, disk, [_span(piece) for _, piece in written])
    segments = [
        *((start, partial(_constant, piece)) for start, piece in written),
        *((code.offset, partial(_embedded, code)) for code in installed.embedded),
        *(
            (start, partial(_volume, start, plan, part))
            for start, plan, part in zip(disk.starts, plans, parts, strict=True)
            if plan
        ),
    ]
    segments.sort(key=lambda segment: segment[0])
    return DiskPlan(identity, disk.size, found, installed, tuple(segments))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a disk, whatever is packed.

    Attributes:
        number: of the partition that it is about, from 1; 0: all of them.
        attribute: of the record of that partition, or of the image.
        error: the same as `plan_disk` would raise.
    """

    number: int
    attribute: str
    error: InputError


def problems(image: Image) -> list[Problem]:
    """All that is wrong with a disk before anything is known of what shall be on it, as if that were nothing."""
    found: list[Problem] = []
    identity = Digest.of(b"")
    known = volumes(image, identity)
    with _noted(found, 0, "partition_table_type"):
        table_of(image)
    with _noted(found, 0, "partitions"):
        _gap(image)
    with Reader() as reader:
        ready = [_empty(found, image, volume.partition, number, reader) for number, volume in enumerate(known, 1)]
    if all(problem.attribute == "label" for problem in found):  # else sizes are not known
        with _noted(found, 0, "partitions"):
            table = table_of(image)
            _tabled(image, table, known, sized(image, ready, table), identity, b"")
    return found


def _empty(found: list[Problem], image: Image, partition: Partition, number: int, reader: Reader) -> Prepared | None:
    """The file system of a partition with nothing in it, without its label; what is wrong with both is noted."""
    bare, labelled = (filesystem.Volume(Digest.of(b""), 0, label) for label in ("", partition.label))
    ready: Prepared | None = None
    with _noted(found, number, "file_system_options"):
        ready = _formatted(partition, bare, reader)
        with _noted(found, number, "label"):
            _formatted(partition, labelled, reader)
        with _noted(found, number, "size"):
            size = partition_size(partition, number, ready, image)
            if ready:
                ready.plan(size)
    return ready


def _formatted(partition: Partition, volume: filesystem.Volume, reader: Reader) -> Prepared | None:
    """The file system of a partition with nothing in it; none if it is not formatted."""
    known = file_system(partition, volume)
    return known.prepare(Tree({}), reader) if known else None


@contextlib.contextmanager
def _noted(found: list[Problem], number: int, attribute: str) -> Iterator[None]:
    """Note an error in the block, and go on."""
    try:
        yield
    except InputError as error:
        found.append(Problem(number, attribute, error))


def _gap(image: Image) -> tuple[int, int] | None:
    """The bytes where code for a BIOS may be; see `formats.boot.Layout`."""
    if image.partition_table_type == "none" or not image.partitions:
        return None
    free: int | None = tables.ALIGNMENT
    for number, partition in enumerate(image.partitions, 1):
        start = partition.offset if partition.offset is not None else free
        if BIOS_GRUB in partition.flags:
            if start is None or partition.size is None:
                hint = "Give it an offset and a size, or put it before partitions that have none."
                raise InputError(f"{title(partition, number)} is for code that has to know where it is", hint=hint)
            return start, start + partition.size
        free = None if start is None or partition.size is None else _aligned(start + partition.size)
    if image.partition_table_type != "mbr":
        return None
    return tables.SECTOR, min(tables.ALIGNMENT if part.offset is None else part.offset for part in image.partitions)


def _aligned(offset: int) -> int:
    return max(tables.ALIGNMENT, -(-offset // tables.ALIGNMENT) * tables.ALIGNMENT)


def _prepared(
    volume: Volume, number: int, content: Content, identity: Digest, epoch: int, reader: Reader
) -> Prepared | None:
    partition = volume.partition
    with naming(partition, number):
        known = file_system(partition, file_system_volume(partition, identity, number, epoch, content.root))
        if known is None and (partition.mount_point or partition.initializer):
            raise InputError("it has no file system, and can neither be mounted nor hold files")
        return known.prepare(content.tree, reader) if known else None


def _planned(volume: Volume, number: int, prepared: Prepared | None, size: int) -> Plan | None:
    if prepared is None:
        return None
    with naming(volume.partition, number):
        return prepared.plan(size)


def _tabled(
    image: Image, table: Table, known: Sequence[Volume], disk: Sized, identity: Digest, code: bytes
) -> tuple[tuple[tables.Partition, ...], list[tuple[int, Bytes]]]:
    """The partitions as the table has them, and the table, with the code before it."""
    found = tuple(map(_table_partition, known, disk.starts, disk.sizes, itertools.repeat(image)))
    return found, _table_segments(table, tables.Disk(identity, disk.size, found, image.disk_uuid), code)


def _table_partition(volume: Volume, start: int, size: int, image: Image) -> tables.Partition:
    partition, kind = volume.partition, partition_type(volume.partition)
    is_guid = image.partition_table_type in ("gpt", "hybrid")
    return tables.Partition(
        partition.label,
        start,
        size,
        kind,
        bootable=BOOT in partition.flags,
        hybrid=image.partition_table_type == "hybrid" and kind.mbr is not None,
        uuid=UUID(volume.partition_uuid) if is_guid else None,
    )


def _table_segments(table: Table, disk: tables.Disk, code: bytes) -> list[tuple[int, Bytes]]:
    """The table, and the code before it."""
    if len(code) > MBR_CODE:
        raise InputError(f"the code of the boot loader has {len(code)} bytes, and a disk has room for {MBR_CODE}")
    pieces = table.pieces(disk)
    return [(piece.offset, piece) for piece in ([Bytes(0, code)] if code else []) + pieces]


def _span(piece: Bytes) -> tuple[int, int, str]:
    return piece.offset, piece.offset + len(piece.data), "the partition table"


def _check_embedded(
    embedded: Sequence[Embedded], known: Sequence[Volume], disk: Sized, table: Sequence[tuple[int, int, str]]
) -> None:
    """Code must lie where nothing else is: not in the table, in no file system, and in no other code."""
    taken = list(table)
    for number, (volume, start, size) in enumerate(zip(known, disk.starts, disk.sizes, strict=True), 1):
        if volume.file_system_uuid:
            taken.append((start, start + size, title(volume.partition, number)))
    problems = []
    for code in embedded:
        end = code.offset + code.content.size
        problems += [
            f"{code.name} ({code.offset} to {end}) overlaps {name} ({first} to {last})"
            for first, last, name in taken
            if code.offset < last and first < end
        ]
        if end > disk.size:
            problems.append(f"{code.name} ends {end - disk.size} bytes after the disk")
        taken.append((code.offset, end, code.name))
    if problems:
        raise InputError("; ".join(problems), hint="Change the offsets of partitions.")


def _constant(piece: Piece, number: int, _count: int, _reader: Reader) -> Iterator[Piece]:
    if not number:
        yield piece


def _embedded(code: Embedded, number: int, _count: int, _reader: Reader) -> Iterator[Piece]:
    content = code.content
    if number:
        return
    if isinstance(content, Data):
        yield Bytes(code.offset, content.data)
    else:
        yield Copy(code.offset, content, 0, content.size)


def _volume(start: int, plan: Plan, content: Content, number: int, count: int, reader: Reader) -> Iterator[Piece]:
    if count > 1 and isinstance(plan, SharedPlan):
        share = content.shares(count)[number]
        pieces = plan.pieces_of(share, reader, content.through(reader, share))
    else:
        pieces = iter(()) if number else plan.pieces(reader, content.through(reader))
    return (replace(piece, offset=start + piece.offset) for piece in pieces) if start else pieces

"""The tree that the system on a disk sees: its root, and the other file systems where fstab(5) says that they are.

The root is the file system that is the whole disk, such as ISO 9660; or else the first that has `/etc`; without one,
the first that has a Nix or Guix store, or the only one that there is. A device like `/dev/sda1` is another one on every
machine: what fstab calls by such a name, and what it does not have at all, is below `/partition-NUMBER`.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from formats.reading.artefact import ArtefactError
from formats.reading.disk import OpenDisk, OpenVolume, Partition, opened
from formats.reading.filesystem import Allowance, Walk
from formats.reading.listing import Budget, Node, nodes_of
from formats.reading.merged import MergedTree, Merger
from layers.entry import checked_path
from layers.errors import PackError

_FSTAB = b"etc/fstab"
_SWAP = "swap"
_ROOTS = ((b"etc",), (b"nix", b"gnu"))
_MOST_TRIED = 10_000  # names of a root folder
_OCTAL = re.compile(rb"\\([0-7]{3})")
_NAMES = re.compile(r"(?:/dev/disk/by-)?(uuid|label|partuuid|partlabel)[=/](.*)", re.IGNORECASE)

# Deflate makes 1,032 bytes of one at most, and holes cost nothing: as for layers.
_SMALL = 64 << 20
_RATIO = 1100


@dataclass(frozen=True, slots=True)
class DiskListing:
    """A disk that was read.

    Attributes:
        tree: what the system sees; layers are places in the list of partitions.
        mounts: where each partition is in it, as paths have it; None if it is nowhere.
        notes: what is odd.
    """

    tree: MergedTree
    mounts: tuple[bytes | None, ...]
    notes: tuple[str, ...]


def list_disk(path: str, keep: Callable[[bytes], bool], budget: Budget) -> DiskListing:
    """Read the entries of a disk.

    Args:
        path: of the file.
        keep: whether the content of a path is wanted, which must be small.
        budget: of the artefact.

    Raises:
        ArtefactError: it is damaged, or takes more than anybody would pack.
        OSError: it cannot be read.
    """
    with opened(path, path) as disk:
        if disk is None:
            raise ArtefactError(f"{path} is no disk any more")
        return _Reading(disk, keep, budget, Allowance(_SMALL + _RATIO * os.stat(path).st_size)).listing(path)


class _Reading:
    def __init__(self, disk: OpenDisk, keep: Callable[[bytes], bool], budget: Budget, allowance: Allowance) -> None:
        self._disk, self._keep, self._budget, self._allowance = disk, keep, budget, allowance

    def listing(self, path: str) -> DiskListing:
        volumes = self._disk.volumes
        places: list[bytes | None] = [None] * len(volumes)
        nodes: list[Sequence[Node]] = [()] * len(volumes)
        root = _root(volumes)
        known: dict[int, bytes] = {}
        if root is not None:
            places[root] = b""
            nodes[root] = tuple(self._nodes(volumes[root], b""))
            known = _by_fstab(nodes[root], [volume.partition for volume in volumes])
        for rank, volume in enumerate(volumes):
            if rank != root and volume.file_system and volume.file_system.root():
                place = known.get(rank, b"partition-%d" % volume.partition.entry.number)
                places[rank], nodes[rank] = place, tuple(self._nodes(volume, place))
        return DiskListing(_mounted(nodes, places, path), tuple(places), tuple(_notes(volumes, places, known)))

    def _nodes(self, volume: OpenVolume, place: bytes) -> Iterator[Node]:
        """What is in a volume, with paths of the whole tree."""
        prefix = place + b"/" if place else b""
        if not volume.file_system:
            return
        walk = Walk(volume.file_system, volume.source, self._budget, self._allowance)

        def keep(path: bytes) -> bool:
            return self._keep(prefix + path) or prefix + path == _FSTAB

        for node in nodes_of(walk, keep, self._budget, volume.source.title):
            moved = replace(node, path=(prefix + node.path).rstrip(b"/")) if prefix else node
            yield replace(moved, same_as=prefix + node.same_as) if prefix and node.same_as else moved


def _notes(volumes: Sequence[OpenVolume], places: Sequence[bytes | None], known: dict[int, bytes]) -> Iterator[str]:
    for rank, volume in enumerate(volumes):
        place = places[rank]
        if place and rank not in known:
            yield f"/etc/fstab does not say where {volume.partition} is: it is shown at /{os.fsdecode(place)}"
        elif place is None and volume.file_system and volume.file_system.kind != _SWAP:
            yield f"{volume.partition} is {volume.partition.file_system}, which is not looked into"


def _root(volumes: Sequence[OpenVolume]) -> int | None:
    """Which of them is the root."""
    tops = {}
    for rank, volume in enumerate(volumes):
        top = volume.file_system.root() if volume.file_system else None
        if volume.file_system and top:
            if not volume.partition.entry.number:
                return rank
            tops[rank] = (volume.file_system, top)
    for wanted in _ROOTS:
        for rank, (file_system, top) in tops.items():
            if any(name in wanted for name, _ in islice(file_system.names(top), _MOST_TRIED)):
                return rank
    return next(iter(tops)) if len(tops) == 1 else None


def _by_fstab(nodes: Sequence[Node], partitions: Sequence[Partition]) -> dict[int, bytes]:
    """Where fstab has partitions, by their places in the list."""
    data = next((node.data for node in nodes if node.path == _FSTAB), None) or b""
    names = {name: rank for rank, partition in enumerate(partitions) for name in _names(partition)}
    found: dict[int, bytes] = {}
    for line in data.split(b"\n"):
        fields = [_OCTAL.sub(_character, field) for field in line.partition(b"#")[0].split()]
        known = _NAMES.fullmatch(os.fsdecode(fields[0]).replace('"', "")) if len(fields) > 1 else None
        rank = names.get((known[1].lower(), known[2].lower())) if known else None
        if rank is None or not fields[1].startswith(b"/"):
            continue
        try:
            place = checked_path(fields[1], "/etc/fstab")
        except PackError:
            continue
        if place and place not in found.values():
            found.setdefault(rank, place)
    return found


def _character(octal: "re.Match[bytes]") -> bytes:
    return bytes((int(octal[1], 8) & 0xFF,))


def _names(partition: Partition) -> Iterator[tuple[str, str]]:
    """By what fstab may call it; case does not matter to UUIDs, and labels of one disk do not differ in it alone."""
    entry = partition.entry
    tags = {"uuid": partition.uuid, "label": partition.label, "partuuid": entry.uuid, "partlabel": entry.label}
    yield from ((tag, value.lower()) for tag, value in tags.items() if value)


def _mounted(nodes: Sequence[Sequence[Node]], places: Sequence[bytes | None], origin: str) -> MergedTree:
    """All of them in one tree; what lies below a mount point on a file system further up is hidden."""
    merger = Merger(origin)
    placed = [(place, rank) for rank, place in enumerate(places) if place is not None]
    for place, rank in sorted(placed, key=lambda pair: len(pair[0])):
        merger.cover(place)
        merger.add(rank, nodes[rank], whiteouts=False)
    return merger.tree()

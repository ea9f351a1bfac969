"""Uncompressed layers in one file, each written where it is to be, by several processes side by side.

How many bytes a layer has is known when its entries are: each worker lists and measures its layers, hears from the
others how large theirs are, and knows then where its own begin.

    | room | layer | room | layer | ...       what stands in the room before a layer, the caller writes

Layers of items without any file may be equal, as those of two packages that have the same folders and nothing else; one
that was there before is left out. All others have a path that no other item has.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from layers.blob import Layer, LayerRequest, Workshop
from layers.digest import Digest
from layers.entry import Directory, Entry
from layers.errors import ChangedError
from layers.output import PendingFile
from layers.reader import Reader
from layers.tar import END, Headers, TarWriter, size_of
from layers.workers import Colleague, crew


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer that is in the file.

    Attributes:
        layer: which one.
        offset: of its first byte in the file; None: it was there before.
    """

    layer: Layer
    offset: int | None


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is known of a layer before it is written: its rank, its size, and its digest if it has folders only."""

    rank: int
    size: int
    digest: Digest | None


def write_placed(
    workshop: Workshop, workers: int, requests: Sequence[LayerRequest], output: PendingFile, start: int, room: int
) -> list[Placed]:
    """Write layers.

    Args:
        workshop: with what.
        workers: how many.
        requests: the layers, in order; of different items.
        output: nobody has written yet where they go.
        start: of the room before the first of them.
        room: bytes before each layer.

    Raises:
        PackError: an entry cannot be read, or the output cannot be written.
    """
    shares = _shares([request.size for request in requests], workers)

    def work(number: int, colleague: Colleague) -> None:
        mine = [_measured(rank, requests[rank], workshop.epoch) for rank in shares[number]]
        offsets = _offsets(colleague.share(mine), start, room)
        for measured in mine:
            offset = offsets[measured.rank]
            if offset is not None:
                layer = _write(requests[measured.rank], output, offset, measured.size, workshop.epoch)
                colleague.tell((measured.rank, layer))

    with crew(workers, work) as made:
        workshop.progress.begin("layers", sum(request.size for request in requests))
        measured = made.gather()
        layers = {one.rank: _layer(one.digest, one.size) for share in measured for one in share if one.digest}
        for rank, layer in made.results():
            layers[rank] = layer
            workshop.progress.advance(requests[rank].title, requests[rank].size)
    workshop.progress.end()
    offsets = _offsets(measured, start, room)
    return [Placed(layers[rank], offsets[rank]) for rank in range(len(requests))]


def _shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """The ranks of each worker: the largest layer that is left goes to whom has the least."""
    shares: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for rank in sorted(range(len(sizes)), key=lambda rank: (-sizes[rank], rank)):
        least = loads.index(min(loads))
        shares[least].append(rank)
        loads[least] += sizes[rank]
    return shares


def _measured(rank: int, request: LayerRequest, epoch: int) -> _Measured:
    entries = list(request.entries(None))
    size = size_of(entries, Headers(epoch)) + len(END)
    folders_only = all(isinstance(entry, Directory) for entry in entries)
    return _Measured(rank, size, _digest(entries, epoch) if folders_only else None)


def _digest(entries: Sequence[Entry], epoch: int) -> Digest:
    state = hashlib.sha256()
    with Reader() as reader:
        writer = TarWriter(state.update, epoch, reader)
        writer.add_all(entries)
        writer.close()
    return Digest(state.hexdigest())


def _offsets(measured: Sequence[Sequence[_Measured]], start: int, room: int) -> dict[int, int | None]:
    """Where each layer begins, by rank; None: it is there already."""
    offsets: dict[int, int | None] = {}
    known: set[Digest] = set()
    for one in sorted((one for share in measured for one in share), key=lambda one: one.rank):
        if one.digest in known:
            offsets[one.rank] = None
            continue
        offsets[one.rank] = start + room
        start += room + one.size
        if one.digest:
            known.add(one.digest)
    return offsets


def _write(request: LayerRequest, output: PendingFile, offset: int, size: int, epoch: int) -> Layer:
    state, position = hashlib.sha256(), offset

    def sink(piece: bytearray) -> None:
        nonlocal position
        state.update(piece)
        output.overwrite(position, piece)
        position += len(piece)

    with Reader() as reader:
        writer = TarWriter(sink, epoch, reader)
        writer.add_all(request.entries(reader))
        writer.close()
    if position != offset + size:
        raise ChangedError(f"{request.title} changed while it was being packed")
    return _layer(Digest(state.hexdigest()), size)


def _layer(digest: Digest, size: int) -> Layer:
    return Layer(digest, digest, size, "none")

"""Holes: long runs of zeros in a content, which take no blocks in a file system that has holes.

What is a hole depends on the bytes alone: not on whether the host's file has one there, so that the same contents give
the same volume from whatever file system they come. Of each `CHUNK` bytes only the first block is looked at, and the
rest only if that is all zeros: 2 GiB in 50 ms, where reading all of it takes 600.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace

from layers.entry import Content, Data, Slice
from layers.errors import ChangedError
from layers.reader import Reader, state

#: A hole is an aligned run of this many zeros; the last may be shorter. The first of a content is never one: GRUB 2.06
#: cannot read files that begin with a hole.
CHUNK = 64 << 10

_PROBE = 4096
_ZEROS = bytes(CHUNK)
_ZERO_PROBE = bytes(_PROBE)

Ranges = tuple[tuple[int, int], ...]


def data_ranges(content: Content, reader: Reader) -> Ranges:
    """The ranges of a content that are not holes, as (start, end) in bytes, in order.

    Raises:
        ChangedError: the file is shorter than it was.
        PackError: the file cannot be read.
    """
    if content.size <= CHUNK:
        return ((0, content.size),) if content.size else ()
    holes = _holes_of_data(content) if isinstance(content, Data) else _holes_of_slice(content, reader)
    ranges, start = [], 0
    for hole, end in holes:
        if hole > start:
            ranges.append((start, hole))
        start = end
    if start < content.size:
        ranges.append((start, content.size))
    return tuple(ranges)


def pinned(content: Content, reader: Reader) -> Content:
    """The content, bound to the state that its file is in: for one whose holes will not be read again.

    Raises:
        ChangedError: the file is shorter than it was.
    """
    if isinstance(content, Data) or content.state:
        return content
    status = os.fstat(reader.descriptor(content))
    if status.st_size < content.offset + content.size:
        raise ChangedError(f"{content.path} became shorter while it was being packed")
    return replace(content, state=state(status))


def _holes_of_data(content: Data) -> Iterator[tuple[int, int]]:
    for start in range(CHUNK, content.size, CHUNK):
        end = min(start + CHUNK, content.size)
        if (
            content.data.startswith(_ZERO_PROBE[: end - start], start)
            and content.data[start:end] == _ZEROS[: end - start]
        ):
            yield start, end


def _holes_of_slice(content: Slice, reader: Reader) -> Iterator[tuple[int, int]]:
    probe = bytearray(_PROBE)
    start = CHUNK
    while start < content.size:
        end = min(start + CHUNK, content.size)
        if end - start >= _PROBE:
            reader.read_into(content, start, memoryview(probe))
        if end - start < _PROBE or probe == _ZERO_PROBE:
            if (unwritten := _whole_chunks(content, written_from(content, start, reader))) >= end:
                end = unwritten  # these need no reading
                yield start, end
            elif _is_zero(content, start, end, reader):
                yield start, end
        start = end


def _is_zero(content: Slice, start: int, end: int, reader: Reader) -> bool:
    data = bytearray(end - start)
    reader.read_into(content, start, memoryview(data))
    return data == _ZEROS[: end - start]


def _whole_chunks(content: Content, end: int) -> int:
    return end if end == content.size else end // CHUNK * CHUNK


def written_from(content: Slice, start: int, reader: Reader) -> int:
    """The first byte from there on that the host's file has; before it is a hole. The content's size if there is none.

    Raises:
        ChangedError: the file is gone, or was written to.
        PackError: the file cannot be opened.
    """
    try:
        found = os.lseek(reader.descriptor(content), content.offset + start, os.SEEK_DATA) - content.offset
    except OSError as error:
        return content.size if error.errno == errno.ENXIO else start  # ENXIO: a hole up to the end of the file
    return min(found, content.size)

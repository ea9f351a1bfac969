"""Ranges of open files, copied by the kernel where it can: bytes do not pass through here, and blocks are shared."""

import errno
import os

from layers.errors import ChangedError

#: What copy_file_range(2) says between file systems, or of one that does not have it; and of a file to whose end all
#: is appended, of which it says EBADF, and sendfile(2) EINVAL.
_NOT_THIS_WAY = (errno.EXDEV, errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP)

_PIECE = 256 << 10  # bytes: they stay in a processor's caches between reading and writing


def copy_range(source: int, target: int, start: int, size: int, place: int | None = None) -> None:
    """Copy a range of an open file into another one.

    Args:
        source: descriptor of the one.
        target: descriptor of the other.
        start: where the range begins.
        size: bytes of the range.
        place: where it goes; None: where the target stands, which moves on.

    Raises:
        ChangedError: the source is shorter.
        OSError: it cannot be read, or the target not be written.
    """
    ways = [_share, _write] if place is not None else [_share, _send, _write]  # sendfile(2) knows no places
    done = 0
    while done < size:
        try:
            copied = ways[0](source, target, start + done, size - done, None if place is None else place + done)
        except OSError as error:
            if len(ways) == 1 or error.errno not in _NOT_THIS_WAY:
                raise
            del ways[0]
            continue
        if not copied:
            raise ChangedError(f"a file ends {size - done} bytes too early: it was changed while it was copied")
        done += copied


def _share(source: int, target: int, start: int, size: int, place: int | None) -> int:
    return os.copy_file_range(source, target, size, offset_src=start, offset_dst=place)


def _send(source: int, target: int, start: int, size: int, _: int | None) -> int:
    return os.sendfile(target, source, start, size)


def _write(source: int, target: int, start: int, size: int, place: int | None) -> int:
    data = os.pread(source, min(size, _PIECE), start)
    return os.write(target, data) if place is None else os.pwrite(target, data, place)

"""System use entries of ISO 9660, read: see `formats.filesystem.iso9660.system_use` for their layouts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from formats.filesystem.iso9660.structures import BLOCK
from formats.filesystem.iso9660.system_use import (
    ABOVE,
    CONTINUE,
    HERE,
    LIST_TYPES,
    LISTS,
    NAMESPACES,
    QUALIFIED,
    ROOT,
    SHARING_PROTOCOL,
    SWITCH_TO_DEFAULT,
)
from formats.reading.source import Source, damaged
from layers.acl import pack_entries

_HEAD = 4  # bytes before what an entry says
_MOST_CONTINUATIONS = 100
_LONGEST_TARGET = 4096
_LAST_ID = 2**32 - 1
_LONG_TIMES = 0x80
_CREATED, _MODIFIED = 0x01, 0x02  # times of TF
_ZLIB, _ZLIB_HEADER = b"pz", 4
_BLOCK_BITS = range(15, 18)
_TAGS = {code: tag for tag, code in LIST_TYPES.items()}
_NOBODY = 2**32 - 1
_OWN = b"isofs."


@dataclass(slots=True)
class Found:
    """What the entries of a record say.

    Attributes:
        name: empty if there is none.
        mode: type and permissions; None without Rock Ridge.
        uid: owner's number.
        gid: group's number.
        links: names of it.
        serial: equal ones are one file; 0 if nobody says.
        target: of a symbolic link.
        device: major and minor number.
        mtime: seconds since 1970; None if it is that of the record.
        size: bytes of what is compressed; None if it is not.
        block_bits: log2 of the bytes that are compressed at a time.
        child: first block of the folder that was moved away from here.
        is_moved: whether it is a folder that belongs elsewhere.
        xattrs: extended attributes, sorted.
    """

    name: bytes = b""
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    links: int = 1
    serial: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    mtime: int | None = None
    size: int | None = None
    block_bits: int = 0
    child: int | None = None
    is_moved: bool = False
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def skipped(use: bytes) -> int | None:
    """Bytes before the entries in all other records; None if there are no entries.

    Args:
        use: of the root's record of itself, which begins with SP; on a CD-ROM XA, 14 bytes come before that.
    """
    for start in (0, 14):
        if use[start : start + len(SHARING_PROTOCOL) - 1] == SHARING_PROTOCOL[:-1] and len(use) > start + 6:
            return use[start + 6]
    return None


def parse(use: bytes, volume: Source) -> Found:
    """What the entries of a record say.

    Args:
        use: its system use area.
        volume: where entries go on.

    Raises:
        ArtefactError: they are damaged.
    """
    found, areas = Found(), {b"SL": b"", b"AL": b""}
    try:
        for signature, data in _entries(use, volume):
            if signature in areas:
                areas[signature] += data[1:]  # libisofs has components of AL that begin in one entry and end in another
            elif signature in _PARSERS:
                _PARSERS[signature](found, data)
        found.target = _path(_components(areas[b"SL"]))
        found.xattrs = tuple(sorted(_attributes([text for _, text in _components(areas[b"AL"])])))
    except (IndexError, ValueError) as error:
        raise damaged(volume, f"the entries of the record {found.name!r} do not fit") from error
    if len(found.target) > _LONGEST_TARGET or b"\0" in found.target:
        raise damaged(volume, f"{found.name!r} leads to a path of {len(found.target)} bytes")
    return found


def _entries(use: bytes, volume: Source) -> Iterator[tuple[bytes, bytes]]:
    """The entries, with their continuations: signature, and what each says."""
    for _ in range(_MOST_CONTINUATIONS):
        position, following = 0, b""
        while position + _HEAD <= len(use) and use[position]:
            signature, length = use[position : position + 2], use[position + 2]
            if length < _HEAD or position + length > len(use):
                raise damaged(volume, f"an entry {signature!r} of a record does not fit")
            data = use[position + _HEAD : position + length]
            if signature == b"ST":
                break
            if signature == b"CE":
                following = data
            else:
                yield signature, data
            position += length
        if not following:
            return
        block, offset, size = (_number(following, place) for place in (0, 8, 16))
        if size > BLOCK:
            raise damaged(volume, f"a record goes on for {size} bytes")
        use = volume.read(block * BLOCK + offset, size)
    raise damaged(volume, "a record goes on for ever")


def _number(data: bytes, place: int) -> int:
    """A number that stands there twice; the little-endian one."""
    if len(data) < place + 8:
        raise ValueError
    return int.from_bytes(data[place : place + 4], "little")


def _posix(found: Found, data: bytes) -> None:
    found.mode, found.links, found.uid, found.gid = (_number(data, place) for place in (0, 8, 16, 24))
    found.serial = _number(data, 32) if len(data) >= 40 else 0  # from RRIP 1.12 on


def _name(found: Found, data: bytes) -> None:
    if not data[0] & (HERE | ABOVE):
        found.name += data[1:]


def _device(found: Found, data: bytes) -> None:
    """As Linux takes them: see `formats.filesystem.iso9660.system_use.device`."""
    upper, lower = _number(data, 0), _number(data, 8)
    found.device = (lower >> 8, lower & 0xFF) if lower > 0xFF and not upper else (upper, lower)


def _times(found: Found, data: bytes) -> None:
    if data[0] & _MODIFIED and not data[0] & _LONG_TIMES:
        start = 8 if data[0] & _CREATED else 1
        if len(data) < start + 7:
            raise ValueError
        found.mtime = parsed_time(data[start : start + 7])


def _compressed(found: Found, data: bytes) -> None:
    if data[:2] != _ZLIB or data[2] != _ZLIB_HEADER or data[3] not in _BLOCK_BITS:
        raise ValueError
    found.size, found.block_bits = _number(data, 4), data[3]


def _child(found: Found, data: bytes) -> None:
    found.child = _number(data, 0)


def _is_moved(found: Found, _: bytes) -> None:
    found.is_moved = True


_PARSERS = {
    b"PX": _posix, b"NM": _name, b"PN": _device, b"TF": _times, b"ZF": _compressed, b"CL": _child, b"RE": _is_moved,
}  # fmt: skip


def parsed_time(data: bytes) -> int:
    """Seconds since 1970 of a time: 9.1.5; a time that is none is 0."""
    year, month, day, hour, minute, second, zone = data
    offset = timedelta(minutes=15 * (zone - 256 if zone > 127 else zone))
    try:
        moment = datetime(1900 + year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return 0
    return int(moment.astimezone(UTC).timestamp())


def _components(area: bytes) -> list[tuple[int, bytes]]:
    """Components of SL or AL, each with its flags; those that go on are one."""
    found: list[tuple[int, bytes]] = []
    position, goes_on = 0, False
    while position < len(area):
        flags, length = area[position], area[position + 1]
        text = area[position + 2 : position + 2 + length]
        if len(text) < length:
            raise ValueError
        before, beginning = found.pop() if goes_on else (0, b"")
        found.append((before | flags, beginning + text))
        goes_on = bool(flags & CONTINUE)
        position += 2 + length
    return found


def _path(components: list[tuple[int, bytes]]) -> bytes:
    special = ((ROOT, b""), (HERE, b"."), (ABOVE, b".."))
    names = [next((name for flag, name in special if flags & flag), text) for flags, text in components]
    return b"/" if names == [b""] and components[0][0] & ROOT else b"/".join(names)


def _attributes(texts: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names and values, one after the other; what libisofs keeps for itself is left out."""
    prefixes = {code: prefix for prefix, code in NAMESPACES}
    for key, value in zip(texts[::2], texts[1::2], strict=True):
        if not key:
            yield from _lists(value)
        elif key[0] not in prefixes:
            yield key, value
        elif prefixes[key[0]] != _OWN:
            yield prefixes[key[0]] + key[1:], value


def _lists(value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Access control lists: for the file, and behind a switch those for what will be in a folder."""
    lists: list[list[tuple[int, int, int]]] = [[], []]
    position, which = 0, 0
    while position < len(value):
        head = value[position]
        position += 1
        if head == SWITCH_TO_DEFAULT:
            which = 1
            continue
        number = _NOBODY
        if head & QUALIFIED:
            end = position + 1 + value[position]
            number, position = int.from_bytes(value[position + 1 : end]), end
        if head >> 4 not in _TAGS or position > len(value) or number > _LAST_ID:
            raise ValueError
        lists[which].append((_TAGS[head >> 4], head & 0x7, number))
    yield from ((name, pack_entries(entries)) for name, entries in zip(LISTS, lists, strict=True) if entries)

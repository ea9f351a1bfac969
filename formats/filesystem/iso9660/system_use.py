"""What stands in a directory record after its identifier: the System Use Sharing Protocol and Rock Ridge.

    signature 2 | length 1 | version 1 | what the entry says

SUSP 1.12 and RRIP 1.12 (IEEE P1281 and P1282), and the AL entry of AAIP 2.0 (libisofs, doc/susp_aaip_2_0.txt) for
extended attributes, which is made like SL. As libisofs has it, AL is not announced by an ER of its own: readers that do
not know it skip it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from formats.filesystem.iso9660.structures import BLOCK, both32
from layers.acl import acl_entries
from layers.entry import Device, Meta

_LONGEST = 255  # of an entry
_COMPONENTS = _LONGEST - 5  # bytes of an entry SL, AL or NM after its flags
CONTINUE = 0x01  # flag of SL, AL and NM, and of their components
HERE, ABOVE, ROOT = 0x02, 0x04, 0x08  # flags of components of SL
_MODIFIED_READ_CHANGED = 0x0E  # times of TF

#: Linux shows no more bytes of a name, and drops the NM entry that would make it longer.
LINUX_LONGEST_NAME = 253

CONTINUATION_BYTES = 28
#: Linux follows so many continuations of a record, less one.
MOST_CONTINUATIONS = 31

_IDENTIFIER = b"IEEE_P1282"
_DESCRIPTION = b"THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
_SOURCE = b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION"

#: The first entry of the root's own record: SUSP 5.3.
SHARING_PROTOCOL = b"SP\x07\x01\xbe\xef\0"


def extension_reference() -> bytes:
    """ER, which announces Rock Ridge: SUSP 5.5."""
    text = _IDENTIFIER + _DESCRIPTION + _SOURCE
    return _entry(b"ER", bytes((len(_IDENTIFIER), len(_DESCRIPTION), len(_SOURCE), 1)) + text)


def continuation(block: int, offset: int, size: int) -> bytes:
    """CE: where the entries go on: SUSP 5.1."""
    return _entry(b"CE", both32(block) + both32(offset) + both32(size))


def posix(kind: int, meta: Meta, links: int, serial: int) -> bytes:
    """PX: type, permissions, names, owner and number of a file: RRIP 4.1.1."""
    return _owned(kind | meta.mode, links, meta.uid, meta.gid) + both32(serial)


@lru_cache(256)  # most files have one of a few
def _owned(*facts: int) -> bytes:
    return b"PX\x2c\x01" + b"".join(map(both32, facts))


def times(time: bytes) -> bytes:
    """TF: the same time for all: RRIP 4.1.6."""
    return b"TF\x1a\x01" + bytes((_MODIFIED_READ_CHANGED,)) + time * 3


def name(text: bytes) -> list[bytes]:
    """NM: the name, in parts of which Linux drops the last if it is too long: RRIP 4.1.4."""
    if len(text) <= _COMPONENTS:
        return [_entry(b"NM", b"\0" + text)]
    parts = [text[:_COMPONENTS], text[_COMPONENTS:LINUX_LONGEST_NAME], text[LINUX_LONGEST_NAME:]]
    return _chained(b"NM", [part for part in parts if part])


def link(target: bytes) -> list[bytes]:
    """SL: the target of a symbolic link: RRIP 4.1.3."""
    special = {b".": (HERE, b""), b"..": (ABOVE, b"")}
    parts = target.split(b"/")
    components = [special.get(part, (0, part)) for part in parts]
    if target.startswith(b"/"):
        components = [(ROOT, b""), *components[1:]] if target != b"/" else [(ROOT, b"")]
    return _chained(b"SL", _areas(components))


def device(entry: Device) -> bytes:
    """PN: the numbers of a device: RRIP 4.1.2.

    The specification leaves open how they are put into 64 bits. Small ones stand in the lower half as Linux and most
    others have always had them; Linux takes larger ones as a major in the upper and a minor in the lower half.
    """
    small = entry.minor <= 0xFF and 0 < entry.major <= 0xFFF
    upper, lower = (0, entry.major << 8 | entry.minor) if small else (entry.major, entry.minor)
    return _entry(b"PN", both32(upper) + both32(lower))


def compressed(size: int, block_bits: int) -> bytes:
    """ZF: the content is compressed: libisofs, doc/zisofs_format.txt.

    Args:
        size: bytes that it has when it is not.
        block_bits: log2 of the bytes that are compressed at a time.
    """
    return _entry(b"ZF", b"pz" + bytes((4, block_bits)) + both32(size))


NAMESPACES = ((b"system.", 2), (b"user.", 3), (b"isofs.", 4), (b"trusted.", 5), (b"security.", 6))
LISTS = (b"system.posix_acl_access", b"system.posix_acl_default")
LIST_TYPES = {0x01: 1, 0x02: 10, 0x04: 3, 0x08: 12, 0x10: 5, 0x20: 6}  # tags of Linux to those of AAIP
QUALIFIED = 0x08
SWITCH_TO_DEFAULT = 0x81


def attributes(xattrs: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """AL: extended attributes, and access control lists under an empty name.

    Raises:
        EntryError: what should be an access control list is none.
    """
    lists: dict[bytes, bytes] = {}
    named: list[tuple[int, bytes]] = []
    for key, value in xattrs:
        if key in LISTS:
            lists[key] = _access_list(value)
        else:
            named += [(0, _attribute_name(key)), (0, value)]
    components = [*_lists(lists), *named] if lists else named
    return _chained(b"AL", _areas(components)) if components else []


def _lists(lists: Mapping[bytes, bytes]) -> list[tuple[int, bytes]]:
    access, default = (lists.get(key, b"") for key in LISTS)
    switch = bytes((SWITCH_TO_DEFAULT,)) if default else b""
    return [(0, b""), (0, access + switch + default)]


def _attribute_name(key: bytes) -> bytes:
    for prefix, code in NAMESPACES:
        if key.startswith(prefix):
            return bytes((code,)) + key[len(prefix) :]
    return key


def _access_list(value: bytes) -> bytes:
    """Section "Specification of binary ACL representation"."""
    found = bytearray()
    for tag, permissions, number in acl_entries(value):
        code = LIST_TYPES[tag]
        qualifier = number.to_bytes(4).lstrip(b"\0") or b"\0"
        named = code in (10, 12)
        found.append(code << 4 | permissions | (QUALIFIED if named else 0))
        found += bytes((len(qualifier),)) + qualifier if named else b""
    return bytes(found)


def _entry(signature: bytes, data: bytes) -> bytes:
    return signature + bytes((len(data) + 4, 1)) + data


def _chained(signature: bytes, areas: Sequence[bytes]) -> list[bytes]:
    """Entries of which all but the last say that another follows."""
    last = len(areas) - 1
    return [_entry(signature, bytes((CONTINUE if number < last else 0,)) + area) for number, area in enumerate(areas)]


def _areas(components: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """Components, each with its flags, cut where an entry is full.

    No entry ends with a whole name of SL: libarchive would read it without the slash that follows. The name is said to
    go on then, with nothing, in the next entry.
    """
    if sum([2 + len(rest) for _, rest in components]) <= _COMPONENTS:  # as most are
        return [b"".join([bytes((flags, len(rest))) + rest for flags, rest in components])]
    areas = [bytearray()]
    last = 0  # where the last component begins
    for flags, rest in components:
        if len(areas[-1]) + 2 + min(len(rest), 1) > _COMPONENTS:
            goes_on = areas[-1][last] == 0
            areas[-1][last] |= CONTINUE if goes_on else 0
            areas.append(bytearray(2 if goes_on else 0))
        while True:
            last, room = len(areas[-1]), _COMPONENTS - len(areas[-1]) - 2
            part, rest = rest[:room], rest[room:]
            areas[-1] += bytes((flags | (CONTINUE if rest else 0), len(part))) + part
            if not rest:
                break
            areas.append(bytearray())
    return [bytes(area) for area in areas]


def split(entries: Sequence[bytes], room: int) -> tuple[bytes, Sequence[bytes]]:
    """Divide entries into what stands in the record and its continuations, each of which fits into a block.

    Args:
        entries: in order.
        room: bytes in the record.

    Returns:
        What stands in the record, and the continuations. All but the last of them end with room for a CE.
    """
    whole = b"".join(entries)
    if len(whole) <= room:
        return whole, ()
    parts = [bytearray()]
    for entry in entries:
        if len(parts[-1]) + len(entry) + CONTINUATION_BYTES > room:
            parts[-1] += bytes(CONTINUATION_BYTES)
            parts.append(bytearray())
            room = BLOCK
        parts[-1] += entry
    inline, *continuations = map(bytes, parts)
    return inline, continuations


def linked(parts: Sequence[bytes], continuations: Iterable[bytes]) -> list[bytes]:
    """The parts that `split` has made, each but the last with the CE that leads to the next."""
    leading = [part[:-CONTINUATION_BYTES] + lead for part, lead in zip(parts, continuations, strict=False)]
    return [*leading, parts[-1]]

"""Kernel modules that say something of themselves and do nothing: ELF files of 64 bits with two sections."""

import struct
from collections.abc import Iterable

_SECTION = "<IIQQQQIIQQ"


def module(info: Iterable[str], symbols: Iterable[str] = ()) -> bytes:
    """A module.

    Args:
        info: `key=value` of its `.modinfo`.
        symbols: what it exports.
    """
    names = b"\0.modinfo\0.strtab\0"
    sections = {
        names.index(b".modinfo"): b"".join(line.encode() + b"\0" for line in info),
        names.index(b".strtab"): names + b"".join(b"__ksymtab_" + symbol.encode() + b"\0" for symbol in symbols),
    }
    body, rows, place = b"", [struct.pack(_SECTION, *[0] * 10)], 64
    for name, data in sections.items():
        rows.append(struct.pack(_SECTION, name, 1, 0, 0, place + len(body), len(data), 0, 0, 1, 0))
        body += data
    header = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, place + len(body), 0, 64, 0, 0, 64, len(rows), len(rows) - 1)
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + header + body + b"".join(rows)

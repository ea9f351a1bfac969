r"""Patterns of paths as dpkg has them: fnmatch(3) without flags, in the C locale.

    *          any bytes, none and `/` among them
    ?          one byte
    [a-z_]     one of some bytes; `[!a-z]` and `[^a-z]`: another one; `[[:digit:]]`: one of a class (glob(7))
    \x         x itself

In the C locale, because dpkg takes the locale of whoever calls it, and containers have none. What C libraries differ
about, or what matches nothing at all, is refused: a bracket that is not closed, a backslash at the end, a class that
there is not, equivalence classes and collating symbols.
"""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from layers.errors import InputError

_ALL = frozenset(range(256))
_CONTROL = frozenset((*range(32), 127))
_CLASSES = {  # of the C locale: POSIX, 7.3.1
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, sorted(_CONTROL))),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": string.whitespace,
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}
_CLASS = re.compile(rb"\[:([a-z]*):\]")
_WILDCARDS = re.compile(rb"[*?\[\\]")


class GlobError(InputError):
    """What is no pattern."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern.

    Attributes:
        text: as it was given.
        fixed: what stands before its first wildcard, without slashes at the end: dpkg's measure for which folders may
            lead to what it matches.
    """

    text: str
    fixed: bytes
    _compiled: re.Pattern[bytes] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "Glob":
        """Read a pattern.

        Raises:
            GlobError: it is none.
        """
        pattern = text.encode()
        fixed = _WILDCARDS.split(pattern, maxsplit=1)[0].rstrip(b"/")
        return cls(text, fixed, re.compile(_expression(pattern), re.DOTALL))

    def matches(self, path: bytes) -> bool:
        """Whether all of a path, with its `/` at the start, is of this pattern."""
        return self._compiled.fullmatch(path) is not None


def _expression(pattern: bytes) -> bytes:
    """What `re` takes; no text takes it longer than its length times the pattern's.

    The first place at which what stands between two `*` fits is as good as any other: it is never given up again.
    """
    first, *others = _pieces(pattern)
    if not others:
        return first
    *between, last = others
    return first + b"".join(b"(?>.*?" + piece + b")" for piece in between) + b".*" + last


def _pieces(pattern: bytes) -> list[bytes]:
    """What stands before, between and behind all `*`, as `re` takes it."""
    pieces = [b""]
    for one in _ones(pattern):
        if one is None:
            pieces.append(b"")
        else:
            pieces[-1] += one
    return pieces


def _ones(pattern: bytes) -> Iterator[bytes | None]:
    """What `re` takes for one byte each; None for `*`."""
    position = 0
    while position < len(pattern):
        character = pattern[position : position + 1]
        position += 1
        if character == b"*":
            yield None
        elif character == b"?":
            yield b"."
        elif character == b"[":
            wanted, position = _bracket(pattern, position)
            yield _one_of(wanted)
        else:
            byte, position = _escaped(pattern, position - 1)
            yield _one_of(frozenset((byte,)))


def _one_of(wanted: frozenset[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(wanted)) + b"]" if wanted else b"(?!)"


def _escaped(pattern: bytes, position: int) -> tuple[int, int]:
    """The byte that stands at a position, maybe behind a backslash; and the position behind it."""
    if pattern[position] == ord("\\"):
        position += 1
        if position == len(pattern):
            raise GlobError("it ends in a backslash", hint=r"`\\` is a backslash.")
    return pattern[position], position + 1


def _bracket(pattern: bytes, position: int) -> tuple[frozenset[int], int]:
    """The bytes that a bracket stands for, which begins before a position; and the position behind it."""
    others = pattern[position : position + 1] in (b"!", b"^")
    start = position = position + others
    found: set[int] = set()
    while position < len(pattern):
        if pattern[position] == ord("]") and position > start:
            return (_ALL - found if others else frozenset(found)), position + 1
        if named := _CLASS.match(pattern, position):
            found |= _class(named[1].decode())
            position = named.end()
            continue
        low, position = _end_of_range(pattern, position)
        high = low
        if pattern[position : position + 1] == b"-" and pattern[position + 1 : position + 2] not in (b"", b"]"):
            high, position = _end_of_range(pattern, position + 1)
        found |= set(range(low, high + 1))
    raise GlobError("a bracket is not closed", hint=r"`\[` is a bracket as it is.")


def _end_of_range(pattern: bytes, position: int) -> tuple[int, int]:
    if pattern[position : position + 2] in (b"[:", b"[=", b"[."):
        what = pattern[position : position + 2].decode()
        raise GlobError(f"{what} in a bracket is no class by itself", hint=r"`\[` is a bracket as it is.")
    return _escaped(pattern, position)


def _class(name: str) -> frozenset[int]:
    if name not in _CLASSES:
        raise GlobError(f"there is no class [:{name}:]", hint=f"There are: {', '.join(_CLASSES)}.")
    return frozenset(_CLASSES[name].encode())

"""Debian versions and their order: `[epoch:]upstream[-revision]` (deb-version(7))."""

import functools
import re

#: What a version may look like; the epoch and the revision are optional.
VERSION = re.compile(r"(?:(?P<epoch>[0-9]+):)?(?P<upstream>[0-9A-Za-z.+~:-]+?)(?:-(?P<revision>[0-9A-Za-z.+~]+))?")

_PART = re.compile(r"([^0-9]*)([0-9]*)")

_Run = tuple[tuple[int, ...], tuple[int, str]]  # what is no digit, by rank; the digits, as (how many, which)
_NOTHING: _Run = ((0,), (0, ""))
_BEFORE_NOTHING = -1
_AFTER_LETTERS = 256


def compare(first: str, second: str) -> int:
    """Negative, zero or positive: the first version is older, as old, or newer.

    Any text has a place in the order, as with dpkg, which only warns about a bad version.
    """
    one, other = _key(first), _key(second)
    return (one > other) - (one < other)


def admits(relation: str, wanted: str, version: str) -> bool:
    """Whether a version is in a relation (`<<`, `<=`, `=`, `>=`, `>>`; empty: any) to a wanted one."""
    if not relation:
        return True
    order = compare(version, wanted)
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[relation]


@functools.lru_cache(maxsize=8192)
def _key(version: str) -> tuple[tuple[int, str], tuple[_Run, ...], tuple[_Run, ...]]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "", version
    upstream, dash, revision = rest.rpartition("-")
    return (_number(epoch), _runs(upstream), _runs(revision)) if dash else (_number(epoch), _runs(rest), _runs(""))


def _runs(text: str) -> tuple[_Run, ...]:
    runs = [(_ranks(other), _number(digits)) for other, digits in _PART.findall(text) if other or digits]
    # A text that is missing is as good as `0`; the end, that `~` comes before it and all else after it.
    return (*(runs or [_NOTHING]), _NOTHING)


def _ranks(text: str) -> tuple[int, ...]:
    return (*(_rank(character) for character in text), 0)


def _rank(character: str) -> int:
    if character == "~":
        return _BEFORE_NOTHING
    return ord(character) if character.isalpha() else ord(character) + _AFTER_LETTERS


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")  # compared as text: int() refuses more than 4300 digits
    return len(significant), significant

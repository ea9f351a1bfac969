"""S-expressions, as Guix writes records into files: lists, symbols, strings, numbers; nothing is evaluated.

    (boot-parameters (version 0) (label "GNU") (kernel-arguments ("quiet")) ...)

Revised^7 Report on Scheme, section 7.1, as far as `write` of such a record goes: `#t` and `#f` are symbols here, and a
vector (`#vu8(...)`) is a list with its prefix before it.
"""

import re
from dataclasses import dataclass

from layers.errors import PackError

_TOKEN = re.compile(
    r"""\s+ | ;[^\n]* |
    (?P<open>[(\[]) | (?P<close>[)\]]) |
    "(?P<string>(?:[^"\\]|\\.)*)" |
    (?P<atom>[^\s()\[\]";]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,6});?|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "0": "\0", "\n": ""}
_DEEPEST = 100


class ExpressionError(PackError):
    """A text that is no S-expression."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name, a number, or anything else without quotation marks."""

    name: str


def parse(text: str, origin: str) -> object:
    """One expression: a `str`, a `Symbol`, or a list of expressions.

    Raises:
        ExpressionError: it is not one, or it is deeper than anybody needs.
    """
    stack: list[list[object]] = [[]]
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if not token:
            raise ExpressionError(f"{origin}: cannot be read from its character {place} on")
        place = token.end()
        if token["open"]:
            if len(stack) > _DEEPEST:
                raise ExpressionError(f"{origin}: there are more than {_DEEPEST} parentheses in each other")
            stack.append([])
        elif token["close"]:
            if len(stack) == 1:
                raise ExpressionError(f"{origin}: a parenthesis is closed that was not opened, at character {place}")
            closed = stack.pop()
            stack[-1].append(closed)
        elif token["string"] is not None:
            stack[-1].append(_ESCAPE.sub(_unescaped, token["string"]))
        elif token["atom"] and token["atom"] not in ("'", "`", "#vu8"):
            stack[-1].append(Symbol(token["atom"]))
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ExpressionError(f"{origin}: it is not one expression, with all of its parentheses closed")
    return stack[0][0]


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        number = int(found[1], 16)
        return chr(number) if number < 0x110000 else "�"
    return _ESCAPED.get(found[2], found[2])


def field(record: object, name: str) -> list[object] | None:
    """What follows a field's name in a record: `(NAME ...)` in `(RECORD (NAME ...) ...)`; None if it has none."""
    for row in record if isinstance(record, list) else ():
        if isinstance(row, list) and row and row[0] == Symbol(name):
            return row[1:]
    return None


def strings(expressions: object) -> list[str]:
    """All strings in an expression, in order."""
    if isinstance(expressions, str):
        return [expressions]
    return [text for each in expressions for text in strings(each)] if isinstance(expressions, list) else []

"""Sentences: what pydantic found, in words for people who write os.toml and never saw Python."""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from packer.document import Location, key, quoted
from packer.mistakes import Mistake
from packer.similar import nearest

_MOST_HINTS = 100  # looking for similar words takes a millisecond each
_MOST_NAMES = 24  # words that a hint may list
_SIMILAR = 0.65  # at least; "gz" is "gzip", and "root-uuid" is not "post-build"
_MOST_SHOWN = 40  # characters of a value that a hint repeats

#: What TOML calls the values of a Python type.
_KINDS: tuple[tuple[type[Any], str], ...] = (
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a decimal number"),
    (str, "a string"),
    (tuple, "an array"),
    (dict, "a table"),
    (datetime.datetime, "a date"),
    (datetime.date, "a date"),
    (datetime.time, "a time of day"),
)

#: What pydantic's error types mean: what the value should be.
_WANTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "dict_type": "a table",
    "mapping_type": "a table",
    "dataclass_type": "a table",
    "dataclass_exact_type": "a table",
}

#: (what it should be, what it is) -> what to do.
_REMEDIES = {
    ("a string", "an integer"): "put it into quotes",
    ("a string", "a decimal number"): "put it into quotes",
    ("a string", "true or false"): "put it into quotes",
    ("a string", "a date"): "put it into quotes",
    ("an integer", "a string"): "leave the quotes out",
    ("true or false", "a string"): "leave the quotes out",
    ("an array", "a string"): 'put it into brackets: ["this"]',
}

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def mistakes(error: ValidationError, document: Mapping[str, Any]) -> tuple[Mistake, ...]:
    """What pydantic found, in the document's order.

    Args:
        error: of validating the document.
        document: what was validated.
    """
    order = _Order(document)
    found = [(_location(details), details) for details in error.errors(include_url=False) if not _follows(details)]
    found.sort(key=lambda pair: order.of(pair[0]))
    return tuple(
        _mistake(location, details, hints=rank < _MOST_HINTS) for rank, (location, details) in enumerate(found)
    )


def _follows(details: ErrorDetails) -> bool:
    """Whether it only says that wrong items of an array do not count."""
    return details["type"] == "too_short" and bool(details["input"])


def _location(details: ErrorDetails) -> Location:
    return tuple(part for part in details["loc"] if part != "[key]")  # pydantic's mark for "the key, not the value"


class _Order:
    """Where things are in a document: a missing key comes before those that are there."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._ranks: dict[int, dict[str, int]] = {}

    def of(self, location: Location) -> tuple[int, ...]:
        ranks = []
        value: Any = self._document
        for part in location:
            if isinstance(value, dict) and isinstance(part, str):
                ranks.append(self._rank(value, part))
                value = value.get(part)
            elif isinstance(value, tuple) and isinstance(part, int):
                ranks.append(part)
                value = value[part] if part < len(value) else None
        return tuple(ranks)

    def _rank(self, table: dict[str, Any], name: str) -> int:
        if id(table) not in self._ranks:
            self._ranks[id(table)] = {name: rank for rank, name in enumerate(table)}
        return self._ranks[id(table)].get(name, -1)


def _mistake(location: Location, details: ErrorDetails, *, hints: bool) -> Mistake:
    message, hint = _sentence(details["type"], details.get("ctx", {}), details["input"])
    context = details.get("ctx", {})
    if hints and context.get("names") and not hint:
        hint = _suggestion(context["given"], context["names"])
    return Mistake(key(location), message, hint)


def _sentence(kind: str, context: Mapping[str, Any], value: object) -> tuple[str, str]:
    if kind == "mistake":
        return context["message"], context["hint"]
    if kind in _WANTED:
        wanted, given = _WANTED[kind], _kind(value)
        return f"must be {wanted}, not {given}", _REMEDIES.get((wanted, given)) or _rewritten(wanted, value, context)
    if kind in _LIMITS:
        word, limit = _LIMITS[kind]
        return f"must be {word} {context[limit]}", ""
    if kind == "missing":
        return "is missing", "".join(f"add it, for example {_toml(example)}" for example in context.get("examples", ()))
    if kind in ("too_short", "string_too_short"):
        return "must not be empty", ""
    if kind == "literal_error":
        return f"must be {context['expected']}", ""
    if kind == "value_error":
        return _lowered(str(context["error"])), ""
    return _lowered(str(context.get("message", kind))), ""


def _rewritten(wanted: str, value: object, context: Mapping[str, Any]) -> str:
    """How a table is written as an array, or an array as a table, if it is clear what is meant."""
    if wanted == "an array" and isinstance(value, dict):
        if context.get("of_tables", True):
            return "put it into brackets: [{ this = 1 }]"
        return f"write [{_first(map(_string, value))}]"
    if wanted == "a table" and isinstance(value, tuple):
        pairs = [text.partition("=") for text in value if isinstance(text, str)]
        if pairs and len(pairs) == len(value) and all(name and equals for name, equals, _ in pairs):
            return f"write {{ {_first(f'{_bare(name)} = {_string(text)}' for name, _, text in pairs)} }}"
    return ""


def _first(texts: Iterator[str]) -> str:
    """The first of some texts, and a sign that there are more."""
    return ", ".join([*islice(texts, 1), *("…" for _ in islice(texts, 1))])


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) else _string(name)


def _string(text: str) -> str:
    """A text as TOML has it, with nothing in it that a terminal would obey."""
    return json.dumps(text[:_MOST_SHOWN])


def _lowered(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _kind(value: object) -> str:
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "this")


def _toml(example: object) -> str:
    return f'"{example}"' if isinstance(example, str) and not example.startswith("[") else str(example)


def _suggestion(given: str, names: Iterable[str]) -> str:
    known = list(names)
    if near := nearest(given.lower().replace("_", "-"), known, _SIMILAR):
        return f"did you mean {quoted(near)}?"
    return f"there are: {', '.join(known)}" if len(known) <= _MOST_NAMES else ""

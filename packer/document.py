"""Documents: TOML text that may be hostile, as plain values that cannot hurt.

The parser of the standard library is recursive in brackets and takes quadratic time in dotted keys, so that both are
bounded before it sees the text; what it then gives is looked through once, for values that nothing can use.
"""

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packer.mistakes import ConfigError, Mistake

#: Bytes; the longest os.toml of a large system has some ten thousand.
MOST_BYTES = 1 << 20

#: Levels of tables and arrays, and names in a dotted key.
MOST_LEVELS = 64

_MOST_VALUES = 100_000
_INTEGERS = range(-(1 << 63), 1 << 63)  # TOML 1.0, Integer: what every parser takes

#: What brackets and dots mean nothing in: strings and comments (TOML 1.0). A missing end quote is for the parser.
_OPAQUE = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:"""|\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'''|\Z)"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*+",
    re.DOTALL,
)
_KEY = re.compile(r"[^\n=,\[\]{}]+")
_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
#: What the parser says of a table, which it calls by a tuple.
_TABLE = re.compile(r"Cannot (declare|mutate immutable namespace|redefine namespace) (\(.*\))(?: twice)?", re.DOTALL)

#: What else it says -> what people understand, and what to do.
_PLAINLY = {
    "Cannot overwrite a value": ("this key has a value already", "keep one of them"),
    "Illegal character '\\n'": ("the text has no end on this line", "add the quote that ends it"),
    "Unterminated string": ("a text has no end", "add the quotes that end it"),
}

Location = tuple[str | int, ...]


def read(path: str) -> str:
    """The text of a file.

    Raises:
        ConfigError: there is no such file, or it cannot be one.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(path, "there is no such file", "`ocipack init` starts one") from None
    except IsADirectoryError:
        raise _refusal(path, "is a folder", f"name the file: {os.path.join(path, 'os.toml')}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _refusal(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MOST_BYTES:
        raise _refusal(
            path, f"is larger than {MOST_BYTES >> 20} MiB", "files of the image belong beside it: see source"
        )
    try:
        return data.decode("utf-8-sig")  # some editors start a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(path, f"line {line} is not UTF-8", "save the file as UTF-8") from None


def document(text: str, origin: str) -> dict[str, Any]:
    """The values of a TOML text: tables as dicts, arrays as tuples, at most `MOST_LEVELS` deep.

    Args:
        text: the text.
        origin: the file that it comes from, for messages.

    Raises:
        ConfigError: it is not TOML, too deep, too long, or has values that nothing can use.
    """
    if len(text) > MOST_BYTES:
        raise _refusal(origin, f"is larger than {MOST_BYTES >> 20} MiB")
    if _deep(_OPAQUE.sub("", text)):
        raise _refusal(origin, f"is nested more than {MOST_LEVELS} levels deep")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(origin, *_syntax(str(error))) from None
    except (ValueError, RecursionError):  # more than 4,300 digits: the interpreter's own limit
        raise _refusal(origin, "has a number that is too large") from None
    mistakes = tuple(Mistake(key(location), message) for location, message in _unusable(values, origin))
    if mistakes:
        raise ConfigError(origin, mistakes)
    return {name: _frozen(value) for name, value in values.items()}


def key(location: Location) -> str:
    """A location as people write it: `os.files[2].target`, `container.env."A B"`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part) else quoted(part)
            text += f".{name}" if text else name
    return text


def quoted(value: str) -> str:
    """A text for a message: short, and with nothing in it that a terminal would obey."""
    return repr(value if len(value) <= 60 else value[:57] + "…")


def _refusal(origin: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError(origin, (Mistake("", message, hint),))


def _deep(skeleton: str) -> bool:
    level = 0
    for bracket in re.findall(r"[\[\]{}]", skeleton):
        level += 1 if bracket in "[{" else -1
        if level > MOST_LEVELS:
            return True
    return any(run.group().count(".") >= MOST_LEVELS for run in _KEY.finditer(skeleton))


def _syntax(message: str) -> tuple[str, str]:
    """The parser's message with the place in front, and what usually helps."""
    place = _PLACE.fullmatch(message)
    if not place:
        return message, ""
    what, line, column = place.groups()
    where = f"line {line}, column {column}" if line else "at the end"
    if table := _TABLE.fullmatch(what):
        name = key(ast.literal_eval(table.group(2)))
        if table.group(1) == "declare":
            return f"{where}: [{name}] is there twice", f"put their keys together, or write [[{name}]] for several"
        return f"{where}: {name} is there already, and takes no more keys", "put its keys into one place"
    message, hint = _PLAINLY.get(what, (f"{what[:1].lower()}{what[1:]}", ""))
    return f"{where}: {message}", hint or ("text needs quotes" if what == "Invalid value" else "")


def _unusable(values: dict[str, Any], origin: str) -> Iterator[tuple[Location, str]]:
    """Look at every value, in the file's order, without recursion."""
    waiting: list[tuple[Location, Any]] = [((), values)]
    count = 0
    while waiting:
        location, value = waiting.pop()
        count += 1
        if count > _MOST_VALUES or len(location) > MOST_LEVELS:
            raise _refusal(origin, f"has more than {_MOST_VALUES} values, or more than {MOST_LEVELS} levels")
        if isinstance(value, dict):
            yield from (((*location, name), "a NUL cannot be in a key") for name in value if "\0" in name)
            waiting += reversed([((*location, name), below) for name, below in value.items()])
        elif isinstance(value, list):
            waiting += reversed([((*location, place), below) for place, below in enumerate(value)])
        elif isinstance(value, str) and "\0" in value:
            yield location, "a NUL cannot be in a text"
        elif isinstance(value, int) and value not in _INTEGERS:
            yield location, "this number needs more than 64 bits"


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _frozen(below) for name, below in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

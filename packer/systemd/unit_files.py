"""Unit files: their sections as systemd reads them (systemd.syntax(7)), and the names of units (systemd.unit(5))."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_KINDS = "automount|device|mount|path|scope|service|slice|socket|swap|target|timer"
_NAME = re.compile(rf"([A-Za-z0-9:_.\\-]+?)(@[A-Za-z0-9:_.\\@-]*)?\.({_KINDS})")
_LONGEST_NAME = 255  # UNIT_NAME_MAX


@dataclass(frozen=True, slots=True)
class UnitName:
    """The name of a unit: `PREFIX.KIND`, `PREFIX@INSTANCE.KIND`, or `PREFIX@.KIND` for a template.

    Attributes:
        prefix: what stands before `@`, or before the kind.
        instance: what stands behind `@`; empty for a template, None without `@`.
        kind: `service`, `socket`, …
    """

    prefix: str
    instance: str | None
    kind: str

    @classmethod
    def parse(cls, text: str) -> "UnitName | None":
        """The name that a text is, or None."""
        match = _NAME.fullmatch(text)
        if match is None or len(text) > _LONGEST_NAME:
            return None
        return cls(match[1], match[2][1:] if match[2] else None, match[3])

    @property
    def is_template(self) -> bool:
        """Whether it needs an instance."""
        return self.instance == ""

    @property
    def template(self) -> "UnitName":
        """The template that an instance is made from."""
        return UnitName(self.prefix, "", self.kind)

    def __str__(self) -> str:
        instance = "" if self.instance is None else f"@{self.instance}"
        return f"{self.prefix}{instance}.{self.kind}"


@dataclass(frozen=True, slots=True)
class Install:
    """The section [Install] of a unit: lists of words as they stand there.

    Attributes:
        wanted_by: units that want it.
        required_by: units that need it.
        upheld_by: units that start it again whenever it stops.
        alias: its other names.
        also: units to enable with it.
        default_instance: of a template; may be empty.
    """

    wanted_by: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()
    upheld_by: tuple[str, ...] = ()
    alias: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    default_instance: str = ""

    def __bool__(self) -> bool:
        return bool(self.wanted_by or self.required_by or self.upheld_by or self.alias or self.also)

    @classmethod
    def read(cls, texts: Iterable[str]) -> "Install":
        """The section of a unit file and of its drop-ins, in their order; what is empty takes back what was said."""
        lists: _Lists = _Lists()
        for text in texts:
            for key, value in assignments(text, "Install"):
                lists.assign(key, value)
        found = {key: tuple(dict.fromkeys(words)) for key, words in lists.words.items()}
        return cls(**found, default_instance=lists.default_instance)


_LISTS: Final = {
    "WantedBy": "wanted_by",
    "RequiredBy": "required_by",
    "UpheldBy": "upheld_by",
    "Alias": "alias",
    "Also": "also",
}


@dataclass(slots=True)
class _Lists:
    words: dict[str, list[str]] = field(default_factory=dict)
    default_instance: str = ""

    def assign(self, key: str, value: str) -> None:
        if key == "DefaultInstance":
            self.default_instance = _unquoted(value)
        elif name := _LISTS.get(key):
            words = [_unquoted(word) for word in value.split()]
            self.words[name] = self.words.get(name, []) + words if words else []


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def assignments(text: str, section: str) -> Iterator[tuple[str, str]]:
    """`KEY=VALUE` of a section, in order: comments are left out, and lines that end in a backslash joined."""
    current = ""
    for line in _logical_lines(text):
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1]
        elif current == section and "=" in line:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def _logical_lines(text: str) -> Iterator[str]:
    joined = ""
    for line in text.split("\n"):
        if line.lstrip()[:1] in ("#", ";"):
            continue
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield (joined + line).strip()
        joined = ""
    yield joined.strip()

"""Paths of this machine that os.toml names, found by what the fields of its records say (`packer.forms.HostPath`)."""

import glob
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from packer import document
from packer.document import Location
from packer.forms import HostKind, HostPath
from packer.mistakes import Mistake
from packer.record import Record, keys

_HINT = "a relative path starts at the folder of os.toml"


@dataclass(frozen=True, slots=True)
class Named:
    """A path that os.toml names.

    Attributes:
        location: the key that names it.
        text: as it stands there.
        form: what has to be there.
        folder: of os.toml.
    """

    location: Location
    text: str
    form: HostPath
    folder: str

    @property
    def key(self) -> str:
        """The key as people write it."""
        return document.key(self.location)

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for all that matches it."""
        return self.form.glob and glob.has_magic(self.text)

    @property
    def path(self) -> str:
        """Where it is; folders without `..`, as those have it who read them."""
        joined = os.path.join(self.folder, self.text)
        return os.path.normpath(joined) if self.form.kind is HostKind.FOLDER else joined

    @property
    def paths(self) -> list[str]:
        """What it leads to, sorted; nothing if nothing matches a pattern."""
        if not self.is_pattern:
            return [self.path]
        return matching(self.text, self.folder)

    def mistake(self) -> Mistake | None:
        """What is wrong with it, if anything is: nothing is there, or something else."""
        if self.is_pattern:
            return None if self.paths else self._mistake(f"nothing matches {document.quoted(self.text)}")
        try:
            is_folder = stat.S_ISDIR(os.stat(self.path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return self._mistake(f"there is no {self.form.kind.value} {self.path}")
        except OSError:
            return None  # who may not look cannot tell; who reads it can
        if self.form.kind is not HostKind.EITHER and is_folder != (self.form.kind is HostKind.FOLDER):
            return self._mistake(f"{self.path} is {'a' if is_folder else 'no'} folder")
        return None

    def _mistake(self, message: str) -> Mistake:
        hints = [] if os.path.isabs(self.text) else [_HINT]
        if self.form.scheme:
            hints.append(f"what is in a registry begins with {self.form.scheme}")
        return Mistake(self.key, message, "; ".join(hints))


def matching(pattern: str, folder: str) -> list[str]:
    """What a pattern matches, sorted by bytes.

    Args:
        pattern: absolute, or below the folder.
        folder: means itself, whatever is in its name.
    """
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)), key=os.fsencode)


def named(value: Any, folder: str, location: Location) -> Iterator[Named]:
    """The paths in a record and all that are below it, in the order of their keys.

    Args:
        value: the record, or several.
        folder: of os.toml, absolute.
        location: of the record in os.toml.
    """
    yield from _named(value, None, folder, location)


def _named(value: Any, form: HostPath | None, folder: str, location: Location) -> Iterator[Named]:
    if isinstance(value, Record):
        fields = type(value).__pydantic_fields__  # type: ignore[attr-defined]  # of pydantic's dataclasses
        for key, (name, field) in zip(keys(type(value)), fields.items(), strict=True):
            below = next(_forms((*field.metadata, field.annotation)), None)
            yield from _named(getattr(value, name), below, folder, (*location, key))
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            yield from _named(each, form, folder, (*location, place))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _named(each, form, folder, (*location, key))
    elif form and isinstance(value, str) and value and not (form.scheme and value.startswith(form.scheme)):
        yield Named(location, value, form, folder)


def _forms(parts: Any) -> Iterator[HostPath]:
    """The forms in the parts of a type, whatever they are inside of."""
    for part in parts:
        if isinstance(part, HostPath):
            yield part
        else:
            yield from _forms(get_args(part))

"""os.toml to records: all mistakes at once, with their keys and what to do about them."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from packer import document, sentences
from packer.declaration import Declaration
from packer.mistakes import ConfigError
from packer.record import Record

Table = TypeVar("Table", bound=Record)


def load(path: str) -> Declaration:
    """Read an os.toml.

    Raises:
        ConfigError: it cannot be read, or has mistakes: all of them are told.
    """
    return parse(document.read(path), path)


def parse(text: str, origin: str) -> Declaration:
    """The declaration that a TOML text is.

    Args:
        text: the text.
        origin: the file that it comes from, for messages.

    Raises:
        ConfigError: it has mistakes: all of them are told.
    """
    values = document.document(text, origin)
    declaration: Declaration = checked(Declaration, values, origin)
    return declaration


def override(table: Table, changes: Mapping[str, Any], origin: str) -> Table:
    """A table with other values for some keys.

    Args:
        table: as os.toml has it.
        changes: values by key, such as `{"max-layers": 60, "compression": {"codec": "gzip", "level": 6}}`.
        origin: where the changes come from, for messages.

    Raises:
        ConfigError: the changes have mistakes.
    """
    changed: Table = checked(type(table), table.table() | dict(changes), origin)
    return changed


def checked(record: type[Any], values: dict[str, Any], origin: str) -> Any:
    """The record that the values of a document are.

    Args:
        record: type of it.
        values: by key.
        origin: the file that they come from, for messages.

    Raises:
        ConfigError: they have mistakes: all of them are told.
    """
    try:
        return TypeAdapter(record).validate_python(values)
    except ValidationError as error:
        raise ConfigError(origin, sentences.mistakes(error, values)) from None

"""The reference of os.toml, docs/os-toml.md: made from the JSON schema, and from the examples of the records."""

from collections.abc import Iterator, Mapping
from typing import Any

from packer import schema, stores
from packer.declaration import Declaration
from packer.tables.compression import Compression, LayerCompression, SquashfsCompression
from packer.tables.container import Container
from packer.tables.disk import Disk
from packer.tables.files import FileDeclaration
from packer.tables.groups import GroupDeclaration
from packer.tables.healthcheck import Healthcheck
from packer.tables.layers import Layers
from packer.tables.mounts import Mount
from packer.tables.operating_system import OperatingSystem
from packer.tables.partitions import DiskPartition
from packer.tables.sbom import Sbom
from packer.tables.services import Services
from packer.tables.squashfs import Squashfs
from packer.tables.store import SEVERAL, SEVERAL_EXAMPLE, store_record
from packer.tables.tarball import Tarball
from packer.tables.types import TypeDeclaration
from packer.tables.users import AuthorizedKey, UserDeclaration
from packer.tables.wsl2 import Wsl2

_INTRODUCTION = """\
# os.toml

<!-- Made by script/generate from the records in packer/; changes here are lost. -->

One file, in [TOML](https://toml.io/en/v1.0.0), says what is packed and how. `ocipack init` starts one with comments,
`ocipack check` tells every mistake in it at once. Keys that are not listed here are mistakes.

Editors complete and check os.toml with the JSON schema beside this page, [os.schema.json](os.schema.json): a first
line `#:schema PATH/os.schema.json` tells most of them where it is.

Relative paths start at the folder of os.toml. A file has at most 1 MiB and 64 levels.
"""

Schema = Mapping[str, Any]

#: Where tables are that override others.
_NAMED = "types."


def text() -> str:
    """The page."""
    whole = schema.schema()
    parts = [_INTRODUCTION, *_sections(whole, whole["$defs"], "", Declaration.__name__)]
    return "\n".join(parts)


def _examples() -> dict[str, str]:
    """Examples by the names that the schema has for records."""
    of_os = (OperatingSystem, UserDeclaration, AuthorizedKey, GroupDeclaration, Services, Mount, FileDeclaration)
    of_formats = (
        Container,
        Healthcheck,
        Layers,
        LayerCompression,
        Tarball,
        Compression,
        Squashfs,
        SquashfsCompression,
        Wsl2,
        Sbom,
    )
    of_disks = (Disk, DiskPartition, TypeDeclaration)
    fixed: tuple[type[Any], ...] = (Declaration, *of_os, *of_formats, *of_disks)
    return {record.__name__: record.EXAMPLE for record in (*fixed, *map(store_record, stores.NAMES))}


def _sections(record: Schema, records: Mapping[str, Schema], path: str, name: str) -> Iterator[str]:
    """The section of a table, and those of the tables in it."""
    yield _section(record, path, _examples()[name])
    for key, value in record["properties"].items():
        where = f"{path.strip('[]')}.{key}" if path else key
        if where == "store":
            yield "\n".join(["## `[[store]]`", "", SEVERAL, "```toml", SEVERAL_EXAMPLE.rstrip("\n"), "```", ""])
        for below in (
            _tables(value) if not path.startswith(_NAMED) else ()
        ):  # its tables are shown where they are at home
            named = f"{where}.NAME" if "patternProperties" in value else where
            yield from _sections(records[below], records, f"[{named}]" if "items" in value else named, below)


def _section(record: Schema, path: str, example: str) -> str:
    kind = record["properties"].get("type", {}).get("const")
    title = f'`[{path}]` with `type = "{kind}"`' if kind else f"`[{path}]`" if path else "At the top"
    required = record.get("required", ())
    rows = [_row(key, value, required=key in required) for key, value in record["properties"].items()]
    lines = [f"## {title}", "", record["description"], ""]
    lines += ["| Key | Type | Default | Meaning |", "|---|---|---|---|", *rows, ""]
    lines += ["```toml", example.rstrip("\n"), "```", ""] if example else []
    return "\n".join(lines)


def _row(key: str, value: Schema, *, required: bool) -> str:
    default = "**required**" if required else _default(value.get("default"))
    cells = (f"`{key}`", _type(value), default, value.get("description", ""))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, dict):
        return ", ".join(filter(None, map(_default, value.values())))
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _type(value: Schema) -> str:
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if "$ref" in value or "oneOf" in value:
        return "table"
    if "enum" in value or "const" in value:
        return ", ".join(f"`{_toml(word)}`" for word in value.get("enum", [value.get("const")]))
    if value["type"] == "array":
        return f"array of {_plural(_type(value['items']))}"
    if value["type"] == "object":
        return "table of tables" if _tables(value) else "table of strings"
    return "true or false" if value["type"] == "boolean" else str(value["type"])


def _plural(words: str) -> str:
    return " or ".join(f"{word}s" for word in words.split(" or "))


def _tables(value: Schema) -> list[str]:
    """The records that a key's value may be, by name."""
    if "$ref" in value:
        return [value["$ref"].rpartition("/")[2]]
    choices = [*value.get("oneOf", ()), *value.get("anyOf", ()), *value.get("patternProperties", {}).values()]
    choices += [value["items"]] if "items" in value else []
    return list(dict.fromkeys(name for choice in choices for name in _tables(choice)))

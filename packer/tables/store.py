"""The table `[store]`: checked by the record of the store module that its key `type` names.

Only the module of the store that is used is imported to check a document; the JSON schema asks all of them.
"""

import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.dataclasses import dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticKnownError, ValidationError, core_schema

from formats.platform import PLATFORMS
from packer import stores
from packer.document import quoted
from packer.forms import Choice
from packer.record import Record, failure, mistake, settings

SEVERAL = """\
An image can have items of several stores: a `[[store]]` for each, in place of the one `[store]`. Each path belongs to
one of them:

- Two stores may have the same folder. Its owner and permissions are those of the first store that has it, so the store
  of the root file system comes first.
- What a store makes for the system, such as accounts or a package database, counts as its own. Stores of Nix, on this
  machine or a binary cache, make one database of the items of all of them.
- Anything else that two stores have at one path, equal or not, is an error, and so is an item that two stores have.
  What is to take the place of a package's file belongs into `os.files`.
- Accounts and folders that Nix and Guix lack are made where no other store has them. For a daemon of theirs on a root
  that has accounts, `os.groups` declares the group of builders: `nixbld` or `guixbuild`, 30000.

With several `platforms` a store gives what it has for each of them: Debian's packages are of the platform's
architecture. A closure of Nix or Guix, or a folder of programs, is for one: a `[[store]]` for each, which says so with
its own `platforms`.
"""

SEVERAL_EXAMPLE = """\
[[store]]
type = "debian"
packages = ["bash", "coreutils"]

[[store]]
type = "folder"
path = "app"
"""


_Platforms = tuple[Annotated[str, Choice("platform", {name: name for name in PLATFORMS})], ...]


def store_record(name: str) -> type[Any]:
    """The record of `[store]` for a type of store: the `Options` of its module, and `type`."""
    options: Any = stores.store_module(name).Options
    return _made_record(name, options)


@cache
def _made_record(name: str, options: Any) -> type[Any]:
    def body(namespace: dict[str, Any]) -> None:
        namespace["__doc__"] = options.__doc__
        namespace["__module__"] = options.__module__
        namespace["__annotations__"] = {"type": Literal[name], "platforms": _Platforms}
        namespace["type"] = Field(default=name, description="The type of store.")
        namespace["platforms"] = Field(
            default=(),
            description="The platforms that it is for, of several; without this key, all.",
            json_schema_extra={"uniqueItems": True},
        )

    plain = types.new_class(f"{name.title().replace('_', '')}Store", (options, Record), {}, body)
    return dataclass(frozen=True, slots=True, kw_only=True, config=settings())(plain)


class StoreTable:
    """Put into `typing.Annotated`, makes a field the table of a store."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(_checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        return {"oneOf": [_table_schema(store_record(name), handler) for name in stores.NAMES]}


def _checked(value: Any) -> Any:
    if not isinstance(value, dict):
        if isinstance(value, Record) and isinstance(getattr(value, "type", None), str):
            return value
        raise PydanticKnownError("dict_type")
    name = value.get("type")
    if isinstance(name, str) and name in stores.NAMES:
        return TypeAdapter(store_record(name)).validate_python(value)
    raise ValidationError.from_exception_data("store", [_type_failure(value)])


def second_stores(tables: object) -> Iterable[InitErrorDetails]:
    """Second stores of a type of which an image has one, as the mistakes of a table with the key `store`.

    Args:
        tables: tables and records of which nothing is checked yet.
    """
    known: list[tuple[int, str, tuple[Any, ...]]] = []
    for place, table in enumerate(tables if isinstance(tables, tuple) else ()):
        name, platforms = _value(table, "type"), _platforms(table)
        if not isinstance(name, str) or name not in stores.NAMES:
            continue
        reason = getattr(stores.store_module(name).Options, "ONCE", "")
        same = [at for at, other, theirs in known if other == name and _meet(platforms, theirs)]
        if reason and same:
            first = f"store[{same[0]}]"
            message = f"is that of {first} already, and {reason}"
            yield failure(mistake(message, hint=f"ask {first} for all that is wanted"), "store", place, "type")
        reason = getattr(stores.store_module(name).Options, "FIRST", "")
        if reason and not same and any(_meet(platforms, theirs) for _, _, theirs in known):
            error = mistake(f"has to be that of the first store: {reason}", hint="put it before the others")
            yield failure(error, "store", place, "type")
        known.append((place, name, platforms))


def _meet(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether there is a platform among both; none named are all."""
    return not some or not others or any(one in others for one in some)


def stores_of_platforms(tables: object, platform: object, platforms: object) -> Iterable[InitErrorDetails]:
    """Stores of platforms that os.toml does not name, and platforms without a store, as `second_stores` gives them.

    Args:
        tables: tables and records of which nothing is checked yet.
        platform: the one of os.toml, if it has one.
        platforms: the several of os.toml, if it has several.
    """
    named = platforms if isinstance(platforms, tuple) and platforms else (platform,)
    found = tables if isinstance(tables, tuple) else (tables,)
    for place, table in enumerate(found):
        where = (place,) if isinstance(tables, tuple) else ()
        yield from _too_many_platforms(table, named, where)
        for rank, name in enumerate(_platforms(table)):
            if name in PLATFORMS and name not in named:
                error = mistake(f"{quoted(name)} is no platform of this os.toml", names=[*map(str, named)])
                yield failure(error, "store", *where, "platforms", rank)
    for rank, name in enumerate(named):
        if tables and isinstance(name, str) and not any(name in (_platforms(one) or (name,)) for one in found):
            yield failure(mistake(f"{quoted(name)} has no store"), "platforms", *([rank] if platforms else []))


def _too_many_platforms(table: object, named: tuple[object, ...], where: tuple[int, ...]) -> Iterable[InitErrorDetails]:
    """A store whose items are for one platform, and that is to give those of several."""
    name, wanted = _value(table, "type"), _platforms(table) or named
    if not isinstance(name, str) or name not in stores.NAMES or len(wanted) < 2:
        return
    if reason := getattr(stores.store_module(name).Options, "ONE_PLATFORM", ""):
        hint = f'say platforms = ["{wanted[0]}"] in it, and add a [[store]] for each of the others'
        yield failure(mistake(f"is for {len(wanted)} platforms, and {reason}", hint=hint), "store", *where, "platforms")


def _platforms(table: object) -> tuple[Any, ...]:
    value = _value(table, "platforms")
    return value if isinstance(value, tuple) else ()


def _value(table: object, key: str) -> object:
    return table.get(key) if isinstance(table, Mapping) else getattr(table, key, None)


def _type_failure(table: dict[str, Any]) -> InitErrorDetails:
    if "type" not in table:
        error = mistake("is missing", hint=f"one of {', '.join(stores.NAMES)}")
    elif isinstance(table["type"], str):
        error = mistake(f"there is no store {quoted(table['type'])}", given=table["type"], names=stores.NAMES)
    else:
        return InitErrorDetails(type="string_type", loc=("type",), input=table["type"])
    return failure(error, "type")


def _table_schema(record: type[Any], handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """The record's schema, in which `type` comes first and has to be there."""
    reference = handler(TypeAdapter(record).core_schema)
    schema = handler.resolve_ref_schema(reference)
    properties = schema["properties"]
    schema["properties"] = {"type": {**properties.pop("type")}, **properties}
    schema["properties"]["type"].pop("default", None)
    schema["required"] = ["type", *(name for name in schema.get("required", ()) if name != "type")]
    return reference

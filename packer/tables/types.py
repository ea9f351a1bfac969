"""`[types]`: image types of one's own, which inherit from others.

A type has what the type has that it inherits from, and its own keys in the tables of formats in their place: keys of
`[disk]` itself are the weakest, those of the type that is asked for the strongest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticKnownError, core_schema

from formats.format import NAMES
from formats.image import ISO9660, ImageType
from formats.image_types import NAME_PATTERN, TYPES
from packer import forms
from packer.document import quoted
from packer.record import Record, again, failure, keys, mistake, settings
from packer.tables.disk import Disk
from packer.tables.squashfs import Squashfs
from packer.tables.tarball import Tarball
from packer.tables.wsl2 import Wsl2

#: The tables of formats, which types may override.
TABLES: Mapping[str, type[Record]] = {"disk": Disk, "squashfs": Squashfs, "tarball": Tarball, "wsl2": Wsl2}

#: What is a command already.
COMMANDS = (*("build", "cache", "check", "diff", "init", "inspect", "lock", "plan", "push", "sign", "types", "verify"),)

TYPE_NAME = forms.Form(NAME_PATTERN, "a name of a type: small letters, digits, '+' and '-'")

#: Types with the layouts of `partition-table`.
_WITH_LAYOUTS = "disk"

#: Keys of `[disk]` itself that only these have: all other types have their own.
_OF_LAYOUTS = ("container", "partition-table")

#: Keys of `[disk]` that say something of an image for CDs.
OF_ISO = ("label", "bootloader", "post-build")


@plain_dataclass(frozen=True, slots=True)
class Overrides:
    """Some keys of a table, and no others.

    Attributes:
        record: the table's.
    """

    record: type[Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        return handler(TypeAdapter(self.record).core_schema)

    def _checked(self, value: object) -> object:
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        TypeAdapter(self.record).validate_python(dict(value))
        return value


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class TypeDeclaration(Record):
    """An image type of your own: `ocipack NAME`."""

    EXAMPLE: ClassVar[str] = """\
[types.my-appliance]
inherits = "efi-raw"
summary = "what we ship"
disk.size = "4 GiB"
"""

    inherits: Annotated[str, TYPE_NAME] = Field(
        description="The type that it is like: one that `ocipack types` lists, or another of these.",
        examples=["efi-raw"],
    )
    summary: str = Field(default="", description="What it makes, for `ocipack types`.")
    disk: Annotated[Mapping[str, Any], Overrides(Disk)] = Field(
        default_factory=dict, description="Keys of `[disk]` that are others for this type, if it is a disk or an ISO."
    )
    squashfs: Annotated[Mapping[str, Any], Overrides(Squashfs)] = Field(
        default_factory=dict, description="Keys of `[squashfs]` that are others for this type, if it is a squashfs."
    )
    tarball: Annotated[Mapping[str, Any], Overrides(Tarball)] = Field(
        default_factory=dict, description="Keys of `[tarball]` that are others for this type, if it is a tarball."
    )
    wsl2: Annotated[Mapping[str, Any], Overrides(Wsl2)] = Field(
        default_factory=dict, description="Keys of `[wsl2]` that are others for this type, if it is one for WSL."
    )


@plain_dataclass(frozen=True, slots=True)
class Kind:
    """A type, and all that it inherits.

    Attributes:
        name: of the type.
        base: the built-in type that it comes from.
        summary: what it makes, for people.
        own: keys of the format's table that are others for this type.
        inherits: the type that it is like, or nothing.
    """

    name: str
    base: ImageType
    summary: str
    own: Mapping[str, Any] = field(default_factory=dict)
    inherits: str = ""

    @property
    def format(self) -> str:
        """The format's name, which is its module's."""
        return self.base.image.format if self.base.image.format in NAMES else "disk"

    @property
    def table(self) -> str:
        """The table of os.toml that says how it is made, or nothing."""
        return "disk" if self.is_iso else self.format if self.format in TABLES else ""

    @property
    def is_iso(self) -> bool:
        """Whether it is an image for CDs."""
        return self.format == ISO9660

    @property
    def has_layout(self) -> bool:
        """Whether `partition-table` says what is on it."""
        return self.base.name == _WITH_LAYOUTS

    def location(self, key: str) -> tuple[str, ...]:
        """Where os.toml has a key of its table: in the type's own, or in that for all types."""
        return ("types", self.name, self.table, key) if key in self.own else (self.table, key)

    def has(self, key: str) -> bool:
        """Whether a key of its table can say something of it."""
        return not self.is_iso or key in OF_ISO

    def shares(self, key: str) -> bool:
        """Whether it has a key from the table that is one for all types."""
        return self.has(key) and (self.has_layout or key not in _OF_LAYOUTS)


def kind(name: str, declared: Mapping[str, TypeDeclaration]) -> Kind | None:
    """A type by its name; none if there is none.

    Args:
        name: of the type.
        declared: types of os.toml, which inherit in no circle.
    """
    if name not in declared:
        return Kind(name, TYPES[name], TYPES[name].summary) if name in TYPES else None
    type_ = declared[name]
    below = kind(type_.inherits, declared)
    if below is None:
        return None
    own = {**below.own, **(getattr(type_, below.table) if below.table else {})}
    return Kind(name, below.base, type_.summary or f"{type_.inherits}, as os.toml changes it", own, below.name)


def mistakes(types: object, tables: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    """What is wrong with types together.

    Args:
        types: the table `types`, of which nothing is checked yet.
        tables: all of os.toml, likewise.
    """
    declared = (
        {name: row for name, row in types.items() if isinstance(row, Mapping)} if isinstance(types, Mapping) else {}
    )
    for name, row in declared.items():
        if name in TYPES or name in COMMANDS:
            what = "a type" if name in TYPES else "a command"
            yield failure(mistake(f"is {what} already", hint="give it another name"), "types", name)
            continue
        chain = _chain(name, declared)
        if chain[-1] in chain[:-1]:
            circle = chain[chain.index(chain[-1]) :]
            if name == min(circle):  # the others have the same mistake
                hint = "one of them has to inherit from a type that is there"
                yield failure(mistake(f"inherits from itself: {' from '.join(circle)}", hint=hint), "types", name)
            continue
        if (base := TYPES.get(chain[-1])) is None:
            if chain[-1] == row.get("inherits"):
                names = [*TYPES, *(other for other in declared if other != name)]
                unknown = mistake(f"there is no type {quoted(chain[-1])}", given=chain[-1], names=names)
                yield failure(unknown, "types", name, "inherits")
            continue
        yield from _unfitting(name, row, Kind(name, base, ""))
        yield from _merged(name, chain, declared, tables, Kind(name, base, ""))


def _chain(name: str, declared: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The type and all that it inherits from, itself first; the last is no declared one, or one that is there twice."""
    chain = [name]
    while chain[-1] in declared and chain[-1] not in chain[:-1]:
        above = declared[chain[-1]].get("inherits")
        if not isinstance(above, str):
            break
        chain.append(above)
    return chain


def _unfitting(name: str, row: Mapping[str, Any], found: Kind) -> Iterator[InitErrorDetails]:
    """Tables and keys that say nothing of this type."""
    for table in TABLES:
        if row.get(table) and table != found.table:
            what = f"a disk like {found.base.name}" if found.format == "disk" else found.base.name
            yield failure(mistake(f"says nothing of {what}", hint="leave it out"), "types", name, table)
    own = row.get("disk")
    if not isinstance(own, Mapping) or found.table != "disk":
        return
    for key in own:
        if not found.has(key) and key in keys(Disk):
            message = f"says nothing of an image for CDs like {found.base.name}"
            yield failure(mistake(message, hint="leave it out"), "types", name, "disk", key)
    if own.get("partition-table") and not (own.get("partitions") or found.has_layout or found.is_iso):
        hint = "inherit from disk, or leave it out"
        message = f"{found.base.name} has partitions of its own"
        yield failure(mistake(message, hint=hint), "types", name, "disk", "partition-table")


def _merged(
    name: str,
    chain: Iterable[str],
    declared: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, Any],
    found: Kind,
) -> Iterator[InitErrorDetails]:
    """What is wrong with a table when all that a type inherits is in it; not what is wrong with one of these alone."""
    parts: list[Any] = [tables.get(found.table, {})]
    parts += [declared[each].get(found.table, {}) for each in reversed([*chain]) if each in declared]
    if not found.table or not all(isinstance(part, Mapping) and _is_right(found.table, part) for part in parts):
        return
    shared, *own = parts
    merged = {key: value for key, value in shared.items() if found.shares(key)}
    merged |= {key: value for part in own for key, value in part.items() if found.has(key)}
    try:
        TypeAdapter(TABLES[found.table]).validate_python(merged)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            yield again(details, ("types", name, found.table, *details["loc"]))


def _is_right(table: str, part: Mapping[str, Any]) -> bool:
    try:
        TypeAdapter(TABLES[table]).validate_python(dict(part))
    except ValidationError:
        return False
    return True

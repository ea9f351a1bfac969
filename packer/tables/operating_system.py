"""`[os]`: what the root file system has besides the packages."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.document import quoted
from packer.record import Record, Short, failure, mistake, settings
from packer.tables.files import FileDeclaration, is_glob
from packer.tables.groups import GroupDeclaration
from packer.tables.mounts import NOWHERE, Mount
from packer.tables.services import Services
from packer.tables.users import UserDeclaration

#: Arrays of `[os]` and their keys of which no two rows may have the same.
_UNIQUE = (("users", "name"), ("users", "uid"), ("groups", "name"), ("groups", "gid"), ("mounts", "mount-point"))


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class OperatingSystem(Record):
    """What the root file system has besides the packages."""

    EXAMPLE: ClassVar[str] = """\
[os]
hostname = "web"
timezone = "Europe/Paris"
locale = "C.UTF-8"
services = ["ssh.service"]
users = [{ name = "ada", groups = ["sudo"], authorized-keys = [{ source = "ada.pub" }] }]
files = [
    { target = "/etc/motd", text = "Hello.\\n" },
    { target = "/srv/www", source = "site" },
    { target = "/var/lib/app", directory = true, mode = "0750", user = "www-data", group = "www-data" },
]
"""

    hostname: Annotated[str, forms.HOSTNAME] | None = Field(
        default=None,
        description="What the machine calls itself, in /etc/hostname and /etc/hosts. Containers get theirs when "
        "they are run.",
    )
    timezone: Annotated[str, forms.TIME_ZONE] | None = Field(
        default=None, description="Time zone, such as `Europe/Paris`: one that the image has (Debian: tzdata)."
    )
    locale: Annotated[str, forms.LOCALE] | None = Field(
        default=None,
        description="Language and character set, as LANG: `C.UTF-8`, or one that the image has (Debian: locales-all).",
    )
    keymap: Annotated[str, forms.KEYMAP] | None = Field(
        default=None, description="Keyboard of the console, such as `de` or `fr-latin1`."
    )
    users: tuple[UserDeclaration, ...] = Field(default=(), description="People and services, besides the packages'.")
    groups: tuple[GroupDeclaration, ...] = Field(default=(), description="Groups, besides the packages'.")
    services: Annotated[Services, Short(Services, "enable", tuple[Annotated[str, forms.UNIT], ...])] = Field(
        default=Services(), description="Units of systemd to enable, or a table that says more."
    )
    mounts: tuple[Mount, ...] = Field(default=(), description="File systems that are mounted at the start.")
    init: Annotated[str, forms.PATH] | None = Field(
        default=None, description="The first program of a machine, one of the image. Containers run their own."
    )
    kernel_arguments: tuple[Annotated[str, forms.KERNEL_ARGUMENT], ...] = Field(
        default=(), description="What the boot loader tells the kernel of a machine, such as `console=ttyS0`."
    )
    files: tuple[FileDeclaration, ...] = Field(
        default=(),
        description="Files, folders and links; they win over those of packages and of all other keys of `[os]`.",
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """What is unique in an image, and what two keys would both say."""
        for array, key in _UNIQUE:
            yield from _repeated(array, key, _rows(table, array))
        yield from _repeated("files", "target", (row if not is_glob(row) else {} for row in _rows(table, "files")))
        yield from _hidden_accounts(table)
        arguments = table.get("kernel-arguments")
        for place, argument in enumerate(arguments if isinstance(arguments, tuple) else ()):
            if isinstance(argument, str) and argument.startswith("init="):
                hint = 'write os.init = "/PATH" in its place'
                yield failure(mistake("says what os.init is for", hint=hint), "kernel-arguments", place)


def _rows(table: Mapping[str, Any], array: str) -> list[Mapping[str, Any]]:
    """The rows of an array, of which nothing is checked yet: tables, or records that code has made."""
    rows = table.get(array)
    return [
        row if isinstance(row, Mapping) else row.table() if isinstance(row, Record) else {}
        for row in (rows if isinstance(rows, tuple) else ())
    ]


def _repeated(array: str, key: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[InitErrorDetails]:
    places: dict[object, int] = {}
    for place, row in enumerate(rows):
        value = row.get(key)
        if type(value) not in (str, int) or value == NOWHERE:
            continue
        if value in places:
            shown = quoted(value) if isinstance(value, str) else value
            message = f"{shown} is the {key} of os.{array}[{places[value]}] already"
            yield failure(mistake(message, hint="keep one of them"), array, place, key)
        places.setdefault(value, place)


def _hidden_accounts(table: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    """Files that would take the place of those which users and groups are written to."""
    if not (_rows(table, "users") or _rows(table, "groups")):
        return
    for place, row in enumerate(_rows(table, "files")):
        if row.get("target") in ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"):
            hint = "leave it out, or os.users and os.groups"
            yield failure(mistake("is written from os.users and os.groups", hint=hint), "files", place, "target")

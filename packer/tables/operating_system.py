"""`[os]`: what the root file system has besides the packages."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.record import Record
from packer.tables.files import FileDeclaration, duplicate_targets


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingSystem(Record):
    """What the root file system has besides the packages."""

    EXAMPLE: ClassVar[str] = """\
[os]
hostname = "web"
files = [
    { target = "/etc/motd", text = "Hello.\\n" },
    { target = "/srv/www", source = "site" },
    { target = "/var/lib/app", directory = true, mode = "0750", user = "www-data", group = "www-data" },
    { target = "/etc/localtime", symlink = "/usr/share/zoneinfo/Etc/UTC" },
]
"""

    hostname: Annotated[str, forms.HOSTNAME] | None = Field(
        default=None,
        description="What the machine calls itself, in /etc/hostname and /etc/hosts. Containers get theirs when "
        "they are run.",
    )
    files: tuple[FileDeclaration, ...] = Field(
        default=(), description="Files, folders and links; they win over those of packages."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """No target twice."""
        files = table.get("files")
        return duplicate_targets(files) if isinstance(files, tuple) else ()

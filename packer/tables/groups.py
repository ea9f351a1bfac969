"""Groups: what `groups` of `[os]` adds to the groups of the packages."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from packer import forms
from packer.record import Record, settings


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class GroupDeclaration(Record):
    """A group. One that a package makes keeps its number and its members, and gets those that are named here."""

    EXAMPLE: ClassVar[str] = """\
[[os.groups]]
name = "web"
gid = 2000
members = ["www-data"]
"""

    name: Annotated[str, forms.ACCOUNT_NAME] = Field(description="Name of the group.", examples=["web"])
    gid: Annotated[int, forms.ACCOUNT_NUMBER] | None = Field(
        default=None,
        description="Number. Without it: as os.lock has it, else the first that is free from 1000 up, after those of "
        "users' own groups.",
    )
    members: tuple[Annotated[str, forms.ACCOUNT_NAME], ...] = Field(
        default=(), description="Users in it. Each must exist, from a package or in `users` of `[os]`."
    )

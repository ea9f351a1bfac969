"""Users: what `users` of `[os]` adds to the accounts of the packages, or changes in them."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.record import Record, Short, failure, mistake, settings


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"oneOf": [{"required": ["key"]}, {"required": ["source"]}]}),
)
class AuthorizedKey(Record):
    """Public keys of ssh, one to a line, as `ssh-keygen` writes them to a file `.pub`."""

    EXAMPLE: ClassVar[str] = """\
[os]
users = [{ name = "ada", authorized-keys = [{ source = "keys/ada.pub" }] }]
"""

    key: Annotated[str, forms.AUTHORIZED_KEY] | None = Field(
        default=None, description="One key, with options of sshd(8) in front if need be."
    )
    source: Annotated[str, forms.NOT_EMPTY, forms.HOST_FILE] | None = Field(
        default=None, description="A file with keys; a relative path starts at the folder of os.toml."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """One of both."""
        given = [name for name in ("key", "source") if table.get(name) is not None]
        if len(given) != 1:
            yield failure(
                mistake("needs either key or source", hint="keep one of them" if given else "add one of them")
            )


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class UserDeclaration(Record):
    """A user.

    One that a package makes keeps its number, its first group and its home, and everything else that is not said here:
    so root can get keys, or www-data a group. A new one has a group of its own, and cannot log in until it has a key
    or a password.
    """

    EXAMPLE: ClassVar[str] = """\
[[os.users]]
name = "ada"
comment = "Ada Lovelace"
groups = ["sudo"]
shell = "/bin/bash"
authorized-keys = [{ source = "keys/ada.pub" }]

[[os.users]]
name = "app"
system = true
home = "/var/lib/app"
"""

    name: Annotated[str, forms.ACCOUNT_NAME] = Field(description="Login name.", examples=["ada"])
    uid: Annotated[int, forms.ACCOUNT_NUMBER] | None = Field(
        default=None,
        description="Number. Without it: as os.lock has it, else the first that is free from 1000 up, in the order of "
        "os.toml; for a `system` user from 999 down.",
    )
    system: bool = Field(
        default=False,
        description="`true` for a service: no home unless one is given, and a shell that lets nobody in.",
    )
    group: Annotated[str, forms.ACCOUNT_NAME] | None = Field(
        default=None,
        description="First group: one that exists. Without it, the group of the user's name, which is made.",
    )
    groups: tuple[Annotated[str, forms.ACCOUNT_NAME], ...] = Field(
        default=(), description="More groups to be in. Each must exist, from a package or in `groups` of `[os]`."
    )
    comment: Annotated[str, forms.ACCOUNT_TEXT.or_empty()] | None = Field(
        default=None, description="Full name, or what the user is for."
    )
    home: Annotated[str, forms.ACCOUNT_PATH.or_empty()] | None = Field(
        default=None,
        description="Home; /home/NAME without it. It is made from the image's /etc/skel with mode 0700 (0755 for "
        '`system` users), unless it is there already. `""` for none.',
    )
    shell: Annotated[str, forms.ACCOUNT_PATH] | None = Field(
        default=None,
        description="Login shell, a program of the image. Without it /bin/bash if the image has it, else /bin/sh.",
    )
    password: Annotated[str, forms.PASSWORD] | None = Field(
        default=None,
        description="Hash of the password, as `mkpasswd` or `openssl passwd -6` print it; whoever has the image can "
        'read it. `"!"` locks the account, as it is without this key.',
    )
    authorized_keys: tuple[
        Annotated[AuthorizedKey, Short(AuthorizedKey, "key", Annotated[str, forms.AUTHORIZED_KEY])], ...
    ] = Field(
        default=(),
        description="All keys that may log in over ssh, in ~/.ssh/authorized_keys: a key, or a table with a source.",
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Keys need a home."""
        if table.get("authorized-keys") and table.get("home") == "":
            yield failure(mistake("needs a home to be in", hint="leave home out, or give one"), "authorized-keys")

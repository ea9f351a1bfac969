"""Files: what `files` of `[os]` puts into the image besides the packages."""

import glob
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.record import Record, failure, mistake, settings

#: What a file can be made from; a declaration has exactly one of them.
ORIGINS = ("source", "text", "symlink", "directory")

_ACCOUNT = ("user", "group")


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings(
        {
            "oneOf": [
                *({"required": [origin]} for origin in ORIGINS if origin != "directory"),
                {"required": ["directory"], "properties": {"directory": {"const": True}}},
            ],
            "dependentRequired": {"user": ["group"], "group": ["user"]},
            "dependentSchemas": {"symlink": {"not": {"required": ["mode"]}}},
            "if": {"properties": {"target": {"const": "/"}}, "required": ["target"]},
            "then": {"required": ["source"]},
        }
    ),
)
class FileDeclaration(Record):
    """A file, folder or symbolic link: exactly one of source, text, symlink and directory says what it is made from."""

    EXAMPLE: ClassVar[str] = '''\
[[os.files]]
target = "/etc/app.conf"
mode = "0640"
user = "root"
group = "www-data"
text = """
listen = 8080
"""
'''

    target: Annotated[str, forms.PATH] = Field(
        description="Where it is in the image: an absolute path. `/` is for a `source` folder alone. Nothing can be in "
        "a store of Nix or Guix, nor below a link into one: its items would not be what their database says.",
        examples=["/etc/motd"],
    )
    source: Annotated[str, forms.NOT_EMPTY, forms.PACKED] | None = Field(
        default=None,
        description="A file on this machine, or a folder, which is copied with all that is in it, or a pattern such as "
        "`site/*.html`: all that matches is copied into the folder `target`. A relative path starts at the folder of "
        "os.toml.",
    )
    text: str | None = Field(default=None, description="The file's content.")
    symlink: Annotated[str, forms.NOT_EMPTY] | None = Field(
        default=None, description="Where a symbolic link leads: kept to the letter."
    )
    directory: bool = Field(default=False, description="`true` makes a folder.")
    mode: Annotated[str, forms.MODE] | None = Field(
        default=None,
        description="Permissions in octal, in quotes. Without it: 0755 for folders and for sources that may be "
        "executed, 0644 for all other files. Of a folder that is copied, these are the permissions of its files.",
    )
    user: Annotated[int | str, forms.ACCOUNT] | None = Field(
        default=None,
        description="Who owns it: a name or a number. Without it: root, or below the home of a user of `[os]` "
        "that user. Goes with `group`.",
    )
    group: Annotated[int | str, forms.ACCOUNT] | None = Field(
        default=None, description="Its group: a name or a number. Goes with `user`."
    )

    @property
    def permissions(self) -> int | None:
        """The mode as a number, if one was given."""
        return None if self.mode is None else int(self.mode, 8)

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Exactly one origin; user and group together; links without a mode."""
        given = [origin for origin in ORIGINS if table.get(origin) is not None and table[origin] is not False]
        if len(given) > 1:
            yield failure(mistake(f"{' and '.join(given)} exclude each other", hint="keep one of them"))
        if not given:
            yield failure(mistake("does not say what the file is made from", hint=f"add one of {', '.join(ORIGINS)}"))
        for one, other in (_ACCOUNT, reversed(_ACCOUNT)):
            if table.get(one) is not None and table.get(other) is None:
                yield failure(mistake(f"needs a {other} beside it", hint=f"add {other}, or leave both out"), one)
        if table.get("symlink") is not None and table.get("mode") is not None:
            yield failure(mistake("a symbolic link has no permissions of its own", hint="leave it out"), "mode")
        if table.get("target") == "/" and given and "source" not in given:
            yield failure(mistake("the root is there already", hint="only a source folder can go there"), "target")


def is_glob(table: Mapping[str, Any]) -> bool:
    """Whether the source is a pattern: what matches it goes into the target, a folder that others fill too."""
    return isinstance(source := table.get("source"), str) and glob.has_magic(source)

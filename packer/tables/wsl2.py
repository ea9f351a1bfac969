"""`[wsl2]`: what a distribution for WSL has besides the system."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats import wsl2
from formats.wsl_root import is_icon, is_profile
from formats.wsl_rules import DISTRIBUTION_NAME
from layers.errors import InputError
from layers.output import said
from packer import forms
from packer.record import Record, failure, mistake, settings

_LARGEST = 1 << 20  # bytes of a file that WSL reads: validate-modern.py, read_tar

_NAME = forms.Form(DISTRIBUTION_NAME.pattern, "a name that WSL takes: up to 256 letters, digits and '._-'")
_URL = forms.Form(r"(?:https?|file)://[^\s]+\.wsl", "the address of a .wsl file")

#: Key of a small file -> whether its content is right, and what it has to be.
_FILES: Mapping[str, tuple[Callable[[bytes], bool], str]] = {
    "oobe": (lambda data: data.startswith(b"#!"), "script: it begins with no #!"),
    "icon": (is_icon, ".ico file"),
    "terminal-profile": (is_profile, "JSON of Windows Terminal"),
}


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"not": {"required": ["default-user", "default-uid"]}}),
)
class Wsl2(Record):
    """What a distribution for WSL has besides the system: `ocipack wsl2`. Other artefacts do not have it."""

    EXAMPLE: ClassVar[str] = """\
[wsl2]
default-name = "hello"
oobe = "first-run.sh"
icon = "hello.ico"
terminal-profile = "terminal-profile.json"
systemd = true
url = "https://example.com/hello-1.0.wsl"
"""

    default_name: Annotated[str, _NAME.or_empty()] = Field(
        default="", description="The name that it is registered under; made from `name` without it."
    )
    friendly_name: str = Field(
        default="", description="Its name for people, in the list of distributions; `title`, or name and version."
    )
    flavor: Annotated[str, _NAME.or_empty()] = Field(
        default="",
        description="The group of versions that it belongs to in the list of distributions, with which `default-name` "
        "begins; `default-name` itself without it.",
    )
    default_user: Annotated[str, forms.ACCOUNT_NAME.or_empty()] = Field(
        default="", description="Who shells are started as: a user of the image, such as one of `users` of `[os]`."
    )
    default_uid: Annotated[int, forms.ACCOUNT_NUMBER] | None = Field(
        default=None,
        description="The number of that user, whom `oobe` makes. 1000 if there is `oobe`, else root's.",
    )
    oobe: Annotated[str, forms.NOT_EMPTY, forms.HOST_FILE] | None = Field(
        default=None,
        description="A script that runs before the first shell, to make a user for example; as long as it fails, there "
        "is no shell. A relative path starts at the folder of os.toml.",
    )
    icon: Annotated[str, forms.NOT_EMPTY, forms.HOST_FILE] | None = Field(
        default=None, description="An .ico file of up to 1 MiB, for the start menu."
    )
    terminal_profile: Annotated[str, forms.NOT_EMPTY, forms.HOST_FILE] | None = Field(
        default=None, description="A JSON fragment of Windows Terminal's settings: profiles and colour schemes."
    )
    systemd: bool = Field(
        default=False, description="Whether systemd is started. Units that disturb WSL are masked then."
    )
    url: Annotated[str, _URL.or_empty()] = Field(
        default="", description="Where the .wsl file will be found, for the list of distributions."
    )
    legacy: bool = Field(
        default=False, description="`true` makes a plain root file system, for `wsl --import` of any WSL."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """One way to name the user; a flavor that the name begins with."""
        if table.get("default-user") and table.get("default-uid") is not None:
            yield failure(mistake("the user has this number in the image", hint="leave it out"), "default-uid")
        name, flavor = table.get("default-name"), table.get("flavor")
        if isinstance(name, str) and isinstance(flavor, str) and name and not name.startswith(flavor):
            yield failure(mistake(f"{name!r} does not begin with it", hint="WSL's list wants it so"), "flavor")

    def options(self, folder: str) -> wsl2.Options:
        """What the format is told; see `packer.image_types.options`."""
        return wsl2.Options(
            default_name=self.default_name,
            friendly_name=self.friendly_name,
            flavor=self.flavor,
            default_user=self.default_user,
            default_uid=self.default_uid,
            oobe=self._content("oobe", folder),
            icon=self._content("icon", folder),
            terminal_profile=self._content("terminal-profile", folder),
            systemd=self.systemd,
            url=self.url,
            legacy=self.legacy,
        )

    def refusals(self, folder: str) -> Iterator[tuple[str, InputError]]:
        """What is wrong with files that are there, by the keys that name them."""
        for key in _FILES:
            path = getattr(self, key.replace("-", "_"))
            if path is not None and os.path.isfile(os.path.join(folder, path)):
                try:
                    self._content(key, folder)
                except InputError as error:
                    yield key, error

    def _content(self, key: str, folder: str) -> bytes:
        """The content of a small file that the table names."""
        path = getattr(self, key.replace("-", "_"))
        if path is None:
            return b""
        where = os.path.join(folder, path)
        right, form = _FILES[key]
        try:
            with open(where, "rb") as file:
                data = file.read(_LARGEST + 1)
        except OSError as error:
            hint = "A relative path starts at the folder of os.toml."
            raise InputError(f"{where}: {said(error)}", hint=hint) from error
        if len(data) > _LARGEST:
            raise InputError(f"{where} has more than {_LARGEST >> 20} MiB, which is the most that WSL reads")
        if not right(data):
            raise InputError(f"{where} is no {form}")
        return data

"""The declaration: os.toml as records.

The tables are those of the file, one module of `packer.tables` each; the record of a `[store]` is its module's
`Options`. Whoever adds a store adds a file to `packer.stores`, and nothing here.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats.image_types import TYPES
from formats.platform import PLATFORMS, Platform
from layers.errors import InputError
from packer import forms
from packer.document import quoted
from packer.record import Record, failure, mistake, settings
from packer.similar import meant
from packer.tables import types
from packer.tables.container import Container
from packer.tables.disk import Disk
from packer.tables.layers import Layers
from packer.tables.operating_system import OperatingSystem
from packer.tables.sbom import Sbom
from packer.tables.squashfs import Squashfs
from packer.tables.store import StoreTable, second_stores, stores_of_platforms
from packer.tables.tarball import Tarball
from packer.tables.types import TYPE_NAME, Kind, TypeDeclaration
from packer.tables.wsl2 import Wsl2

_ANNOTATIONS = (
    *("title", "description", "version", "revision", "licenses"),
    *("url", "source", "documentation", "vendor", "authors"),
)


_PLATFORM = forms.Choice("platform", {name: name for name in PLATFORMS})


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"oneOf": [{"required": ["platform"]}, {"required": ["platforms"]}]}),
)
class Declaration(Record):
    """An operating system, and how it is packed.

    What is known about it, from `title` to `revision` and the version, goes into images as annotations
    `org.opencontainers.image.*`.
    """

    EXAMPLE: ClassVar[str] = """\
name = "web"
version = "1.4"
platform = "x86_64-linux"
description = "nginx and our site"
licenses = "Apache-2.0"
"""

    name: Annotated[str, forms.NAME] = Field(
        description="What people call it. The repository's name is made from it: lower case, what is not allowed "
        "there replaced; a letter of a to z or a digit has to be left. A registry may come first, with its port: "
        "`localhost:5000/hello`.",
        examples=["hello"],
    )
    version: Annotated[str, forms.TAG.or_empty()] = Field(
        default="", description="The image's tag: up to 128 letters, digits and `_.-`. `latest` without it."
    )
    platform: Annotated[str, _PLATFORM] | None = Field(
        default=None,
        description="The processor that it is for, which need not be this machine's. This key or `platforms` is"
        " required.",
    )
    platforms: tuple[Annotated[str, _PLATFORM], ...] = Field(
        default=(),
        description="Several processors instead of one. Images for all of them go into one index, under one name; of"
        " all other types of artefact there is one for each, `NAME-VERSION-PLATFORM`.",
        json_schema_extra={"uniqueItems": True, "minItems": 1},
    )
    title: str = Field(default="", description="A title for people.")
    description: str = Field(default="", description="What it is, in a sentence.")
    url: str = Field(default="", description="Where to find out more.")
    source: str = Field(default="", description="Where its source code is: a URL.")
    documentation: str = Field(default="", description="Where its documentation is: a URL.")
    vendor: str = Field(default="", description="Who distributes it.")
    authors: str = Field(default="", description="Who is responsible for it, and how to reach them.")
    licenses: str = Field(default="", description='Licences of what is in it, as an SPDX expression: `"MIT OR 0BSD"`.')
    revision: str = Field(default="", description="The revision of the source code, such as a commit's hash.")
    outputs: tuple[Annotated[str, TYPE_NAME], ...] = Field(
        default=(),
        description="The types of artefact that `ocipack build` makes, all from one reading: `ocipack types` lists "
        "them.",
        json_schema_extra={"uniqueItems": True},
    )
    store: Annotated[tuple[Annotated[Any, StoreTable()], ...], forms.OneOrMore()] = Field(
        description="Where packages come from, and which of them; `[[store]]` for several.",
        examples=['[store] with type = "debian"'],
    )
    os: OperatingSystem = Field(default=OperatingSystem(), description="What the root file system has besides.")
    container: Container = Field(default=Container(), description="How a container is run.")
    layers: Layers = Field(default=Layers(), description="How packages are put into layers.")
    tarball: Tarball = Field(default=Tarball(), description="How the root file system becomes one tar.")
    squashfs: Squashfs = Field(default=Squashfs(), description="How the root file system becomes one squashfs image.")
    wsl2: Wsl2 = Field(default=Wsl2(), description="What a distribution for WSL has besides.")
    disk: Disk = Field(default=Disk(), description="What disks look like.")
    types: Mapping[Annotated[str, TYPE_NAME], TypeDeclaration] = Field(
        default_factory=dict, description="Image types of your own, by name."
    )
    sbom: Sbom = Field(default=Sbom(), description="What is told about an image beside it.")

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """One platform or several, nothing twice, and no second store of a type of which there can be one."""
        yield from second_stores(table.get("store"))
        yield from stores_of_platforms(table.get("store"), table.get("platform"), table.get("platforms"))
        yield from types.mistakes(table.get("types"), table)
        yield from _unknown("outputs", table.get("outputs"), table.get("types"))
        yield from _twice("outputs", table.get("outputs"))
        yield from _twice("platforms", table.get("platforms"))
        if table.get("platform") and table.get("platforms"):
            yield failure(mistake("is there as well as platform", hint="keep one of them"), "platforms")
        if not table.get("platforms") and table.get("platform") is None:
            if "platforms" in table and table["platforms"] == () and "platform" not in table:
                yield failure(mistake("must not be empty"), "platforms")
            else:
                yield failure(mistake("is missing", hint='add it, for example "x86_64-linux"'), "platform")

    @property
    def target_platforms(self) -> tuple[Platform, ...]:
        """The platforms as everybody who has to know calls them."""
        return tuple(PLATFORMS[name] for name in ([self.platform] if self.platform else self.platforms))

    def stores_of(self, platform: Platform) -> list[tuple[int, Any]]:
        """The stores of a platform, each with its place in os.toml."""
        return [
            (place, options)
            for place, options in enumerate(self.store)
            if not options.platforms or platform.name in options.platforms
        ]

    def kind(self, name: str) -> Kind:
        """A type of artefact.

        Raises:
            InputError: there is none of this name.
        """
        found = types.kind(name, self.types)
        if found is None:
            known = meant(name, [*TYPES, *self.types])
            raise InputError(f"there is no type of artefact {name!r}{known}", hint="`ocipack types` lists them.")
        return found

    @property
    def oci_annotations(self) -> dict[str, str]:
        """What the keys say as `org.opencontainers.image.*` (image-spec, annotations.md); `[container]` wins."""
        known = {name: getattr(self, name) for name in _ANNOTATIONS}
        standard = {f"org.opencontainers.image.{name}": value for name, value in known.items() if value}
        return dict(sorted({**standard, **self.container.annotations}.items()))


def _unknown(key: str, names: object, declared: object) -> Iterable[InitErrorDetails]:
    """Types that are not there."""
    known = [*TYPES, *(declared if isinstance(declared, Mapping) else ())]
    for place, name in enumerate(names if isinstance(names, tuple) else ()):
        if isinstance(name, str) and name not in known:
            error = mistake(f"there is no type of artefact {quoted(name)}", given=name, names=known)
            yield failure(error, key, place)


def _twice(key: str, names: object) -> Iterable[InitErrorDetails]:
    """Words that an array has twice."""
    known = names if isinstance(names, tuple) else ()
    for place, name in enumerate(known):
        if name in known[:place]:
            yield failure(mistake(f"{name!r} is named twice", hint="keep one of them"), key, place)

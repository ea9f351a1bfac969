"""The declaration: os.toml as records.

The tables are those of the file: `[store]` (its record is the store module's `Options`), `[os]`, `[container]`,
`[layers]`. Whoever adds a store adds a file to `packer.stores`, and nothing here.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from formats.platform import PLATFORMS, Platform
from layers import strategies
from layers.compress import codec
from layers.errors import InputError
from layers.plan import DEFAULT_MAX_LAYERS, MOST_LAYERS, checked_max_layers
from packer import forms
from packer.document import quoted
from packer.files import FileDeclaration, duplicate_targets
from packer.record import Record, failure, mistake, refusal, settings
from packer.store_table import StoreTable

_DEFAULT_STRATEGY = "size"
_DEFAULT_CODEC = "gzip"

#: The codecs that `layers.compress.codec` has, with their levels.
CODECS = {"none": range(1), "gzip": range(1, 10), "zstd": range(1, 20)}


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


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Container(Record):
    """How a container of the image is run (OCI image configuration). Images for machines leave it out."""

    EXAMPLE: ClassVar[str] = """\
[container]
entrypoint = ["/usr/sbin/nginx"]
cmd = ["-g", "daemon off;"]
env = { LANG = "C.UTF-8" }
ports = [8080, "8443/tcp"]
volumes = ["/var/lib/nginx"]
user = "www-data"
stop-signal = "SIGQUIT"
labels = { "com.example.team" = "web" }
"""

    entrypoint: tuple[str, ...] = Field(default=(), description="The program that is run, with its first arguments.")
    cmd: tuple[str, ...] = Field(
        default=(), description="More arguments, or the program if there is no entrypoint; people can give others."
    )
    env: Mapping[Annotated[str, forms.ENVIRONMENT_NAME], str] = Field(
        default_factory=dict, description="Variables of the environment."
    )
    workdir: Annotated[str, forms.PATH.or_empty()] = Field(
        default="", description="The folder where the program starts; `/` without it."
    )
    user: Annotated[str, forms.CONTAINER_USER.or_empty(), BeforeValidator(_text)] = Field(
        default="", description="Who runs the program: `user`, `user:group`, by name or number; root without it."
    )
    labels: Mapping[Annotated[str, forms.KEY], str] = Field(
        default_factory=dict, description="Labels of the image's configuration: what `docker inspect` shows."
    )
    ports: tuple[Annotated[str, forms.PORT, BeforeValidator(_text)], ...] = Field(
        default=(), description="Ports that the program listens on: `80`, `80/tcp` or `53/udp`."
    )
    volumes: tuple[Annotated[str, forms.PATH], ...] = Field(
        default=(), description="Folders whose content is data, and outlives a container."
    )
    stop_signal: Annotated[str, forms.SIGNAL.or_empty(), BeforeValidator(_text)] = Field(
        default="", description="The signal that ends the program: a name or number; SIGTERM without it."
    )
    annotations: Mapping[Annotated[str, forms.KEY], str] = Field(
        default_factory=dict,
        description="Annotations of the image's manifest, beside those that come from the keys at the top.",
    )


def _level_schema(name: str, levels: range) -> dict[str, Any]:
    named = {"properties": {"codec": {"const": name}}}
    condition = named if name == _DEFAULT_CODEC else {**named, "required": ["codec"]}
    return {"if": condition, "then": {"properties": {"level": {"minimum": levels[0], "maximum": levels[-1]}}}}


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"allOf": [_level_schema(name, levels) for name, levels in CODECS.items()]}),
)
class Compression(Record):
    """How layers are compressed."""

    EXAMPLE: ClassVar[str] = """\
[layers.compression]
codec = "gzip"
level = 6
"""

    codec: Annotated[str, forms.Choice("compression", {name: name for name in CODECS})] = Field(
        default=_DEFAULT_CODEC, description="The codec's name. Podman and containerd take zstd; docker 20.10 does not."
    )
    level: int | None = Field(
        default=None, description="The codec's own scale, 3 without it: gzip 1 to 9, zstd 1 to 19."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """A level that the codec has."""
        name, level = table.get("codec", _DEFAULT_CODEC), table.get("level")
        if not isinstance(name, str) or name not in CODECS or type(level) is not int:
            return
        try:
            codec(name, level)
        except InputError as error:
            yield failure(refusal(error), "level")


def _compression(value: object) -> object:
    """The short form: a codec's name alone."""
    if isinstance(value, str):
        if value not in CODECS:
            raise mistake(f"there is no compression {quoted(value)}", given=value, names=CODECS)
        return {"codec": value}
    return value


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings(
        {
            "if": {"not": {"properties": {"force": {"const": True}}, "required": ["force"]}},
            "then": {"properties": {"max-layers": {"maximum": MOST_LAYERS}}},
        }
    ),
)
class Layers(Record):
    """How packages are put into layers. What is not a package's goes into one more layer on top of them."""

    EXAMPLE: ClassVar[str] = """\
[layers]
max-layers = 60
strategy = "popularity"
compression = { codec = "zstd", level = 9 }
"""

    max_layers: int = Field(
        default=DEFAULT_MAX_LAYERS,
        ge=2,
        description=f"Most layers, the one on top included. Docker runs images of up to {MOST_LAYERS}.",
    )
    force: bool = Field(
        default=False, description=f"Allow more than {MOST_LAYERS} layers, for a runtime that can do more than docker."
    )
    strategy: Annotated[str, forms.Choice("layering strategy", {name: name for name in strategies.NAMES})] = Field(
        default=_DEFAULT_STRATEGY,
        description="`size`: the largest packages have a layer each; `popularity`: those that most others need; "
        "`single`: one layer for all.",
    )
    compression: Annotated[
        Compression, BeforeValidator(_compression, json_schema_input_type=Literal[tuple(CODECS)] | Compression)
    ] = Field(
        default=Compression(),
        description='A codec\'s name, `"none"`, `"gzip"` or `"zstd"`, or a table with a level.',
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Not more layers than docker can run, unless forced."""
        most = table.get("max-layers")
        if type(most) is not int or most < MOST_LAYERS:
            return
        try:
            checked_max_layers(most, force=table.get("force") is True)
        except InputError:
            message = f"docker refuses to run an image of more than {MOST_LAYERS} layers (max depth exceeded)"
            hint = f"take {MOST_LAYERS} or less, or add force = true for a runtime that can do more"
            yield failure(mistake(message, hint=hint), "max-layers")


_ANNOTATIONS = (
    *("title", "description", "version", "revision", "licenses"),
    *("url", "source", "documentation", "vendor", "authors"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
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

    name: Annotated[str, forms.LINE] = Field(
        description="What people call it. The repository's name is made from it: lower case, what is not allowed "
        "there replaced.",
        examples=["hello"],
    )
    version: Annotated[str, forms.TAG.or_empty()] = Field(
        default="", description="The image's tag: up to 128 letters, digits and `_.-`. `latest` without it."
    )
    platform: Annotated[str, forms.Choice("platform", {name: name for name in PLATFORMS})] = Field(
        description="The processor that it is for, which need not be this machine's.", examples=["x86_64-linux"]
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
    store: Annotated[Any, StoreTable()] = Field(
        description="Where packages come from, and which of them.", examples=['[store] with type = "debian"']
    )
    os: OperatingSystem = Field(default=OperatingSystem(), description="What the root file system has besides.")
    container: Container = Field(default=Container(), description="How a container is run.")
    layers: Layers = Field(default=Layers(), description="How packages are put into layers.")

    @property
    def target_platform(self) -> Platform:
        """The platform as everybody who has to know calls it."""
        return PLATFORMS[self.platform]

    @property
    def oci_annotations(self) -> dict[str, str]:
        """What the keys say as `org.opencontainers.image.*` (image-spec, annotations.md); `[container]` wins."""
        known = {name: getattr(self, name) for name in _ANNOTATIONS}
        standard = {f"org.opencontainers.image.{name}": value for name, value in known.items() if value}
        return dict(sorted({**standard, **self.container.annotations}.items()))

"""Options that several commands have, and what they say instead of os.toml."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from formats.image_types import NAME_PATTERN, TYPES
from layers import strategies
from layers.errors import InputError
from layers.number import whole_number
from packer.runtimes import REGISTRY, RUNTIMES, require

if TYPE_CHECKING:
    from formats.repository import ImageName
    from packer.declaration import Declaration

Command = Callable[..., Any]

#: Seconds without progress after which a registry is given up.
TIMEOUT = 120


#: What messages call it.
COMMAND_LINE = "command line"

_LARGEST = (1 << 63) - 1  # whole number of TOML

#: Tables of formats whose compression nobody chooses.
_OF_ONE_COMPRESSION = {"wsl2", "disk"}


def _with(command: Command, *options: Command) -> Command:
    """A command with more options, in the order in which its help shows them."""
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Options of every command that reads a closure.

    Attributes:
        file: os.toml.
        max_layers, force_layers, strategy: what `[layers]` says otherwise.
        runtime: that the artefacts are for, of `packer.runtimes`.
        previous: the image whose layers are kept.
        compression: codec, and a level after a colon.
        created: what `[container]` says otherwise.
        jobs: how many chunks are compressed at a time.
        refresh: fetch lists of packages again.
        verify: compare items with what their store has hashed.
        verbosity: of `packer.console`.
    """

    file: str
    max_layers: int | None = None
    force_layers: bool = False
    strategy: str | None = None
    runtime: str | None = None
    previous: str | None = None
    compression: str | None = None
    created: str | None = None
    jobs: int = 1
    refresh: bool = False
    verify: bool = True
    verbosity: int


def closure_options(command: Command) -> Command:
    """Add the options of `Common`, all but the file."""
    return _with(
        command,
        click.option(
            "--for", "runtime", type=click.Choice(list(RUNTIMES)), help="Refuse what this runtime would not run."
        ),
        click.option("--max-layers", type=int, metavar="N", help="Most layers, the customization layer included."),
        click.option("--force-layers", is_flag=True, help="Allow more layers than docker can run."),
        click.option("--strategy", type=click.Choice(strategies.NAMES), help="How items are put into layers."),
        click.option(
            "--previous",
            metavar="IMAGE",
            help="Keep the layers of this archive, layout or docker://REFERENCE; what is new goes by tiers.",
        ),
        click.option("--compression", metavar="CODEC[:LEVEL]", help="For example gzip or zstd; gzip:6 names a level."),
        click.option(
            "-j", "--jobs", type=click.IntRange(1), metavar="N", help="Chunks compressed at a time (all processors)."
        ),
        click.option("--refresh", is_flag=True, help="Fetch the lists of packages again."),
        click.option("--no-verify", is_flag=True, help="Do not compare items with what their store has hashed."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("-v", "--verbose", is_flag=True, help="Say more."),
    )


def image_options(command: Command) -> Command:
    """Add the options of every command that makes images of containers."""
    return _with(
        command,
        click.option(
            "--created",
            metavar="TIME",
            help="When the image was made: 2025-05-20T09:30:00Z, or seconds since 1970. Its layers stay the same.",
        ),
    )


def output_options(command: Command) -> Command:
    """Add the options of every command that makes artefacts."""
    return _with(
        image_options(closure_options(command)),
        click.option(
            "-o",
            "--output",
            metavar="PATH",
            help="The artefact (NAME-VERSION.TYPE in this folder); - is standard output.",
        ),
        click.option("--name", metavar="NAME", help="Call images this, and not what name of os.toml gives."),
        click.option("--tag", metavar="TAG", help="The tag of images (version of os.toml). They stay what they are."),
        click.option("--check", is_flag=True, help="Build twice, the second time without the cache, and compare."),
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        click.option(
            "--sbom",
            "sboms",
            multiple=True,
            metavar="FILE",
            help="Write an SBOM as well: NAME.spdx.json or NAME.cdx.json. Can be said twice.",
        ),
        click.option("--root-name", metavar="NAME", help="tarball: the folder of the tar that everything is in."),
        click.option("--legacy", is_flag=True, help="wsl2: a plain root file system, for wsl --import."),
        click.option("--partition-table", metavar="NAME", help="disk: the layout, such as efi or legacy."),
        click.option("--container", metavar="NAME", help="disk: the file that it is in, such as qcow2 or vdi."),
        click.option("--size", metavar="SIZE", help="Disks: of the whole disk, such as '4 GiB'."),
        click.option("--efi-vars", is_flag=True, help="Disks: write the variables of UEFI firmware, too."),
    )


def artefact_options(command: Command) -> Command:
    """Add the options of every command that reads artefacts."""
    return _with(
        command,
        click.option("--image", default="", metavar="NAME", help="Which of several images: name, platform or digest."),
        click.option("--platform", default="", metavar="NAME", help="Which: aarch64-linux or linux/arm64."),
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        click.option("-v", "--verbose", is_flag=True, help="No list ends before its end."),
    )


def registry_options(command: Command) -> Command:
    """Add the options of every command that speaks to a registry."""
    return _with(
        command,
        click.option(
            "--username", metavar="NAME", help="Log in with this name, and the password that is on standard input."
        ),
        click.option("--ca", metavar="FILE", help="Certificates of authorities to trust besides the system's."),
        click.option("--plain-http", is_flag=True, help="Speak http, not https."),
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=TIMEOUT,
            metavar="SECONDS",
            help=f"Give up after this long without progress ({TIMEOUT}).",
        ),
    )


_IDENTITY = click.option("--identity", default="", metavar="REFERENCE", help="What the image is to be called.")
_LOOKASIDE = click.option("--lookaside", default="", metavar="FOLDER", help="Where signatures of images are.")


def sign_options(command: Command) -> Command:
    """Add the options of the command that signs."""
    return _with(
        command,
        click.option("--key", required=True, metavar="FINGERPRINT", help="The secret key: all 40 digits."),
        click.option("--passphrase-file", metavar="FILE", help="A file whose first line is the key's passphrase."),
        click.option("--gnupg-home", default="", metavar="FOLDER", help="GnuPG's folder ($GNUPGHOME, or ~/.gnupg)."),
        click.option("--attach", is_flag=True, help="Put an image's signature into its registry, as a referrer."),
        click.option("--binary", is_flag=True, help="Sign files with .sig, not with .asc."),
        _IDENTITY,
        _LOOKASIDE,
    )


def verify_options(command: Command) -> Command:
    """Add the options of the command that verifies."""
    return _with(
        command,
        click.option("--policy", default="", metavar="FILE", help="Who is to have signed, and as what."),
        click.option("--key", default="", metavar="FILE", help="The public key that is to have signed."),
        click.option("--json", "as_json", is_flag=True, help="Answer in JSON."),
        _IDENTITY,
        _LOOKASIDE,
    )


def image_choice(options: Mapping[str, Any]) -> str:
    """Which of several images is meant."""
    from formats.platform import PLATFORMS

    image, platform = str(options["image"]), str(options["platform"])
    if image and platform:
        raise click.UsageError("--image and --platform exclude each other")
    known = PLATFORMS.get(platform)
    return known.specifier if known else image or platform


def common_options(file: str, options: Mapping[str, Any], processors: int) -> Common:
    """The options of a command.

    Args:
        file: os.toml.
        options: as click gives them.
        processors: that there are.
    """
    from packer.console import NORMAL, QUIET, VERBOSE

    verbosity = VERBOSE if options["verbose"] else QUIET if options["quiet"] else NORMAL
    if options["previous"] and options["strategy"] not in (None, "tiers"):
        raise click.UsageError(f"--previous keeps layers, and what is new goes by tiers, not by {options['strategy']}")
    return Common(
        file=file,
        max_layers=options["max_layers"],
        force_layers=options["force_layers"],
        strategy=options["strategy"],
        runtime=options["runtime"],
        previous=options["previous"],
        compression=options["compression"],
        created=options.get("created"),
        jobs=options["jobs"] or processors,
        refresh=options["refresh"],
        verify=not options["no_verify"],
        verbosity=verbosity,
    )


def image_name(options: Mapping[str, Any]) -> "ImageName":
    """What images are to be called, as far as the command line says it.

    Raises:
        ConfigError: it is no name or no tag.
    """
    from formats.repository import ImageName, names_something, repository_name
    from packer import forms
    from packer.document import quoted
    from packer.mistakes import ConfigError, Mistake

    name, tag = options["name"], options["tag"]
    mistakes = []
    if name is not None and repository_name(name) != name:
        hint = f"{repository_name(name)} is one" if names_something(name) else ""
        mistakes.append(Mistake("name", f"{quoted(name)} is not the name of a repository", hint))
    if tag is not None and not re.fullmatch(forms.TAG.pattern, tag):
        mistakes.append(Mistake("tag", f"{quoted(tag)} is not {forms.TAG.wanted}"))
    if mistakes:
        raise ConfigError(COMMAND_LINE, tuple(mistakes))
    return ImageName(name or "", tag or "")


def changed(
    declaration: "Declaration", common: Common, names: Iterable[str], said: Mapping[str, Mapping[str, Any]]
) -> "Declaration":
    """os.toml, with what the command line says instead.

    Args:
        declaration: os.toml.
        common: options of every command.
        names: of the formats that are made; `REGISTRY` for what is pushed.
        said: what the command line says to the tables of formats, by table and key.

    Raises:
        InputError: it does not fit, or the runtime would not run it.
    """
    from packer.config import override

    force = common.force_layers or (common.runtime and common.max_layers)  # a runtime has a limit of its own
    layers = {"max-layers": common.max_layers, "force": bool(force) or None, "strategy": common.strategy}
    changes: dict[str, dict[str, Any]] = {
        table: {key: value for key, value in keys.items() if value is not None}
        for table, keys in {"layers": layers, "container": {"created": number_or_text(common.created)}, **said}.items()
    }
    if common.compression:
        for table in {_table(declaration, name) for name in names} - _OF_ONE_COMPRESSION:
            changes.setdefault(table, {})["compression"] = _compression(common.compression)
    tables: dict[str, Any] = {
        table: override(getattr(declaration, table), keys, COMMAND_LINE) for table, keys in changes.items() if keys
    }
    types = {name: kind for name, kind in declaration.types.items() if name in names}
    for name, kind in types.items():  # what the command line says is stronger than what a type says
        table = declaration.kind(name).table
        if changes.get(table):
            own = {**getattr(kind, table), **changes[table]}
            tables.setdefault("types", dict(declaration.types))[name] = replace(kind, **dict[str, Any]({table: own}))
    made = replace(declaration, **tables) if tables else declaration
    if common.runtime:
        formats = [name if name == REGISTRY else declaration.kind(name).base.name for name in names]
        require(common.runtime, made.layers, formats)
    return made


def _table(declaration: "Declaration", name: str) -> str:
    """The table that says how a type is made; what is pushed is layers."""
    return "layers" if name == REGISTRY else declaration.kind(name).table or "layers"


def number_or_text(text: str | None) -> str | int | None:
    """A number, if it is one that a table may have."""
    number = whole_number(text, _LARGEST) if text else None
    return text if number is None else number


def _compression(text: str) -> dict[str, Any]:
    name, _, given = text.partition(":")
    level = whole_number(given, _LARGEST)
    if given and level is None:
        raise InputError(f"--compression {text}: the level is not a number", hint="Say for example gzip:6.")
    return {"codec": name, "level": level} if given else {"codec": name}


def split_arguments(
    first: str, arguments: Iterable[str], file: str, is_file: Callable[[str], bool]
) -> tuple[list[str], str]:
    """Types, then at most one file: `docker oci os.toml`.

    Args:
        first: the first type.
        arguments: what is behind it.
        file: what it is when none is named.
        is_file: whether there is a file of a name that might be a type's, too.
    """
    names = [first]
    rest = list(arguments)
    while rest and (rest[0] in TYPES or (re.fullmatch(NAME_PATTERN, rest[0]) and not is_file(rest[0]))):
        names.append(rest.pop(0))
    if len(rest) > 1:
        raise click.UsageError(f"one os.toml at a time, not {' and '.join(rest)}")
    if len(names) != len(set(names)):
        raise click.UsageError("the same type is named twice")
    return names, rest[0] if rest else file

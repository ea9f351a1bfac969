"""`ocipack docker`, `ocipack efi-raw` …, `ocipack build`: artefacts of what os.toml declares; `ocipack types`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from formats.image_types import TYPES
from layers.archive import STANDARD_OUTPUT
from layers.errors import InputError
from layers.output import PendingFile
from packer.commands.settings import DECLARATION, lock_file, settings
from packer.options import (
    COMMAND_LINE,
    Common,
    changed,
    common_options,
    image_name,
    number_or_text,
    output_options,
    split_arguments,
)
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.build import Output, Settings
    from packer.console import ConsoleProgress
    from packer.declaration import Declaration
    from packer.host_paths import Named
    from packer.tables.types import Kind


#: What options that go into a table are for.
_FOR = {"tarball": "tarballs", "wsl2": "distributions for WSL", "disk": "disks"}


def type_command(name: str) -> click.Command:
    """The command of a type of artefact.

    Args:
        name: of the type, which may be one of os.toml.
    """
    summary = TYPES[name].summary if name in TYPES else "what os.toml says of this type"

    @click.command(name, help=f"Make {summary}.", short_help=summary)
    @click.argument("arguments", nargs=-1, metavar="[TYPE]... [OS_TOML]")
    @output_options
    @click.pass_obj
    def command(surroundings: Surroundings, /, arguments: tuple[str, ...], **options: Any) -> None:
        names, file = split_arguments(name, arguments, DECLARATION, os.path.isfile)
        _build(surroundings, file, options, names)

    return command


@click.command()
@click.argument("file", metavar="[OS_TOML]", default=DECLARATION)
@output_options
@click.pass_obj
def build(surroundings: Surroundings, /, file: str, **options: Any) -> None:
    """Make all that os.toml names as its outputs, from one reading."""
    _build(surroundings, file, options)


def _build(surroundings: Surroundings, file: str, options: dict[str, Any], names: Sequence[str] = ()) -> None:
    """Make artefacts of some types; without any, of those that os.toml names."""
    from packer import early, unused
    from packer.config import load
    from packer.console import ConsoleProgress

    common = common_options(file, options, surroundings.processors)
    declaration = load(file)
    made = names or declaration.outputs
    if not made:
        raise InputError(f"{file} names no outputs", hint='Add outputs = ["docker"], or say `ocipack docker`.')
    said = _said(options)
    kinds = [declaration.kind(name) for name in made]
    _check_said(said, kinds)
    _check_names(options, kinds)
    declaration = changed(declaration, common, made, said)
    folder = os.path.dirname(surroundings.path(file))
    given = [key for key, value in said["disk"].items() if value]
    found = list(early.mistakes(declaration, made, folder, given))
    idle = unused.mistakes(declaration, made)
    early.require((mistake for mistake in found if mistake.key.rpartition("disk.")[2] in given), COMMAND_LINE)
    early.require([*found, *([] if names else idle)], file)
    with ConsoleProgress(common.verbosity) as progress:
        for mistake in idle:  # whoever names a type has os.toml for others, too
            progress.warn(f"{file}: {mistake}")
        _make(surroundings, declaration, made, common, options, progress)


def _check_said(said: Mapping[str, Mapping[str, Any]], kinds: "Sequence[Kind]") -> None:
    """Refuse options that say nothing of what is made."""
    for table, keys in said.items():
        fitting = [kind for kind in kinds if kind.table == table]
        for key in [key for key, value in keys.items() if value]:
            if not any(kind.has(key) for kind in fitting):
                raise click.UsageError(f"--{key} is for {_FOR[table]}, and none is to be made")
            if not any(kind.shares(key) for kind in fitting):
                raise click.UsageError(f"--{key} is for the type disk, and those that inherit from it")


def _check_names(options: Mapping[str, Any], kinds: "Sequence[Kind]") -> None:
    """Refuse what is said of images of containers, if none is made."""
    from formats.format import INDEXED

    if not any(kind.format in INDEXED for kind in kinds):
        for key in ("created", "name", "tag"):
            if options[key] is not None:
                raise click.UsageError(f"--{key} is for images of containers, of which none is to be made")


def _said(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the command line says to the tables of formats, by table and key."""
    return {
        "tarball": {"root-name": options["root_name"]},
        "wsl2": {"legacy": options["legacy"] or None},
        "disk": {
            "partition-table": options["partition_table"],
            "container": options["container"],
            "size": number_or_text(options["size"]),
            "efi-vars": options["efi_vars"] or None,
        },
    }


def _make(
    surroundings: Surroundings,
    declaration: "Declaration",
    names: Sequence[str],
    common: Common,
    options: dict[str, Any],
    progress: "ConsoleProgress",
) -> None:
    from packer import build, early, report, sbom

    output, check, as_json = options["output"], options["check"], options["as_json"]
    if output == "":
        raise click.UsageError("--output names no file")
    if output and len(names) > 1:
        raise click.UsageError("--output goes with one type only")
    if output == STANDARD_OUTPUT and (check or as_json):
        raise click.UsageError("an archive on standard output goes neither with --check nor with --json")
    called = image_name(options)
    work = replace(settings(common, options, surroundings, progress), called=called)
    outputs = _outputs(surroundings, declaration, names, output, work)
    told = sbom.files([surroundings.path(path) for path in options["sboms"]], len(declaration.target_platforms))
    paths = (*(path for made in outputs for path in made.paths), *(file.path for file in told))
    _require_apart(paths, surroundings.path(common.file), early.named(declaration, names, work.folder))
    productions = build.produce(declaration, work)
    artefacts = (build.check if check else build.build)(productions, outputs, work)
    sbom.write(told, productions[0], artefacts)
    if output == STANDARD_OUTPUT:
        return
    if as_json:
        click.echo(report.artefacts_json(list(zip(outputs, artefacts, strict=True)), told))
    else:
        for artefact in artefacts:
            progress.tell(artefact.summary)
            click.echo(artefact.path)
        for file in told:
            click.echo(file.path)


def _outputs(
    surroundings: Surroundings, declaration: "Declaration", names: Sequence[str], said: str | None, work: "Settings"
) -> "list[Output]":
    """What is to be made, and where: in the working folder, or where --output says."""
    from packer import build

    outputs = build.outputs(declaration, names, work, surroundings.folder())
    if not said:
        return outputs
    if len(outputs) > 1:
        raise click.UsageError(f"--output goes with one artefact only; of {names[0]} there is one for each platform")
    if (said.endswith("/") or os.path.isdir(surroundings.path(said))) and outputs[0].format != "oci":
        raise click.UsageError(f"--output {said} is a folder, and {outputs[0].type} is a file: name it, too")
    if said == STANDARD_OUTPUT and surroundings.is_terminal():
        raise click.UsageError("standard output is a terminal: an archive would spoil it")
    return [replace(outputs[0], path=said if said == STANDARD_OUTPUT else surroundings.path(said))]


def _require_apart(paths: Sequence[str], declaration: str, read: "Iterable[Named]") -> None:
    """Refuse what would replace os.toml, os.lock, another output of the same run, or be packed into itself.

    Raises:
        InputError: as above.
        OutputError: a folder is not there, or cannot be written.
    """
    inputs = [(named, os.path.realpath(path)) for named in read for path in named.paths]
    taken = {os.path.realpath(path) for path in (declaration, lock_file(declaration))}
    for path in paths:
        if path == STANDARD_OUTPUT:
            continue
        if os.path.realpath(path) in taken:
            raise InputError(
                f"{path} is read or written by this run already", hint="Choose another file with --output or --sbom."
            )
        _require_unread(path, inputs)
        with PendingFile(os.path.dirname(path)):
            pass  # what cannot be written is not made first
        taken.add(os.path.realpath(path))


def _require_unread(path: str, inputs: "Iterable[tuple[Named, str]]") -> None:
    """Refuse an output that is an input, or in one that is packed as a whole."""
    hint = "Choose another place with --output or --sbom."
    output = os.path.realpath(path)
    for named, place in inputs:
        if output == place:
            raise InputError(f"{path} is read by this run: {named.key} names it", hint=hint)
        if named.form.packed and output.startswith(f"{place.rstrip('/')}/"):
            raise InputError(f"{path} would be packed into itself: {named.key} packs {place}", hint=hint)


@click.command()
@click.argument("file", metavar="[OS_TOML]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def types(file: str | None, as_json: bool) -> None:
    """List the types of artefact, with those of os.toml."""
    from packer import image_types, report
    from packer.config import load

    declaration = load(file or DECLARATION) if file or os.path.isfile(DECLARATION) else None
    found = image_types.kinds(declaration)
    click.echo(report.types_json(found) if as_json else report.types_text(found))


def declared_types(arguments: Sequence[str]) -> set[str]:
    """Names of types in the os.toml that a command line is about; none if it cannot be read.

    Args:
        arguments: of the command line.
    """
    from packer import document

    file = next((argument for argument in arguments if argument.endswith(".toml")), DECLARATION)
    try:
        types = document.document(document.read(file), file).get("types")
    except InputError:
        return set()
    return set(types) if isinstance(types, dict) else set()

"""`ocipack push`: an image into a registry."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from packer.commands.registries import access
from packer.commands.settings import DECLARATION, declared, settings
from packer.options import closure_options, common_options, image_options, registry_options
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.push import Target

_OF_CLOSURES = ("max_layers", "force_layers", "strategy", "previous", "compression", "created", "refresh", "no_verify")

#: Options that say how an image is built, by their parameters.
_BUILDING = {"runtime": "--for", **{name: f"--{name.replace('_', '-')}" for name in _OF_CLOSURES}}


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[OS_TOML | ARCHIVE|LAYOUT...] REFERENCE")
@click.option("--chunk-size", type=click.IntRange(1), metavar="MIB", help="Send blobs in chunks of this many MiB.")
@click.option("--mount-from", multiple=True, metavar="REPOSITORY", help="A repository of the same registry to reuse.")
@click.option(
    "--attach", "documents", multiple=True, metavar="FILE", help="An SBOM or provenance of an image that was built."
)
@registry_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@image_options
@closure_options
@click.pass_obj
def push(surroundings: Surroundings, /, arguments: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Push an image to a registry: built from os.toml on the way, or built before; of several, an index."""
    from formats.reading.open import may_be_image, refuse_compressed
    from packer import build, report
    from packer.console import ConsoleProgress
    from packer.push import push_built, push_stored

    *given, reference = arguments
    if not given and (os.path.isfile(reference) or os.path.isfile(os.path.join(reference, "oci-layout"))):
        raise click.UsageError(f"{reference} is here: say where it is to go, as {reference} HOST/REPOSITORY:TAG")
    files = given or [DECLARATION]
    target = _target(reference, options, surroundings)
    for file in given:
        refuse_compressed(file, file)
    stored = [file for file in files if may_be_image(file)]
    if len(files) > 1 and len(stored) < len(files):
        other = next(file for file in files if file not in stored)
        raise click.UsageError(f"{other} is no image: an index is made of several that were built before")
    if stored:
        _refuse_building(options, stored[0])
    elif options["documents"]:
        raise click.UsageError("--attach goes with images that were built before; [sbom] says what others get")
    common = common_options(files[0], options, surroundings.processors)
    with ConsoleProgress(common.verbosity) as progress:
        if stored:
            paths, documents = ([surroundings.path(file) for file in each] for each in (stored, options["documents"]))
            pushed = push_stored(paths, target, progress, documents)
        else:
            work, declaration = settings(common, options, surroundings, progress), declared(common, surroundings)
            pushed = push_built(declaration, build.produce(declaration, work), work, target, progress)
        progress.tell(report.pushed_text(pushed))
    click.echo(report.pushed_json(pushed) if as_json else pushed.reference)


def _refuse_building(options: Mapping[str, Any], image: str) -> None:
    """Refuse options that say how an image is built."""
    for name, option in _BUILDING.items():
        if options[name]:
            raise click.UsageError(f"{option} says how an image is built, and {image} was built before")


def _target(reference: str, options: Mapping[str, Any], surroundings: Surroundings) -> "Target":
    """Where a push goes, and as whom."""
    from packer.push import Target
    from packer.registry.reference import Reference

    parsed = Reference.parse(reference)
    mounts = [parsed.sibling(name) for name in options["mount_from"]]
    return Target(parsed, access(options, surroundings), mounts, (options["chunk_size"] or 0) << 20)

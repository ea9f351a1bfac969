"""`ocipack inspect`, `ocipack diff`: what is in artefacts, and how two of them differ."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import click

from packer.commands.registries import access
from packer.options import artefact_options, image_choice, registry_options
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.inspection.answers import Question

_HASHERS = 2  # of a blob, and of its tar


@click.command()
@click.argument("artefact")
@click.option("--files", is_flag=True, help="List the entries.")
@artefact_options
@registry_options
@click.pass_obj
def inspect(surroundings: Surroundings, /, artefact: str, files: bool, **options: Any) -> None:
    """Show what an artefact holds: layers or partitions, items, users; of docker://REFERENCE, what is pulled."""
    from packer.inspection import answers

    with _question(options, surroundings) as question:
        for lines in answers.inspected(artefact, question, files=files):
            click.echo(lines)


@click.command()
@click.argument("before")
@click.argument("after")
@artefact_options
@registry_options
@click.pass_obj
def diff(surroundings: Surroundings, /, before: str, after: str, **options: Any) -> int:
    """Show how two artefacts or docker://REFERENCEs differ, and which item is the cause; 0: they do not, 1: they do."""
    from packer.inspection import answers

    with _question(options, surroundings) as question:
        told, differ = answers.compared(before, after, question)
    if told:
        click.echo(told)
    return int(differ)


@contextlib.contextmanager
def _question(options: Mapping[str, Any], surroundings: Surroundings) -> "Iterator[Question]":
    """How artefacts are to be looked at."""
    from packer.inspection.answers import Question
    from packer.subject import Registries

    with ThreadPoolExecutor(_HASHERS) as executor:
        registries = Registries(lambda: access(options, surroundings))
        yield Question(image_choice(options), registries, executor, options["as_json"], options["verbose"])

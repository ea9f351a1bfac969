"""`ocipack plan`: the layers that an image is going to have."""

from typing import Any

import click

from packer.commands.settings import DECLARATION, declared, settings
from packer.options import closure_options, common_options
from packer.surroundings import Surroundings


@click.command()
@click.argument("file", metavar="[OS_TOML]", default=DECLARATION)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@closure_options
@click.pass_obj
def plan(surroundings: Surroundings, /, file: str, as_json: bool, **options: Any) -> None:
    """Show the layers, what is in them, and why."""
    from packer import build, report
    from packer.console import VERBOSE, ConsoleProgress

    common = common_options(file, options, surroundings.processors)
    with ConsoleProgress(common.verbosity) as progress:
        productions = build.produce(declared(common), settings(common, options, surroundings, progress))
    if as_json:
        click.echo(report.plan_json(productions))
    else:
        click.echo(report.plan_text(productions, everything=common.verbosity == VERBOSE))

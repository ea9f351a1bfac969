"""`ocipack cache`: what the cache holds, and how it gets smaller or whole again."""

import os
from typing import TYPE_CHECKING

import click

from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.cache import Cache

_DAYS = 30
_DAY = 24 * 60 * 60 * 1_000_000_000


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_context
def cache(context: click.Context, as_json: bool) -> None:
    """Show what the cache holds, prune it, or verify it."""
    from packer import report

    if context.invoked_subcommand:
        if as_json:
            raise click.UsageError(f"--json goes behind {context.invoked_subcommand}")
        return
    held = _opened(context.obj)
    kept = held.contents()
    click.echo(report.kept_json(held.folder, kept) if as_json else f"{held.folder}\n{report.kept_text(kept)}")


@cache.command()
@click.option(
    "--older-than",
    type=click.IntRange(0, 36_500),
    default=_DAYS,
    metavar="DAYS",
    help=f"What was not used for this many days ({_DAYS}); 0 is all of it.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_obj
def prune(surroundings: Surroundings, /, older_than: int, as_json: bool) -> None:
    """Remove what was not used for long."""
    from packer import report

    held = _opened(surroundings)
    removed = held.prune(surroundings.now() - older_than * _DAY)
    click.echo(report.kept_json(held.folder, removed) if as_json else f"removed\n{report.kept_text(removed)}")


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors and the result.")
@click.pass_obj
def verify(surroundings: Surroundings, /, as_json: bool, quiet: bool) -> int:
    """Read all of it, and remove what is damaged; 0: nothing is, 1: something was."""
    from packer import report
    from packer.console import NORMAL, QUIET, ConsoleProgress

    held = _opened(surroundings)
    with ConsoleProgress(QUIET if quiet else NORMAL) as progress:
        damaged = held.verify(progress)
    if as_json:
        click.echo(report.kept_json(held.folder, damaged))
    else:
        for one in damaged:
            click.echo(f"damaged, removed: {os.path.join(held.folder, one.paths[0])}")
    return int(bool(damaged))


def _opened(surroundings: Surroundings) -> "Cache":
    from packer.cache import Cache

    return Cache(surroundings.cache, waiting=lambda: click.echo("waiting for another ocipack to end", err=True))

"""`ocipack init`, `check`, `lock`: os.toml and os.lock themselves."""

import os

import click

from layers.errors import InputError
from layers.output import PendingFile
from packer.commands.settings import DECLARATION, declared, lock_file, settings_with
from packer.options import Common
from packer.plain import plain_lines
from packer.surroundings import Surroundings


@click.command()
@click.argument("file", metavar="[OS_TOML]", default=DECLARATION)
def init(file: str) -> None:
    """Start a commented os.toml; an existing one is left alone."""
    from packer.template import TEMPLATE

    if os.path.lexists(file):
        raise InputError(f"{file} exists already", hint="Name another file.")
    with PendingFile(os.path.dirname(file) or ".") as output:
        output.write(TEMPLATE.encode())
        output.publish(os.path.basename(file))
    click.echo(file)


@click.command()
@click.argument("file", metavar="[OS_TOML]", default=DECLARATION)
@click.pass_obj
def check(surroundings: Surroundings, /, file: str) -> None:
    """Say every mistake in os.toml and os.lock; nothing is fetched or built."""
    from packer import early, unused
    from packer import lock as locks
    from packer.config import load

    declaration = load(file)
    folder = os.path.dirname(surroundings.path(file))
    subjects = early.subjects(declaration)
    found = early.mistakes(declaration, subjects, folder)
    early.require([*unused.mistakes(declaration, declaration.outputs), *found], file)
    for warning in early.warnings(declaration, subjects, folder):
        click.echo(plain_lines(f"{file}: warning: {warning}"), err=True)
    if locked := locks.read(lock_file(file)):
        locks.require(locked, declaration, lock_file(file))
    click.echo(f"{file}: no mistakes")


@click.command()
@click.argument("file", metavar="[OS_TOML]", default=DECLARATION)
@click.option("--refresh", is_flag=True, help="Fetch the lists of packages again.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.pass_obj
def lock(surroundings: Surroundings, /, file: str, refresh: bool, quiet: bool, verbose: bool) -> None:
    """Write os.lock: builds use exactly the items that os.toml comes to now."""
    from packer import build
    from packer import lock as locks
    from packer.console import NORMAL, QUIET, VERBOSE, ConsoleProgress

    output = lock_file(file)
    common = Common(file=file, refresh=refresh, verbosity=VERBOSE if verbose else QUIET if quiet else NORMAL)
    with ConsoleProgress(common.verbosity) as progress:
        settings = settings_with(locks.read_before(output, progress), common, surroundings, progress)
        locked = build.pin(declared(common, surroundings), settings)
        with PendingFile(os.path.dirname(output) or ".") as pending:
            pending.write(locks.text(locked))
            pending.publish(os.path.basename(output))
        count = len(locked.items)
        progress.tell("1 item" if count == 1 else f"{count} items")
    click.echo(output)

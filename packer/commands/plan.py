"""`ocipack plan`: the layers that an image is going to have."""

from typing import Any

import click

from packer.commands.settings import DECLARATION, declared, settings
from packer.options import closure_options, common_options, registry_options
from packer.surroundings import Surroundings


@click.command()
@click.argument("files", nargs=-1, metavar="[OS_TOML]")
@click.option(
    "--compare",
    is_flag=True,
    help="What updates pull, by strategy and number of layers: the files are versions, the oldest first; each is an"
    " os.toml, an os.lock, an archive, a layout or a docker://REFERENCE.",
)
@click.option("--html", metavar="FILE", help="With --compare: write a page with the layers drawn as well.")
@click.option("--platform", default="", metavar="NAME", help="With --compare: which of several.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@registry_options
@closure_options
@click.pass_obj
def plan(surroundings: Surroundings, /, files: tuple[str, ...], **options: Any) -> None:
    """Show the layers, what is in them, and why; or compare strategies over versions."""
    from packer import build, report
    from packer.commands.comparison import compare
    from packer.console import VERBOSE, ConsoleProgress

    common = common_options(files[0] if files else DECLARATION, options, surroundings.processors)
    if options["html"] and not options["html"].endswith((".html", ".htm")):  # it may be the first of the versions
        raise click.UsageError(f"--html {options['html']}: the name of a page ends in .html")
    if options["compare"]:
        compare(surroundings, files, common, options)
        return
    if len(files) > 1:
        raise click.UsageError(f"one os.toml at a time, not {' and '.join(files)}; --compare takes several versions")
    if options["html"] or options["platform"]:
        raise click.UsageError("--html and --platform go with --compare")
    with ConsoleProgress(common.verbosity) as progress:
        productions = build.produce(declared(common, surroundings), settings(common, options, surroundings, progress))
    if options["as_json"]:
        click.echo(report.plan_json(productions))
    else:
        click.echo(report.plan_text(productions, everything=common.verbosity == VERBOSE))

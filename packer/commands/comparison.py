"""`ocipack plan --compare`: what updates pull, by strategy and number of layers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from layers.output import PendingFile
from layers.plan import DEFAULT_MAX_LAYERS
from packer.commands.registries import access
from packer.commands.settings import declared, settings
from packer.options import Common
from packer.runtimes import REGISTRY, RUNTIMES
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from layers.item import Closure
    from packer.comparison.versions import Blobs
    from packer.console import ConsoleProgress

_BUDGETS = (20, 60, DEFAULT_MAX_LAYERS, 125)


def compare(surroundings: Surroundings, names: Sequence[str], common: Common, options: Mapping[str, Any]) -> None:
    """Compare versions of an image, the oldest first, and tell what was found.

    Raises:
        PackError: a version cannot be read.
    """
    from packer.comparison import page, replay, text
    from packer.comparison.versions import Reader
    from packer.console import ConsoleProgress
    from packer.subject import Registries

    if len(names) < 2:
        raise click.UsageError("--compare needs two versions or more, the oldest first")
    runtime = RUNTIMES.get(common.runtime or "")
    if runtime and REGISTRY not in runtime.formats:
        raise click.UsageError(f"{runtime.title} pulls no images")
    with ConsoleProgress(common.verbosity) as progress:
        source = _Declared(surroundings, common, options, progress)
        registries = Registries(lambda: access(options, surroundings))
        versions = Reader(registries, options["platform"], source.version).read(names)
    stacked, shown = bool(runtime and runtime.pulls_stacks), common.max_layers or DEFAULT_MAX_LAYERS
    fewest = replay.fewest_layers(versions)
    budgets = [shown] if common.max_layers else [most for most in _BUDGETS if most >= fewest or most == shown]
    found = replay.compare(versions, budgets, shown, stacked=stacked)
    click.echo(text.comparison_json(found) if options["as_json"] else text.comparison_text(found))
    if options["html"]:
        path = surroundings.path(options["html"])
        with PendingFile(os.path.dirname(path)) as file:
            file.write(page.page(found).encode())
            file.publish(os.path.basename(path))


class _Declared:
    """Versions of an os.toml: the one that its stores give now."""

    def __init__(
        self, surroundings: Surroundings, common: Common, options: Mapping[str, Any], progress: "ConsoleProgress"
    ) -> None:
        self._surroundings = surroundings
        self._common = common
        self._options = options
        self._progress = progress

    def version(self, file: str, made: bool) -> "tuple[Closure, Blobs | None]":
        """The closure of an os.toml; with the blobs of its image, made as a push makes them, if they are wanted."""
        from packer import build
        from packer.comparison.versions import platform_of

        common = replace(self._common, file=file)
        declaration = declared(common, self._surroundings)
        platform = platform_of(declaration.target_platforms, self._options["platform"], file)
        work = settings(common, self._options, self._surroundings, self._progress)
        [production] = [one for one in build.produce(declaration, work) if one.system.platform == platform]
        if not made:
            return production.system.closure, None
        from packer.push import stored_sizes

        return production.system.closure, stored_sizes(production, work)

"""What commands that read a closure work with: os.toml, os.lock, the cache, and what the command line says instead."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from layers.cache import in_use
from packer.commands.registries import access
from packer.options import Common, changed
from packer.runtimes import REGISTRY
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.build import Settings
    from packer.console import ConsoleProgress
    from packer.declaration import Declaration
    from packer.lock import Lock

#: Where a declaration is when none is named.
DECLARATION = "os.toml"


def lock_file(file: str) -> str:
    """Beside os.toml: os.lock."""
    return f"{file.removesuffix('.toml')}.lock"


def declared(common: Common, surroundings: Surroundings) -> "Declaration":
    """os.toml for layers, with what the command line says instead.

    Raises:
        InputError: os.toml is wrong, or something that it names is not there.
    """
    from packer import early
    from packer.config import load

    declaration = load(common.file)
    early.require(early.mistakes(declaration, (), os.path.dirname(surroundings.path(common.file))), common.file)
    return changed(declaration, common, (REGISTRY,), {})


def settings(
    common: Common, options: Mapping[str, Any], surroundings: Surroundings, progress: "ConsoleProgress"
) -> "Settings":
    """What builds work with; what os.lock says holds, and the layers of the image before are kept.

    Args:
        common: options.
        options: all of the command, among which registries may have some.
        surroundings: of the program.
        progress: is told what is done.

    Raises:
        PackError: os.lock is wrong, the image before cannot be read, or there can be no cache.
    """
    from packer import lock

    made = settings_with(lock.read(lock_file(common.file)), common, surroundings, progress)
    made = replace(made, access=lambda: access(_of_bases(options), surroundings), runtime=common.runtime or "")
    if not common.previous:
        return made
    from packer.previous import read_previous
    from packer.subject import Registries

    registries = Registries(lambda: access(options, surroundings))
    return replace(made, previous=read_previous(common.previous, registries))


def _of_bases(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of all registries; --username and --plain-http are about the one that is pushed to."""
    return {name: options[name] for name in ("ca", "timeout") if name in options}


def settings_with(
    locked: "Lock | None", common: Common, surroundings: Surroundings, progress: "ConsoleProgress"
) -> "Settings":
    """What builds work with; nothing of the cache is removed until the command that runs ends.

    Args:
        locked: the items that stores have to give, and the numbers that accounts keep.
        common: options.
        surroundings: of the program.
        progress: is told what is done.

    Raises:
        PackError: there can be no cache.
    """
    from packer.build import Settings

    return Settings(
        folder=os.path.dirname(surroundings.path(common.file)),
        cache=click.get_current_context().with_resource(in_use(surroundings.cache)),
        epoch=surroundings.epoch,
        jobs=common.jobs,
        refresh=common.refresh,
        verify=common.verify,
        environment=surroundings.environment,
        progress=progress,
        lock=locked,
        lock_file=lock_file(common.file),
        file=common.file,
        access=lambda: access({}, surroundings),
    )

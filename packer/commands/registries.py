"""How commands reach registries, and as whom."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from packer.options import TIMEOUT
from packer.surroundings import Surroundings

if TYPE_CHECKING:
    from packer.registry.transport import Access


def access(options: Mapping[str, Any], surroundings: Surroundings) -> "Access":
    """How registries are reached, and as whom.

    Args:
        options: those of `packer.options.registry_options`, if the command has them.
        surroundings: of the program.
    """
    from packer.registry.answer import Limits
    from packer.registry.credentials import ConfiguredCredentials, Credentials, GivenCredentials, Keychain
    from packer.registry.transport import Access

    keychain: Keychain = ConfiguredCredentials(surroundings.variables)  # all of them: helpers are the user's programs
    if options.get("username"):
        keychain = GivenCredentials(Credentials("--username", options["username"], surroundings.password()))
    limits = Limits.within(options.get("timeout", TIMEOUT))
    plain = options.get("plain_http", False)
    return Access(keychain, surroundings.environment, options.get("ca") or "", plain, limits)

"""The Guix store: items that are on this machine, or below another root, with all that they need."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from packer.nix.layout import GUIX, Layout
from packer.nix.local_store import LocalOptions, LocalStore
from packer.record import settings
from packer.stores import StoreContext


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(LocalOptions):
    """Items of a Guix store on this machine with all that they need; its database is read, Guix is not run."""

    LAYOUT: ClassVar[Layout] = GUIX
    EXAMPLE: ClassVar[str] = """\
[store]
type = "guix"
roots = ["/var/guix/profiles/per-user/root/guix-profile"]
profile = "per-user/root/guix-profile"
symlinks = { "/bin" = "bin" }
"""


def open_store(options: Options, context: StoreContext) -> LocalStore:
    """The store that the options describe; nothing is read yet."""
    return LocalStore(GUIX, options, context)

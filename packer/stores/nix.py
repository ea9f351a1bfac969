"""The Nix store: items that are on this machine, or in a chroot store, with all that they need."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from packer.nix.layout import NIX, Layout
from packer.nix.local_store import LocalOptions, LocalStore
from packer.record import settings
from packer.stores import StoreContext


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Options(LocalOptions):
    """Items of a Nix store on this machine with all that they need; its database is read, Nix is not run."""

    LAYOUT: ClassVar[Layout] = NIX
    EXAMPLE: ClassVar[str] = """\
[store]
type = "nix"
roots = ["/nix/var/nix/profiles/system"]
symlinks = { "/bin" = "sw/bin" }
"""


def open_store(options: Options, context: StoreContext) -> LocalStore:
    """The store that the options describe; nothing is read yet."""
    return LocalStore(NIX, options, context)

"""What differs between Nix and Guix, which share their stores' form: where things are, and what databases hold.

A store is a folder of items, `HASH-NAME`; next to it is the state: the database, the roots that keep items from being
collected as garbage, and the profiles, which are such roots.
"""

import re
from dataclasses import dataclass

from packer.nix.base32 import ALPHABET

# nix: src/libstore/path.cc, `checkName`; Guix has the same in nix/libutil/util.cc and (guix store) `store-path-base`.
_BASE_NAME = re.compile(rf"[{ALPHABET}]{{32}}-[0-9A-Za-z+?=_-][0-9A-Za-z+?=._-]{{0,210}}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a package manager has its things, and what they look like.

    Attributes:
        program: what people call it.
        store: folder of the items.
        state: folder of the database, the roots and the profiles.
        schema: version of the database that the file `schema` beside it names.
        versioned: whether a database without that file is refused. Guix's images have none before guix-daemon runs.
        columns: of ValidPaths, beyond those that both have.
        builders: name of the group that builds items and may write into the store.
    """

    program: str
    store: str
    state: str
    schema: str
    versioned: bool
    columns: tuple[str, ...]
    builders: str

    @property
    def database(self) -> str:
        """The database's file."""
        return f"{self.state}/db/db.sqlite"

    def is_item(self, path: str) -> bool:
        """Whether a path is that of an item: `/nix/store/HASH-NAME`."""
        folder, _, name = path.rpartition("/")
        return folder == self.store and bool(_BASE_NAME.fullmatch(name))

    def item_of(self, path: str) -> str | None:
        """The item that a path is, or lies in: `/nix/store/HASH-NAME/bin/x` gives `/nix/store/HASH-NAME`."""
        if not path.startswith(f"{self.store}/"):
            return None
        item = f"{self.store}/{path[len(self.store) + 1 :].partition('/')[0]}"
        return item if self.is_item(item) else None


#: nix: src/libstore/local-store.hh, `nixSchemaVersion`.
NIX = Layout("Nix", "/nix/store", "/nix/var/nix", "10", True, ("ultimate", "sigs", "ca"), "nixbld")

#: Guix: nix/libstore/local-store.hh, `nixSchemaVersion`.
GUIX = Layout("Guix", "/gnu/store", "/var/guix", "7", False, (), "guixbuild")

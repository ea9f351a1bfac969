"""The root of a system of Nix or Guix: what belongs to no item, as the originals leave it.

The store's folder belongs to the group that builds items, with the sticky bit, 1775: so do nix-daemon and guix-daemon
make it, whose fixed number of that group is 30000 (nixpkgs: nixos/modules/misc/ids.nix; Guix: gnu/build/install.scm,
`directives`). The group is in /etc/group, so that the package manager of the image finds nothing to change.

    STATE/profiles/NAME -> NAME-1-link -> ROOT    the first root: generation 1 of a profile
    STATE/gcroots/profiles -> STATE/profiles      profiles keep their items from being collected as garbage
    STATE/gcroots/ocipack/HASH-NAME -> ROOT       so do these links: the other roots

Other links are those that os.toml wants: `packer.nix.symlinks`.

Nix has the folders that its own `LocalStore` makes when it opens a store (src/libstore/local-store.cc). Guix has those
of `populate-root-file-system` if the profile is `system`, else those of `install-database-and-gc-roots` and
`populate-single-profile-directory`, which `guix pack` uses.

Items bring no /etc. For whatever looks up a user or a host there are root and nobody, and /etc/nsswitch.conf, like
nixpkgs' `fakeNss`: glibc before 2.35 asks DNS before /etc/hosts without it. There is a home for root, and /tmp. What
another store or os.toml has in their place, stays.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.item import NarItem, StoreItem
from layers.tree import Tree
from packer.databases import guix, nix
from packer.nix.layout import GUIX, Layout
from packer.nix.symlinks import links

_BUILDERS = 30000
_STORE = Meta(0o1775, 0, _BUILDERS)
_ANYBODY = Meta(0o1777)
_PRIVATE = Meta(0o700)
_SYSTEM = "system"
_GUIX_PROFILE = "per-user/root/guix-profile"
_CURRENT_GUIX = "per-user/root/current-guix"

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/var/empty:/bin/sh\n"
_NAME_SERVICE = b"hosts: files dns\n"
_GROUP = "root:x:0:\n{builders}:x:{number}:\nnogroup:x:65534:\n"


class Wanted(Protocol):
    """What os.toml says about the system of a store.

    Attributes:
        register: whether the image has a database.
        profile: whose first generation the first root is, below the folder of profiles; none if it is empty.
        symlinks: path in the image -> path in the roots to which a link there leads.
    """

    @property
    def register(self) -> bool: ...  # noqa: D102

    @property
    def profile(self) -> str: ...  # noqa: D102

    @property
    def symlinks(self) -> Mapping[str, str]: ...  # noqa: D102


def entries(
    layout: Layout,
    closure: Iterable[StoreItem],
    roots: Sequence[str],
    tree: Tree,
    wanted: Wanted,
    epoch: int,
    warn: Callable[[str], None],
) -> Iterator[Entry]:
    """What belongs to no item.

    Args:
        layout: of the store.
        closure: items in topological order; the database leaves those of other stores out.
        roots: paths of items that nobody is to collect as garbage; the first one is the system.
        tree: the items' merged entries.
        wanted: what os.toml says.
        epoch: when items were registered, in seconds since 1970.
        warn: is told what has no link though links are wanted.

    Raises:
        SymlinkError: links cannot be made.
        DatabaseError: the database cannot hold the items.
        PackError: a derivation cannot be read.
    """
    places = list(_places(layout, roots, wanted.profile))
    database = list(_database(layout, closure, epoch)) if wanted.register else []
    yield from places
    yield from links(wanted.symlinks, roots, tree, [*places, *database], list(base(layout)), warn)
    yield from database


def base(layout: Layout) -> Iterator[Entry]:
    """What a root needs that has nothing but items."""
    yield File(b"etc/group", Data(_GROUP.format(builders=layout.builders, number=_BUILDERS).encode()))
    yield File(b"etc/nsswitch.conf", Data(_NAME_SERVICE))
    yield File(b"etc/passwd", Data(_PASSWD))
    yield Directory(b"root", _PRIVATE)
    yield Directory(b"tmp", _ANYBODY)
    yield Directory(b"var/empty", Meta(0o555))


def _guix_system() -> Iterator[Entry]:
    for folder in ("bin", "etc", "home", "mnt", "run", "var/db", "var/log", "var/run"):
        yield Directory(_path(folder))
    for folder in ("tmp", "var/lock", "var/tmp"):
        yield Directory(_path(folder), _ANYBODY)
    for name in ("booted-system", "current-system"):
        yield _link(f"{GUIX.state}/gcroots/{name}", f"/run/{name}")
    yield Directory(_path(f"{GUIX.state}/profiles/per-user/root"))


def _places(layout: Layout, roots: Sequence[str], profile: str) -> Iterator[Entry]:
    """The store's folder, and what leads to the roots."""
    yield Directory(_path(layout.store), _STORE)
    if layout is GUIX and profile == _SYSTEM:
        yield from _guix_system()
    profiles, collector = f"{layout.state}/profiles", f"{layout.state}/gcroots"
    yield Directory(_path(profiles))
    yield Directory(_path(collector))
    yield _link(f"{collector}/profiles", profiles)
    if profile:
        generation = f"{profile}-1-link"
        yield _link(f"{profiles}/{profile}", os.path.basename(generation))
        yield _link(f"{profiles}/{generation}", roots[0])
    for root in roots[1:] if profile else roots:
        yield _link(f"{collector}/ocipack/{os.path.basename(root)}", root)
    if layout is GUIX and profile == _GUIX_PROFILE:
        yield _link("root/.guix-profile", f"{profiles}/{profile}")
    if layout is GUIX and profile == _CURRENT_GUIX:
        yield _link("root/.config/guix/current", f"{profiles}/{profile}")


def _database(layout: Layout, closure: Iterable[StoreItem], epoch: int) -> Iterator[Entry]:
    if layout is GUIX:
        yield from guix.entries(closure, epoch=epoch)
        return
    for folder in ("gcroots/per-user/root", "profiles/per-user/root", "temproots"):
        yield Directory(_path(f"{layout.state}/{folder}"))
    yield Directory(_path(f"{layout.store}/.links"))
    # The store of the image has built nothing: `ultimate` does not outlive copying (nix: src/libstore/store-api.cc,
    # `copyStorePath`).
    copied = (replace(item, ultimate=False) if isinstance(item, NarItem) else item for item in closure)
    yield from nix.entries(copied, epoch=epoch)


def _link(path: str, target: str) -> Symlink:
    return Symlink(_path(path), os.fsencode(target))


def _path(path: str) -> bytes:
    return os.fsencode(path.strip("/"))

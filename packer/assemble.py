"""Operating system and closure to a System: the one place where items are merged, registered and customized.

What wins at a path, from weakest to strongest: an item's entry; what its store makes for the system (its database,
accounts, links); what os.toml declares. Below all of it is what a store finds missing in a root.
"""

import os
from collections.abc import Sequence
from dataclasses import fields

from formats.platform import Platform
from formats.system import Base, Boot, RunConfiguration, System
from layers.entry import Entry, tree_order
from layers.item import Closure, NarItem
from layers.reader import Reader
from layers.tree import Tree, add_parents, overlay
from packer.account_files import PATHS, AccountFiles
from packer.accounts import PEOPLE, SYSTEM, Ids
from packer.base.configuration import over
from packer.declaration import Declaration
from packer.joint_root import JointRoot, joint_root
from packer.operating_system import Declared, declare
from packer.store_root import Parts, placed, store_root
from packer.stores import BaseStore
from packer.supply import Supply

_NEW = Ids()


def assemble(
    declaration: Declaration,
    platform: Platform,
    supplies: Sequence[Supply],
    closure: Closure,
    *,
    epoch: int,
    folder: str,
    file: str = "os.toml",
    ids: Ids = _NEW,
) -> System:
    """The system that os.toml declares.

    Args:
        declaration: os.toml.
        platform: the processor that it is for.
        supplies: the stores with their items, in the order of os.toml.
        closure: the items of all of them.
        epoch: the time of everything in the system, in seconds since 1970.
        folder: of os.toml: relative sources start there.
        file: where os.toml is, for messages.
        ids: the numbers that accounts keep.

    Raises:
        ConfigError: `[os]` asks for what does not fit to the image.
        PackError: items or stores conflict, or an entry cannot be made.
    """
    parts = Parts(closure)
    roots = [store_root(supply, closure, parts) for supply in supplies]
    below = joint_root(roots)
    stores = frozenset(os.path.dirname(item.placed_path) for item in closure if isinstance(item, NarItem))
    declared = declare(declaration.os, below.tree, below.items, folder=folder, file=file, ids=ids, stores=stores)
    below = below.without(declared.removed)
    upper = _customization(below, declared)
    base = _base(supplies)
    return System(
        name=declaration.name,
        version=declaration.version,
        platform=platform,
        epoch=epoch,
        closure=closure,
        parts=parts,
        omitted={path: gone for root in roots for path, gone in root.omitted.items()},
        tree=overlay(below.tree, upper),
        customization=upper,
        boot=Boot(declaration.os.init or "", declaration.os.kernel_arguments),
        run=_run_configuration(declaration, base),
        annotations=declaration.oci_annotations,
        created=declaration.container.created,
        base=base,
    )


def _base(supplies: Sequence[Supply]) -> Base | None:
    """The image that the system's image stands on."""
    stores = (supply.store.store for supply in supplies)
    return next((store.base for store in stores if isinstance(store, BaseStore)), None)


def _customization(below: JointRoot, declared: Declared) -> tuple[Entry, ...]:
    """What is laid over the items: what stores make, and what os.toml declares, with all parents."""
    customization = {**below.made, **placed(below.tree, declared.entries)}
    add_parents(customization, below.tree)
    return tuple(customization[path] for path in sorted(customization, key=tree_order))


def made_ids(system: System) -> Ids:
    """The numbers that accounts were given here: not those of accounts in files that an item has."""
    shipped = Tree({entry.path: entry for part in system.parts.values() for entry in part if entry.path in PATHS})
    with Reader() as reader:
        before, accounts = (AccountFiles.read(tree, reader).accounts for tree in (shipped, system.tree))
    given = range(SYSTEM.start, PEOPLE.stop)
    known_users, known_groups = ({account.name for account in known} for known in (before.users, before.groups))
    return Ids(
        {user.name: user.uid for user in accounts.users if user.uid in given and user.name not in known_users},
        {group.name: group.gid for group in accounts.groups if group.gid in given and group.name not in known_groups},
    )


def _run_configuration(declaration: Declaration, base: Base | None) -> RunConfiguration:
    container = declaration.container
    own = RunConfiguration(
        entrypoint=container.entrypoint or (),
        cmd=container.cmd or (),
        env=container.env,
        workdir=container.workdir or "",
        user=container.user or "",
        labels=container.labels,
        ports=container.ports,
        volumes=container.volumes,
        stop_signal=container.stop_signal or "",
        healthcheck=container.healthcheck.made() if container.healthcheck else None,
    )
    said = {field.name for field in fields(container) if getattr(container, field.name) is not None}
    return over(base.run, own, said) if base else own

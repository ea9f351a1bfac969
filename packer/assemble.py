"""Operating system and closure to a System: the one place where items are merged, registered and customized.

What wins at a path, from weakest to strongest: an item's entry; what the store makes for the system (its database,
accounts, links); what os.toml declares.
"""

from collections.abc import Iterable
from dataclasses import replace

from formats.system import Boot, RunConfiguration, System
from layers.entry import Directory, Entry, tree_order
from layers.errors import ConflictError
from layers.item import Closure
from layers.reader import Reader
from layers.tree import Part, Tree, add_parents, merge, overlay
from packer.account_files import PATHS, AccountFiles
from packer.accounts import PEOPLE, SYSTEM, Ids
from packer.declaration import Declaration
from packer.operating_system import declare
from packer.stores import Store

_NEW = Ids()


def assemble(
    declaration: Declaration,
    store: Store,
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
        store: where the closure comes from.
        closure: the items.
        epoch: the time of everything in the system, in seconds since 1970.
        folder: of os.toml: relative sources start there.
        file: where os.toml is, for messages.
        ids: the numbers that accounts keep.

    Raises:
        ConfigError: `[os]` asks for what does not fit to the image.
        PackError: items conflict, or an entry cannot be made.
    """
    parts = {item.path: tuple(store.placement.entries(item.contents.entries())) for item in closure}
    merged = merge((Part(item, parts[item.path]) for item in closure), lambda new, old: new.replaces(old))
    omitted = {item.path: paths for item, paths in merged.omitted.items()}
    made = _by_path(merged.tree, [*merged.settled, *store.system_entries(closure, merged.tree, omitted)])
    lower = overlay(merged.tree, made.values())
    declared = declare(declaration.os, lower, merged.tree, folder=folder, file=file, ids=ids)
    if declared.removed:
        made = {path: entry for path, entry in made.items() if path not in declared.removed}
        lower = overlay(merged.tree, made.values())
    customization = made | _by_path(lower, declared.entries)
    add_parents(customization, lower)
    upper = tuple(customization[path] for path in sorted(customization, key=tree_order))
    return System(
        name=declaration.name,
        version=declaration.version,
        platform=declaration.target_platform,
        epoch=epoch,
        closure=closure,
        placement=store.placement,
        parts=parts,
        omitted=omitted,
        tree=overlay(lower, upper),
        customization=upper,
        boot=Boot(declaration.os.init or "", declaration.os.kernel_arguments),
        run=_run_configuration(declaration),
        annotations=declaration.oci_annotations,
    )


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


def _by_path(tree: Tree, entries: Iterable[Entry]) -> dict[bytes, Entry]:
    """Entries at their real places: `bin/x` is `usr/bin/x` where `bin` is a link; the last one wins."""
    placed: dict[bytes, Entry] = {}
    for entry in entries:
        path = tree.real(entry.path)
        before = placed.get(path)
        if before is not None and isinstance(before, Directory) != isinstance(entry, Directory):
            raise ConflictError(f"/{path.decode(errors='replace')} would be both a folder and something else")
        placed[path] = replace(entry, path=path)
    return placed


def _run_configuration(declaration: Declaration) -> RunConfiguration:
    container = declaration.container
    return RunConfiguration(
        entrypoint=container.entrypoint,
        cmd=container.cmd,
        env=container.env,
        workdir=container.workdir,
        user=container.user,
        labels=container.labels,
        ports=container.ports,
        volumes=container.volumes,
        stop_signal=container.stop_signal,
    )

"""The operating system: what `[os]` of os.toml declares, as entries; one module for each of its nouns.

Each noun reads the image so far. Users and groups come first, because files belong to them; then files, because units,
shells and what homes are made from may be among them; then everything else. What a file says wins.
"""

from dataclasses import dataclass
from itertools import chain

from layers.entry import Entry
from layers.reader import Reader
from layers.tree import Tree
from packer.account_files import AccountFiles
from packer.accounts import Accounts, Ids
from packer.mistakes import ConfigError
from packer.operating_system import (
    files,
    homes,
    hostname,
    init,
    keymap,
    locale,
    machine_id,
    mounts,
    services,
    timezone,
    users,
)
from packer.operating_system.image import Image
from packer.tables.operating_system import OperatingSystem


@dataclass(frozen=True, slots=True)
class Declared:
    """What `[os]` asks for.

    Attributes:
        entries: what is laid over the image; of two at one path the last one wins.
        removed: paths of what stores made and is not to be there.
    """

    entries: tuple[Entry, ...]
    removed: frozenset[bytes]


def declare(
    declared: OperatingSystem,
    lower: Tree,
    items: Tree,
    *,
    folder: str,
    file: str,
    ids: Ids,
    stores: frozenset[bytes] = frozenset(),
) -> Declared:
    """What `[os]` asks for.

    Args:
        declared: the table.
        lower: what is in the image already.
        items: what of that packages ship.
        folder: where relative sources start.
        file: where os.toml is, for messages.
        ids: the numbers that accounts keep.
        stores: see `Image`.

    Raises:
        ConfigError: something does not fit to the image; all mistakes are told.
        PackError: a file of the image cannot be read.
    """
    with Reader() as reader:
        before = Image(lower, reader, folder, stores)
        known = AccountFiles.read(lower, reader)
        accounts = users.accounts(declared.users, declared.groups, known.accounts, ids, before)
        wanted = files.entries(declared.files, before, accounts, homes.owners(declared.users, accounts))
        image = before.with_entries(wanted)
        users.check_shells(declared.users, image)
        init.check(declared.init, image)
        links = services.links(declared.services, image, items)
        made = {
            "os.hostname": hostname.entries(declared.hostname),
            "os.timezone": timezone.entries(declared.timezone, image),
            "os.locale": locale.entries(declared.locale, image),
            "os.keymap": keymap.entries(declared.keymap, image),
            "os.init": machine_id.entries(image, declared.init),
            "os.mounts": mounts.entries(declared.mounts, before),
            "os.users": _people(declared, known, accounts, image),
            "os.services": links.made,
        }
        entries = {key: tuple(of_key) for key, of_key in made.items()}
        for key, of_key in entries.items():
            before.refuse_in_items(key, of_key)
    if before.mistakes:
        raise ConfigError(file, tuple(before.mistakes))
    return Declared((*chain.from_iterable(entries.values()), *wanted), links.removed)


def _people(declared: OperatingSystem, known: AccountFiles, accounts: Accounts, image: Image) -> tuple[Entry, ...]:
    """Accounts and homes."""
    has_accounts = bool(declared.users or declared.groups)
    new = [user for user in accounts.users if has_accounts and known.accounts.user(user.name) is None]
    return (
        *(known.entries(accounts) if has_accounts else ()),
        *known.subordinate_entries(new),
        *homes.entries(new, image),
        *homes.key_entries(declared.users, accounts, image),
    )

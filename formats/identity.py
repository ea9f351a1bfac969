"""What names the content of a system: equal names have equal entries, on every machine and for ever.

Names of layers and identifiers of disks derive from it. Items are named by what their stores say of them, so that
nothing of them is read; what belongs to no item is read and hashed.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from formats.system import System
from layers import tar
from layers.digest import Digest
from layers.entry import Entry
from layers.item import StoreItem
from layers.reader import Reader


def item_facts(item: StoreItem, omitted: frozenset[bytes]) -> list[Any]:
    """All that an item's entries in an artefact are a function of, as JSON takes it.

    Args:
        item: the item.
        omitted: paths of its entries that another item replaces.
    """
    rules = [[old.hex(), new.hex()] for old, new in item.placement.rules]
    return [str(item.packed_identity), sorted(path.hex() for path in omitted), rules]


def stream_digest(entries: Iterable[Entry], epoch: int) -> Digest:
    """The digest of a tar of some entries."""
    state = hashlib.sha256()
    with Reader() as reader:
        writer = tar.TarWriter(state.update, epoch, reader)
        writer.add_all(entries)
        writer.close()
    return Digest(state.hexdigest())


def root_facts(system: System) -> dict[str, Any]:
    """All that the root file system of a system is a function of, as JSON takes it."""
    omitted = system.omitted
    return {
        "profile": tar.PROFILE,
        "epoch": system.epoch,
        "items": sorted(item_facts(item, omitted.get(item.path, frozenset())) for item in system.closure),
        "customization": str(stream_digest(system.customization, system.epoch)),
    }

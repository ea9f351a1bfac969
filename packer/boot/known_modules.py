"""What a kernel's modules say of themselves, kept as long as the packages that they are from stay the same.

    FOLDER/HEX    one line of JSON: by path, what a module says of itself and what it exports; and one with the line's
                  SHA-256

A full kernel has 4,000 modules, and newer ones are compressed: to read all of them takes 7 s, and what they say 0.1.
HEX is the digest of the items that have something in the folder of the modules. If anything there is from elsewhere, or
a link, nothing is kept.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial

from formats.boot import Layout
from formats.container_image import canonical_json
from formats.identity import item_facts
from layers.cache import CacheFolder, Kept, mark_used
from layers.digest import Digest, is_hex
from layers.entry import Directory, Entry, File
from layers.output import PendingFile, make_cache
from layers.reader import Reader
from packer import checked_line
from packer.boot.modules import Modules, Said, module_folder, read_modules

_FOLDER = "kernel-modules"  # of the cache
_FORMAT = 1
_MOST_BYTES = 64 << 20  # of a list; that of Debian's largest kernel has 5 MB


def known_modules(layout: Layout, version: str, reader: Reader) -> Modules:
    """The modules of a kernel, of which none is read if they are known.

    Args:
        layout: of the disk, with the system, and the cache.
        version: of the kernel.
        reader: reads them.

    Raises:
        OutputError: the cache cannot be written.
        PackError: a module cannot be read, or is none.
    """
    tree, folder = layout.system.tree, module_folder(layout.system.tree, version)
    key = _key(layout, folder) if layout.cache else None
    if key is None:
        return read_modules(tree, version, reader)
    place = os.path.join(layout.cache, _FOLDER, key.hex)
    said = _load(place)
    if said is not None:
        mark_used(place)
        return read_modules(tree, version, reader, said)
    modules = read_modules(tree, version, reader)
    _keep(layout.cache, key, modules)
    return modules


def _key(layout: Layout, folder: bytes) -> Digest | None:
    """A name for all that is in the folder; none if it is not from items alone."""
    system, prefix = layout.system, folder + b"/"
    owned: dict[bytes, Entry] = {}
    items = []
    for item in system.closure:
        there = {entry.path: entry for entry in system.item_entries(item) if entry.path.startswith(prefix)}
        if there:
            owned |= there
            items.append(item_facts(item, system.omitted.get(item.path, frozenset())))
    entries = {entry.path: entry for entry in system.tree.below(folder)}
    plain = all(isinstance(entry, File | Directory) for path, entry in entries.items() if b".ko" in path)
    if not entries or not plain or any(owned.get(path) != entry for path, entry in entries.items()):
        return None
    return Digest.of(canonical_json({"format": _FORMAT, "folder": folder.hex(), "items": sorted(items)}))


def _keep(cache: str, key: Digest, modules: Modules) -> None:
    make_cache(cache, _FOLDER)
    rows = {module.path: [module.info, module.symbols] for module in modules.all}
    with PendingFile(os.path.join(cache, _FOLDER)) as file:
        checked_line.write(file, {"format": _FORMAT, "modules": rows})
        file.publish(key.hex, mode=0o600, durable=False)


def _load(place: str) -> Mapping[str, Said] | None:
    """What is known; None if it is damaged, or not there."""
    facts = checked_line.read(place, _FORMAT, _MOST_BYTES)
    if facts is None:
        return None
    return {
        path: Said(tuple((name, value) for name, value in info), tuple(symbols))
        for path, (info, symbols) in facts["modules"].items()
    }


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """The lists of a cache; see `layers.cache.Keeper`."""
    for found in cache.below(_FOLDER).found():
        if found.is_file and is_hex(found.name):
            is_whole = partial(_is_whole, found.place)
            yield Kept("lists of kernel modules", (found.path,), found.size, found.used, is_whole)


def _is_whole(place: str) -> bool:
    return _load(place) is not None

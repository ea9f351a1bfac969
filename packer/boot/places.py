"""Places: where on a disk's volumes the paths of the root file system are, and where in it programs are."""

import os
from collections.abc import Sequence

from formats.boot import Layout, Volume
from layers.entry import parents
from layers.errors import InputError
from layers.item import NarItem
from layers.tree import Tree


def place(layout: Layout, path: bytes) -> tuple[Volume, str]:
    """The volume that holds a path of the root file system, and the path from its root folder on, with a slash.

    Args:
        layout: of the disk.
        path: as trees have it, with no symbolic links above it.

    Raises:
        InputError: no partition holds it.
    """
    found: tuple[int, Volume] | None = None
    for volume in layout.volumes:
        mount = os.fsencode(volume.partition.mount_point)
        inside = mount.strip(b"/")
        if mount and (not inside or path.startswith(inside + b"/")) and (not found or len(inside) > found[0]):
            found = len(inside), volume
    if not found:
        raise InputError(f"/{os.fsdecode(path)} is in no partition", hint='One needs mount-point = "/".')
    start, volume = found
    return volume, "/" + os.fsdecode(path[start:].lstrip(b"/"))


def is_on_disk(layout: Layout, path: bytes) -> bool:
    """Whether the disk has what is at a path: what is in a store that the host shares is not there."""
    if not layout.image.shared_store:
        return True
    system = layout.system
    items = {item.placed_path for item in system.closure if isinstance(item, NarItem)}
    return path not in items and not any(above in items for above in parents(path))


def find(tree: Tree, names: Sequence[str]) -> bytes | None:
    """A file or folder below /usr, or else in an item of a store, of which the first in the order of paths is taken.

    Args:
        tree: the root file system.
        names: where it is below /usr, or below an item, such as `lib/grub/i386-pc`; the first that is there counts.
    """
    for name in map(os.fsencode, names):
        usual = tree.real(b"usr/" + name)
        if usual in tree:
            return usual
    endings = tuple(b"/" + os.fsencode(name) for name in names)
    return min((path for path in tree.by_path() if path.endswith(endings) and b"/store/" in path), default=None)

"""One root of the roots of several stores.

Every path belongs to one store. Two stores may have the same folder, whose owner and permissions are then those of the
first store that has it, in the order of os.toml; and they may make the very same thing, as two stores of Nix make one
database of the items of both. All else that two of them have at one path is refused: which of the two is wanted,
nobody but the user can say.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from layers.entry import Device, Directory, Entry, Symlink, tree_order
from layers.tree import Tree, overlay
from packer.store_root import StoreRoot
from packer.supply import OverlapError

_HINT = (
    "Leave the file, the link or the profile out of one of them. What is to win over a store's file belongs into"
    " os.files."
)


@dataclass(frozen=True, slots=True)
class JointRoot:
    """A root file system of all stores.

    Attributes:
        items: what their items have.
        made: path -> what lies over that: what the stores make, and how folders are that several of them have.
        tree: all of it; folders that only lie above something made are left out.
    """

    items: Tree
    made: Mapping[bytes, Entry]
    tree: Tree

    def without(self, paths: frozenset[bytes]) -> "JointRoot":
        """The root without some of what is made."""
        if not paths:
            return self
        return _joint(self.items, {path: entry for path, entry in self.made.items() if path not in paths})


def joint_root(roots: Sequence[StoreRoot]) -> JointRoot:
    """Lay the roots of stores side by side, and under them what a root has to have.

    Args:
        roots: at least one, in the order of os.toml.

    Raises:
        OverlapError: two stores have different things at one path.
    """
    shared = _shared(roots)
    made: dict[bytes, Entry] = {}
    for root in roots:
        made |= root.made
    for path in shared:
        made[path] = next(root for root in roots if root.states(path)).by_path[path]
    joint = _joint(_items(roots), made)
    base = _base(roots, joint.tree)
    return _joint(joint.items, made | base) if base else joint


def _items(roots: Sequence[StoreRoot]) -> Tree:
    if len(roots) == 1:
        return roots[0].items
    return Tree({path: entry for root in roots for path, entry in root.items.by_path().items()})


def _joint(items: Tree, made: Mapping[bytes, Entry]) -> JointRoot:
    return JointRoot(items, made, overlay(items, made.values()))


def _shared(roots: Sequence[StoreRoot]) -> list[bytes]:
    """Folders that several stores have with different owners or permissions.

    Raises:
        OverlapError: two stores have different things at one path.
    """
    overlaps, shared = [], []
    for one, other in combinations(roots, 2):
        for path in sorted(one.by_path.keys() & other.by_path.keys(), key=tree_order):
            first, second = one.by_path[path], other.by_path[path]
            if isinstance(first, Directory) and isinstance(second, Directory):
                if first != second:
                    shared.append(path)
            elif first != second or not (path in one.made and path in other.made):
                there = " and ".join(f"{_kind(root.by_path[path])} {root.holder(path)}" for root in (one, other))
                overlaps.append(f"/{os.fsdecode(path)}: {there}")
    if overlaps:
        raise OverlapError("two stores want different things at one path", overlaps, _HINT)
    return shared


def _kind(entry: Entry) -> str:
    match entry:
        case Directory():
            return "a folder"
        case Symlink(target=target):
            return f"a link to {os.fsdecode(target)}"
        case Device():
            return "a device"
        case _:
            return "a file"


def _base(roots: Sequence[StoreRoot], tree: Tree) -> dict[bytes, Entry]:
    """What a root has to have, where no store and no link above says otherwise."""
    base: dict[bytes, Entry] = {}
    for root in roots:
        for entry in root.store.store.base_entries():
            path = entry.path
            taken = path in base or any(other.states(path) for other in roots)
            if not taken and tree.real(path) == path:
                base[path] = entry
    return base

"""Layers that stay: the plan of an image before, kept as far as it goes.

A layer of the previous image keeps its members as long as it holds nothing that is gone; what it held and what is new
goes by `tiers` into the layers that are left. Where none is left, the smallest layers give up their members for it. So
the same items have the same layers, and a new one changes one of them at most.

Items are the same if their paths are. Of the rest, those of one name are: the first version before is the first one
now, and so on, which pairs the outputs of one derivation of Nix.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from layers.item import Closure, StoreItem
from layers.plan import Group
from layers.strategies import tiers


class PreviousItem(Protocol):
    """An item of the image before."""

    @property
    def path(self) -> str:
        """See `StoreItem`."""
        ...

    @property
    def name(self) -> str:
        """See `StoreItem`."""
        ...

    @property
    def version(self) -> str:
        """See `StoreItem`."""
        ...


@dataclass(frozen=True, slots=True)
class PreviousLayer:
    """A layer of the image before.

    Attributes:
        items: at least one.
        reason: why they were together.
    """

    items: tuple[PreviousItem, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A strategy: what was together stays together.

    Attributes:
        layers: of the image before, lowest first.
    """

    layers: tuple[PreviousLayer, ...]

    def groups(self, closure: Closure, budget: int) -> list[Group]:
        """See `layers.plan.Strategy`."""
        now = successors([item for layer in self.layers for item in layer.items], closure)
        kept = self._kept(closure, now)
        if len(kept) > budget:
            return tiers.groups(closure, budget)
        left = len(closure) - sum(len(group.items) for group in kept)
        new = len(closure) - len(set(now.values()))
        needed = max(1, budget * new // len(closure)) if left else 0
        kept = _without_smallest(kept, len(kept) + needed - budget)
        known = {item.path for group in kept for item in group.items}
        rest = [item for item in closure if item.path not in known]
        return [*kept, *tiers.grouped(rest, closure, budget - len(kept))]

    def _kept(self, closure: Closure, now: Mapping[str, str]) -> list[Group]:
        """The layers that hold nothing that is gone."""
        rank = {item.path: place for place, item in enumerate(closure)}
        kept = []
        known: set[str] = set()
        for layer in self.layers:
            paths = {now[item.path] for item in layer.items if item.path in now} - known
            if len(paths) == len(layer.items):  # nothing is gone, nothing is there twice
                kept.append(Group(tuple(closure[path] for path in sorted(paths, key=rank.__getitem__)), layer.reason))
                known |= paths
        return kept


def successors(before: Iterable[PreviousItem], closure: Closure) -> Mapping[str, str]:
    """What items before are now, by their paths; those that are gone are not there."""
    known = {item.path: item for item in before}
    found = {path: path for path in known if path in closure}
    old, new = (
        _by_name(known[path] for path in known.keys() - found.keys()),
        _by_name(item for item in closure if item.path not in found),
    )
    for name in old.keys() & new.keys():
        found |= zip(old[name], new[name], strict=False)
    return found


def _by_name(items: Iterable[PreviousItem]) -> dict[str, list[str]]:
    """Paths by name, in the order of their versions."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in sorted(items, key=lambda item: (item.version, item.path)):
        found[item.name].append(item.path)
    return found


def _without_smallest(groups: Sequence[Group], count: int) -> list[Group]:
    """Some layers, but for so many of the smallest, by the powers of two of their items' sizes."""
    order = sorted(groups, key=lambda group: (_weight(group.items), group.items[0].name, group.items[0].path))
    given_up = {group.items[0].path for group in order[: max(0, count)]}
    return [group for group in groups if group.items[0].path not in given_up]


def _weight(items: Iterable[StoreItem]) -> int:
    return sum(1 << tiers.size_class(item) for item in items)

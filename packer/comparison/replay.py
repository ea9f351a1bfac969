"""Updates, replayed: what each strategy would have had pulled.

Sizes are those of the items' files, because a layer that was never made has no other; that what is on top of the items
is always pulled is left out. The bound of a pull are the items that changed, the bound of a registry is each item once.

Registries, podman and containerd know layers by their blobs. Docker's own image store knows them by all that is below
them, and pulls again whatever is above the lowest one that differs; seen with docker 20.10.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TypeVar

from layers import strategies
from layers.base import BaseLayer
from layers.errors import InputError
from layers.item import StoreItem
from layers.plan import Group, LayerPlan, plan
from layers.previous import Kept, PreviousLayer
from packer.comparison.versions import Version

#: What `--previous` does, after a first image by tiers.
KEPT = "tiers, kept"

_FIRST = "tiers"  # of what is kept

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Pull:
    """What an update has pulled.

    Attributes:
        layers: those that are new.
    """

    layers: tuple[Group, ...]

    @property
    def size(self) -> int:
        """Bytes of the files in them."""
        return sum(group.size for group in self.layers)


@dataclass(frozen=True, slots=True)
class Update:
    """Two versions that follow each other.

    Attributes:
        before, after: the versions.
        stacked: as `compare` has it.
    """

    before: Version
    after: Version
    stacked: bool = False

    @property
    def changed(self) -> list[StoreItem]:
        """Items of the second one that the first one has not."""
        known = {item.packed_identity for item in self.before.closure}
        return [item for item in self.after.closure if item.packed_identity not in known]

    @property
    def size(self) -> int:
        """Bytes of the items that changed: what a pull has to move at least."""
        return sum(item.size for item in self.changed)

    @property
    def stored(self) -> tuple[int, int] | None:
        """Blobs that a pull of the images as they are moves, and their bytes; none if one is no image."""
        if self.before.blobs is None or self.after.blobs is None:
            return None
        (old, *below), (config, *layers) = self.before.blobs, self.after.blobs
        moved = [*([config] if config != old else []), *_pulled(below, layers, stacked=self.stacked)]
        return len(moved), sum(self.after.blobs[digest] for digest in moved)


@dataclass(frozen=True, slots=True)
class Replay:
    """A strategy with a number of layers, over all versions.

    Attributes:
        strategy: its name.
        max_layers: the customization layer included.
        plans: of the versions, oldest first.
        pulls: of the updates.
        registry: bytes of the files of all layers that there were.
    """

    strategy: str
    max_layers: int
    plans: tuple[LayerPlan, ...]
    pulls: tuple[Pull, ...]
    registry: int

    @property
    def pulled(self) -> int:
        """Bytes that all updates pull."""
        return sum(pull.size for pull in self.pulls)

    @property
    def layers(self) -> int:
        """Layers that all updates pull."""
        return sum(len(pull.layers) for pull in self.pulls)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions, and what each strategy makes of them.

    Attributes:
        updates: from each version to the next one.
        replays: by number of layers and strategy.
        shown: the number of layers whose plans are drawn.
    """

    updates: tuple[Update, ...]
    replays: tuple[Replay, ...]
    shown: int

    @property
    def stacked(self) -> bool:
        """Whether pulls are counted as docker's own image store pulls."""
        return self.updates[0].stacked

    @property
    def versions(self) -> list[Version]:
        """Oldest first."""
        return [self.updates[0].before, *(update.after for update in self.updates)]

    @property
    def changed(self) -> int:
        """Bytes of all items that changed: the bound of all pulls."""
        return sum(update.size for update in self.updates)

    @property
    def different(self) -> int:
        """Bytes of all items that there were: the bound of the registry."""
        return sum({item.packed_identity: item.size for version in self.versions for item in version.closure}.values())


def compare(versions: Sequence[Version], budgets: Sequence[int], shown: int, *, stacked: bool = False) -> Comparison:
    """Replay updates.

    Args:
        versions: at least two, oldest first.
        budgets: numbers of layers, the customization layer included; at least 2.
        shown: one of them.
        stacked: count as docker's own image store pulls.

    Raises:
        InputError: there is only one version.
    """
    if len(versions) < 2:
        raise InputError("--compare needs two versions or more, the oldest first")
    updates = tuple(Update(*pair, stacked) for pair in pairwise(versions))
    replays = [_replay(versions, name, most, stacked=stacked) for most in budgets for name in _names(versions)]
    return Comparison(updates, tuple(replays), shown)


def fewest_layers(versions: Iterable[Version]) -> int:
    """The least number of layers, the customization layer included, that leaves room above the bases of versions."""
    return 2 + max(sum(isinstance(item, BaseLayer) for item in version.closure) for version in versions)


def _names(versions: Sequence[Version]) -> Iterator[str]:
    """The strategies that can be told: without what items need, `popularity` cannot, nor what depends on causes."""
    whole = all(version.knows_references for version in versions)
    causes = any(item.CHANGES_WITH_REFERENCES for version in versions for item in version.closure)
    for name in (*strategies.NAMES, KEPT):
        if whole or name in ("size", "single") or (name != "popularity" and not causes):
            yield name


def _replay(versions: Sequence[Version], name: str, max_layers: int, *, stacked: bool) -> Replay:
    plans: list[LayerPlan] = []
    for version in versions:
        if name == KEPT and plans:
            kept = Kept(tuple(PreviousLayer(group.items, group.reason) for group in plans[-1].groups))
            plans.append(plan(version.closure, kept, max_layers))
        else:
            plans.append(plan(version.closure, strategies.strategy(_FIRST if name == KEPT else name), max_layers))
    keyed = [{_key(group): group for group in one.groups} for one in plans]
    pulls = tuple(
        Pull(tuple(after[key] for key in _pulled(list(before), list(after), stacked=stacked)))
        for before, after in pairwise(keyed)
    )
    every = {key: group.size for one in keyed for key, group in one.items()}
    return Replay(name, max_layers, tuple(plans), pulls, sum(every.values()))


def _pulled(before: Sequence[_Name], after: Sequence[_Name], *, stacked: bool) -> Sequence[_Name]:
    """Of layers, the lowest first, those that somebody pulls who has others."""
    if not stacked:
        known = set(before)
        return [name for name in after if name not in known]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    return after[same:]


def _key(group: Group) -> tuple[str, ...]:
    """What makes two layers equal: the items in their order, which does not matter in stores; see `layer_requests`."""
    found = [item.packed_identity.hex for item in group.items]
    return tuple(sorted(found) if all(item.CHANGES_WITH_REFERENCES for item in group.items) else found)

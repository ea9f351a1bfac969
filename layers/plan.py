"""Layer plans: which items go into which layer, and why.

A strategy groups the items of a closure; a plan proves that it did so properly: each item in exactly one layer, and
never more layers than asked for, the customization layer included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from layers.base import BaseLayer
from layers.errors import InputError, PackError
from layers.item import Closure, StoreItem

#: What docker's overlay2 can stack: the 126th layer fails with "max depth exceeded".
MOST_LAYERS = 125

#: Leaves room for layers that are built on top of ours.
DEFAULT_MAX_LAYERS = 100

#: Why a layer of a base is a layer.
BASE = "base"

_FEWEST_LAYERS = 2  # one for the items, one for the customization


class PlanError(PackError):
    """A strategy broke its promise."""


@dataclass(frozen=True, slots=True)
class Group:
    """Items that share a layer.

    Attributes:
        items: at least one; in the closure's order.
        reason: why they are together, for people.
    """

    items: tuple[StoreItem, ...]
    reason: str

    @property
    def size(self) -> int:
        """Bytes of the items' files."""
        return sum(item.size for item in self.items)

    @property
    def is_base(self) -> bool:
        """Whether it is a layer of the base, and not one that is made."""
        return isinstance(self.items[0], BaseLayer)


class Strategy(Protocol):
    """A way to group items; a module of `layers.strategies` with this function is one."""

    def groups(self, closure: Closure, budget: int) -> list[Group]:
        """Group all items of the closure.

        Args:
            closure: with at least one item.
            budget: most groups, at least 1; the customization layer is not counted.
        """
        ...


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """Groups in the order of their layers, lowest first; the customization layer comes on top of them."""

    groups: tuple[Group, ...]


def checked_max_layers(max_layers: int, *, force: bool = False) -> int:
    """A number of layers that images can have.

    Args:
        max_layers: all layers of an image, the customization layer included.
        force: allow more than docker can run.

    Raises:
        InputError: too few, or more than docker can run.
    """
    if max_layers < _FEWEST_LAYERS:
        raise InputError(
            f"max-layers = {max_layers}: an image has at least {_FEWEST_LAYERS} layers, items and customization"
        )
    if max_layers > MOST_LAYERS and not force:
        raise InputError(
            f"max-layers = {max_layers}: docker refuses to run an image of more than {MOST_LAYERS} layers"
            " (max depth exceeded)",
            hint=f"Take {MOST_LAYERS} or less, or say --force-layers for a runtime that can do more.",
        )
    return max_layers


def plan(closure: Closure, strategy: Strategy, max_layers: int) -> LayerPlan:
    """Group the items of a closure; layers of a base are the lowest ones, and stay as they are.

    Args:
        closure: the items.
        strategy: how those that are in no base are grouped.
        max_layers: all layers of the image, the customization layer included; at least 2.

    Raises:
        InputError: the base leaves no layers for the rest.
        PlanError: the strategy lost an item, has one twice, or made too many layers.
    """
    base = tuple(Group((item,), BASE) for item in closure if isinstance(item, BaseLayer))
    rest = [item for item in closure if not isinstance(item, BaseLayer)]
    above = Closure(rest, (root for root in closure.roots if root not in _paths(base))) if base else closure
    budget = max_layers - 1 - len(base)
    if base and budget < min(1, len(above)):
        raise InputError(
            f"the base has {len(base)} layers, and max-layers = {max_layers} leaves too few for what is above it",
            hint=f"Take at least {len(base) + 1 + min(1, len(above))}, or a base of fewer layers.",
        )
    groups = strategy.groups(above, budget) if len(above) else []
    planned = [item.path for group in groups for item in group.items]
    if len(planned) != len(set(planned)) or set(planned) != {item.path for item in above}:
        raise PlanError("the strategy does not put each item into exactly one layer")
    if len(groups) > budget or not all(group.items for group in groups):
        raise PlanError(f"the strategy made {len(groups)} layers, some empty or more than {budget}")
    return LayerPlan((*base, *groups))


def _paths(groups: Iterable[Group]) -> set[str]:
    return {item.path for group in groups for item in group.items}

"""Layer plans: which items go into which layer, and why.

A strategy groups the items of a closure; a plan proves that it did so properly: each item in exactly one layer, and
never more layers than asked for, the customization layer included.
"""

from dataclasses import dataclass
from typing import Protocol

from layers.errors import InputError, PackError
from layers.item import Closure, StoreItem

#: What docker's overlay2 can stack: the 126th layer fails with "max depth exceeded".
MOST_LAYERS = 125

#: Leaves room for layers that are built on top of ours.
DEFAULT_MAX_LAYERS = 100

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
    """Group the items of a closure.

    Args:
        closure: the items.
        strategy: how.
        max_layers: all layers of the image, the customization layer included; at least 2.

    Raises:
        PlanError: the strategy lost an item, has one twice, or made too many layers.
    """
    groups = strategy.groups(closure, max_layers - 1) if len(closure) else []
    planned = [item.path for group in groups for item in group.items]
    if len(planned) != len(set(planned)) or set(planned) != {item.path for item in closure}:
        raise PlanError("the strategy does not put each item into exactly one layer")
    if len(groups) > max_layers - 1 or not all(group.items for group in groups):
        raise PlanError(f"the strategy made {len(groups)} layers, some empty or more than {max_layers - 1}")
    return LayerPlan(tuple(groups))

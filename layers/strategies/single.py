"""One layer for all items: the smallest image, and nothing to share."""

from layers.item import Closure
from layers.plan import Group


def groups(closure: Closure, budget: int) -> list[Group]:  # noqa: ARG001  # one layer fits any budget
    """All items in one group."""
    return [Group(closure.items, "all items")]

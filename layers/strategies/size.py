"""By size, as Guix does it: the largest items have a layer each, all others share one.

Large items are worth most when they need not be pulled again. See `size-sorted-store-items` of guix/docker.scm; unlike
there, items of one size are ordered by name, so that the plan does not depend on the order of the closure.
"""

from layers.item import Closure
from layers.plan import Group


def groups(closure: Closure, budget: int) -> list[Group]:
    """The largest `budget - 1` items alone, largest first, then the tail; everybody alone when they fit."""
    ordered = sorted(closure, key=lambda item: (-item.size, item.name, item.path))
    if len(ordered) <= budget:
        return [Group((item,), f"number {rank} by size") for rank, item in enumerate(ordered, 1)]
    head, tail = ordered[: budget - 1], {item.path for item in ordered[budget - 1 :]}
    alone = [Group((item,), f"number {rank} by size") for rank, item in enumerate(head, 1)]
    rest = tuple(item for item in closure if item.path in tail)
    return [*alone, Group(rest, f"the {len(rest)} smallest items")]

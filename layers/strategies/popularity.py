"""By popularity, as nixpkgs' dockerTools does it: what most items need has a layer of its own.

The graph is unfolded into a tree below its roots; an item's popularity is the number of its occurrences in that tree,
each counted with all that hang above it: popularity(child) += popularity(parent) + 1 for every edge. The sum over an
edge is linear, so each item is visited once, referrers first, instead of unfolding the tree (which is exponential).
"""

from layers.item import Closure
from layers.plan import Group


def groups(closure: Closure, budget: int) -> list[Group]:
    """The most popular `budget - 1` items alone, most popular first, then the rest in one layer."""
    popularity = _popularity(closure)
    ordered = sorted(closure, key=lambda item: (-popularity[item.path], item.name, item.path))
    alone = ordered if len(ordered) <= budget else ordered[: budget - 1]
    found = [Group((item,), f"popularity {popularity[item.path]}") for item in alone]
    lonely = {item.path for item in ordered[len(alone) :]}
    rest = tuple(item for item in closure if item.path in lonely)
    return [*found, Group(rest, f"the {len(rest)} least popular items")] if rest else found


def _popularity(closure: Closure) -> dict[str, int]:
    """Popularity of each item; an edge that closes a circle does not count."""
    rank = {item.path: place for place, item in enumerate(closure)}
    popularity = dict.fromkeys(rank, 0)
    for item in reversed(closure.items):
        for reference in item.references:
            if rank[reference] < rank[item.path]:
                popularity[reference] += popularity[item.path] + 1
    return popularity

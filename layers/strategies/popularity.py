"""By popularity, as nixpkgs' dockerTools does it: what most items need has a layer of its own.

The graph of references is unfolded into a tree below the items that nobody needs. An item's popularity is the number
of places of that tree below which, or at which, it occurs: the contest of `graph_popularity_contest` in nixpkgs'
`closure-graph.py`. The tree is exponential, so it is counted and not made: an item stands in as many places as there
are ways to it, and each of them counts once for everything that the item needs.
"""

from collections.abc import Mapping

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
    """Popularity of each item."""
    needs = _without_circles(closure)
    places = dict.fromkeys(needs, 0)
    popularity = dict.fromkeys(needs, 0)
    for item in reversed(closure.items):
        ways = places[item.path] = places[item.path] or 1
        for needed in needs[item.path]:
            places[needed] += ways
        for path in _reached(item.path, needs):
            popularity[path] += ways
    return popularity


def _without_circles(closure: Closure) -> dict[str, list[str]]:
    """What each item needs, but for the references that close a circle."""
    rank = {item.path: place for place, item in enumerate(closure)}
    return {item.path: [path for path in item.references if rank[path] < rank[item.path]] for item in closure}


def _reached(start: str, needs: Mapping[str, list[str]]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for path in needs[waiting.pop()]:
            if path not in reached:
                reached.add(path)
                waiting.append(path)
    return reached

"""Graphs of items, for properties."""

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from layers.item import Closure, StoreItem
from tests.support.entries import make_item

Graph = Mapping[str, Sequence[str]]


@st.composite
def graphs(draw: st.DrawFn, *, circles: bool = True, most: int = 8) -> dict[str, list[str]]:
    """Items by path, with what they refer to."""
    count = draw(st.integers(1, most))
    paths = [f"i{number}" for number in range(count)]
    found = {}
    for number, path in enumerate(paths):
        others = [other for other in paths if other != path] if circles else paths[:number]
        found[path] = sorted(draw(st.sets(st.sampled_from(others)))) if others else []
    return found


def items_of(graph: Graph, sizes: Mapping[str, int] | None = None) -> list[StoreItem]:
    """The items of a graph, in its order."""
    return [
        make_item(path, references=sorted(references), size=(sizes or {}).get(path, 1))
        for path, references in graph.items()
    ]


def closure_of(graph: Graph, sizes: Mapping[str, int] | None = None) -> Closure:
    """The closure of a graph."""
    return Closure(items_of(graph, sizes))


def reached(graph: Graph, start: str) -> set[str]:
    """What an item needs, itself included: by the definition."""
    found: set[str] = set()
    while start_more := ({start} | {path for known in found for path in graph[known]}) - found:
        found |= start_more
    return found

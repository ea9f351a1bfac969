from collections import Counter

import pytest
from hypothesis import given

from layers.plan import plan
from layers.strategies import popularity
from tests.support.graphs import Graph, closure_of, graphs


def popularity_of(graph: Graph) -> dict[str, int]:
    """What the strategy counts, from the reasons that it gives."""
    groups = plan(closure_of(graph), popularity, len(graph) + 1).groups
    return {group.items[0].path: int(group.reason.removeprefix("popularity ")) for group in groups}


def naive(graph: Graph) -> dict[str, int]:
    """The contest as nixpkgs describes it, on a tree that is really unfolded."""

    def contest(path: str) -> Counter[str]:
        below: Counter[str] = Counter()
        for reference in graph[path]:
            below.update(contest(reference))
        below.update(list(below))  # one more for each
        below[path] += 1
        return below

    needed = {reference for references in graph.values() for reference in references}
    total: Counter[str] = Counter()
    for path in graph:
        if path not in needed:
            total.update(contest(path))
    return dict(total)


# The examples of nixpkgs' closure-graph.py, with its results.
ABOVE = {"A": ["B", "G"], "B": ["C", "E"], "C": ["D", "E"], "D": ["F"], "E": ["F"], "F": [], "G": []}
FOO = {"foo": ["bar", "baz"], "bar": ["baz"], "baz": ["tux"], "tux": []}


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": []}, {"a": 1}),
        ({"a": [], "b": []}, {"a": 1, "b": 1}),
        ({"a": ["b"], "b": ["c"], "c": []}, {"a": 1, "b": 2, "c": 3}),
        (FOO, {"foo": 1, "bar": 2, "baz": 4, "tux": 6}),
        (ABOVE, {"A": 1, "B": 2, "C": 3, "D": 4, "E": 5, "F": 9, "G": 2}),
    ],
)
def test_popularity_is_that_of_nixpkgs(graph: Graph, expected: dict[str, int]) -> None:
    assert popularity_of(graph) == naive(graph) == expected


@given(graphs(circles=False))
def test_popularity_is_that_of_the_unfolded_tree(graph: dict[str, list[str]]) -> None:
    assert popularity_of(graph) == naive(graph)


def test_the_tree_is_not_unfolded() -> None:
    """Two to the power of 200 places, in a blink."""
    graph: dict[str, list[str]] = {"d0": []}
    for number in range(1, 201):
        graph |= {f"l{number}": [f"d{number - 1}"], f"r{number}": [f"d{number - 1}"]}
        graph[f"d{number}"] = [f"l{number}", f"r{number}"]
    assert popularity_of(graph)["d0"] > 2**200


@pytest.mark.parametrize(
    ("max_layers", "expected"),
    [
        (8, [["F"], ["E"], ["D"], ["C"], ["B"], ["G"], ["A"]]),
        (7, [["F"], ["E"], ["D"], ["C"], ["B"], ["G", "A"]]),
        (4, [["F"], ["E"], ["D", "C", "B", "G", "A"]]),
        (3, [["F"], ["D", "E", "C", "B", "G", "A"]]),
        (2, [["F", "D", "E", "C", "B", "G", "A"]]),
    ],
)
def test_the_most_popular_are_alone(max_layers: int, expected: list[list[str]]) -> None:
    groups = plan(closure_of(ABOVE), popularity, max_layers).groups
    assert [[item.path for item in group.items] for group in groups] == expected


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": ["b"], "b": ["a"]}, {"a": 2, "b": 1}),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, {"a": 2, "b": 1, "c": 1}),
        ({"x": ["b"], "a": ["b"], "b": ["a"]}, {"x": 1, "b": 2, "a": 3}),
    ],
)
def test_the_reference_that_closes_a_circle_does_not_count(graph: Graph, expected: dict[str, int]) -> None:
    """Items of a circle stand in the order of their paths, and only what stands before can be needed."""
    assert popularity_of(graph) == expected


@given(graphs())
def test_circles_are_cut(graph: dict[str, list[str]]) -> None:
    assert popularity_of(graph).keys() == graph.keys()
    assert min(popularity_of(graph).values()) >= 1

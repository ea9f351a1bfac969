from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.item import Closure, ClosureError
from tests.support.entries import make_item
from tests.support.graphs import closure_of, graphs, items_of, reached


@given(graphs())
def test_what_an_item_needs_comes_before_it(graph: dict[str, list[str]]) -> None:
    order = [item.path for item in closure_of(graph)]
    assert sorted(order) == sorted(graph)
    for path, references in graph.items():
        for reference in references:
            in_a_circle = path in reached(graph, reference)
            assert in_a_circle or order.index(reference) < order.index(path)


@given(graphs())
def test_items_of_a_circle_stand_together_sorted(graph: dict[str, list[str]]) -> None:
    order = [item.path for item in closure_of(graph)]
    for path in graph:
        circle = sorted(other for other in reached(graph, path) if path in reached(graph, other))
        start = order.index(circle[0])
        assert order[start : start + len(circle)] == circle


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_in_which_items_are_given_does_not_matter(graph: dict[str, list[str]], random: Random) -> None:
    items = items_of(graph)
    shuffled = list(items)
    random.shuffle(shuffled)
    assert Closure(shuffled).items == Closure(items).items


@given(graphs())
def test_referrers_are_references_turned_round(graph: dict[str, list[str]]) -> None:
    assert dict(closure_of(graph).referrers) == {
        path: tuple(sorted(other for other in graph if path in graph[other])) for path in graph
    }


def test_a_long_chain_does_not_recurse() -> None:
    count = 5000
    graph = {f"i{number:05}": [f"i{number + 1:05}"] if number + 1 < count else [] for number in range(count)}
    assert [item.path for item in closure_of(graph)] == sorted(graph, reverse=True)


def test_paths_of_a_long_chain_are_compared_a_few_times_each() -> None:
    compared = 0

    class Path(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        def __ne__(self, other: object) -> bool:
            return not self == other

    count = 1000
    names = [f"i{number:05}" for number in range(count)]
    following = [*([name] for name in names[1:]), []]
    chain = zip(names, following, strict=True)
    items = [make_item(Path(name), references=[Path(next_one) for next_one in after]) for name, after in chain]
    compared = 0
    assert [item.path for item in Closure(items).items] == names[::-1]
    assert compared < 20 * count


def test_a_closure_is_a_mapping_by_path() -> None:
    small, large = make_item("a"), make_item("b", references=["a"])
    closure = Closure([large, small], roots=["b", "b"])
    assert list(closure) == [small, large]
    assert len(closure) == 2
    assert closure["a"] is small
    assert "a" in closure
    assert "c" not in closure
    assert closure.roots == ("b",)


def test_an_item_may_name_itself() -> None:
    assert len(closure_of({"a": ["a"]})) == 1


def test_nothing_is_a_closure() -> None:
    assert list(Closure([])) == []


def test_two_items_of_one_path_are_refused() -> None:
    with pytest.raises(ClosureError, match="the same path"):
        Closure([make_item("a"), make_item("a")])


def test_all_missing_references_are_named() -> None:
    items = [make_item("b", references=["gone", "lost"]), make_item("a", references=["b", "gone"])]
    with pytest.raises(ClosureError, match="not complete: a refers to gone; b refers to gone; b refers to lost"):
        Closure(items)


@pytest.mark.parametrize(("name", "version", "text"), [("bash", "5.2", "bash 5.2"), ("bash", "", "bash")])
def test_people_call_an_item_by_name_and_version(name: str, version: str, text: str) -> None:
    assert str(make_item("p", name=name, version=version)) == text


def test_items_do_not_replace_each_other_by_themselves() -> None:
    assert not make_item("a").replaces(make_item("b"))

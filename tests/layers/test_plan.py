from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import strategies
from layers.errors import InputError
from layers.item import Closure
from layers.plan import MOST_LAYERS, Group, PlanError, checked_max_layers, plan
from tests.support.entries import make_item
from tests.support.graphs import graphs, items_of

SIZES = st.dictionaries(st.sampled_from([f"i{number}" for number in range(12)]), st.integers(0, 5))


@pytest.mark.parametrize("name", strategies.NAMES)
@given(graphs(most=12), SIZES, st.integers(2, 15), st.randoms(use_true_random=False))
def test_a_plan_holds_each_item_once_within_its_layers(
    name: str, graph: dict[str, list[str]], sizes: dict[str, int], max_layers: int, random: Random
) -> None:
    items = items_of(graph, sizes)
    strategy = strategies.strategy(name)
    found = plan(Closure(items), strategy, max_layers)
    assert sorted(item.path for group in found.groups for item in group.items) == sorted(graph)
    assert len(found.groups) + 1 <= max_layers  # the customization layer is counted
    assert all(group.items and group.reason for group in found.groups)
    assert sum(group.size for group in found.groups) == sum(item.size for item in items)
    random.shuffle(items)
    assert plan(Closure(items), strategy, max_layers) == found


@pytest.mark.parametrize("name", strategies.NAMES)
def test_items_of_a_layer_keep_the_order_of_the_closure(name: str) -> None:
    closure = Closure(
        [make_item("a", references=["z"]), make_item("z", references=["m"]), make_item("m"), make_item("x", size=9)]
    )
    order = [item.path for item in closure]
    for group in plan(closure, strategies.strategy(name), 3).groups:
        paths = [item.path for item in group.items]
        assert paths == sorted(paths, key=order.index)


@pytest.mark.parametrize("name", strategies.NAMES)
def test_no_items_are_no_layers(name: str) -> None:
    assert plan(Closure([]), strategies.strategy(name), 2).groups == ()


class _Fixed:
    """A strategy that answers whatever it was told to."""

    def __init__(self, *groups: tuple[str, ...]) -> None:
        self._groups = groups

    def groups(self, closure: Closure, budget: int) -> list[Group]:
        return [Group(tuple(closure[path] for path in paths), "told") for paths in self._groups]


@pytest.mark.parametrize(
    ("groups", "complaint"),
    [
        ([("a",)], "each item into exactly one"),
        ([("a", "b"), ("b", "c")], "each item into exactly one"),
        ([("a", "b", "c", "c")], "each item into exactly one"),
        ([("a",), ("b",), ("c",)], "3 layers"),
        ([("a", "b", "c"), ()], "some empty"),
        ([], "each item into exactly one"),
    ],
)
def test_a_strategy_that_breaks_its_promise_is_found_out(groups: list[tuple[str, ...]], complaint: str) -> None:
    closure = Closure([make_item(path) for path in "abc"])
    with pytest.raises(PlanError, match=complaint):
        plan(closure, _Fixed(*groups), 3)


def test_an_item_of_another_closure_is_found_out() -> None:
    class Foreign:
        def groups(self, closure: Closure, budget: int) -> list[Group]:
            return [Group((*closure.items, make_item("foreign")), "all and one more")]

    with pytest.raises(PlanError, match="each item"):
        plan(Closure([make_item("a")]), Foreign(), 3)


@pytest.mark.parametrize(
    ("max_layers", "force", "complaint"),
    [
        (-1, False, "at least 2"),
        (0, False, "at least 2"),
        (1, False, "at least 2"),
        (1, True, "at least 2"),
        (2, False, ""),
        (100, False, ""),
        (125, False, ""),
        (126, False, "max depth exceeded"),
        (126, True, ""),
        (5000, True, ""),
    ],
)
def test_the_number_of_layers_is_one_that_images_can_have(max_layers: int, force: bool, complaint: str) -> None:
    if complaint:
        with pytest.raises(InputError, match=complaint):
            checked_max_layers(max_layers, force=force)
    else:
        assert checked_max_layers(max_layers, force=force) == max_layers


def test_dockers_limit_is_125() -> None:
    assert MOST_LAYERS == 125


def test_strategies_are_files() -> None:
    assert {"popularity", "single", "size"} <= set(strategies.NAMES)
    assert list(strategies.NAMES) == sorted(strategies.NAMES)


@pytest.mark.parametrize("name", ["", "Size", "plan", "..plan", "os", "size.groups"])
def test_an_unknown_strategy_is_answered_with_the_known(name: str) -> None:
    with pytest.raises(InputError, match="popularity, single, size"):
        strategies.strategy(name)

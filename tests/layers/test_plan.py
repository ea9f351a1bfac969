from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import strategies
from layers.base import BaseLayer
from layers.blob import Layer, Verbatim
from layers.digest import Digest
from layers.entry import Slice
from layers.errors import InputError
from layers.item import Closure, StoreItem
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


def _layer(rank: int) -> BaseLayer:
    layer = Layer(Digest.of(b"%d" % rank), Digest.of(b"%d" % rank), 1, "none")
    below = (f"base#{rank - 1}",) if rank else ()
    contents = make_item("x").contents
    verbatim = Verbatim(layer, Slice("/nowhere", 0, 1))
    return BaseLayer(f"base#{rank}", "base", "", layer.diff_id, 1, below, contents, verbatim)


@pytest.mark.parametrize("name", strategies.NAMES)
@pytest.mark.parametrize("count", [1, 3, 12])
def test_layers_of_a_base_are_the_lowest_in_their_order(name: str, count: int) -> None:
    above = [make_item("aa", size=5), make_item("zz", size=9)]
    closure = Closure([*above, *map(_layer, range(count))], ["aa", "base#0"])
    found = plan(closure, strategies.strategy(name), count + 2)
    assert [(group.items[0].path, group.reason, group.is_base) for group in found.groups[:-1]] == [
        (f"base#{rank}", "base", True) for rank in range(count)
    ]
    assert {item.path for item in found.groups[-1].items} == {"aa", "zz"}
    assert not found.groups[-1].is_base


@pytest.mark.parametrize(("above", "least"), [([], 4), ([make_item("a")], 5)])
def test_a_base_has_to_leave_room_for_what_is_above(above: list[StoreItem], least: int) -> None:
    closure = Closure([*above, *map(_layer, range(3))])
    assert len(plan(closure, strategies.strategy("size"), least).groups) == least - 1
    with pytest.raises(InputError, match=f"has 3 layers, and max-layers = {least - 1} leaves too few") as caught:
        plan(closure, strategies.strategy("size"), least - 1)
    assert f"at least {least}," in caught.value.hint


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

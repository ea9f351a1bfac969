"""Layers that stay."""

import random
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from layers import strategies
from layers.item import Closure, StoreItem
from layers.plan import LayerPlan, plan
from layers.previous import Kept, PreviousLayer, successors
from tests.support.entries import make_item
from tests.support.graphs import graphs, items_of
from tests.support.nar_items import planned_item

SIZES = st.lists(st.tuples(st.integers(0, 1 << 20), st.sampled_from("abcdefgh")), min_size=1, max_size=60)


def kept(before: LayerPlan) -> Kept:
    return Kept(tuple(PreviousLayer(group.items, group.reason) for group in before.groups))


def debian(given_items: list[tuple[int, str]]) -> list[StoreItem]:
    return [
        make_item(f"i{number:02}_1", name=f"i{number:02}", version="1", size=size, source=source)
        for number, (size, source) in enumerate(given_items)
    ]


def updated(item: StoreItem, size: int) -> StoreItem:
    return replace(item, path=f"{item.name}_2", version="2", size=size)


def names_of(found: LayerPlan) -> list[list[str]]:
    return [[item.name for item in group.items] for group in found.groups]


def changed(before: LayerPlan, after: LayerPlan) -> int:
    known = {tuple(item.path for item in group.items) for group in before.groups}
    return sum(tuple(item.path for item in group.items) not in known for group in after.groups)


@pytest.mark.parametrize("name", strategies.NAMES)
@given(graphs(most=12), st.integers(2, 15))
def test_an_unchanged_system_has_the_unchanged_plan(name: str, graph: dict[str, list[str]], max_layers: int) -> None:
    closure = Closure(items_of(graph))
    before = plan(closure, strategies.strategy(name), max_layers)
    assert plan(closure, kept(before), max_layers) == before


@given(SIZES, st.integers(2, 40), st.randoms(use_true_random=False))
def test_updates_move_nothing_whatever_they_weigh(
    given_items: list[tuple[int, str]], max_layers: int, random: random.Random
) -> None:
    items = debian(given_items)
    before = plan(Closure(items), strategies.strategy("tiers"), max_layers)
    closure = Closure([updated(item, random.randrange(1 << 30)) if random.random() < 0.5 else item for item in items])
    after = plan(closure, kept(before), max_layers)
    assert [sorted(names) for names in names_of(after)] == [sorted(names) for names in names_of(before)]


@given(SIZES, st.integers(2, 40), st.sampled_from(strategies.NAMES), st.integers(0, 1 << 20))
def test_one_leaf_more_changes_one_layer_besides_the_one_on_top(
    given_items: list[tuple[int, str]], max_layers: int, name: str, size: int
) -> None:
    items = debian(given_items)
    before = plan(Closure(items), strategies.strategy(name), max_layers)
    after = plan(Closure([*items, make_item("leaf", size=size, references=["i00_1"])]), kept(before), max_layers)
    assert changed(before, after) == 1


@given(SIZES, st.integers(2, 40), st.integers(0, 59))
def test_one_item_less_changes_one_layer_besides_the_one_on_top(
    given_items: list[tuple[int, str]], max_layers: int, which: int
) -> None:
    items = debian(given_items)
    assume(len(items) > 1)
    before = plan(Closure(items), strategies.strategy("tiers"), max_layers)
    gone = items[which % len(items)]
    after = plan(Closure([item for item in items if item is not gone]), kept(before), max_layers)
    alone = any(group.items == (gone,) for group in before.groups)
    others = next(len(group.items) - 1 for group in before.groups if gone in group.items)
    spare = max_layers - len(before.groups)  # what is left of a layer may be split into those that are free
    assert changed(before, after) <= (0 if alone else min(others, spare))


@given(SIZES, SIZES, st.integers(2, 40), st.integers(2, 40))
def test_any_plan_can_follow_any_other(
    one: list[tuple[int, str]], other: list[tuple[int, str]], max_layers: int, now: int
) -> None:
    before = plan(Closure(debian(one)), strategies.strategy("size"), max_layers)
    plan(Closure(debian(other)), kept(before), now)  # which itself checks that each item is in one layer


def test_many_new_items_get_their_share_of_the_layers() -> None:
    items = debian([(100, str(number)) for number in range(50)])
    before = plan(Closure(items), strategies.strategy("tiers"), 21)
    new = [make_item(f"new{number}", size=100) for number in range(50)]
    after = plan(Closure([*items, *new]), kept(before), 21)
    assert len(after.groups) == 20
    assert changed(before, after) <= 10  # half of the items are new
    assert sum(any(name.startswith("new") for name in names) for names in names_of(after)) >= 5


def test_a_layer_of_which_something_is_gone_is_planned_anew() -> None:
    stays, gone, other = make_item("stays"), make_item("gone"), make_item("other")
    before = Kept((PreviousLayer((stays, gone), "both"), PreviousLayer((other,), "one")))
    groups = plan(Closure([stays, other]), before, 5).groups
    assert [(group.reason, [item.path for item in group.items]) for group in groups] == [
        ("one", ["other"]),
        ("number 1 by power of two of the size", ["stays"]),
    ]


def test_an_image_that_names_an_item_twice_gives_it_to_one_layer() -> None:
    item, other = make_item("a"), make_item("b")
    twice = Kept(
        (PreviousLayer((item,), "first"), PreviousLayer((item, other), "second"), PreviousLayer((item, item), ""))
    )
    groups = plan(Closure([item, other]), twice, 5).groups
    assert [(group.reason, [one.path for one in group.items]) for group in groups[:1]] == [("first", ["a"])]


def test_outputs_of_a_derivation_follow_each_other() -> None:
    before = [
        replace(planned_item(f"/nix/store/{hashed}-glibc-{version}"), name="glibc", version=version)
        for hashed, version in (("z", "2.38"), ("a", "2.38-bin"), ("m", "2.38-dev"))
    ]
    after = [
        replace(planned_item(f"/nix/store/{hashed}-glibc-{version}"), name="glibc", version=version)
        for hashed, version in (("b", "2.39"), ("y", "2.39-bin"), ("c", "2.39-dev"))
    ]
    assert successors(before, Closure(after)) == {old.path: new.path for old, new in zip(before, after, strict=True)}

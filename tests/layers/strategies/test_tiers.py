import time
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.item import Closure, StoreItem
from layers.plan import plan
from layers.strategies import tiers
from tests.support.entries import make_item
from tests.support.graphs import graphs, reached
from tests.support.nar_items import planned_item

SOURCES = st.lists(st.tuples(st.integers(0, 1 << 20), st.sampled_from("abcdefgh")), min_size=1, max_size=60)


def debian(sizes: Mapping[str, tuple[int, str]]) -> list[StoreItem]:
    return [make_item(name, size=size, source=source) for name, (size, source) in sizes.items()]


def layers_of(items: list[StoreItem], max_layers: int) -> list[list[str]]:
    return [[item.path for item in group.items] for group in plan(Closure(items), tiers, max_layers).groups]


# Classes are 2^4, 2^3, 2^2, 2^1; 40 % of 5 layers are 2, 30 % are 1.
EXAMPLE = {
    "large": (15, "large"), "second": (14, "second"), "libx": (7, "x"), "x-data": (6, "x"), "liby": (4, "y"),
    "y-bin": (3, "y"), "leaf": (1, "leaf"), "z": (1, "z"),
}  # fmt: skip


def test_large_items_then_large_sources_then_bins() -> None:
    groups = plan(Closure(debian(EXAMPLE)), tiers, 6).groups
    assert [sorted(item.path for item in group.items) for group in groups[2:]] == [
        ["libx", "x-data"],
        ["liby", "y-bin"],
        ["leaf", "z"],
    ]
    assert {item.path for group in groups[:2] for item in group.items} == {"large", "second"}
    assert [group.reason for group in groups] == [
        "number 1 by power of two of the size",
        "number 2 by power of two of the size",
        "source x",
        "source y",
        "bin 1 of 1",
    ]


def test_sources_that_have_a_layer_each_are_split_while_there_are_layers_left() -> None:
    items = debian({f"{source}{number}": (1 << number, source) for source in "ab" for number in range(4)})
    groups = plan(Closure(items), tiers, 6).groups
    assert [sorted(item.size for item in group.items) for group in groups] == [[8], [8], [1, 2], [1, 2, 4], [4]]
    assert {group.reason for group in groups[2:4]} == {"source a", "source b"}
    assert groups[4].reason in ("source a, split", "source b, split")


def test_a_source_of_one_item_is_not_split() -> None:
    sizes = {"large": (512, "l"), "alone": (256, "a"), "b1": (4, "b"), "b2": (2, "b"), "b3": (1, "b")}
    assert layers_of(debian(sizes), 5) == [["large"], ["alone"], ["b2", "b3"], ["b1"]]


def test_everybody_is_alone_when_all_fit() -> None:
    assert layers_of(debian({"a": (1, ""), "b": (9, ""), "c": (3, "")}), 4) == [["b"], ["c"], ["a"]]


@pytest.mark.parametrize("max_layers", [2, 3, 4])
def test_few_layers_are_enough(max_layers: int) -> None:
    assert len(layers_of(debian(EXAMPLE), max_layers)) <= max_layers - 1


@given(SOURCES, st.integers(2, 40), st.randoms(use_true_random=False))
def test_a_size_that_grows_by_less_than_its_power_of_two_moves_nothing(
    given_items: list[tuple[int, str]], max_layers: int, random: Random
) -> None:
    items = debian({f"i{number:02}": item for number, item in enumerate(given_items)})
    grown = [replace(item, size=random.randint(item.size, (1 << item.size.bit_length()) - 1)) for item in items]
    assert layers_of(items, max_layers) == layers_of(grown, max_layers)


@given(SOURCES, st.integers(2, 40))
def test_a_new_version_moves_nothing(given_items: list[tuple[int, str]], max_layers: int) -> None:
    items = debian({f"i{number:02}": item for number, item in enumerate(given_items)})
    updated = [replace(item, path=f"{item.path}_2", version="2") for item in items]
    assert layers_of(updated, max_layers) == [[f"{path}_2" for path in layer] for layer in layers_of(items, max_layers)]


@given(graphs(circles=False))
def test_causes_are_the_sources_of_all_that_an_item_needs(graph: dict[str, list[str]]) -> None:
    sources = {path: f"source {int(path[1:]) // 2}" for path in graph}
    items = [planned_item(path, references=references, source=sources[path]) for path, references in graph.items()]
    assert tiers.causes(Closure(items)) == {
        path: len({sources[each] for each in reached(graph, path)}) for path in graph
    }


def test_a_package_of_debian_changes_for_its_own_source_alone() -> None:
    closure = Closure([make_item("a"), make_item("b", references=["a"])])
    assert tiers.causes(closure) == {"a": 1, "b": 1}


def test_items_that_change_for_many_causes_have_bins_of_their_own() -> None:
    """Sixty leaves, and sixty items of which each needs the one before."""
    leaves = [planned_item(f"leaf{number}", 100) for number in range(60)]
    chain = [planned_item(f"c{number}", 100, [f"c{number - 1}"] if number else []) for number in range(60)]
    groups = plan(Closure([*leaves, *chain]), tiers, 41).groups
    for group in groups:
        if "bin" in group.reason:
            assert len({item.path.rstrip("0123456789") for item in group.items if item.path not in ("c0", "c1")}) == 1
    assert len({group.reason.partition(" for ")[2] for group in groups if "bin" in group.reason}) > 2


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=20), st.integers(0, 20))
def test_bins_are_all_given_away(weights: list[int], more: int) -> None:
    shares = tiers._shares(weights, len(weights) + more)
    assert sum(shares) == len(weights) + more
    assert min(shares) >= 1


def test_one_bin_more_takes_from_others_and_moves_nothing_between_them() -> None:
    before, after = ({str(number): tiers._bin(str(number), count) for number in range(500)} for count in (9, 10))
    moved = {name for name in before if before[name] != after[name]}
    assert {after[name] for name in moved} == {9}
    assert 20 < len(moved) < 90


def large_closure(kind: str) -> Closure:
    random = Random(1)
    items: list[StoreItem] = []
    for number in range(1400):
        size, source = int(random.lognormvariate(11, 2)), f"s{random.randrange(900)}"
        references = sorted({f"p{random.randrange(number)}" for _ in range(min(number, 8))})
        if kind == "nix":
            items.append(planned_item(f"p{number}", size, references, source))
        else:
            items.append(make_item(f"p{number}", size=size, references=references, source=source))
    return Closure(items)


@pytest.mark.parametrize("kind", ["debian", "nix"])
@pytest.mark.parametrize("max_layers", [20, 100, 125])
def test_a_plan_of_1400_items_takes_less_than_50_ms(kind: str, max_layers: int) -> None:
    closure = large_closure(kind)
    spent = []
    for _ in range(3):
        start = time.process_time()
        plan(closure, tiers, max_layers)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05

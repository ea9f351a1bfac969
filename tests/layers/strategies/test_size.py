import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.item import Closure
from layers.plan import plan
from layers.strategies import size
from tests.support.entries import make_item


def layers_of(closure: Closure, max_layers: int) -> list[list[str]]:
    return [[item.path for item in group.items] for group in plan(closure, size, max_layers).groups]


def closure_of_sizes(*sizes: int) -> Closure:
    return Closure([make_item(f"i{number}", size=value) for number, value in enumerate(sizes)])


# `size-sorted-store-items` of guix/docker.scm: with n items, `max-layers - 2` of them are split off when
# n >= max-layers, else n - 1; the tail is one layer, the customization layer comes on top.
@pytest.mark.parametrize(
    ("sizes", "max_layers", "expected"),
    [
        ([1, 2, 3], 5, [["i2"], ["i1"], ["i0"]]),
        ([1, 2, 3], 4, [["i2"], ["i1"], ["i0"]]),
        ([1, 2, 3], 3, [["i2"], ["i0", "i1"]]),
        ([1, 2, 3, 4], 3, [["i3"], ["i0", "i1", "i2"]]),
        ([1, 2, 3, 4], 4, [["i3"], ["i2"], ["i0", "i1"]]),
        ([4, 3, 2, 1], 4, [["i0"], ["i1"], ["i2", "i3"]]),
        ([1, 2, 3, 4], 2, [["i0", "i1", "i2", "i3"]]),
        ([7], 2, [["i0"]]),
        ([7], 100, [["i0"]]),
        ([0, 0], 3, [["i0"], ["i1"]]),
    ],
)
def test_the_largest_are_alone_and_the_rest_together(
    sizes: list[int], max_layers: int, expected: list[list[str]]
) -> None:
    assert layers_of(closure_of_sizes(*sizes), max_layers) == expected


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(3, 25))
def test_sizes_are_split_as_in_docker_scm(sizes: list[int], max_layers: int) -> None:
    descending = sorted(sizes, reverse=True)
    head = max_layers - 2 if len(sizes) >= max_layers else len(sizes) - 1
    groups = plan(closure_of_sizes(*sizes), size, max_layers).groups
    assert [group.size for group in groups] == [*descending[:head], sum(descending[head:])]


def test_items_of_one_size_are_ordered_by_name_then_path() -> None:
    items = [
        make_item("p1", name="zsh", size=5),
        make_item("p3", name="bash", size=5),
        make_item("p2", name="bash", size=5),
        make_item("p4", name="ash", size=5),
    ]
    assert layers_of(Closure(items), 4) == [["p4"], ["p2"], ["p1", "p3"]]
    assert layers_of(Closure(items[::-1]), 4) == [["p4"], ["p2"], ["p1", "p3"]]


@pytest.mark.parametrize(
    ("max_layers", "expected"),
    [
        (6, ["number 1 by size", "number 2 by size", "number 3 by size", "number 4 by size"]),
        (5, ["number 1 by size", "number 2 by size", "number 3 by size", "number 4 by size"]),
        (4, ["number 1 by size", "number 2 by size", "the 2 smallest items"]),
        (2, ["the 4 smallest items"]),
    ],
)
def test_reasons_say_why(max_layers: int, expected: list[str]) -> None:
    groups = plan(closure_of_sizes(1, 2, 3, 4), size, max_layers).groups
    assert [group.reason for group in groups] == expected

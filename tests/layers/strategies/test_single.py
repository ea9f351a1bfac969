import pytest

from layers.strategies import single
from tests.support.graphs import closure_of


@pytest.mark.parametrize("budget", [1, 2, 99])
def test_all_items_share_one_layer(budget: int) -> None:
    closure = closure_of({"a": ["b"], "b": [], "c": []})
    groups = single.groups(closure, budget)
    assert [group.items for group in groups] == [closure.items]

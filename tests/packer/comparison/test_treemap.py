import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.comparison.treemap import Box, boxes

AREA = Box(10, 20, 600, 400)


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60), st.sampled_from([AREA, Box(0, 0, 3, 900)]))
def test_boxes_fill_the_area_in_proportion(sizes: list[int], area: Box) -> None:
    ordered = sorted(sizes, reverse=True)
    found = boxes(ordered, area)
    whole = sum(max(1, size) for size in ordered)
    for size, box in zip(ordered, found, strict=True):
        share = area.width * area.height * max(1, size) / whole
        assert box.width * box.height == pytest.approx(share, rel=1e-3, abs=1e-3)
        assert area.x - 1e-6 <= box.x <= box.x + box.width <= area.x + area.width + 1e-6
        assert area.y - 1e-6 <= box.y <= box.y + box.height <= area.y + area.height + 1e-6


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30))
def test_boxes_do_not_overlap(sizes: list[int]) -> None:
    found = boxes(sorted(sizes, reverse=True), AREA)
    for place, one in enumerate(found):
        for other in found[place + 1 :]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, down) < 1e-6


def test_the_example_of_the_paper() -> None:
    """Figure 4: 6, 6, 4, 3, 2, 2, 1 in 6 by 4; the first row is the two sixes, one above the other."""
    found = boxes([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [(box.width, box.height) for box in found[:2]] == [(3, 2), (3, 2)]
    assert [(round(box.width, 2), round(box.height, 2)) for box in found[2:4]] == [(1.71, 2.33), (1.29, 2.33)]

from collections.abc import Mapping
from dataclasses import replace

import pytest

from layers.digest import Digest
from layers.errors import InputError
from layers.item import Closure, StoreItem
from layers.plan import plan
from layers.strategies import tiers
from packer.comparison.page import page
from packer.comparison.replay import KEPT, Comparison, Update, compare
from packer.comparison.text import comparison_text, rows
from packer.comparison.versions import Version
from tests.support.entries import make_item
from tests.support.nar_items import planned_item


def version(name: str, sizes: Mapping[str, int]) -> Version:
    return Version(name, Closure([make_item(f"{item}_{size}", name=item, size=size) for item, size in sizes.items()]))


# By size with three layers: the largest alone, then the tail.
OLD = version("old", {"large": 100, "middle": 50, "small": 7})
NEW = version("new", {"large": 100, "middle": 50, "small": 6})


def figures(found: Comparison) -> dict[str, tuple[int, int, int]]:
    return {one.strategy: (one.layers, one.pulled, one.registry) for one in found.replays}


def test_what_a_small_change_pulls() -> None:
    found = compare([OLD, NEW], [3], 3)
    assert (found.changed, found.different) == (6, 163)
    assert figures(found)["size"] == (1, 56, 213)  # the tail: middle and small
    assert figures(found)["single"] == (1, 156, 313)
    assert set(figures(found)) == {"popularity", "single", "size", "tiers", KEPT}


def test_nothing_changes_nothing_is_pulled() -> None:
    found = compare([OLD, OLD, OLD], [2, 3], 3)
    assert {(one.layers, one.pulled) for one in found.replays} == {(0, 0)}
    assert [one.registry for one in found.replays] == [157] * 10
    assert all("-" in row for row in list(rows(found))[1:])  # there is no ratio to nothing


def test_updates_are_counted_together() -> None:
    found = compare([OLD, NEW, OLD], [3], 3)
    assert figures(found)["size"] == (2, 56 + 57, 213)  # the first tail is there already
    assert [pull.size for pull in found.replays[2].pulls] == [56, 57]


def test_docker_pulls_all_that_is_above_what_changed() -> None:
    """Large, middle and small alone, from the lowest layer up; the middle one changes, and small is pulled again."""
    new = version("new", {"large": 100, "middle": 51, "small": 7})
    by_blobs, by_stacks = (compare([OLD, new], [9], 9, stacked=stacked) for stacked in (False, True))
    assert figures(by_blobs)["size"][:2] == (1, 51)
    assert figures(by_stacks)["size"][:2] == (2, 51 + 7)
    assert "docker's own" not in comparison_text(by_blobs).lower()
    assert "docker's own" in comparison_text(by_stacks).lower()


def test_blobs_of_images_are_counted_in_the_same_ways() -> None:
    config, other, low, middle, changed, high = (Digest.of(bytes([number])) for number in range(6))
    before = replace(OLD, blobs={config: 1, low: 10, middle: 100, high: 1000})
    after = replace(OLD, blobs={other: 1, low: 10, changed: 100, high: 1000})
    assert Update(before, after).stored == (2, 101)
    assert Update(before, after, stacked=True).stored == (3, 1101)
    assert Update(before, before, stacked=True).stored == (0, 0)
    assert Update(before, OLD).stored is None


def test_what_is_kept_follows_the_plan_before() -> None:
    """A package that grows changes its place by size and by tiers, and stays where it is kept."""
    names = {f"p{number}": 100 for number in range(20)}
    before = version("1", names)
    binned = plan(before.closure, tiers, 6).groups[-1].items[0].name
    after = version("2", {**names, binned: 1 << 20})
    found = {one.strategy: one for one in compare([before, after], [6], 6).replays}
    assert len(found[KEPT].pulls[0].layers) == 1
    assert len(found["tiers"].pulls[0].layers) > 1


@pytest.mark.parametrize(
    ("nix", "strategies"), [(False, {"size", "single", "tiers", KEPT}), (True, {"size", "single"})]
)
def test_without_what_items_need_some_strategies_cannot_be_told(nix: bool, strategies: set[str]) -> None:
    item: StoreItem = planned_item("a") if nix else make_item("a")
    one = Version("one.lock", Closure([item]), knows_references=False, is_lock=True)
    assert set(figures(compare([one, one], [3], 3))) == strategies


def test_one_version_is_not_enough() -> None:
    with pytest.raises(InputError, match="two versions"):
        compare([OLD], [3], 3)


def test_what_others_have_written_is_escaped() -> None:
    name = "<script>alert(1)</script>&\"'\x1b[2J"
    one, other = (version(f"{name}{number}", {name: 1000 + number, "b": 10}) for number in range(2))
    found = compare([one, other], [3], 3)
    assert "<script" not in page(found) and "\x1b" not in page(found)
    assert "&lt;script&gt;" in page(found)
    assert "\x1b" not in comparison_text(found)

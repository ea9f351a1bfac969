"""Lists of items, written down and read."""

import json

import pytest

from formats.layer_items import (
    LayerItem,
    LayerItemsError,
    annotation,
    comment,
    parse_annotation,
    parse_reason,
    parse_rows,
    rows,
)
from tests.support.entries import make_item


def test_what_is_written_is_read() -> None:
    items = [make_item("bash_5.2_amd64", name="bash", version="5.2", size=7, source="bash-source"), make_item("é")]
    [found] = rows([items]) or [[]]
    expected = tuple(
        LayerItem(item.name, item.version, item.path, item.size, item.identity, item.source) for item in items
    )
    assert parse_annotation(annotation(found), "it") == parse_rows(json.loads(json.dumps(found)), "it") == expected


def test_what_an_item_needs_is_a_place_among_those_of_all_layers() -> None:
    low, middle, high = make_item("low"), make_item("middle", references=["low"]), make_item("h", references=["middle"])
    found = rows([[low, middle], [high]]) or []
    read = [parse_annotation(annotation(each), "it") for each in found]
    assert [[item.references for item in items] for items in read] == [[(), (0,)], [(1,)]]


@pytest.mark.parametrize("reason", ["number 1 by size", "all (really)", "", "a)b("])
def test_a_reason_is_read_back(reason: str) -> None:
    items = [make_item("a", name="a (b)", version="1"), make_item("c")]
    read = parse_annotation(annotation((rows([items]) or [[]])[0]), "it")
    assert parse_reason(comment(items, reason), read) == reason


def test_a_comment_of_somebody_else_has_no_reason() -> None:
    assert parse_reason("RUN make", ()) == parse_reason("a (", ()) == ""


def test_as_many_items_as_a_large_system_has_fit_into_a_manifest() -> None:
    groups = [[make_item(f"/nix/store/{number:032}-package-of-a-usual-name-1.0") for number in range(10_000)]]
    assert rows(groups) is not None


def test_more_than_a_registry_takes_are_left_out() -> None:
    assert rows([[make_item(f"{'x' * 200}{number}") for number in range(8_000)]]) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "[1]", "[[]]", "null", '"x"', '[["a","b","c",1]]', '[["a","b","c",1,"x","s",[]]]', "[" * 100_000,
        '[["a","b","c","1","' + "0" * 64 + '","s",[]]]', '[["a","b","c",1,"' + "0" * 64 + '"]]',
        '[["a","b","c",1,"' + "0" * 64 + '","s",1]]', '[["a","b","c",1,"' + "0" * 64 + '","s",["1"]]]',
        '[["a","b","c",1,"' + "0" * 64 + '","s",[true]]]', '[["a","b","c",1,"' + "0" * 64 + '","s",[-1]]]',
        '[["a","b","c",-5,"' + "0" * 64 + '","s",[]]]', '[["a","b","c",true,"' + "0" * 64 + '","s",[]]]',
        '[["a","b","c",1,"' + "0" * 63 + '","s",[]]]', '[["a","b","c",1,"sha256:' + "0" * 64 + '","s",[]]]',
    ],
)  # fmt: skip
def test_what_is_no_such_list_is_refused(text: str) -> None:
    with pytest.raises(LayerItemsError, match=r"it: ocipack\.items"):
        parse_annotation(text, "it")

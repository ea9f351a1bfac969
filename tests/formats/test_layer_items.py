"""Lists of items, written down and read."""

import json

import pytest

from formats.layer_items import LayerItem, annotation, parse_annotation, parse_rows, rows
from layers.errors import PackError
from tests.support.entries import make_item


def test_what_is_written_is_read() -> None:
    items = [make_item("bash_5.2_amd64", name="bash", version="5.2", size=7), make_item("é")]
    [found] = rows([items]) or [[]]
    expected = tuple(LayerItem(item.name, item.version, item.path, item.size, item.identity) for item in items)
    assert parse_annotation(annotation(found), "it") == parse_rows(json.loads(json.dumps(found)), "it") == expected


def test_as_many_items_as_a_large_system_has_fit_into_a_manifest() -> None:
    groups = [[make_item(f"/nix/store/{number:032}-package-of-a-usual-name-1.0") for number in range(10_000)]]
    assert rows(groups) is not None


def test_more_than_a_registry_takes_are_left_out() -> None:
    assert rows([[make_item(f"{'x' * 200}{number}") for number in range(8_000)]]) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{}", "[1]", "[[]]", "null", '"x"', '[["a","b","c",1]]', '[["a","b","c",1,"x"]]', "[" * 100_000,
        '[["a","b","c","1","' + "0" * 64 + '"]]', '[["a","b","c",1,"' + "0" * 64 + '",1]]',
    ],
)  # fmt: skip
def test_what_is_no_such_list_is_refused(text: str) -> None:
    with pytest.raises(PackError):
        parse_annotation(text, "it")

"""The committed reference is the one that the records make, and its examples can be used."""

import re
from pathlib import Path

import pytest

from packer import reference, schema
from packer.config import parse
from packer.declaration import Declaration

PAGE = Path(__file__).parent.parent.parent / "docs/os-toml.md"
TOP = Declaration.EXAMPLE
STORE = '[store]\ntype = "debian"\npackages = ["bash"]\n'
EXAMPLES = [example for example in re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL) if example != TOP]


def test_the_committed_page_is_the_records() -> None:
    assert PAGE.read_text() == reference.text(), "run script/generate"


@pytest.mark.parametrize("example", ["", *EXAMPLES], ids=lambda example: example.split("\n")[0])
def test_examples_can_be_used(example: str) -> None:
    parse(TOP + ("" if "[store]" in example else STORE) + example, "os-toml.md")


def test_every_key_is_there() -> None:
    whole = schema.schema()
    for record in (whole, *whole["$defs"].values()):
        for key in record["properties"]:
            assert f"\n| `{key}` | " in PAGE.read_text()


def test_tables_of_the_page_are_whole() -> None:
    rows = [line for line in PAGE.read_text().split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}

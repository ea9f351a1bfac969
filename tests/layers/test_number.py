"""Numbers that others have written."""

import pytest

from layers.number import LAST_ID, whole_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("4294967294", LAST_ID), ("00000000004294967294", LAST_ID)],
)
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole_number(text, LAST_ID) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        " 1",
        "1\n",
        "1_0",
        "0x1",
        "1.0",
        "²",
        "٣",
        "\uff11",
        "4294967295",
        "9" * 20,
        "0" * 21,
        "1" * 5000,
    ],
)
def test_everything_else_is_none(text: str) -> None:
    assert whole_number(text, LAST_ID) is None

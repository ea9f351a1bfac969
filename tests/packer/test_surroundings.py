"""What differs from run to run."""

import pytest

from layers.errors import InputError
from packer.surroundings import Surroundings


def epoch(text: str) -> int:
    variables = {"SOURCE_DATE_EPOCH": text}
    return Surroundings(variables, "/", 1, lambda: "/", lambda: 0, lambda: "", lambda: False).epoch


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("0", 0),
        ("253402300799", 253402300799),
        ("00017", 17),
        pytest.param("0" * 5000, 0, id="zeros"),
        pytest.param("0" * 5000 + "17", 17, id="zeros and a number"),
    ],
)
def test_an_epoch(text: str, time: int) -> None:
    assert epoch(text) == time


@pytest.mark.parametrize("text", ["", " 0", "253402300800", "0" * 20 + "999999999999999", "9" * 5000])
def test_no_epoch(text: str) -> None:
    with pytest.raises(InputError):
        epoch(text)

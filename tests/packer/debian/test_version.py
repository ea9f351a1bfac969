import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packer.debian.version import VERSION, admits, compare


def dpkg(first: str, relation: str, second: str) -> bool:
    command = ["dpkg", "--compare-versions", first, relation, second]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0~rc1", "1.0"),
        ("1.0~~", "1.0~"),
        ("0~", "0"),
        ("1.0", "1.0+b1"),
        ("1.0-1", "1.0-1+deb12u1"),
        ("1.0-1~bpo12+1", "1.0-1"),
        ("9", "10"),
        ("1.9", "1.10"),
        ("2:0.1", "10:0.1"),
        ("99", "1:0"),
        ("1.0a", "1.0."),
        ("1.0a", "1.0b"),
        ("1.0-1", "1.0-1.1"),
        ("1", "1.0"),
        ("1-a", "1-a-b"),
        ("1" * 5000, "1" * 5001),
    ],
)
def test_order(older: str, newer: str) -> None:
    assert compare(older, newer) < 0 < compare(newer, older)
    assert dpkg(older, "lt", newer)


@pytest.mark.parametrize(("one", "same"), [("1.0", "1.0-0"), ("0:1", "1"), ("1.01", "1.1"), ("1.0-1a0", "1.0-1a")])
def test_equal(one: str, same: str) -> None:
    assert compare(one, same) == 0
    assert dpkg(one, "eq", same)


_PARTS = st.text("0019a~.+Z", max_size=6)
_VERSIONS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "0:", "1:"]),
    st.sampled_from(["0", "1", "9", "10"]),
    _PARTS,
    st.one_of(st.just(""), _PARTS.filter(bool).map(lambda part: f"-{part}")),
)


@settings(max_examples=200)
@given(_VERSIONS, _VERSIONS)
def test_order_is_dpkgs(first: str, second: str) -> None:
    assert VERSION.fullmatch(first)
    assert (compare(first, second) < 0) == dpkg(first, "lt", second)
    assert (compare(first, second) == 0) == dpkg(first, "eq", second)


@pytest.mark.parametrize(
    ("relation", "wanted", "version", "answer"),
    [
        ("", "", "1", True),
        (">=", "1", "1", True),
        (">>", "1", "1", False),
        ("<<", "1", "1~rc1", True),
        ("<=", "1", "1", True),
        ("=", "1", "1-0", True),
        ("=", "1", "2", False),
    ],
)
def test_admits(relation: str, wanted: str, version: str, answer: bool) -> None:
    assert admits(relation, wanted, version) is answer

"""What `ocipack init` starts can be used as it is, and so can what its comments show."""

import re

import pytest

from packer.config import parse
from packer.template import TEMPLATE

COMMENTED = re.compile(r"(?m)^# (?=[a-z-]+ = )")


def test_as_it_is() -> None:
    declaration = parse(TEMPLATE, "os.toml")
    assert (declaration.name, declaration.store[0].packages) == ("hello", ("bash", "coreutils"))


def test_with_all_comments_taken_away() -> None:
    declaration = parse(COMMENTED.sub("", TEMPLATE), "os.toml")
    assert declaration.os.hostname == "hello"
    assert len(declaration.os.files) == 2
    assert declaration.layers.strategy == "tiers"
    assert declaration.store[0].recommends
    assert declaration.outputs == ("docker", "tarball", "wsl2")
    assert declaration.wsl2.systemd


@pytest.mark.parametrize("place", range(len(COMMENTED.findall(TEMPLATE))))
def test_with_one_comment_taken_away(place: int) -> None:
    start, end = [match.span() for match in COMMENTED.finditer(TEMPLATE)][place]
    assert parse(TEMPLATE[:start] + TEMPLATE[end:], "os.toml") != parse(TEMPLATE, "os.toml")

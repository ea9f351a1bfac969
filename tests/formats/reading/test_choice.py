"""Which of several images is meant: by their names, and by what their configurations say."""

from dataclasses import dataclass

import pytest

from formats.reading.choice import answering, is_platform


@dataclass(frozen=True)
class Image:
    name: str
    platform: str = ""

    def answers_to(self, name: str) -> bool:
        return name == self.name or is_platform(name, self.platform)


@pytest.mark.parametrize(
    ("name", "platform", "answer"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64/v8", "linux/arm64/v9", False),
        ("linux/amd64", "linux/arm64", False),
        ("linux", "linux/amd64", False),
        ("linux/amd64", "linux", False),
        ("linux/amd64", "", False),
        ("", "", False),
    ],
)
def test_platforms_with_and_without_variants(name: str, platform: str, answer: bool) -> None:
    assert is_platform(name, platform) is answer


_IMAGES = [Image("one"), Image("two", "linux/arm64"), Image("three")]
_CONFIGURATIONS = {"one": "linux/amd64", "three": "linux/s390x"}


@pytest.mark.parametrize(
    ("choice", "expected", "asked"),
    [
        ("", ["one", "two", "three"], []),
        ("one", ["one"], []),
        ("linux/arm64", ["two"], []),
        ("linux/amd64", ["one"], ["one", "three"]),
        ("linux/riscv64", [], ["one", "three"]),
    ],
)
def test_configurations_are_asked_where_nobody_else_says_it(choice: str, expected: list[str], asked: list[str]) -> None:
    found: list[str] = []

    def platform_of(image: Image) -> str:
        found.append(image.name)
        return _CONFIGURATIONS[image.name]

    assert [image.name for image in answering(_IMAGES, choice, platform_of)] == expected
    assert found == asked

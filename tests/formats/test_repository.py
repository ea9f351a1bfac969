"""Every name gives a repository name that the distribution project's grammar accepts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.repository import ImageName, file_name, names_something, repository_name, tag

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_REGISTRY = rf"{_LABEL}(?:\.{_LABEL})*:[0-9]+"
_GRAMMAR = re.compile(rf"(?:{_REGISTRY}/)?{_COMPONENT}(?:/{_COMPONENT})*")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello", "hello"),
        ("Hello World", "hello-world"),
        ("C++", "ca"),
        ("c", "ca"),
        ("_x_", "xa"),
        ("É", "ea"),
        ("", "aa"),
        ("日本", "aa"),
        ("a..b", "a-b"),
        ("a___b", "a-b"),
        ("a__b", "a__b"),
        ("a-_b", "a-b"),
        ("a---b", "a---b"),
        ("team/App", "team/app"),
        ("/team//app/", "team/app"),
        ("x" * 300, "x" * 255),
        ("x" * 254 + "-y", "x" * 254),
        ("ghcr.io/team/App", "ghcr.io/team/app"),
        ("Localhost:5000/Team App", "localhost:5000/team-app"),
        ("registry.example.org:443/a/b", "registry.example.org:443/a/b"),
        ("[::1]:5000/a", "1-5000/a"),
        ("x" * 250 + ":80/ab", "x" * 250 + ":80/a"),
        ("x" * 251 + ":80/ab", "x" * 251 + "-80"),
        ("host:5000/" + "x" * 300, "host:5000/" + "x" * 245),
        ("localhost:99999/a", "localhost-99999/a"),
        ("localhost:/a", "localhost/a"),
        ("localhost:5000", "localhost-5000"),
        ("localhost:5000/日本", "localhost-5000"),
        ("a/localhost:5000/b", "a/localhost-5000/b"),
        ("-x.org:80/a", "x.org-80/a"),
        ("x" * 300 + ":80/a", "x" * 255),
        ("hello:1.0", "hello-1.0"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert repository_name(name) == expected


@pytest.mark.parametrize(
    "name", ["c", "É", "..a", "日本1", "team/app/", "localhost:5000/x", "½", "Ⅷ", "localhost:5000"]
)
def test_names_of_something(name: str) -> None:
    assert names_something(name)


@pytest.mark.parametrize("name", ["", "..", "/", "日本", "team/日本", "localhost:5000/日本/", "+-+"])
def test_names_of_nothing(name: str) -> None:
    assert not names_something(name)


@pytest.mark.parametrize(
    ("repository", "expected"),
    [("hello", "hello"), ("team/a.b_c", "team-a.b_c"), ("a.b:1/c", "a.b-1-c")],
)
def test_file_names(repository: str, expected: str) -> None:
    assert file_name(repository) == expected


@given(st.text(max_size=400) | st.text(alphabet="ab1:[]._-/", max_size=400))
def test_every_name_is_canonical(name: str) -> None:
    found = repository_name(name)
    assert _GRAMMAR.fullmatch(found)
    assert 2 <= len(found) <= 255
    assert repository_name(found) == found


@pytest.mark.parametrize(
    ("version", "expected"),
    [("", "latest"), ("1.0", "1.0"), ("1:2.0+b1~rc", "1-2.0-b1-rc"), (".hidden", "hidden"), ("v" * 200, "v" * 128)],
)
def test_tags(version: str, expected: str) -> None:
    assert tag(version) == expected


@pytest.mark.parametrize(
    ("said", "whole"),
    [
        (ImageName(), ImageName("my-app", "1.0")),
        (ImageName(tag="2.0"), ImageName("my-app", "2.0")),
        (ImageName("ghcr.io/a"), ImageName("ghcr.io/a", "1.0")),
    ],
)
def test_names_and_versions_say_what_nobody_else_does(said: ImageName, whole: ImageName) -> None:
    assert said.whole("My App", "1.0") == whole


@given(st.text(max_size=200))
def test_every_version_gives_a_tag(version: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag(version))

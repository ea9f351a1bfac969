"""Whatever an os.toml says: a declaration, or mistakes in words; never anything else."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packer.config import ConfigError, Declaration, parse
from tests.support import fake_store

HEAD = 'name = "hello"\nplatform = "x86_64-linux"\n'


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake_store.install(monkeypatch, "fake", "other")
        yield


# Documents that are nearly right: real keys, and values of every kind that TOML has.
KEYS = st.sampled_from(
    [
        *("name", "version", "platform", "title", "store", "os", "container", "layers", "type", "packages"),
        *("hostname", "files", "target", "text", "source", "symlink", "directory", "mode", "user", "group"),
        *(
            "entrypoint",
            "env",
            "ports",
            "labels",
            "stop-signal",
            "max-layers",
            "force",
            "compression",
            "codec",
            "level",
        ),
        *("stop_signal", "nmae", "a b", "", "é", "[key]", "self", "__class__"),
    ]
)
WORDS = st.sampled_from(["fake", "x86_64-linux", "gzip", "size", "/a", "/", "0644", "80/tcp", "SIGTERM", "root", ""])
SCALARS = (
    WORDS.map(lambda word: f'"{word}"')
    | st.text(st.characters(codec="ascii", exclude_characters='"\\'), max_size=9).map(lambda text: f'"{text}"')
    | st.integers().map(str)
    | st.sampled_from(["true", "false", "1.5", "nan", "-inf", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z"])
)


def table(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keys = st.dictionaries(KEYS, values, max_size=6)
    return keys.map(lambda keys: "{" + ", ".join(f'"{key}" = {value}' for key, value in keys.items()) + "}")


VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3).map(lambda items: f"[{', '.join(items)}]") | table(below)
)
DOCUMENTS = st.dictionaries(KEYS, VALUES | table(VALUES), max_size=8).map(
    lambda keys: "".join(f'"{key}" = {value}\n' for key, value in keys.items())
)


def declaration_or_mistakes(text: str) -> None:
    try:
        result = parse(text, "os.toml")
    except ConfigError as error:
        assert error.mistakes
        assert str(error).isprintable() or "\n" in str(error)
        assert all("function-" not in line and "pydantic" not in line for line in str(error).split("\n"))
    else:
        assert isinstance(result, Declaration)


@given(DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_any_document_is_a_declaration_or_has_mistakes(text: str) -> None:
    declaration_or_mistakes(text)


@given(DOCUMENTS, st.integers(0), st.text(max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_damage_is_a_mistake(text: str, place: int, damage: str) -> None:
    text = text or HEAD
    place %= len(text)
    declaration_or_mistakes(text[:place] + damage + text[place + 1 :])


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text(text: str) -> None:
    declaration_or_mistakes(text)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_the_documents_are_toml_at_times(value: str) -> None:
    try:
        tomllib.loads(f"a = {value}")
    except tomllib.TOMLDecodeError as error:
        assert "Illegal character" in str(error)

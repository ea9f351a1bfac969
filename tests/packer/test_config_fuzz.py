"""Whatever an os.toml says: a declaration, or mistakes in words; never anything else."""

import tomllib
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packer.config import parse
from packer.declaration import Declaration
from packer.mistakes import ConfigError
from packer.record import keys
from packer.tables.compression import LayerCompression
from packer.tables.container import Container
from packer.tables.files import FileDeclaration
from packer.tables.groups import GroupDeclaration
from packer.tables.layers import Layers
from packer.tables.mounts import Mount
from packer.tables.operating_system import OperatingSystem
from packer.tables.users import UserDeclaration
from tests.support import fake_store

HEAD = 'name = "hello"\nplatform = "x86_64-linux"\n'


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake_store.install(monkeypatch, "fake", "other")
        yield


# Documents that are nearly right: the keys that there are and some odd ones, with values of every kind that TOML has.
ODD = ("type", "packages", "stop_signal", "nmae", "a b", "", "é", "[key]", "self", "__class__")
WORDS = ("fake", "x86_64-linux", "gzip", "size", "/a", "/", "0644", "80/tcp", "SIGTERM", "root", "true", "\\u001b", "")
SCALARS = (
    st.sampled_from(WORDS).map(lambda word: f'"{word}"')
    | st.text(st.characters(codec="ascii", exclude_characters='"\\'), max_size=9).map(lambda text: f'"{text}"')
    | st.integers().map(str)
    | st.integers(-1, 130).map(str)
    | st.sampled_from(
        ["true", "false", "{}", "[{}]", "1.5", "nan", "-inf", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z"]
    )
)


def lists(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(of, max_size=3).map(lambda items: f"[{', '.join(items)}]")


def table(names: Iterable[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(st.sampled_from([*names, *ODD]), values, max_size=6)
    return pairs.map(lambda pairs: "{" + ", ".join(f'"{key}" = {value}' for key, value in pairs.items()) + "}")


#: Arrays of tables in `[os]`.
RECORDS = (("files", FileDeclaration), ("users", UserDeclaration), ("groups", GroupDeclaration), ("mounts", Mount))
VALUES = st.recursive(SCALARS, lambda below: lists(below) | table(["codec", "level", "target"], below), max_leaves=6)
KNOWN = {
    "store": st.just('{ type = "fake", packages = ["bash"] }') | table([], VALUES) | lists(table([], VALUES)),
    "os": table(keys(OperatingSystem), VALUES)
    | st.sampled_from(RECORDS).flatmap(
        lambda pair: lists(table(keys(pair[1]), VALUES)).map(f"{{{{ {pair[0]} = {{}} }}}}".format)
    ),
    "container": table(keys(Container), VALUES),
    "layers": table(keys(Layers), VALUES) | table(keys(LayerCompression), SCALARS).map("{{ compression = {} }}".format),
    "name": st.just('"a"'),
    "platform": st.just('"s390x-linux"'),
}
DOCUMENTS = st.fixed_dictionaries(
    {}, optional=KNOWN | dict.fromkeys(("version", "title", "nmae", "[key]"), VALUES)
).map(lambda pairs: "".join(f'"{key}" = {value}\n' for key, value in pairs.items()))


def declaration_or_mistakes(text: str) -> None:
    try:
        result = parse(text, "os.toml")
    except ConfigError as error:
        assert error.mistakes
        assert all(line.isprintable() for line in str(error).split("\n"))
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

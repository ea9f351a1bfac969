"""The JSON schema says what the loader says, and the committed one is the one that the records make."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from packer import schema
from packer.config import parse
from tests.packer.test_config import AT_THE_TOP, HEAD, IN_TABLES, STORE, STORES
from tests.support import fake_store

ROOT = Path(__file__).parent.parent.parent
COMMITTED = ROOT / "docs/os.schema.json"
EXAMPLES = sorted(ROOT.glob("examples/*/os.toml"))

# What no schema can say: bytes of a name in UTF-8; that 9.0 is no integer (JSON has only numbers). And Python's `$`
# matches before a last newline, ECMA's does not.
BEYOND = ("é" * 128, " = 9.0", '\\n"')
WRONG = [
    *(HEAD + head + "\n" + STORE for head, _ in AT_THE_TOP),
    *(HEAD + STORE + f"{table}\n{keys}\n" for table, keys, _ in IN_TABLES if not any(part in keys for part in BEYOND)),
    *(HEAD + table for table, _ in STORES),
    STORE,
]

RIGHT = [
    "",
    "[[store]]\ntype = 'other'\npackages = ['a']",
    '[layers]\nmax-layers = 126\nforce = true\ncompression = "zstd"',
    '[layers]\nmax-layers = 125\ncompression = { codec = "zstd", level = 19 }',
    "[layers]\ncompression = { level = 9 }",
    '[layers]\ncompression = { codec = "none", level = 0 }',
    '[container]\nports = [1, "65535/udp"]\nuser = 0\nstop-signal = 15\nworkdir = "/"\nenv = { "a.b" = "" }',
    '[container]\nuser = "a:b"\nstop-signal = "SIGRTMAX-1"\nworkdir = ""',
    '[container]\ncreated = "2025-05-20 11:30:00.5+02:00"',
    "[container]\ncreated = 1747733400",
    '[container.healthcheck]\ntest = "true"\ninterval = "1m30s"\nretries = 1',
    '[container.healthcheck]\ntest = ["CMD", "a", "b"]\nstart-interval = "0.5s"',
    '[os]\nfiles = [{ target = "/", source = "x" }, { target = "/a/..b/.c", text = "", directory = false }]',
    '[os]\nhostname = "a-b.c"\nfiles = [{ target = "/a", directory = true, user = 0, group = "_x$", mode = "755" }]',
    '[os]\nservices = ["a@b.service"]\nusers = [{ name = "a", comment = "", authorized-keys = [{ source = "x" }] }]',
    '[os]\nservices = { mask = ["a.socket"] }\nmounts = [{ mount-point = "none", device = "/x", type = "swap" }]',
    '[os]\ntimezone = "UTC"\nlocale = "C"\nkeymap = "us"\ninit = "/i"\nkernel-arguments = ["a=\\"b c\\""]\n',
    '[os]\ngroups = [{ name = "a", gid = 0, members = ["b"] }]\nusers = [{ name = "b", password = "!", uid = 7 }]',
]


def validator(of: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(of)
    return jsonschema.Draft202012Validator(of)


@pytest.fixture(scope="module")
def fake() -> jsonschema.Draft202012Validator:
    """With the stores of the loader's tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake_store.install(monkeypatch, "fake", "other")
        return validator(schema.schema())


@pytest.fixture(scope="module")
def real() -> jsonschema.Draft202012Validator:
    return validator(json.loads(COMMITTED.read_text()))


def test_the_committed_schema_is_the_records() -> None:
    assert COMMITTED.read_text() == schema.text(), "run script/generate"


def test_everything_has_a_description() -> None:
    whole = json.loads(COMMITTED.read_text())
    records = {"": whole, **whole["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, record in records.items()
        for key, value in record["properties"].items()
        if not value.get("description", "").endswith((".", ".)"))
    ]
    assert undescribed == []
    assert all(record["additionalProperties"] is False for record in records.values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples(real: jsonschema.Draft202012Validator, path: Path) -> None:
    real.validate(tomllib.loads(path.read_text()))
    parse(path.read_text(), str(path))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("text", WRONG)
def test_wrong_documents(fake: jsonschema.Draft202012Validator, text: str) -> None:
    assert list(fake.iter_errors(tomllib.loads(text)))  # that the loader refuses them, its own tests say


@pytest.mark.parametrize("rest", RIGHT)
def test_right_documents(fake: jsonschema.Draft202012Validator, rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_store.install(monkeypatch, "fake", "other")
    text = HEAD + (STORE if "[[store]]" not in rest else STORE.replace("[store]", "[[store]]")) + rest
    parse(text, "os.toml")
    fake.validate(tomllib.loads(text))

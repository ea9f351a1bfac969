from typing import Any

import pytest

from formats.reading.artefact import ArtefactError
from formats.system import Healthcheck, RunConfiguration
from packer.base.configuration import history, over, run_configuration


def run(**config: Any) -> RunConfiguration:
    return run_configuration({"config": config}, "here")


@pytest.mark.parametrize("config", [{}, {"config": None}, {"config": {"Env": None, "Cmd": None, "Healthcheck": None}}])
def test_a_base_that_says_nothing(config: dict[str, Any]) -> None:
    assert run_configuration(config, "here") == RunConfiguration()


def test_what_a_base_says() -> None:
    assert run(
        Entrypoint=["/init"], Cmd=["a"], Env=["A=b=c", "EMPTY=", "none"], WorkingDir="/w", User="u", Labels={"k": "v"},
        ExposedPorts={"80/tcp": {}, "53/udp": {}}, Volumes={"/v": {}}, StopSignal="INT", OnBuild=["RUN x"],
        Healthcheck={"Test": ["CMD-SHELL", "x"], "Interval": 5, "Retries": 2},
    ) == RunConfiguration(
        ("/init",), ("a",), {"A": "b=c", "EMPTY": ""}, "/w", "u", {"k": "v"}, ("53/udp", "80/tcp"), ("/v",), "INT",
        Healthcheck(("CMD-SHELL", "x"), interval=5, retries=2),
    )  # fmt: skip


@pytest.mark.parametrize("test", [[], ["CMD"], None])
def test_a_healthcheck_that_tests_nothing_is_none(test: Any) -> None:
    assert run(Healthcheck={"Test": test}).healthcheck is None
    assert run(Healthcheck={"Test": ["NONE"]}).healthcheck == Healthcheck(("NONE",))


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"Env": "A=b"}, "here: config.Env is no array"),
        ({"Cmd": [1]}, "here: config.Cmd is no string"),
        ({"Labels": {"a": 1}}, "here: config.Labels.a is no string"),
        ({"Volumes": []}, "here: config.Volumes is no table"),
        ({"Healthcheck": {"Test": ["CMD", "x"], "Interval": "5s"}}, "here: config.Healthcheck has a number"),
        ({"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}}, "here: config.Healthcheck has a number"),
        ({"Healthcheck": {"Test": ["CMD", "x"], "Retries": 1 << 63}}, "here: config.Healthcheck has a number"),
        ({"Env": ["A=\ud800"]}, "here: config has text that is no Unicode"),
        ({"Labels": {"\udfff": "a"}}, "here: config has text that is no Unicode"),
    ],
)
def test_what_is_no_configuration(config: dict[str, Any], where: str) -> None:
    with pytest.raises(ArtefactError, match=f"^{where}"):
        run(**config)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, (("/base",), ("argument",))),
        ({"entrypoint": ("/own",)}, (("/own",), ())),
        ({"cmd": ("own",)}, (("/base",), ("own",))),
        ({"entrypoint": ("/own",), "cmd": ("own",)}, (("/own",), ("own",))),
        ({"cmd": ()}, (("/base",), ())),
        ({"entrypoint": ()}, ((), ())),
        ({"entrypoint": (), "cmd": ("own",)}, ((), ("own",))),
    ],
)
def test_a_new_entrypoint_takes_the_arguments_of_the_base_away(
    own: dict[str, Any], expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    base = RunConfiguration(("/base",), ("argument",), workdir="/srv")
    assert over(base, RunConfiguration(**own), own) == RunConfiguration(*expected, workdir="/srv")


def test_a_history_has_an_entry_for_each_layer() -> None:
    whole = [
        {"created_by": "ADD", "created": "2025-01-01T00:00:00Z", "ocipack.items": [["x"]]},
        {"created_by": "ENV", "empty_layer": True},
        {"comment": "two", "author": "ada", "empty_layer": False},
    ]
    assert history({"history": whole}, [1, 2], "here") == (
        {"created": "2025-01-01T00:00:00Z", "created_by": "ADD"},
        {"created_by": "ENV", "empty_layer": True},
        {"author": "ada", "comment": "two"},
    )
    for missing in (None, [], whole[:2]):
        found = history({"history": missing}, [1, 2], "here")
        assert found == ({"comment": "layer 1 of the base"}, {"comment": "layer 2 of the base"})
    for created in ("2025-01-01", "2025-13-01T00:00:00Z", "2025-01-01T00:00:00", "yesterday"):
        assert history({"history": [{"created": created, "comment": "x"}]}, [1], "here") == ({"comment": "x"},)
    with pytest.raises(ArtefactError, match="created_by is no string"):
        history({"history": [{"created_by": 1}]}, [1], "here")
    with pytest.raises(ArtefactError, match="here: history has text that is no Unicode"):
        history({"history": [{"created_by": "\ud800"}]}, [1], "here")

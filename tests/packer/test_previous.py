"""`--previous`: images that keep the layers of the one before."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.registry import docker_registry
from tests.support.command_line import Workplace, workplace
from tests.support.stored_images import layout

_PACKAGES = [f"part{number}" for number in range(12)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Fourteen packages in six layers, and the one on top: `1.tar`."""
    made = workplace(tmp_path_factory.mktemp("previous"))
    for number, name in enumerate(_PACKAGES):
        made.archive.add(name, "1", files={f"/usr/share/{name}": name.encode() * (1 << number)})
    made.archive.publish()
    declare(made)
    build(made, "1.tar", "--strategy", "tiers")
    return made


@pytest.fixture
def place(built: Workplace, tmp_path: Path) -> Workplace:
    """The same with a cache of its own: other tests' updates are not known to it before `--refresh`."""
    shutil.copytree(built.folder, tmp_path / "place")
    shutil.copytree(built.cache, tmp_path / "cache")
    return Workplace(tmp_path / "place", built.archive, tmp_path / "cache")


def declare(place: Workplace, *more: str, layers: str = "max-layers = 7") -> None:
    packages = ", ".join(f'"{name}"' for name in ("tiny", *_PACKAGES, *more))
    place.declare(f"[layers]\n{layers}", packages=packages)


def build(place: Workplace, output: str, *arguments: str, kind: str = "docker") -> str:
    answer = place.run(kind, "-o", output, *arguments)
    assert answer.code == 0, answer.err
    return answer.err


def update(place: Workplace) -> None:
    place.archive.add("part3", "2", files={"/usr/share/part3": b"another and much larger file" * 9999})
    place.archive.publish()


def layers_of(place: Workplace, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(place.run("inspect", "--json", name).out)["layers"]
    return found


def changed(place: Workplace, before: str, after: str) -> list[list[str]]:
    """What is in the layers that are new."""
    known = {layer["digest"] for layer in layers_of(place, before)}
    return [layer["items"] or [] for layer in layers_of(place, after) if layer["digest"] not in known]


@pytest.mark.parametrize(("kind", "strategy"), [("docker", "size"), ("oci", "popularity")])
def test_an_unchanged_system_is_the_unchanged_image(place: Workplace, kind: str, strategy: str) -> None:
    build(place, "one", "--strategy", strategy, kind=kind)
    build(place, "two", "--previous", "one", kind=kind)
    assert read(place.folder / "one") == read(place.folder / "two")


def read(path: Path) -> list[tuple[str, bytes]]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return [(str(file.relative_to(path)), file.read_bytes()) for file in files]


def test_an_update_changes_the_layer_of_its_package_and_the_one_on_top(place: Workplace) -> None:
    update(place)
    build(place, "2.tar", "--refresh", "--previous", "1.tar")
    [layer, top] = changed(place, "1.tar", "2.tar")
    assert "part3_2_all" in layer and top == []
    build(place, "anew.tar", "--strategy", "size")
    assert len(changed(place, "1.tar", "anew.tar")) > 2


def test_one_package_more_changes_two_layers(place: Workplace) -> None:
    declare(place, "manual")
    build(place, "2.tar", "--previous", "1.tar")
    [layer, top] = changed(place, "1.tar", "2.tar")
    assert "manual_1.0_all" in layer and top == []
    assert len(layers_of(place, "2.tar")) == 7


def test_the_configuration_is_enough(place: Workplace) -> None:
    """An archive as docker saves it has no manifest."""
    with (
        tarfile.open(place.folder / "1.tar") as whole,
        tarfile.open(place.folder / "saved.tar", "w") as saved,
    ):
        for member in whole:
            if member.name not in ("oci-layout", "index.json"):
                saved.addfile(member, whole.extractfile(member))
    build(place, "2.tar", "--previous", "saved.tar")
    assert (place.folder / "2.tar").read_bytes() == (place.folder / "1.tar").read_bytes()


@pytest.fixture
def references(place: Workplace) -> Iterator[tuple[Workplace, str]]:
    with docker_registry(place.folder.parent / "registry") as registry:
        yield place, f"{registry.address}/app"


def test_a_reference_is_enough_without_its_layers(references: tuple[Workplace, str]) -> None:
    place, name = references
    assert place.run("push", "-q", "1.tar", f"{name}:1").code == 0
    folder = place.folder.parent / "registry"
    for path in (folder / "data").rglob("data"):  # of layers, the registry knows no more than the size
        if path.read_bytes()[:2] == b"\x1f\x8b":
            path.write_bytes(bytes(path.stat().st_size))
    update(place)
    build(place, "2.tar", "--refresh", "--previous", f"docker://{name}:1")
    assert len(changed(place, "1.tar", "2.tar")) == 2
    answer = place.run("push", "--json", "--previous", f"docker://{name}:1", f"{name}:2")
    assert answer.code == 0, answer.err
    outcomes = [blob["outcome"] for blob in json.loads(answer.out)["pushed"]["blobs"]]
    assert outcomes.count("sent") == 3  # with the configuration


def test_the_plan_is_told_beforehand(place: Workplace) -> None:
    before = json.loads(place.run("plan", "--json", "--previous", "1.tar").out)["layers"]
    assert [layer["reason"] for layer in before] == [
        layer["comment"].rpartition("(")[2].rstrip(")") for layer in layers_of(place, "1.tar")
    ]


def test_a_platform_that_is_new_is_planned_anew(place: Workplace) -> None:
    (place.folder / "root").mkdir()
    for name, line in (("one", 'platform = "x86_64-linux"'), ("both", 'platforms = ["x86_64-linux", "aarch64-linux"]')):
        text = f'name = "x"\n{line}\n[store]\ntype = "folder"\npath = "root"\n'
        (place.folder / "os.toml").write_text(text)
        answer = place.run("docker", "-o", f"{name}.tar", *(["--previous", "one.tar"] if name == "both" else []))
        assert answer.code == 0, answer.err
    assert "one.tar has no image for linux/arm64/v8: its layers are planned anew" in answer.err
    again = place.run("docker", "-o", "again.tar", "--previous", "both.tar")
    assert "planned anew" not in again.err
    assert (place.folder / "again.tar").read_bytes() == (place.folder / "both.tar").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--previous", "nothing.tar"], "nothing.tar"),
        (["--previous", "other.tar"], "other.tar does not say what its layers hold"),
        (["--previous", "1.tar", "--strategy", "size"], "what is new goes by tiers, not by size"),
    ],
)
def test_what_cannot_be_kept_is_refused(place: Workplace, arguments: list[str], said: str) -> None:
    layout(place.folder / "other", [bytes(1024)]).archive(place.folder / "other.tar")
    answer = place.run("docker", "-o", "2.tar", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert not (place.folder / "2.tar").exists()

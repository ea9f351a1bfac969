"""References in a real registry, inspected and compared by their documents alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import output
from tests.support.command_line import Workplace, workplace
from tests.support.debian_archive import Program
from tests.support.stored_images import close, image, index


@dataclass(frozen=True)
class Shelf:
    """A registry with two versions of an image, and the archives that they come from."""

    place: Workplace
    registry: Registry

    def reference(self, tag: str) -> str:
        return f"docker://{self.registry.address}/app:{tag}"

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        answer = self.place.run(*arguments, "--json")
        assert (answer.code, answer.err) == (code, "")
        return json.loads(answer.out)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("outline")
    place = workplace(folder)
    place.declare()
    with docker_registry(folder / "registry") as registry:
        shelf = Shelf(place, registry)
        for tag in ("1", "2"):
            for arguments in (["docker", "-q", "--refresh", "-o", f"{tag}.tar"], ["push", "-q", shelf.reference(tag)]):
                answer = place.run(*arguments)
                assert answer.code == 0, answer.err
            place.archive.add("tool", "1:3.2-1", files={"/usr/bin/tool": Program(b"#!/bin/sh\necho newer\n")})
            place.archive.publish()
        for path in (registry.folder / "data").rglob("data"):  # of layers, the registry knows no more than the size
            if path.read_bytes()[:2] == b"\x1f\x8b":
                path.write_bytes(bytes(path.stat().st_size))
        yield shelf


def test_skopeo_says_the_same(shelf: Shelf) -> None:
    found = shelf.json("inspect", shelf.reference("1"))
    seen = json.loads(output("skopeo", "inspect", "--tls-verify=false", shelf.reference("1")))
    raw = json.loads(output("skopeo", "inspect", "--raw", "--tls-verify=false", shelf.reference("1")))
    assert found["image"]["digest"] == seen["Digest"]
    assert [layer["digest"] for layer in found["layers"]] == seen["Layers"]
    assert [layer["size"] for layer in found["layers"]] == [layer["size"] for layer in raw["layers"]]


def test_what_the_documents_say_is_what_the_archive_says(shelf: Shelf) -> None:
    found, whole = shelf.json("inspect", shelf.reference("1")), shelf.json("inspect", "1.tar")
    assert found["image"]["image-id"] == whole["image"]["image-id"]
    assert found["items"] == whole["items"]
    for key in ("digest", "diff-id", "size", "comment", "items"):
        assert [layer[key] for layer in found["layers"]] == [layer[key] for layer in whole["layers"]]


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("1.tar", "2"), ("1", "2.tar")])
def test_what_is_pulled_again_and_why(shelf: Shelf, before: str, after: str) -> None:
    names = [name if name.endswith(".tar") else shelf.reference(name) for name in (before, after)]
    found = shelf.json("diff", *names, code=1)
    whole = shelf.json("diff", "1.tar", "2.tar", code=1)
    assert [layer["digest"] for layer in found["layers"]] == [layer["digest"] for layer in whole["layers"]]
    assert (found["pull-size"], found["layers-gone"]) == (whole["pull-size"], whole["layers-gone"])
    assert found["items"] == whole["items"]
    assert ["tool 1:3.2-1"] in [layer["causes"] for layer in found["layers"]]
    assert ["customization"] in [layer["causes"] for layer in found["layers"]]
    text = shelf.place.run("diff", *names).out
    assert "a pull moves" in text and "tool 1:3.2-1" in text


def test_nothing_differs(shelf: Shelf) -> None:
    answer = shelf.place.run("diff", shelf.reference("1"), "1.tar")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_text_for_people(shelf: Shelf) -> None:
    answer = shelf.place.run("inspect", shelf.reference("1"))
    assert (answer.code, answer.err) == (0, "")
    assert "linux/amd64" in answer.out
    assert "items: 3" in answer.out
    assert "number 1 by size" in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["inspect", "{}/app:never"], "there is no image"),
        (["inspect", "{}/app:1", "--platform", "linux/arm64"], "has no image 'linux/arm64'; there are:"),
        (["inspect", "{}/app:1", "--files"], "of a reference only the documents are read"),
        (["diff", "{}/app:1", "no.tar"], "cannot read no.tar"),
        (["inspect", "docker://UPPER CASE"], "is not"),
    ],
)
def test_what_cannot_be_read(shelf: Shelf, arguments: list[str], said: str) -> None:
    answer = shelf.place.run(*(word.format(f"docker://{shelf.registry.address}") for word in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_an_index_shows_each_platform(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    described = [
        {**image(folder, [b"shared", name.encode()], name), "platform": {"os": "linux", "architecture": name}}
        for name in ("amd64", "arm64")
    ]
    close(folder, index(folder, described))
    reference = f"docker://{shelf.registry.address}/several:1"
    assert shelf.place.run("push", "-q", folder, reference).code == 0
    for path in (folder, reference):
        found = shelf.json("inspect", path)["images"]
        assert [(one["platform"], one["layers"], one["size"]) for one in found] == [
            ("linux/amd64", 2, 11), ("linux/arm64", 2, 11),
        ]  # fmt: skip
        assert [one["digest"] for one in found] == [one["digest"] for one in described]
        assert "linux/arm64" in shelf.place.run("inspect", path).out
    one = shelf.json("inspect", reference, "--platform", "linux/arm64")
    assert one["image"]["digest"] == described[1]["digest"]
    answer = shelf.place.run("diff", reference, shelf.reference("1"))
    assert answer.code == 2
    assert "--platform names one" in answer.err

"""Several images that were stored become one index: what it names, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from layers.errors import InputError, PackError
from packer.registry.joint_image import JointImage
from packer.registry.stored_image import StoredImage
from tests.oracle.image_spec import problems
from tests.support import stored_images


def _stored(folder: Path, architecture: str, *layers: bytes) -> StoredImage:
    described = stored_images.image(folder, layers or [architecture.encode()], architecture)
    return StoredImage(str(stored_images.close(folder, described).folder))


def _index(image: JointImage) -> Any:
    data = image.manifests[-1].data
    assert not list(problems("image-index", data))
    return json.loads(data)


def _platforms(image: JointImage) -> list[str]:
    return [each["platform"]["architecture"] for each in _index(image)["manifests"]]


def test_an_index_names_each_with_its_platform(tmp_path: Path) -> None:
    stored = [_stored(tmp_path / name, name, b"shared", name.encode()) for name in ("s390x", "amd64")]
    image = JointImage(stored)
    assert _platforms(image) == ["s390x", "amd64"]
    assert [each["digest"] for each in _index(image)["manifests"]] == [str(one.manifests[-1].digest) for one in stored]
    assert image.manifests[:-1] == [one.manifests[-1] for one in stored]
    assert len(image.blobs) == 5  # both have one layer, and another configuration
    for blob in image.blobs:
        assert image.contents([blob])[blob.digest].size == blob.size


def test_of_an_index_all_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    described = [
        {**stored_images.image(folder, [name.encode()], name), "platform": {"os": "linux", "architecture": name}}
        for name in ("arm64", "riscv64")
    ]
    stored_images.close(folder, stored_images.index(folder, described))
    image = JointImage([StoredImage(str(folder)), _stored(tmp_path / "amd64", "amd64")])
    assert _platforms(image) == ["arm64", "riscv64", "amd64"]
    assert len(image.manifests) == 4
    again = JointImage([_stored(tmp_path / name, name) for name in ("arm64", "riscv64", "amd64")])
    assert again.manifests == image.manifests


def test_what_all_of_them_say_the_index_says(tmp_path: Path) -> None:
    stored = []
    for name in ("arm64", "amd64"):
        described = stored_images.image(tmp_path / name, [b""], name, {"of all": "same", "of one": name})
        stored.append(StoredImage(str(stored_images.close(tmp_path / name, described).folder)))
    assert _index(JointImage(stored))["annotations"] == {"of all": "same"}


def test_two_for_one_platform(tmp_path: Path) -> None:
    stored = [_stored(tmp_path / name, "amd64", name.encode()) for name in ("one", "two")]
    with pytest.raises(InputError, match=r"one and .*two are both for linux/amd64"):
        JointImage(stored)


def test_attestations_are_of_no_platform(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    nowhere = {"os": "unknown", "architecture": "unknown"}
    described = [{**stored_images.image(folder, [name]), "platform": nowhere} for name in (b"one", b"two")]
    stored_images.close(folder, stored_images.index(folder, described))
    image = JointImage([StoredImage(str(folder)), _stored(tmp_path / "amd64", "amd64")])
    assert _platforms(image) == ["unknown", "unknown", "amd64"]


@pytest.mark.parametrize("architecture", ["", None, 7])
def test_an_image_of_no_platform(tmp_path: Path, architecture: Any) -> None:
    stored = [_stored(tmp_path / "one", "amd64"), _stored(tmp_path / "two", architecture, b"x")]
    with pytest.raises(PackError, match=r"which platform .*two is for|is no string"):
        JointImage(stored)

"""Layouts that are not what they say are refused before anybody is asked anything."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from formats.reading.artefact import ArtefactError
from packer.registry.stored_image import StoredImage
from tests.support import stored_images
from tests.support.stored_images import INDEX, MANIFEST, Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return stored_images.layout(tmp_path / "layout", [b"one", b"two"])


def _index(layout: Layout, change: Callable[[dict[str, Any]], object]) -> None:
    path = layout.folder / "index.json"
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def _document(layout: Layout, facts: Any, kind: str = MANIFEST) -> None:
    """Have the index name another document."""
    data = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    stored_images.close(layout.folder, stored_images.put(layout.folder, data, kind))


def _linked(path: Path) -> None:
    """The same content, behind a link."""
    path.symlink_to(path.rename(path.with_suffix(".moved")))


_CONFIG = {"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 1}

_BAD: dict[str, tuple[Callable[[Layout], object], str]] = {
    "no index": (lambda it: (it.folder / "index.json").unlink(), "is no OCI image layout"),
    "an index that is a link": (
        lambda it: _linked(it.folder / "index.json"),
        "is no OCI image layout",
    ),
    "no JSON": (lambda it: (it.folder / "index.json").write_text("{"), "is not JSON"),
    "nested JSON": (lambda it: (it.folder / "index.json").write_text("[" * 200_000), "is not JSON: .* nested too deep"),
    "a key twice": (lambda it: (it.folder / "index.json").write_text('{"a":1,"a":2}'), "a key is there twice"),
    "a large index": (lambda it: (it.folder / "index.json").write_text(" " * (5 << 20)), "is no OCI image layout"),
    "no image": (lambda it: _index(it, lambda facts: facts["manifests"].clear()), "has 0 images"),
    "two images": (lambda it: _index(it, lambda facts: facts["manifests"].append({})), "has 2 images"),
    "a digest that is a path": (
        lambda it: _index(it, lambda facts: facts["manifests"][0].update(digest="../../../etc/passwd")),
        "is not a digest",
    ),
    "a size that is none": (
        lambda it: _index(it, lambda facts: facts["manifests"][0].update(size=-1)), "its size is no number",
    ),
    "another size": (lambda it: _index(it, lambda facts: facts["manifests"][0].update(size=1)), "has other bytes"),
    "other bytes": (lambda it: it.path(it.digest).write_bytes(b"x" * 100), "has other bytes"),
    "another type": (
        lambda it: _index(it, lambda facts: facts["manifests"][0].update(mediaType=INDEX)), "is of another kind",
    ),
    "an unknown type": (lambda it: _document(it, {}, "text/plain"), "neither a manifest nor an index"),
    "both a manifest and an index": (
        lambda it: _document(it, {"config": _CONFIG, "layers": [], "manifests": []}), "is of another kind",
    ),
    "both an index and a manifest": (
        lambda it: _document(it, {"layers": [], "manifests": []}, INDEX), "is of another kind",
    ),
    "no configuration": (lambda it: _document(it, {"layers": []}), "has no config"),
    "a configuration without a media type": (
        lambda it: _document(it, {"config": {**_CONFIG, "mediaType": ""}, "layers": []}), "without a media type",
    ),
    "a configuration of no size": (
        lambda it: _document(it, {"config": {**_CONFIG, "size": True}, "layers": []}), "its size is no number",
    ),
    "no layers": (lambda it: _document(it, {"config": _CONFIG, "mediaType": MANIFEST}), "has no"),
    "a blob that is not there": (lambda it: _document(it, {"config": _CONFIG, "layers": []}), "has no blobs/sha256/00"),
    "a blob of another size": (lambda it: it.path(max(it.sizes)).write_bytes(b""), "has other bytes: 0 of them"),
    "a blob that is a link": (
        lambda it: _linked(it.path(max(it.sizes))),
        "is not a file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(_BAD))
def test_a_layout_that_lies(layout: Layout, case: str) -> None:
    change, said = _BAD[case]
    change(layout)
    with pytest.raises(ArtefactError, match=said):
        StoredImage(str(layout.folder))


def test_indexes_are_not_followed_for_ever(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    descriptor = stored_images.image(folder, [b"deep"])
    for _ in range(5):
        descriptor = stored_images.index(folder, [descriptor])
    stored_images.close(folder, descriptor)
    with pytest.raises(ArtefactError, match="nested too deep"):
        StoredImage(str(folder))


def _member(archive: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(data), "/etc/passwd"
    archive.addfile(member, io.BytesIO(data))


def test_archives_that_lie(layout: Layout, tmp_path: Path) -> None:
    path = layout.archive(tmp_path / "image.tar")
    assert StoredImage(str(path)).manifests[-1].digest == StoredImage(str(layout.folder)).manifests[-1].digest
    with tarfile.open(path, "a") as archive:
        _member(archive, "index.json", b"{}")
    with pytest.raises(ArtefactError, match=r"has 'index\.json' twice"):
        StoredImage(str(path))
    with tarfile.open(path, "w") as archive:
        _member(archive, "index.json", kind=tarfile.SYMTYPE)
    with pytest.raises(ArtefactError, match="is no OCI image layout"):
        StoredImage(str(path))


def _all_of(path: Path) -> object:
    """All that is sent of an image; of its blobs, where they are: they are compared when they are sent."""
    image = StoredImage(str(path))
    return image.listed(), image.manifests, image.blobs, image.contents(image.blobs)


def test_damaged_archives(layout: Layout, tmp_path: Path) -> None:
    path = layout.archive(tmp_path / "image.tar")
    whole, sound = path.read_bytes(), _all_of(path)
    refused, places = 0, range(0, len(whole), 97)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = _all_of(path)
        except ArtefactError:
            refused += 1
        else:
            assert found == sound, place
    assert 0 < refused < len(places)

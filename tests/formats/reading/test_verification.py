"""Which level of an image is damaged: each is damaged in turn, in a folder and in an archive."""

import gzip
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard

from formats.reading.artefact import ArtefactError
from formats.reading.open import image_files
from formats.reading.verification import Level, checks
from layers.digest import Digest
from layers.entry import Data, File
from tests.oracle.runtimes import skopeo_copy
from tests.support import stored_images
from tests.support.entries import noise, tar_of
from tests.support.stored_images import CONFIG, LAYER, MANIFEST, Layout

GZIP = f"{LAYER}+gzip"


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def _tar(size: int) -> bytes:
    return tar_of([File(b"file", Data(noise(size)))])


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _image(folder: Path, *, other_diff_id: bool = False, compress: Callable[[bytes], bytes] = _gzip) -> Layout:
    """An image of two layers, of which the second one is compressed."""
    tars = [_tar(size) for size in (20_000, 30_000)]
    blobs = [tars[0], compress(tars[1])]
    layers = [stored_images.put(folder, blob, kind) for blob, kind in zip(blobs, (LAYER, GZIP), strict=True)]
    diff_ids = [str(Digest.of(tar)) for tar in (tars[0], b"other" if other_diff_id else tars[1])]
    facts = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = stored_images.put(folder, json.dumps(facts).encode(), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    described = stored_images.put(folder, json.dumps(manifest).encode(), MANIFEST)
    return stored_images.close(folder, stored_images.index(folder, [described]))


def _named(layout: Layout, level: Level) -> Path:
    index: Any = json.loads(layout.path(layout.digest).read_bytes())
    if level is Level.INDEX:
        return layout.path(layout.digest)
    manifest = layout.path(index["manifests"][0]["digest"])
    if level is Level.MANIFEST:
        return manifest
    facts = json.loads(manifest.read_bytes())
    return layout.path(facts["config"]["digest"] if level is Level.CONFIG else facts["layers"][1]["digest"])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.Random(0).randrange(len(data))] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _faults(path: Path, executor: ThreadPoolExecutor) -> list[Level]:
    files = image_files(str(path))
    assert files
    return [check.level for check in checks(files, executor) if check.fault]


@pytest.mark.parametrize("archived", [False, True])
def test_a_whole_image_has_no_fault(tmp_path: Path, executor: ThreadPoolExecutor, archived: bool) -> None:
    layout = _image(tmp_path / "layout")
    files = image_files(str(layout.archive(tmp_path / "image.tar") if archived else layout.folder))
    assert files
    found = list(checks(files, executor))
    assert [check.fault for check in found] == [""] * 7
    levels = [Level.INDEX, Level.MANIFEST, Level.CONFIG, *(2 * [Level.BLOB, Level.DIFF_ID])]
    assert [check.level for check in found] == levels


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("damage", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize("level", [Level.INDEX, Level.MANIFEST, Level.CONFIG, Level.BLOB])
def test_the_level_that_is_damaged_is_named(
    tmp_path: Path, executor: ThreadPoolExecutor, level: Level, damage: Callable[[Path], None], archived: bool
) -> None:
    layout = _image(tmp_path / "layout")
    damage(_named(layout, level))
    path = layout.archive(tmp_path / "image.tar") if archived else layout.folder
    assert _faults(path, executor)[0] is level


def test_a_layer_that_is_not_what_the_configuration_says(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    assert _faults(_image(tmp_path / "layout", other_diff_id=True).folder, executor) == [Level.DIFF_ID]


def _gzip_of_zeros_at_its_end(data: bytes) -> bytes:
    return _gzip(data)[:-9] + bytes(9)


def _zstd_without_its_checksum(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)[:-4]


@pytest.mark.parametrize("compress", [_gzip_of_zeros_at_its_end, _zstd_without_its_checksum])
def test_a_layer_that_cannot_be_decompressed(
    tmp_path: Path, executor: ThreadPoolExecutor, compress: Callable[[bytes], bytes]
) -> None:
    assert _faults(_image(tmp_path / "layout", compress=compress).folder, executor) == [Level.DIFF_ID]


def test_docker_s_archives_without_a_manifest(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    layout = stored_images.layout(tmp_path / "layout", [_tar(20_000)])
    archive = tmp_path / "docker.tar"
    skopeo_copy(f"oci:{layout.folder}", f"docker-archive:{archive}:a/b:1")
    files = image_files(str(archive))
    assert files
    assert [(check.level, check.fault) for check in checks(files, executor)] == [
        (Level.CONFIG, ""), (Level.DIFF_ID, ""),
    ]  # fmt: skip
    data = archive.read_bytes()
    place = data.index(b'"architecture"')
    archive.write_bytes(data[: place + 1] + b"A" + data[place + 2 :])
    assert Level.CONFIG in _faults(archive, executor)


def test_docker_and_others_have_to_read_one_image(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    folder = tmp_path / "layout"
    layout = _image(folder)
    other = stored_images.image(folder, [_tar(100)])
    manifest = json.loads(layout.path(other["digest"]).read_bytes())
    entry = {
        "Config": f"blobs/sha256/{manifest['config']['digest'][7:]}",
        "RepoTags": ["a:1"],
        "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in manifest["layers"]],
    }
    (folder / "manifest.json").write_text(json.dumps([entry]))
    archive = tmp_path / "image.tar"

    with tarfile.open(archive, "w") as tar:
        for name in ("blobs", "index.json", "oci-layout", "manifest.json"):
            tar.add(folder / name, name)
    assert _faults(archive, executor) == [Level.CONFIG]


@pytest.mark.parametrize("data", [b"", bytes(100_000), b"\xeb\x58\x90" + bytes(5000), b"#!/bin/sh\n"])
def test_other_files_hold_no_digests(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "disk").write_bytes(data)
    assert image_files(str(tmp_path / "disk")) is None


def test_a_folder_is_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="without an OCI image layout"):
        image_files(str(tmp_path))

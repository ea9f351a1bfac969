"""Artefacts of every kind are known by what is in them; damaged ones are refused with one line."""

import gzip
import json
import os
import random
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard

from formats import docker as docker_format
from formats import oci
from formats.format import Order
from formats.reading.artefact import ArtefactError, StoredArtefact
from formats.reading.files import FolderFiles
from formats.reading.listing import Budget, Listing, list_layer
from formats.reading.merged import MergedTree, merge
from formats.reading.open import open_artefact
from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Symlink
from layers.plan import plan
from layers.strategies import strategy
from tests.oracle.runtimes import Docker, Podman, skopeo_copy
from tests.support.entries import noise, tar_of
from tests.support.layers import INDEX, Layout, layout
from tests.support.systems import item, system, workshop

_ITEMS = (item("base", {"usr/lib/base": b"1" * 500}), item("leaf", {"usr/bin/leaf": b"22"}, ("base",)))


def _ours(tmp_path: Path, name: str, compression: str = "gzip") -> Path:
    of = system(*_ITEMS)
    made_by = docker_format if name.startswith("docker") else oci
    with workshop(tmp_path / "cache", compression) as made_with:
        made_by.write(Order(of, plan(of.closure, strategy("size"), 100), made_with, str(tmp_path / name)))
    return tmp_path / name


def _listed(artefact: StoredArtefact) -> list[Listing]:
    budget = Budget()
    with ThreadPoolExecutor(2) as executor:
        return [list_layer(layer, lambda _: False, executor, budget) for layer in artefact.layers]


def _tree(path: Path, choice: str = "") -> MergedTree:
    artefact = open_artefact(str(path), choice)
    return merge(_listed(artefact), whiteouts=artefact.image is not None, origin=str(path))


_FILES = {b"etc-motd", b"usr", b"usr/bin", b"usr/bin/leaf", b"usr/lib", b"usr/lib/base"}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("name", "kind", "form"),
    [("docker.tar", "docker", "archive"), ("oci.tar", "oci", "archive"), ("oci", "oci", "folder")],
)  # fmt: skip
def test_ours(tmp_path: Path, name: str, kind: str, form: str, compression: str) -> None:
    artefact = open_artefact(str(_ours(tmp_path, name, compression)))
    assert (artefact.kind, artefact.form, artefact.notes) == (kind, form, ())
    assert artefact.image
    assert artefact.image.platform == "linux/amd64"
    assert set(_tree(tmp_path / name).nodes) == _FILES
    assert [[str(each) for each in layer.items or ()] for layer in artefact.layers] == [["base 1.0"], ["leaf 1.0"], []]
    known = {each.path: each.identity for each in _ITEMS}
    assert {each.path: each.identity for layer in artefact.layers for each in layer.items or ()} == known


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_docker_saves(tmp_path: Path, docker: Docker, compression: str) -> None:
    reference = docker.load(_ours(tmp_path, "docker.tar", compression))
    docker.command("save", "-o", tmp_path / "saved.tar", reference)
    artefact = open_artefact(str(tmp_path / "saved.tar"))
    assert artefact.kind == "docker"
    assert artefact.image
    assert "sample:1.0" in {name.removeprefix("docker.io/library/") for name in artefact.image.names}
    assert str(artefact.image.config_digest) == docker.inspect(reference)["Id"]
    assert set(_tree(tmp_path / "saved.tar").nodes) == _FILES
    # the configuration still says which items there are
    assert [[str(each) for each in layer.items or ()] for layer in artefact.layers] == [["base 1.0"], ["leaf 1.0"], []]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_podman_saves(tmp_path: Path, podman: Podman, form: str) -> None:
    reference = podman.load(_ours(tmp_path, "docker.tar"))
    saved = tmp_path / "saved"
    podman.command("save", "--format", form, "-o", saved, reference)
    assert set(_tree(saved).nodes) == _FILES
    assert open_artefact(str(saved)).kind == form.partition("-")[0]


@pytest.mark.parametrize("transport", ["docker-archive:{}:it:1", "oci-archive:{}:it", "oci:{}:it"])
def test_what_skopeo_writes(tmp_path: Path, transport: str) -> None:
    target = tmp_path / "copy"
    skopeo_copy(f"oci:{_ours(tmp_path, 'oci')}", transport.format(target))
    assert set(_tree(target).nodes) == _FILES


@pytest.mark.parametrize("compression", ["none", "gzip", "xz", "zstd", "bzip2", "lzip"])
def test_tarballs(tmp_path: Path, compression: str) -> None:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "motd").write_text("hello\n")
    options = [] if compression == "none" else [f"--{compression}"]
    os.system(f"tar -C {tmp_path}/root {' '.join(options)} -cf {tmp_path}/it .")
    artefact = open_artefact(str(tmp_path / "it"))
    assert (artefact.kind, artefact.form, artefact.image) == ("tarball", compression, None)
    assert set(_tree(tmp_path / "it").nodes) == {b"etc", b"etc/motd"}


def _layered(*files: bytes) -> tuple[Layout, dict[str, Any]]:
    made = layout()
    return made, made.image([tar_of([File(name, Data(b"x"))]) for name in files])


def test_one_of_several_images_is_asked_for(tmp_path: Path) -> None:
    made = layout()
    images = [
        made.image([tar_of([File(name.encode())])], annotations={"org.opencontainers.image.ref.name": name})
        for name in ("one", "two")
    ]
    made.index(*images)
    made.folder(tmp_path)
    with pytest.raises(ArtefactError, match=r"2 images:\n  one sha256:.*\n  two sha256:"):
        open_artefact(str(tmp_path))
    with pytest.raises(ArtefactError, match="no image 'three'"):
        open_artefact(str(tmp_path), "three")
    assert set(_tree(tmp_path, "two").nodes) == {b"two"}
    assert set(_tree(tmp_path, images[0]["digest"]).nodes) == {b"one"}
    assert set(_tree(tmp_path, images[0]["digest"][7:20]).nodes) == {b"one"}


def test_platforms_of_an_index_and_no_attestations(tmp_path: Path) -> None:
    made = layout()
    known = [
        made.image([tar_of([File(name.encode())])], platform={"os": "linux", "architecture": name})
        for name in ("amd64", "arm64", "unknown")
    ]
    known[2]["platform"]["os"] = "unknown"
    nested = json.dumps({"schemaVersion": 2, "manifests": known}).encode()
    made.index(made.described(INDEX, nested, annotations={"org.opencontainers.image.ref.name": "it"}))
    made.archive(tmp_path / "it.tar")
    assert set(_tree(tmp_path / "it.tar", "linux/arm64").nodes) == {b"arm64"}
    with pytest.raises(ArtefactError, match="2 images"):
        open_artefact(str(tmp_path / "it.tar"))


def test_a_layer_that_occurs_twice_is_a_link_for_docker(tmp_path: Path) -> None:
    layer = tar_of([File(b"a")])
    config = json.dumps({"os": "linux", "rootfs": {"diff_ids": [str(Digest.of(layer))] * 2}}).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar"]}]).encode()
    entries: list[Entry] = [
        Directory(b"1"), File(b"1/layer.tar", Data(layer)), Directory(b"2"), Symlink(b"2/layer.tar", b"../1/layer.tar"),
        File(b"c.json", Data(config)), File(b"manifest.json", Data(manifest)),
    ]  # fmt: skip
    (tmp_path / "it.tar").write_bytes(tar_of(entries))
    assert set(_tree(tmp_path / "it.tar").nodes) == {b"a"}


def test_an_archive_of_two_minds_is_told(tmp_path: Path) -> None:
    made, image = _layered(b"a")
    made.index(image)
    config = json.dumps({"rootfs": {"diff_ids": []}}).encode()
    made.files["other.json"] = config
    made.files["manifest.json"] = json.dumps([{"Config": "other.json", "RepoTags": [], "Layers": []}]).encode()
    artefact = open_artefact(str(made.archive(tmp_path / "it.tar")))
    assert "has another image" in artefact.notes[0]


def _manifest(made: Layout, image: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.files["blobs/sha256/" + image["digest"][7:]])
    return found


def _with_manifest(change: Callable[[Layout, dict[str, Any]], object]) -> Callable[[Layout, dict[str, Any]], None]:
    """A layout whose manifest is another one, properly named."""

    def made(files: Layout, image: dict[str, Any]) -> None:
        manifest = _manifest(files, image)
        change(files, manifest)
        files.index(files.described(image["mediaType"], json.dumps(manifest).encode()))

    return made


def _flip(files: Layout, descriptor: dict[str, Any]) -> None:
    name = "blobs/sha256/" + descriptor["digest"][7:]
    data = bytearray(files.files[name])
    data[-1] ^= 1
    files.files[name] = bytes(data)


_DAMAGE: dict[str, tuple[Callable[[Layout, dict[str, Any]], object], str]] = {
    "no index": (lambda files, _: files.files.pop("index.json"), "has no index.json"),
    "an index of nothing": (lambda files, _: files.index(), "has no image"),
    "no JSON": (lambda files, _: files.files.update({"index.json": b"{"}), "is not JSON"),
    "no UTF-8": (lambda files, _: files.files.update({"index.json": b'"\xff"'}), "is not JSON"),
    "NaN": (lambda files, _: files.files.update({"index.json": b'{"a": NaN}'}), "is not JSON: 'NaN' is no value"),
    "a key twice": (lambda files, _: files.files.update({"index.json": b'{"a": 1, "a": 1}'}), "a key is there twice"),
    "brackets": (lambda files, _: files.files.update({"index.json": b"[" * 200_000}), "nested too deep"),
    "a large index": (lambda files, _: files.files.update({"index.json": b" " * (5 << 20)}), "more than the 4 MiB"),
    "an array": (lambda files, _: files.files.update({"index.json": b"[]"}), "is no table"),
    "manifests in a table": (lambda files, _: files.files.update({"index.json": b'{"manifests": {}}'}), "is no array"),
    "a digest with a path": (
        lambda files, image: files.index({**image, "digest": "sha256:../../../etc/passwd"}), "is not a digest",
    ),
    "another hash": (lambda files, image: files.index({**image, "digest": "md5:00"}), "is not a digest"),
    "a negative size": (lambda files, image: files.index({**image, "size": -1}), "no number of bytes"),
    "a size that is true": (lambda files, image: files.index({**image, "size": True}), "no number of bytes"),
    "another size": (lambda files, image: files.index({**image, "size": 1}), "is damaged: it has"),
    "a flipped manifest": (_flip, "manifest of .* is damaged: its digest"),
    "a flipped configuration": (
        lambda files, image: _flip(files, _manifest(files, image)["config"]), "configuration of .* is damaged",
    ),
    "a flipped layer": (
        lambda files, image: _flip(files, _manifest(files, image)["layers"][0]), "layer 1 of .* is damaged",
    ),
    "a missing layer": (
        lambda files, image: files.files.pop("blobs/sha256/" + _manifest(files, image)["layers"][0]["digest"][7:]),
        "layer 1 of .* is missing",
    ),
    "another diff_id": (
        _with_manifest(lambda files, manifest: manifest.update(config=files.described(
            "x", json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}}).encode()))),
        "its diff_id is",
    ),
    "a manifest that is an index, too": (
        _with_manifest(lambda files, manifest: manifest.update(manifests=[])), "is of another kind",
    ),
    "a manifest of another type": (
        _with_manifest(lambda files, manifest: manifest.update(mediaType=INDEX)), "is of another kind",
    ),
    "an index that is a manifest, too": (
        lambda files, image: files.index(
            files.described(INDEX, json.dumps({"manifests": [image], "layers": []}).encode())
        ),
        "is of another kind",
    ),
    "fewer diff_ids": (
        _with_manifest(lambda files, manifest: manifest.update(config=files.described("x", b"{}"))), "1 layers, and 0",
    ),
    "an artefact of another kind": (
        _with_manifest(lambda files, manifest: manifest.update(
            config=files.described("application/vnd.oci.empty.v1+json", b"{}"))), "something else than an image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("name", _DAMAGE)
def test_damage_is_refused(tmp_path: Path, name: str, form: str) -> None:
    damage, message = _DAMAGE[name]
    made, image = _layered(b"a")
    made.index(image)
    damage(made, image)
    path = made.folder(tmp_path) if form == "folder" else made.archive(tmp_path / "it.tar")
    with pytest.raises(ArtefactError, match=message):
        _tree(path)


def test_layers_that_expand_beyond_reason_are_refused(tmp_path: Path) -> None:
    bomb = tar_of([File(b"a", Data(bytes(100 << 20)))])
    (tmp_path / "it").write_bytes(zstandard.ZstdCompressor(level=19).compress(bomb))
    with pytest.raises(ArtefactError, match="expands to more than"):
        _tree(tmp_path / "it")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "a folder without an OCI image layout"),
        (lambda path: path.write_bytes(b""), "nothing that ocipack reads"),
        (lambda path: path.write_bytes(noise(5000)), "nothing that ocipack reads"),
        (lambda path: path.write_bytes(gzip.compress(b"text")), "the end of the archive is missing"),
        (lambda path: os.mkfifo(path), "neither a file nor a folder"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.write_bytes(tar_of([File(b"manifest.json", Data(b"{}"))])), "is no array"),
        (lambda path: path.write_bytes(tar_of([File(b"manifest.json"), File(b"manifest.json")])), "twice"),
    ],
)
def test_what_is_no_artefact_is_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path / "it")
    with pytest.raises(ArtefactError, match=message):
        _tree(tmp_path / "it")


@pytest.mark.parametrize("name", ["it", "../it", "/etc/passwd", "blobs/sha256/../../it", "", "."])
def test_a_layout_folder_has_only_a_layout_s_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "it").touch()
    assert FolderFiles(str(tmp_path)).find(name) is None


def test_a_layout_folder_with_links_leads_nowhere(tmp_path: Path) -> None:
    made, image = _layered(b"a")
    made.index(image)
    made.folder(tmp_path)
    layer = tmp_path / ("blobs/sha256/" + _manifest(made, image)["layers"][0]["digest"][7:])
    layer.rename(tmp_path / "elsewhere")
    layer.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtefactError, match="is not a file"):
        _tree(tmp_path)


def test_mutations_are_read_or_refused(tmp_path: Path) -> None:
    """Of an archive whose parts are small, so that each of them is hit."""
    made, image = _layered(b"a", b"b")
    made.index(image)
    whole = made.archive(tmp_path / "whole.tar").read_bytes()
    chance, refused = random.Random(3), 0
    path = tmp_path / "it.tar"
    for _ in range(2500):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b'\0\xff0 "{}[]:,/.x\x80')
        if chance.random() < 0.8:  # past the checksums of the archive
            for at in range(0, len(whole), 512):
                if whole[at + 257 : at + 262] == b"ustar":
                    damaged[at + 148 : at + 156] = b" " * 8
                    damaged[at + 148 : at + 156] = b"%06o\0 " % sum(damaged[at : at + 512])
        path.write_bytes(damaged)
        try:
            _tree(path)
        except ArtefactError:
            refused += 1
    assert 1000 < refused < 2500


def test_a_file_is_read_where_a_link_names_it(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "it.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    (tmp_path / "link").symlink_to("it.tar")
    assert set(_tree(tmp_path / "link").nodes) == {b"a"}

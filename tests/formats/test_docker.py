"""The hybrid archive in the hands of docker, podman, skopeo and umoci."""

import json
import os
import tarfile
import time
from pathlib import Path

import pytest

from formats import docker as docker_format
from formats import oci
from formats.container_image import ImageArtefact, layer_requests
from formats.format import Order
from formats.system import Healthcheck, RunConfiguration
from layers.output import OutputError
from layers.plan import plan
from layers.strategies import strategy
from tests.oracle.runtimes import Containerd, Docker, Podman, output, skopeo_copy, umoci_unpack
from tests.support.systems import item, system, workshop

_BUSYBOX = Path("/bin/busybox")
_COMMAND = ("/bin/busybox", "cat", "/etc-motd", "/usr/share/leaf")


def _write(tmp_path: Path, compression: str = "gzip", max_layers: int = 100) -> ImageArtefact:
    items = [item("busybox", {"bin/busybox": _BUSYBOX.read_bytes()}), item("leaf", {"usr/share/leaf": b"leaf\n"})]
    # Enough layers to meet docker's limit.
    items += [item(f"item{number:03}", {f"usr/lib/{number}": b"%d" % number}) for number in range(max_layers)]
    of = system(*items, run=RunConfiguration(cmd=_COMMAND))
    with workshop(tmp_path / "cache", compression) as made_with:
        path = tmp_path / "image.tar"
        return docker_format.write(Order(of, plan(of.closure, strategy("size"), max_layers), made_with, str(path)))


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_docker_loads_and_runs_it(tmp_path: Path, docker: Docker, compression: str) -> None:
    artefact = _write(tmp_path, compression, max_layers=5)
    reference = docker.load(Path(artefact.path))
    assert reference == "sample:1.0"
    assert docker.inspect(reference)["Id"] == str(artefact.image_id)
    assert docker.run(reference) == "hello\nleaf\n"


def _write_checked(tmp_path: Path) -> Path:
    """An archive whose program is well as long as a file is there."""
    check = Healthcheck(("CMD", "/bin/busybox", "test", "-e", "/etc-motd"), 10**9, 5 * 10**9, retries=3)
    run = RunConfiguration(cmd=("/bin/busybox", "sleep", "60"), healthcheck=check, stop_signal="SIGKILL")
    of = system(item("busybox", {"bin/busybox": _BUSYBOX.read_bytes()}), name="checked", run=run)
    with workshop(tmp_path / "cache") as made_with:
        path = tmp_path / "image.tar"
        docker_format.write(Order(of, plan(of.closure, strategy("size"), 100), made_with, str(path)))
    return path


def test_docker_looks_after_the_health_of_what_it_runs(tmp_path: Path, docker: Docker) -> None:
    reference = docker.load(_write_checked(tmp_path))
    container = docker.command("run", "-d", "--rm", "--network", "none", reference).strip()
    try:
        for _ in range(100):
            health = json.loads(docker.command("inspect", "--format", "{{json .State.Health}}", container))
            if health["Status"] != "starting":
                break
            time.sleep(0.1)
        assert health["Status"] == "healthy", health
    finally:
        docker.command("stop", container)


def test_podman_reads_a_healthcheck_from_dockers_format(tmp_path: Path, podman: Podman) -> None:
    name = podman.command("pull", "-q", f"docker-archive:{_write_checked(tmp_path)}").strip()
    found = json.loads(podman.command("image", "inspect", "--format", "{{json .HealthCheck}}", name))
    assert (found["Test"][0], found["Interval"], found["Retries"]) == ("CMD", 10**9, 3)


def test_docker_runs_as_many_layers_as_we_allow(tmp_path: Path, docker: Docker) -> None:
    artefact = _write(tmp_path, max_layers=125)
    assert len(artefact.layers) == 125
    assert docker.run(docker.load(Path(artefact.path))) == "hello\nleaf\n"


def test_docker_refuses_one_layer_more(tmp_path: Path, docker: Docker) -> None:
    artefact = _write(tmp_path, max_layers=126)
    with pytest.raises(AssertionError, match="max depth exceeded"):
        docker.load(Path(artefact.path))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_podman_loads_and_runs_it(tmp_path: Path, podman: Podman, compression: str) -> None:
    artefact = _write(tmp_path, compression, max_layers=5)
    reference = podman.load(Path(artefact.path))
    assert podman.run(reference) == "hello\nleaf\n"


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("hello", "docker.io/library/hello:1.0"),
        ("team/hello", "docker.io/team/hello:1.0"),
        ("ghcr.io/team/hello", "ghcr.io/team/hello:1.0"),
        ("localhost/hello", "localhost/hello:1.0"),
        ("localhost:5000/hello", "localhost:5000/hello:1.0"),
    ],
)
def test_containerd_and_podman_call_it_what_os_toml_does(
    tmp_path: Path, containerd: Containerd, podman: Podman, name: str, whole: str
) -> None:
    of = system(item("leaf", {"leaf": b"1"}), name=name)
    with workshop(tmp_path / "cache") as made_with:
        path = tmp_path / "image.tar"
        docker_format.write(Order(of, plan(of.closure, strategy("size"), 100), made_with, str(path)))
    assert containerd.names(path) == [whole]
    assert podman.load(path) == whole


@pytest.mark.parametrize("transport", ["docker-archive:{path}", "oci-archive:{path}:1.0"])
def test_skopeo_and_umoci_take_either_side_of_it(tmp_path: Path, transport: str) -> None:
    artefact = _write(tmp_path, max_layers=5)
    skopeo_copy(transport.format(path=artefact.path), f"oci:{tmp_path}/layout:1.0")
    root = umoci_unpack(tmp_path / "layout", "1.0", tmp_path / "bundle")
    assert output("chroot", root, *_COMMAND) == "hello\nleaf\n"


def test_skopeo_keeps_the_digest_of_the_layout_in_the_archive(tmp_path: Path) -> None:
    artefact = _write(tmp_path, max_layers=5)
    seen = json.loads(output("skopeo", "inspect", f"oci-archive:{artefact.path}:1.0"))
    assert seen["Digest"] == str(artefact.digest)


def test_the_archive_lists_the_same_blobs_twice(tmp_path: Path) -> None:
    artefact = _write(tmp_path, max_layers=5)
    with tarfile.open(artefact.path) as archive:
        names = archive.getnames()
        docker_manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
    assert len(names) == len(set(names))
    assert {docker_manifest[0]["Config"], *docker_manifest[0]["Layers"]} <= set(names)
    assert docker_manifest[0]["RepoTags"] == ["sample:1.0"]


def test_a_layout_folder_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    of = system(item("leaf", {"leaf": b"1"}))
    target = tmp_path / "sample.oci"
    with workshop(tmp_path / "cache") as made_with:
        order = Order(of, plan(of.closure, strategy("size"), 100), made_with, str(target))
        first = oci.write(order)
        (target / "stale").write_text("from before")
        assert oci.write(order) == first
        assert sorted(os.listdir(target)) == ["blobs", "index.json", "oci-layout"]
        assert sorted(os.listdir(tmp_path)) == ["cache", "sample.oci"]
        (target / "oci-layout").unlink()
        with pytest.raises(OutputError, match="not an OCI image layout"):
            oci.write(order)


@pytest.mark.parametrize("output", ["image.tar", "image.oci"])
def test_uncompressed_layers_are_kept_nowhere_else(tmp_path: Path, output: str) -> None:
    of = system(item("leaf", {"leaf": b"1" * 5000}), item("twin", {}), item("other twin", {}))
    format_of = docker_format if output.endswith(".tar") else oci
    with workshop(tmp_path / "cache", "none") as made_with:
        order = Order(of, plan(of.closure, strategy("size"), 100), made_with, str(tmp_path / output))
        artefact = format_of.write(order)
    assert os.listdir(tmp_path / "cache" / "blobs" / "sha256") == []
    assert len({layer.digest for layer in artefact.layers}) == 3  # the empty layers of the twins are one blob
    transport = "oci-archive" if output.endswith(".tar") else "oci"
    skopeo_copy(f"{transport}:{tmp_path}/{output}:1.0", f"dir:{tmp_path}/copy")


def test_uncompressed_layers_are_the_same_blobs_through_the_cache(tmp_path: Path) -> None:
    of = system(item("leaf", {"leaf": b"1" * 5000}))
    with workshop(tmp_path / "cache", "none") as made_with:
        order = Order(of, plan(of.closure, strategy("size"), 100), made_with, str(tmp_path / "image.tar"))
        artefact = docker_format.write(order)
        assert artefact.layers == tuple(made_with.layers(layer_requests(order)))

"""`--for`: what a runtime would not run is refused before anything is built."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from layers.errors import InputError
from packer.options import Common, changed
from packer.runtimes import REGISTRY, RUNTIMES, require
from packer.tables.compression import LayerCompression
from packer.tables.layers import Layers
from tests.oracle.runtimes import Docker, Podman
from tests.support.command_line import Workplace, workplace

_DOCKER_WITH_ZSTD = 23  # before that it "fails with `invalid tar header`", as the refusal says


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    made = workplace(tmp_path_factory.mktemp("runtimes"))
    made.declare()
    return made


@pytest.mark.parametrize(
    ("runtime", "formats", "codec", "most", "refused"),
    [
        ("docker", ["docker"], "gzip", 125, ""),
        ("docker", [REGISTRY], "none", 2, ""),
        ("docker", ["oci"], "gzip", 100, "takes no oci: `docker load`"),
        ("docker", ["docker"], "zstd", 100, "takes no layers in zstd: docker before version 23"),
        ("docker", [REGISTRY], "zstd", 100, "takes no layers in zstd"),
        ("docker", ["docker"], "gzip", 126, "is known to run 125 layers, and max-layers is 126"),
        ("docker29", ["docker", "oci", REGISTRY], "zstd", 125, ""),
        ("docker29", ["docker"], "zstd", 126, "is known to run 125 layers"),
        ("podman", ["docker", "oci", REGISTRY], "zstd", 128, ""),
        ("podman", ["oci"], "gzip", 129, "is known to run 128 layers"),
        ("podman", ["wsl2"], "gzip", 100, "takes no wsl2: it is a root file system"),
        ("containerd", ["docker", "oci"], "zstd", 127, ""),
        ("containerd", ["tarball"], "gzip", 100, "takes no tarball"),
        ("wsl", ["wsl2", "tarball"], "zstd", 5000, ""),
        ("wsl", ["docker"], "gzip", 100, "takes no docker: it runs distributions"),
        ("wsl", [REGISTRY], "gzip", 100, "takes no registry"),
    ],
)
def test_what_runtimes_take(runtime: str, formats: Sequence[str], codec: str, most: int, refused: str) -> None:
    layers = Layers(max_layers=most, force=True, compression=LayerCompression(codec=codec))
    if not refused:
        require(runtime, layers, formats)
        return
    with pytest.raises(InputError) as caught:
        require(runtime, layers, formats)
    assert refused in str(caught.value)


def test_everything_is_refused_at_once() -> None:
    layers = Layers(max_layers=200, force=True, compression=LayerCompression(codec="zstd"))
    with pytest.raises(InputError) as caught:
        require("docker", layers, ["oci", "tarball"])
    assert str(caught.value).count("\n  ") >= 4


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_refusal_has_a_reason(runtime: str) -> None:
    known = RUNTIMES[runtime]
    for what in {"docker", "oci", "squashfs", "tarball", "wsl2", REGISTRY} - set(known.formats):
        assert known.others[what]
    for codec in {"none", "gzip", "zstd"} - set(known.codecs) if known.codecs else ():
        assert known.others[codec]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["oci", "--for", "docker"], "docker with its own image store takes no oci"),
        (["docker", "--for", "docker", "--compression", "zstd"], "takes no layers in zstd"),
        (["docker", "oci", "--for", "wsl"], "WSL takes no oci"),
        (["push", "--for", "docker", "--compression", "zstd", "localhost:1/x:1"], "takes no layers in zstd"),
        (["plan", "--for", "docker", "--max-layers", "126"], "its own image store is known to run 125 layers"),
        (["plan", "--for", "podman", "--max-layers", "129"], "podman is known to run 128 layers"),
        (["build", "--for", "lxc"], "'lxc' is not one of"),
    ],
)
def test_the_command_line_refuses_before_it_builds(place: Workplace, arguments: list[str], said: str) -> None:
    answer = place.run(*arguments)
    assert answer.code == 2
    assert said in answer.err
    assert not list(place.cache.glob("ocipack/*"))


def test_a_runtime_that_can_do_more_needs_no_force(place: Workplace) -> None:
    from packer.config import load

    declaration = load(str(place.folder / "os.toml"))
    made = changed(declaration, Common(file="", runtime="podman", max_layers=128, verbosity=0), ["oci"], {})
    assert made.layers.max_layers == 128


def test_docker_does_fail_where_it_is_said_to(docker: Docker, tmp_path: Path) -> None:
    """With its own image store: what is refused for it is what it does not load."""
    made = workplace(tmp_path)
    made.declare()
    for kind, output, compression, complaint in (
        ("docker", "zstd.tar", "zstd", "invalid tar header"),
        ("oci", "oci.tar", "gzip", "said 1"),
    ):
        # The daemon does not look at layers of which it has the image already.
        its_own = {"SOURCE_DATE_EPOCH": "20101"}
        answer = made.run(kind, "-q", "-o", output, "--compression", compression, env=its_own)
        assert answer.code == 0, answer.err
        if compression == "zstd" and docker.version >= _DOCKER_WITH_ZSTD:
            docker.load(made.folder / output)
            continue
        with pytest.raises(AssertionError, match=complaint):
            docker.load(made.folder / output)
    answer = made.run("docker", "--json", "--for", "docker", "-o", "right.tar")
    assert answer.code == 0, answer.err
    docker.load(made.folder / "right.tar")
    assert docker.inspect(json.loads(answer.out)["artefacts"][0]["reference"])


def test_podman_loads_what_is_made_for_it(podman: Podman, place: Workplace) -> None:
    answer = place.run("oci", "-q", "--for", "podman", "--compression", "zstd", "-o", "podman.tar")
    assert answer.code == 0, answer.err
    podman.load(place.folder / "podman.tar")

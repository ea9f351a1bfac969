"""Several platforms in one declaration: one index in images, one artefact for each in all else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packer.config import parse
from packer.mistakes import ConfigError
from tests.oracle.image_spec import problems
from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import Docker, Podman, output
from tests.support.command_line import Workplace, workplace
from tests.support.debian_archive import Archive, Link, Program
from tests.support.nix_store import SmallStore

_PLATFORMS = {"x86_64-linux": "amd64", "aarch64-linux": "arm64"}


def _declare(place: Workplace, more: str = "", *, platforms: str = '"x86_64-linux", "aarch64-linux"') -> None:
    text = place.declare(more, packages='"tiny", "about"').read_text()
    (place.folder / "os.toml").write_text(
        text.replace('platform = "x86_64-linux"', f"platforms = [{platforms}]") + '[container]\ncmd = ["/bin/sh"]\n'
    )


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace with packages for two architectures; the shell of both is this machine's."""
    made = workplace(tmp_path)
    archive = Archive(tmp_path / "archive", architecture="amd64 arm64")
    busybox = Program(Path("/bin/busybox").read_bytes())
    archive.add("tiny", "1.36-1", architecture="arm64", files={"/bin/busybox": busybox, "/bin/sh": Link("busybox")})
    archive.add("about", "1.0", files={"/usr/share/about": "the same everywhere\n" * 1000})
    archive.publish()
    place = Workplace(made.folder, archive, made.cache)
    _declare(place)
    return place


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with docker_registry(tmp_path / "registry") as registry:
        yield registry


def _run(place: Workplace, *arguments: str | Path) -> str:
    answer = place.run(*arguments)
    assert answer.code == 0, answer.err
    return answer.out


def _made(place: Workplace, *arguments: str | Path) -> Any:
    return json.loads(_run(place, *arguments, "--json"))["artefacts"][0]


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def test_a_layout_has_one_index_of_all(place: Workplace) -> None:
    made = _made(place, "oci")
    layout = place.folder / "sample-1.0.oci"
    [named] = json.loads((layout / "index.json").read_text())["manifests"]
    assert (named["digest"], named["annotations"]["org.opencontainers.image.ref.name"]) == (made["digest"], "1.0")
    index = _blob(layout, named["digest"])
    assert not [*problems("image-index", index), *problems("image-index", (layout / "index.json").read_bytes())]
    assert [entry["platform"] for entry in json.loads(index)["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert [image["platform"] for image in made["images"]] == list(_PLATFORMS)
    layers = [{layer["digest"] for layer in image["layers"]} for image in made["images"]]
    assert len(layers[0] & layers[1]) == 1  # of the package for all architectures
    for entry, image in zip(json.loads(index)["manifests"], made["images"], strict=True):
        manifest = json.loads(_blob(layout, entry["digest"]))
        assert json.loads(_blob(layout, manifest["config"]["digest"]))["architecture"] == _PLATFORMS[image["platform"]]


def test_each_image_is_that_of_a_build_for_its_platform_alone(place: Workplace) -> None:
    several = _made(place, "oci")["images"]
    for image in several:
        _declare(place, platforms=f'"{image["platform"]}"')
        assert _made(place, "oci")["digest"] == image["digest"]


def test_the_same_bytes_again(place: Workplace) -> None:
    _run(place, "docker", "oci", "tarball", "--check", "-q")


def test_other_artefacts_are_one_for_each_platform(place: Workplace) -> None:
    assert _run(place, "tarball", "docker").splitlines() == [
        str(place.folder / "sample-1.0-x86_64-linux.tar.gz"),
        str(place.folder / "sample-1.0-aarch64-linux.tar.gz"),
        str(place.folder / "sample-1.0.docker.tar"),
    ]
    told = json.loads(_run(place, "tarball", "--json"))["artefacts"]
    assert [one["platform"] for one in told] == list(_PLATFORMS)
    for name, debian in _PLATFORMS.items():
        path = place.folder / f"sample-1.0-{name}.tar.gz"
        assert f"Architecture: {debian}" in output("tar", "-xzOf", path, "var/lib/dpkg/status")


def test_one_output_for_several_artefacts_is_refused(place: Workplace) -> None:
    answer = place.run("tarball", "-o", "it.tar")
    assert answer.code == 2
    assert "of tarball there is one for each platform" in answer.err


def test_the_plan_of_each(place: Workplace) -> None:
    plans = json.loads(_run(place, "plan", "--json"))["platforms"]
    assert [plan["platform"] for plan in plans] == list(_PLATFORMS)
    assert [len(plan["layers"]) for plan in plans] == [3, 3]
    lines = _run(place, "plan").splitlines()
    assert [line for line in lines if line.endswith(":")] == ["x86_64-linux:", "aarch64-linux:"]


def test_a_lock_holds_all_of_them(place: Workplace) -> None:
    before = _made(place, "oci")["digest"]
    _run(place, "lock")
    document = json.loads((place.folder / "os.lock").read_text())
    assert [(item["platform"], item["name"], item["architecture"]) for item in document["items"]] == [
        ("aarch64-linux", "about", "all"), ("aarch64-linux", "tiny", "arm64"),
        ("x86_64-linux", "about", "all"), ("x86_64-linux", "tiny", "amd64"),
    ]  # fmt: skip
    _run(place, "check")
    place.archive.add("about", "2.0", files={"/usr/share/about": "newer\n"}).publish()
    assert _made(place, "oci")["digest"] == before
    _declare(place, platforms='"x86_64-linux"')
    assert "was made for something else" in place.run("check").err


def test_stores_of_one_platform(place: Workplace) -> None:
    more = []
    for name in _PLATFORMS:
        (place.folder / name).mkdir()
        (place.folder / name / "which").write_text(f"{name}\n")
        more.append(f'[[store]]\ntype = "folder"\npath = "{name}"\nplatforms = ["{name}"]\n')
    text = (place.folder / "os.toml").read_text().replace("[store]", "[[store]]")
    (place.folder / "os.toml").write_text(text + "\n".join(more))
    _run(place, "lock")
    _run(place, "tarball")
    for name in _PLATFORMS:
        assert output("tar", "-xzOf", place.folder / f"sample-1.0-{name}.tar.gz", "which") == f"{name}\n"


def test_docker_and_podman_load_all_of_them(place: Workplace, docker: Docker, podman: Podman) -> None:
    made = _made(place, "docker")
    archive = place.folder / "sample-1.0.docker.tar"
    docker.command("load", "-q", "-i", archive)
    podman.command("load", "-q", "-i", archive)
    ids = [image["image-id"] for image in made["images"]]
    names = ["sample:1.0", "sample:1.0-amd64", "sample:1.0-arm64"]
    assert [docker.inspect(name)["Id"] for name in names] == [ids[0], *ids]
    assert [docker.inspect(name)["Architecture"] for name in names] == ["amd64", "amd64", "arm64"]
    assert podman.command("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").split() == [
        "docker.io/library/sample:1.0",
        ids[0],
    ]
    assert docker.run("sample:1.0", "/bin/sh", "-c", "echo runs") == "runs\n"
    for architecture in _PLATFORMS.values():
        seen = json.loads(output("skopeo", "inspect", "--override-arch", architecture, f"oci-archive:{archive}:1.0"))
        assert (seen["Architecture"], seen["Digest"]) == (architecture, made["digest"])


def test_a_pushed_index_is_pulled_for_each_platform(
    place: Workplace, podman: Podman, registry: Registry, tmp_path: Path
) -> None:
    made = _made(place, "oci", "-o", "it.oci.tar")
    references = {"built": "os.toml", "stored": "it.oci.tar"}
    for repository, source in references.items():
        _run(place, "push", source, f"{registry.address}/{repository}:1")
        assert registry.tag(repository, "1") == made["digest"]
        assert registry.whole(repository, "1")
    for image, architecture in zip(made["images"], _PLATFORMS.values(), strict=True):
        reference = f"{registry.address}/built:1"
        podman.command("pull", "-q", "--tls-verify=false", "--arch", architecture, reference)
        seen = json.loads(podman.command("inspect", reference))[0]
        assert (seen["Architecture"], seen["Id"]) == (architecture, image["image-id"].removeprefix("sha256:"))
        output(
            "skopeo", "--insecure-policy", "--override-arch", architecture, "copy", "-q", "--src-tls-verify=false",
            f"docker://{reference}", f"oci:{tmp_path}/{architecture}:it",
        )  # fmt: skip
        copied = json.loads(output("skopeo", "inspect", "--config", f"oci:{tmp_path}/{architecture}:it"))
        assert copied["architecture"] == architecture


def test_images_that_were_built_one_by_one_are_one_index(place: Workplace, registry: Registry, podman: Podman) -> None:
    together = _made(place, "oci")
    alone = []
    for name, form in zip(_PLATFORMS, ("docker", "oci"), strict=True):  # an archive, and a folder
        _declare(place, platforms=f'"{name}"')
        alone.append(_made(place, form, "-o", name)["path"])
    reference = f"{registry.address}/joint:1"
    _run(place, "push", *alone, reference)
    assert registry.tag("joint", "1") == together["digest"]
    assert registry.whole("joint", "1")
    for image, architecture in zip(together["images"], _PLATFORMS.values(), strict=True):
        podman.command("pull", "-q", "--tls-verify=false", "--arch", architecture, reference)
        assert json.loads(podman.command("inspect", reference))[0]["Id"] == image["image-id"].removeprefix("sha256:")
    answer = place.run("push", *alone, alone[0], reference)
    assert answer.code == 2
    assert "are both for linux/amd64" in answer.err
    answer = place.run("push", alone[0], "os.toml", reference)
    assert answer.code == 2
    assert "os.toml is no image" in answer.err


def test_a_nix_store_for_each_platform(tmp_path: Path, nix_store: SmallStore) -> None:
    """The items of one store, which are for this machine, are told apart by their roots."""
    place = workplace(tmp_path)
    stores = "".join(
        f'[[store]]\ntype = "nix"\nroot = "{nix_store.root}"\nroots = ["{root}"]\nplatforms = ["{name}"]\n'
        for name, root in zip(_PLATFORMS, (nix_store.item("bash"), nix_store.other), strict=True)
    )
    (place.folder / "os.toml").write_text(f'{_HEAD}platforms = ["x86_64-linux", "aarch64-linux"]\n{stores}')
    _run(place, "lock")
    images = _made(place, "oci", "-o", "it")["images"]
    assert [image["platform"] for image in images] == list(_PLATFORMS)
    for name, image in zip(_PLATFORMS, images, strict=True):
        (place.folder / "os.toml").write_text(f'{_HEAD}platforms = ["{name}"]\n{_of(stores, name)}')
        (place.folder / "os.lock").unlink(missing_ok=True)
        assert _made(place, "oci", "-o", name)["digest"] == image["digest"]


def _of(stores: str, platform: str) -> str:
    """The one of several `[[store]]` that is for a platform."""
    (found,) = (one for one in stores.split("[[store]]") if platform in one)
    return f"[store]{found}"


_HEAD = 'name = "x"\n'
_STORE = '[store]\ntype = "debian"\npackages = ["bash"]\n'


_CACHE = 'url = "file:///x"\nroots = ["/nix/store/ixcwh8rx7hqcnmp4vm19rjfvz7hkhhzq-hello-2.12"]\n'


@pytest.mark.parametrize(
    ("store", "given"), [("nix", 'roots = ["/x"]\n'), ("guix", 'roots = ["/x"]\n'), ("binary-cache", _CACHE)]
)
def test_items_that_were_built_are_for_one_platform(store: str, given: str) -> None:
    platforms = 'platforms = ["x86_64-linux", "aarch64-linux"]\n'
    table = f'type = "{store}"\n{given}'
    refused = (f"[store]\n{table}", f"[store]\n{table}{platforms}", f"[[store]]\n{table}")
    for text, where in zip(refused, ("store", "store", "store[0]"), strict=True):
        with pytest.raises(ConfigError, match="its roots were built for one") as raised:
            parse(_HEAD + platforms + text, "os.toml")
        assert [mistake.key for mistake in raised.value.mistakes] == [f"{where}.platforms"]
    each = "".join(f'[[store]]\n{table}platforms = ["{name}"]\n' for name in _PLATFORMS)
    assert len(parse(_HEAD + platforms + each, "os.toml").store) == 2
    assert parse(f'{_HEAD}platforms = ["x86_64-linux"]\n[store]\n{table}', "os.toml").platforms == ("x86_64-linux",)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (_STORE, ['platform: is missing (add it, for example "x86_64-linux")']),
        (f"platforms = []\n{_STORE}", ["platforms: must not be empty"]),
        (
            f'platform = "x86_64-linux"\nplatforms = ["aarch64-linux"]\n{_STORE}',
            ["platforms: is there as well as platform (keep one of them)"],
        ),
        (
            f'platforms = ["x86_64-linux", "x86_64-linux"]\n{_STORE}',
            ["platforms[1]: 'x86_64-linux' is named twice (keep one of them)"],
        ),
        (
            f'platforms = ["x86_64-linux", "aarch64"]\n{_STORE}',
            ["platforms[1]: there is no platform 'aarch64' (did you mean 'aarch64-linux'?)"],
        ),
        (
            f'platforms = ["x86_64-linux", "aarch64-linux"]\n{_STORE}platforms = ["x86_64-linux"]\n',
            ["platforms[1]: 'aarch64-linux' has no store"],
        ),
        (
            f'platform = "x86_64-linux"\n{_STORE}platforms = ["x86_64-linux", "i686-linux"]\n',
            ["store.platforms[1]: 'i686-linux' is no platform of this os.toml (there are: x86_64-linux)"],
        ),
    ],
)
def test_mistakes(text: str, mistakes: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(_HEAD + text, "os.toml")
    assert [str(mistake) for mistake in raised.value.mistakes] == mistakes


def test_one_package_database_for_each_platform() -> None:
    stores = "".join(
        f'[[store]]\ntype = "debian"\npackages = ["bash"]\nplatforms = ["{name}"]\n' for name in _PLATFORMS
    )
    declaration = parse(f'{_HEAD}platforms = ["x86_64-linux", "aarch64-linux"]\n{stores}', "os.toml")
    assert [[place for place, _ in declaration.stores_of(one)] for one in declaration.target_platforms] == [[0], [1]]

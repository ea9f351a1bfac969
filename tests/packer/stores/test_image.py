"""Images on the layers of others: other people's tools make the base, unpack what stands on it, and run it."""

import gzip
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import Docker, Podman, output, skopeo_copy, umoci_unpack
from tests.support import stored_images
from tests.support.base_images import base_layout, docker_archive, seen
from tests.support.command_line import OCIPACK, Answer
from tests.support.nix_program import Nix
from tests.support.nix_store import SmallStore
from tests.support.processes import needs_root
from tests.support.pushing import LOGIN

pytestmark = needs_root  # umoci keeps owners and devices only then

_HEAD = 'name = "above"\nversion = "1"\nplatform = "x86_64-linux"\n'
_APP = '[[store]]\ntype = "folder"\npath = "app"\n'
_OS = """
[os]
users = [{ name = "ada", shell = "/bin/sh" }]
files = [
    { target = "/bin/hello", text = "#!/bin/sh\\necho hello\\n", mode = "0755" },
    { target = "/etc/changed", text = "ours\\n" },
    { target = "/twins/b", text = "ours\\n" },
]
[container]
env = { COLOUR = "blue" }
cmd = ["-c", "id ada; hello; cat /srv/app; echo $COLOUR"]
"""
_SAID = "uid=1000(ada) gid=1000(ada) groups=1000(ada)\nhello\napp\nblue\n"


@dataclass(frozen=True)
class Desk:
    """A folder with a base, a folder `app`, an os.toml and a cache."""

    folder: Path
    cache: str = "cache"

    def declare(self, image: str, more: str = "", head: str = _HEAD) -> None:
        (self.folder / "os.toml").write_text(f'{head}[[store]]\ntype = "image"\nimage = "{image}"\n{more}')

    def run(self, *arguments: str | Path, **more: str) -> Answer:
        environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.folder / self.cache), **more}
        done = subprocess.run(
            [str(OCIPACK), *map(str, arguments)],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def built(self, *arguments: str | Path) -> Any:
        """The artefact, as `--json` tells it."""
        answer = self.run(*arguments, "--json")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)["artefacts"][0]

    def refusal(self, *arguments: str) -> str:
        """What is said of what cannot be made; nothing is left behind."""
        answer = self.run(*(arguments or ("oci", "-q", "-o", "never")))
        assert answer.code in (1, 2)
        assert answer.out == ""
        assert not (self.folder / "never").exists()
        return answer.err.removeprefix("ocipack: error: ").strip()

    def manifest(self, layout: str) -> Any:
        return json.loads(output("skopeo", "inspect", "--raw", f"oci:{self.folder / layout}"))

    def config(self, layout: str) -> Any:
        return json.loads(output("skopeo", "inspect", "--config", "--raw", f"oci:{self.folder / layout}"))

    def unpacked(self, tarball: str) -> Path:
        root = self.folder / f"{tarball}.root"
        root.mkdir()
        output("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", self.folder / tarball, "-C", root)
        return root


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("on-base")
    base_layout(folder)
    (folder / "app/srv").mkdir(parents=True)
    (folder / "app/srv/app").write_text("app\n")
    return Desk(folder)


@pytest.fixture(scope="module")
def loaded(desk: Desk, docker: Docker) -> str:
    """What docker calls the base."""
    return docker.load(docker_archive(desk.folder / "base", desk.folder / "for-docker.tar"))


@pytest.fixture(scope="module")
def above(desk: Desk) -> Any:
    """An image on the base, as `--json` tells it; its layout is `above.oci`, the base's `base`."""
    desk.declare("base", _APP + _OS)
    return desk.built("oci", "-o", "above.oci")


# -- what is in it -------------------------------------------------------------------------------------------------


def test_the_layers_of_the_base_are_the_lowest_byte_for_byte(desk: Desk, above: Any) -> None:
    base, ours = desk.manifest("base"), desk.manifest("above.oci")
    count = len(base["layers"])
    assert count == 3
    facts = [[layer[key] for key in ("digest", "size", "mediaType")] for layer in base["layers"]]
    assert [[layer[key] for key in ("digest", "size", "mediaType")] for layer in ours["layers"][:count]] == facts
    assert len(ours["layers"]) == count + 2  # the folder and the customization
    for digest, _, _ in facts:
        blobs = [desk.folder / name / "blobs/sha256" / digest.removeprefix("sha256:") for name in ("base", "above.oci")]
        assert blobs[0].read_bytes() == blobs[1].read_bytes()
    assert desk.config("above.oci")["rootfs"]["diff_ids"][:count] == desk.config("base")["rootfs"]["diff_ids"]
    assert "6 of 6" not in desk.run("verify", "above.oci").out
    assert desk.run("verify", "above.oci").code == 0


def test_a_root_is_what_umoci_unpacks_of_the_base(desk: Desk, tmp_path: Path) -> None:
    desk.declare("base")
    desk.built("tarball", "-o", "alone.tar")
    root = seen(desk.unpacked("alone.tar"))
    assert root == seen(umoci_unpack(desk.folder / "base", "1", tmp_path / "bundle"))
    assert {"gone", "etc/removed", "opaque/old", "was-folder/file"}.isdisjoint(root)
    assert {"was-file/inside", "opaque/below/new", "twins/c"} <= root.keys()


def test_a_root_on_a_base_is_what_umoci_unpacks_of_the_image(desk: Desk, above: Any, tmp_path: Path) -> None:
    desk.declare("base", _APP + _OS)
    desk.built("tarball", "-o", "above.tar")
    root = desk.unpacked("above.tar")
    skopeo_copy(f"oci:{desk.folder}/above.oci", f"oci:{tmp_path}/layout:1")
    assert seen(root) == seen(umoci_unpack(tmp_path / "layout", "1", tmp_path / "bundle"))
    assert [(root / "twins" / name).read_text() for name in "abc"] == ["alone\n", "ours\n", "twins\n"]
    assert "web:x:33:" in (root / "etc/passwd").read_text()
    assert (root / "usr/bin/hello").exists()  # /bin is a link of the base


def test_a_store_of_nix_on_a_base(desk: Desk, nix_store: SmallStore, tmp_path: Path) -> None:
    nix = f'[[store]]\ntype = "nix"\nroot = "{nix_store.root}"\nroots = ["{nix_store.top}"]\n'
    desk.declare("base", nix)
    desk.built("oci", "-o", tmp_path / "oci")
    skopeo_copy(f"oci:{tmp_path}/oci", f"oci:{tmp_path}/layout:1")
    unpacked = Nix(umoci_unpack(tmp_path / "layout", "1", tmp_path / "bundle"))
    assert unpacked.store("--verify", "--check-contents") == []
    assert sorted(unpacked.store("--query", "--requisites", nix_store.top)) == nix_store.closure()
    assert "web:x:33:33" in (unpacked.root / "etc/passwd").read_text()


def test_docker_and_podman_run_it_on_the_base_that_they_have(
    desk: Desk, above: Any, docker: Docker, podman: Podman, loaded: str
) -> None:
    desk.declare("base", _APP + _OS)
    assert desk.built("docker", "-o", "above.docker.tar")["digest"] == above["digest"]
    reference = docker.load(desk.folder / "above.docker.tar")
    lower, upper = (docker.inspect(name)["RootFS"]["Layers"] for name in (loaded, reference))
    assert upper[: len(lower)] == lower
    assert len(upper) == len(lower) + 2
    history = docker.command("history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Comment}}", reference).splitlines()
    assert history[:2] == ["ocipack customization", "ocipack app (number 1 by size)"]
    assert len(history) == 2 + len(desk.config("base")["history"])
    assert docker.run(reference) == _SAID
    assert podman.run(podman.load(desk.folder / "above.docker.tar")) == _SAID


def test_the_same_bytes_wherever_and_however_often(desk: Desk, above: Any, tmp_path: Path) -> None:
    desk.declare("base", _APP + _OS)
    elsewhere = Desk(tmp_path / "elsewhere")
    shutil.copytree(desk.folder, elsewhere.folder, ignore=shutil.ignore_patterns("cache", "*.root", "*.tar"))
    assert elsewhere.built("docker", "--check", "-o", "checked.tar")["digest"] == above["digest"]
    uncompressed = [
        elsewhere.built("docker", "--compression", "none", *check, "-o", "plain.tar")["digest"]
        for check in ((), ("--check",))
    ]
    assert uncompressed[0] == uncompressed[1]


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "uncompressed", "zstd", "docker save"])
def test_a_base_of_every_form(desk: Desk, above: Any, docker: Docker, loaded: str, tmp_path: Path, kind: str) -> None:
    base, source = tmp_path / "other", f"oci:{desk.folder}/base:1"
    match kind:
        case "docker-archive":
            docker_archive(desk.folder / "base", base)
        case "oci-archive":
            skopeo_copy(source, f"oci-archive:{base}:1")
        case "uncompressed":
            output("skopeo", "--insecure-policy", "copy", "-q", "--dest-decompress", source, f"dir:{tmp_path}/dir")
            skopeo_copy(f"dir:{tmp_path}/dir", f"oci:{base}:1")
        case "zstd":
            options = ("--dest-compress", "--dest-compress-format", "zstd")
            output("skopeo", "--insecure-policy", "copy", "-q", *options, source, f"oci:{base}:1")
        case _:
            docker.command("save", "-o", base, loaded)
    desk.declare(str(base), _APP + _OS)
    desk.built("oci", "-o", tmp_path / "oci")
    config, expected = (desk.config(name) for name in (str(tmp_path / "oci"), "above.oci"))
    assert config["rootfs"] == expected["rootfs"]
    assert config["config"] == expected["config"]
    skopeo_copy(f"oci:{tmp_path}/oci", f"dir:{tmp_path}/read")  # compares every digest


def test_a_layer_that_is_there_twice_stays_there_twice(desk: Desk, tmp_path: Path) -> None:
    tar = empty_tar(tmp_path)
    layout = stored_images.layout(tmp_path / "twice", [tar, tar + bytes(1024), tar])
    desk.declare(str(layout.folder))
    for compression in ("gzip", "none"):
        desk.built("oci", "--compression", compression, "-o", tmp_path / "oci")
        digests = [layer["digest"] for layer in desk.manifest(str(tmp_path / "oci"))["layers"]]
        theirs = json.loads(layout.path(layout.digest).read_bytes())["layers"]
        assert digests[:3] == [layer["digest"] for layer in theirs]
        skopeo_copy(f"oci:{tmp_path}/oci", f"dir:{tmp_path}/{compression}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["docker", "--for", "docker", "-o", "never"], "in zstd, as base layer 1 is: docker before version 23"),
        (["push", "--for", "docker", "localhost:1/x:1"], "docker with its own image store takes no layers in zstd"),
        (["plan", "--for", "docker"], "Take a base with layers in none, gzip"),
        (["oci", "--for", "podman", "-o", "podman.oci"], ""),
        (["tarball", "--for", "wsl", "-o", "wsl.tar"], ""),
    ],
)
def test_a_runtime_has_to_take_the_layers_of_the_base(
    desk: Desk, tmp_path: Path, arguments: list[str], said: str
) -> None:
    recompressed = ("--dest-compress", "--dest-compress-format", "zstd")
    base = tmp_path / "base"
    output("skopeo", "--insecure-policy", "copy", "-q", *recompressed, f"oci:{desk.folder}/base:1", f"oci:{base}:1")
    desk.declare(str(base), _APP)
    if said:
        assert said in desk.refusal(*arguments)
    else:
        assert desk.run(*arguments).code == 0


# -- how it is run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dockerfile", "container"),
    [
        ("", ""),
        ('ENTRYPOINT ["/usr/bin/id"]', 'entrypoint = ["/usr/bin/id"]'),
        ('ENTRYPOINT ["/usr/bin/id"]\nCMD ["ada"]', 'entrypoint = ["/usr/bin/id"]\ncmd = ["ada"]'),
        ('CMD ["-c", "id"]', 'cmd = ["-c", "id"]'),
        ("CMD []", "cmd = []"),
        ("ENTRYPOINT []", "entrypoint = []"),
        ("ENV COLOUR=blue MORE=1", 'env = { COLOUR = "blue", MORE = "1" }'),
        ("LABEL team=ours more=1", 'labels = { team = "ours", more = "1" }'),
        ("EXPOSE 443/tcp", 'ports = ["443/tcp"]'),
        ('VOLUME ["/more"]', 'volumes = ["/more"]'),
        ("WORKDIR /etc\nUSER web\nSTOPSIGNAL SIGINT", 'workdir = "/etc"\nuser = "web"\nstop-signal = "SIGINT"'),
        (
            'HEALTHCHECK --interval=30s --retries=2 CMD ["id"]',
            'healthcheck = { test = ["CMD", "id"], interval = "30s", retries = 2 }',
        ),
    ],
)
def test_it_is_run_as_docker_would_run_it_from_the_base(
    desk: Desk, docker: Docker, loaded: str, tmp_path: Path, dockerfile: str, container: str
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {loaded}\n{dockerfile}\n")
    built = docker.command("build", "--quiet", "--network", "none", tmp_path).strip()
    desk.declare("base", f"[container]\n{container}\n")
    desk.built("oci", "-o", tmp_path / "ours.oci")
    keys = ("Entrypoint", "Cmd", "WorkingDir", "User", "Labels", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck")
    theirs, ours = docker.inspect(built)["Config"], desk.config(str(tmp_path / "ours.oci"))["config"]
    assert {key: ours.get(key) or None for key in keys} == {key: theirs.get(key) or None for key in keys}
    assert sorted(ours["Env"]) == sorted(theirs["Env"])


# -- from a registry -----------------------------------------------------------------------------------------------


def stored(desk: Desk, registry: Registry, name: str = "base:1", form: str = "oci") -> str:
    """Put the base into a registry, in OCI's form or in docker's (`v2s2`)."""
    reference = f"docker://{registry.address}/{name}"
    options = ("--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "--format", form)
    output("skopeo", *options, f"oci:{desk.folder}/base:1", reference)
    return reference


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_a_base_in_a_registry(desk: Desk, above: Any, registry: Registry, form: str) -> None:
    reference = stored(desk, registry, f"{form}:1", form)
    desk.declare(reference, _APP + _OS)
    replace(desk, cache=f"far-{form}").built("oci", "-o", "far.oci")
    theirs, ours = (desk.manifest(name) for name in ("above.oci", "far.oci"))
    facts = [
        [[layer[key] for key in ("digest", "size", "mediaType")] for layer in each["layers"]] for each in (theirs, ours)
    ]
    assert facts[0] == facts[1]
    assert desk.config("far.oci")["config"] == desk.config("above.oci")["config"]
    assert ours["annotations"]["org.opencontainers.image.base.name"] == reference.removeprefix("docker://")
    assert ours["annotations"]["org.opencontainers.image.base.digest"] == registry.tag(form, "1")
    assert "org.opencontainers.image.base.name" not in theirs["annotations"]


def test_a_push_moves_nothing_of_the_base(desk: Desk, registry: Registry) -> None:
    desk.declare(stored(desk, registry), _APP + _OS)
    answer = desk.run("push", "--json", f"{registry.address}/team/above:1")
    assert answer.code == 0, answer.err
    blobs = json.loads(answer.out)["pushed"]["blobs"]
    of_base = {layer["digest"] for layer in desk.manifest("base")["layers"]}
    assert {blob["outcome"] for blob in blobs if blob["digest"] in of_base} == {"mounted"}
    assert {blob["outcome"] for blob in blobs if blob["digest"] not in of_base} == {"sent"}
    assert registry.whole("team/above", "1")


def test_a_lock_pins_the_base_and_needs_no_registry(desk: Desk, tmp_path: Path) -> None:
    near = replace(desk, cache="near")
    with docker_registry(tmp_path / "registry") as registry:
        near.declare(stored(desk, registry), _APP + _OS)
        assert near.run("lock").code == 0
        first = near.built("oci", "-o", "locked.oci")["digest"]
        pinned = registry.tag("base", "1")
        items = json.loads((near.folder / "os.lock").read_bytes())["items"]
        assert [item["path"] for item in items[:-1]] == [f"{registry.address}/base@{pinned}#{n}" for n in range(1, 4)]
        output("umoci", "config", "--image", f"{desk.folder}/base:1", "--tag", "2", "--config.env", "NEW=1")
        options = ("--insecure-policy", "copy", "-q", "--dest-tls-verify=false")
        output("skopeo", *options, f"oci:{desk.folder}/base:2", f"docker://{registry.address}/base:1")
        assert registry.tag("base", "1") != pinned
        assert replace(desk, cache="fresh").built("oci", "-o", "again.oci")["digest"] == first
    try:
        assert near.built("oci", "-o", "offline.oci")["digest"] == first
        (near.folder / "os.lock").unlink()
        assert "the connection failed" in near.refusal("plan", "--timeout", "1")
    finally:
        output("umoci", "rm", "--image", f"{desk.folder}/base:2")
        (near.folder / "os.lock").unlink(missing_ok=True)


def test_a_registry_that_wants_a_password(desk: Desk, locked: Registry, tmp_path: Path) -> None:
    reference = f"docker://{locked.address}/base:1"
    options = ("--insecure-policy", "copy", "-q", "--dest-tls-verify=false", "--dest-creds", ":".join(LOGIN))
    output("skopeo", *options, f"oci:{desk.folder}/base:1", reference)
    secret = replace(desk, cache="secret")
    secret.declare(reference)
    assert secret.refusal().splitlines() == [
        f"os.toml: store.image: {locked.address} wants a user name and a password",
        f"  Log in with `docker login {locked.address}` or `podman login`.",
    ]
    login = ("--tls-verify=false", "--authfile", tmp_path / "auth.json", "-u", LOGIN[0], "-p", LOGIN[1])
    output("skopeo", "login", *login, locked.address)
    answer = secret.run("oci", "-q", "-o", tmp_path / "secret.oci", REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"))
    assert answer.code == 0, answer.err


def test_the_image_of_the_platform_is_taken_from_an_index(desk: Desk, registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    tar = empty_tar(tmp_path)
    images = [
        stored_images.image(folder, [tar + bytes(1024 * rank)], architecture) | platform(architecture)
        for rank, architecture in enumerate(("amd64", "arm64"), 1)
    ]
    layout = stored_images.close(folder, stored_images.index(folder, images))
    assert desk.run("push", "-q", folder, f"{registry.address}/index:1").code == 0
    for image in (str(layout.folder), f"docker://{registry.address}/index:1"):
        for rank, (name, architecture) in enumerate((("x86_64-linux", "amd64"), ("aarch64-linux", "arm64"))):
            desk.declare(image, head=_HEAD.replace("x86_64-linux", name))
            desk.built("oci", "-o", tmp_path / "one.oci")
            assert desk.config(str(tmp_path / "one.oci"))["architecture"] == architecture
            digest = desk.manifest(str(tmp_path / "one.oci"))["annotations"]["org.opencontainers.image.base.digest"]
            assert digest == images[rank]["digest"]
            shutil.rmtree(tmp_path / "one.oci")
        desk.declare(
            image, head=_HEAD.replace('platform = "x86_64-linux"', 'platforms = ["x86_64-linux", "aarch64-linux"]')
        )
        assert len(desk.built("oci", "-o", tmp_path / "both.oci")["images"]) == 2
        shutil.rmtree(tmp_path / "both.oci")
        desk.declare(image, head=_HEAD.replace("x86_64-linux", "s390x-linux"))
        assert "has no image for linux/s390x; it has linux/amd64, linux/arm64" in desk.refusal()


def platform(architecture: str) -> dict[str, Any]:
    return {"platform": {"os": "linux", "architecture": architecture}}


def empty_tar(folder: Path) -> bytes:
    (folder / "empty").mkdir(exist_ok=True)
    output("tar", "-cf", folder / "empty.tar", "-C", folder, "empty")
    return (folder / "empty.tar").read_bytes()


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_base_that_is_damaged_in_its_registry(desk: Desk, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as registry:
        desk.declare(stored(desk, registry))
        digest = desk.manifest("base")["layers"][0]["digest"].removeprefix("sha256:")
        (blob,) = (tmp_path / "registry").rglob(f"{digest}/data")
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
        said = replace(desk, cache="damaged").refusal()
        assert "layer 1 of" in said
        assert "damaged" in said or "is corrupt" in said
        assert not list((desk.folder / "damaged/ocipack/base").glob(f"*{digest}*"))


@pytest.mark.parametrize(
    ("media_type", "said"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "is not to be distributed"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", "is not to be distributed"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "is encrypted"),
        ("application/vnd.wasm.content.layer.v1+wasm", "is no layer of an image"),
    ],
)
def test_layers_that_nobody_may_pass_on(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media_type: str, said: str
) -> None:
    monkeypatch.setattr(stored_images, "LAYER", media_type)
    stored_images.layout(tmp_path / "odd", [empty_tar(tmp_path)])
    desk.declare(str(tmp_path / "odd"))
    assert said in desk.refusal()


def test_what_is_no_base(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "packed.tar.gz").write_bytes(gzip.compress(empty_tar(tmp_path)))
    stored_images.layout(tmp_path / "nothing", [])
    other = tmp_path / "other"
    stored_images.close(other, stored_images.image(other, [empty_tar(tmp_path)], "s390x"))
    for image, said in (
        ("missing", "store.image: there is no file or folder"),
        ("debian:12", "what is in a registry begins with docker://)"),
        (tmp_path / "text", "is no image"),
        (tmp_path / "packed.tar.gz", "packed.tar.gz is compressed as a whole\n  Undo gzip's compression first."),
        (tmp_path / "folder", "layout\n  Images are docker and OCI archives, and OCI layout folders."),
        (tmp_path / "nothing", "has no layers"),
        (other, "has no image for linux/amd64; it has linux/s390x"),
    ):
        desk.declare(str(image))
        assert said in desk.refusal()


def test_a_diff_id_that_is_not_the_layers(desk: Desk, tmp_path: Path) -> None:
    layout = stored_images.layout(tmp_path / "lying", [empty_tar(tmp_path)])
    (config,) = (blob for blob in (layout.folder / "blobs/sha256").iterdir() if b"diff_ids" in blob.read_bytes())
    facts = json.loads(config.read_bytes())
    facts["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    manifest = json.loads(layout.path(layout.digest).read_bytes())
    manifest["config"] = stored_images.put(layout.folder, json.dumps(facts).encode(), stored_images.CONFIG)
    top = stored_images.put(layout.folder, json.dumps(manifest).encode(), stored_images.MANIFEST)
    stored_images.close(layout.folder, top)
    desk.declare(str(layout.folder))
    assert "its diff_id is" in desk.refusal()


def test_a_base_with_more_layers_than_there_may_be(desk: Desk) -> None:
    desk.declare("base", _APP + "[layers]\nmax-layers = 4\n")
    assert "the base has 3 layers, and max-layers = 4 leaves too few" in desk.refusal()
    desk.declare("base", _APP + "[layers]\nmax-layers = 5\n")
    assert desk.run("plan").code == 0
    desk.declare("base", "[layers]\nmax-layers = 4\n")
    assert desk.run("plan").code == 0
    desk.declare("base", "[layers]\nmax-layers = 3\n")
    assert "the base has 3 layers" in desk.refusal()


def test_a_base_comes_first_and_once(desk: Desk) -> None:
    base = '[[store]]\ntype = "image"\nimage = "base"\n'
    (desk.folder / "os.toml").write_text(_HEAD + _APP + base)
    assert "store[1].type: has to be that of the first store" in desk.refusal("check")
    (desk.folder / "os.toml").write_text(_HEAD + base + base)
    assert "store[1].type: is that of store[0] already, and an image stands on one other" in desk.refusal("check")
    head = _HEAD.replace('platform = "x86_64-linux"', 'platforms = ["x86_64-linux", "aarch64-linux"]')
    each = [f'{base}platforms = ["{name}"]\n' for name in ("x86_64-linux", "aarch64-linux")]
    (desk.folder / "os.toml").write_text(head + "".join(each))
    assert desk.run("check").code == 0
    (desk.folder / "os.toml").write_text(_HEAD + base.replace('"base"', '"docker://Base"'))
    assert "store[0].image: 'docker://Base': 'library/Base' is not a repository's name" in desk.refusal("check")


def test_what_a_store_would_put_over_a_file_of_the_base(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/changed").write_text("x")
    desk.declare("base", f'[[store]]\ntype = "folder"\npath = "{tmp_path}"\n')
    said = desk.refusal()
    assert "/etc/changed: a file of base@sha256:" in said
    assert "#2 in store[0] (image) and a file of" in said


# -- what is told of it --------------------------------------------------------------------------------------------


def test_the_plan_names_the_base(desk: Desk) -> None:
    desk.declare("base", _APP)
    layers = json.loads(desk.run("plan", "--json").out)["layers"]
    assert [layer["reason"] for layer in layers] == ["base"] * 3 + ["number 1 by size", "customization"]
    desk.declare("base", _APP + "[layers]\nstrategy = 'tiers'\nmax-layers = 5\n")
    assert [one["reason"] for one in json.loads(desk.run("plan", "--json").out)["layers"]][:3] == ["base"] * 3


def test_updates_above_a_base_of_many_layers_are_compared(desk: Desk, tmp_path: Path) -> None:
    tar = empty_tar(tmp_path)
    stored_images.layout(tmp_path / "many", [tar + bytes(1024 * rank) for rank in range(20)])
    desk.declare(str(tmp_path / "many"), _APP)
    (desk.folder / "next.toml").write_text((desk.folder / "os.toml").read_text())
    answer = desk.run("plan", "--compare", "os.toml", "next.toml", "--json")
    assert answer.code == 0, answer.err
    assert '"max-layers": 20' not in answer.out
    assert '"max-layers": 60' in answer.out


def test_inspect_diff_and_previous(desk: Desk, above: Any) -> None:
    desk.declare("base", _APP + _OS)
    assert desk.run("diff", "above.oci", "above.oci").code == 0
    told = desk.run("inspect", "--json", "above.oci")
    assert told.code == 0, told.err
    assert "base layer 1" in told.out
    (desk.folder / "app/srv/more").write_text("more\n")
    try:
        changed = desk.run("oci", "-q", "-o", "changed.oci", "--previous", "above.oci")
        assert changed.code == 0, changed.err
    finally:
        (desk.folder / "app/srv/more").unlink()
    told = desk.run("diff", "above.oci", "changed.oci")
    assert told.code == 1
    assert "srv/more" in told.out
    assert "base layer" not in told.out


def test_an_sbom_lists_the_layers_of_the_base(desk: Desk, tmp_path: Path) -> None:
    desk.declare("base", _APP)
    names = ("a.spdx.json", "a.cdx.json")
    answer = desk.run("oci", "-q", "-o", tmp_path / "oci", *(f"--sbom={tmp_path / name}" for name in names))
    assert answer.code == 0, answer.err
    packages = json.loads((tmp_path / names[0]).read_bytes())["packages"]
    assert {"base layer 1", "base layer 3", "app"} <= {package["name"] for package in packages}


def test_the_cache_knows_what_is_kept(desk: Desk) -> None:
    own = replace(desk, cache="own")
    own.declare("base", _APP)
    first = own.built("oci", "-o", "own.oci")["digest"]
    kinds = {kind["kind"] for kind in json.loads(own.run("cache", "--json").out)["kinds"]}
    assert "base layers" in kinds
    assert "not ocipack's" not in kinds
    (*_, tar) = sorted((own.folder / "own/ocipack/base").glob("*.tar"))
    tar.chmod(0o600)
    with tar.open("r+b") as file:
        file.seek(600)
        file.write(b"\xff")
    assert own.run("cache", "verify").code == 1
    assert not tar.exists()
    assert own.built("oci", "-o", "own.oci")["digest"] == first
    tar.chmod(0o600)
    os.truncate(tar, tar.stat().st_size - 700)  # as after a power loss
    assert own.built("oci", "-o", "own.oci")["digest"] == first
    assert own.run("cache", "prune", "--older-than", "0").code == 0
    assert own.built("oci", "-o", "own.oci")["digest"] == first

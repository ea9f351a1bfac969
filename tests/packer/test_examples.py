"""Every example is parsed, packed from the host's own sources, and run by docker and podman."""

import contextlib
import gzip
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from packer.config import load
from tests.oracle.runtimes import Docker, Podman, output, skopeo_copy, umoci_unpack
from tests.oracle.tar_listing import READERS, without_xattrs
from tests.support.command_line import OCIPACK
from tests.support.processes import needs_root

EXAMPLES = Path(__file__).parents[2] / "examples"

#: What needs a store or a key, and is packed by tests/packer/stores/test_nix.py and by tests/boot.
_ELSEWHERE = ("nix", "server")

_PRIMES = "2 3 5 7 11 13 17 19\n"


@dataclass(frozen=True)
class Packed:
    """Archives of examples, made on demand, each once."""

    folder: Path

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}

    def archive(self, name: str) -> Path:
        path = self.folder / f"{name}.tar"
        if not path.exists():
            command: list[str | Path] = [OCIPACK, "docker", EXAMPLES / name / "os.toml", "-q", "-o", path]
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The examples' archives."""
    return Packed(tmp_path_factory.mktemp("examples"))


def test_every_example_is_in_a_test_below() -> None:
    assert sorted(path.parent.name for path in EXAMPLES.glob("*/os.toml")) == [
        "folder", "hello", "nginx", "nix", "python", "server", "two-stores", "wsl"
    ]  # fmt: skip


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/os.toml")), ids=lambda path: path.parent.name)
def test_examples_are_parsed_and_packed(example: Path, packed: Packed) -> None:
    assert load(str(example)).name
    if example.parent.name in _ELSEWHERE:
        return
    assert packed.archive(example.parent.name).stat().st_size > 1 << 12


@pytest.mark.parametrize("name", ["hello", "nginx", "python"])
def test_three_readers_agree_on_every_layer(packed: Packed, tmp_path: Path, name: str) -> None:
    layers = 0
    with tarfile.open(packed.archive(name)) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
        for blob in manifest[0]["Layers"]:
            layer = tmp_path / "layer.tar"
            layer.write_bytes(gzip.decompress((archive.extractfile(blob) or pytest.fail(blob)).read()))
            expected, *others = (without_xattrs(read(layer)) for read in READERS.values())
            assert all(listing == expected for listing in others)
            layers += 1
    assert layers > 15


@pytest.mark.parametrize("name", ["hello", "nginx", "python", "folder"])
def test_inspect_says_what_skopeo_says(packed: Packed, name: str) -> None:
    found = json.loads(output(OCIPACK, "inspect", "--json", packed.archive(name)))
    seen = json.loads(output("skopeo", "inspect", f"oci-archive:{packed.archive(name)}:1.0"))
    assert (found["image"]["digest"], [layer["digest"] for layer in found["layers"]]) == (
        seen["Digest"],
        seen["Layers"],
    )


def test_inspect_names_the_packages_that_dpkg_names(packed: Packed, docker: Docker) -> None:
    found = json.loads(output(OCIPACK, "inspect", "--json", packed.archive("hello")))
    command = ("dpkg-query", "--show", "-f", "${Package} ${Version}\\n")
    said = docker.run(docker.load(packed.archive("hello")), *command).splitlines()
    assert [f"{item['name']} {item['version']}" for item in found["items"]] == said


def test_folder_has_what_its_manifest_says(packed: Packed, tmp_path: Path) -> None:
    with tarfile.open(packed.archive("folder")) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
        blob = archive.extractfile(manifest[0]["Layers"][0]) or pytest.fail("no layer")
        with tarfile.open(fileobj=blob) as layer:
            found = {member.name: member for member in layer}
            text = layer.extractfile("usr/share/hello/latest") or pytest.fail("no text")
            assert text.read() == b"Hello from a folder.\n"
    assert found["dev/null"].ischr()
    owners = {(found[name].uid, found[name].mode) for name in ("usr/share/hello/text", "var/lib/hello")}
    assert owners == {(1000, 0o640), (1000, 0o750)}


def test_hello_under_docker(packed: Packed, docker: Docker) -> None:
    reference = docker.load(packed.archive("hello"))
    said = docker.run(reference).splitlines()
    assert said[0] == "Hello from ocipack."
    assert {"bash", "coreutils", "dpkg"} <= {line.split("\t")[0].partition(":")[0] for line in said[1:]}


@pytest.mark.parametrize(
    ("command", "empty"),
    [("dpkg -l", False), ("dpkg -V", True), ("dpkg --audit", True), ("dpkg --verify bash", True), ("ls /", False)],
)
def test_dpkg_is_content_inside_hello(packed: Packed, docker: Docker, command: str, empty: bool) -> None:
    said = docker.run(docker.load(packed.archive("hello")), *command.split())
    assert (said == "") == empty, said


def test_every_package_of_hello_is_installed(packed: Packed, docker: Docker) -> None:
    said = docker.run(docker.load(packed.archive("hello")), "dpkg", "-l")
    rows = [line.split() for line in said.splitlines()[5:]]
    assert {row[0] for row in rows} == {"ii"}
    assert len(rows) > 15


def test_apt_is_content_where_it_is_among_the_packages(packed: Packed, docker: Docker, tmp_path: Path) -> None:
    declaration = tmp_path / "os.toml"
    text = (EXAMPLES / "hello" / "os.toml").read_text()
    declaration.write_text(text.replace('"dpkg"]', '"dpkg", "apt"]').replace('name = "hello"', 'name = "apt"'))
    command: list[str | Path] = [OCIPACK, "docker", declaration, "-q", "-o", tmp_path / "apt.tar"]
    subprocess.run(command, env=packed.environment(), check=True)
    said = docker.run(docker.load(tmp_path / "apt.tar"), "apt-get", "check")
    assert "E:" not in said


def test_hello_under_podman(packed: Packed, podman: Podman) -> None:
    assert podman.run(podman.load(packed.archive("hello")), "bash", "-c", "echo $((6 * 7))") == "42\n"


def test_hello_through_skopeo_and_umoci(packed: Packed, tmp_path: Path) -> None:
    skopeo_copy(f"docker-archive:{packed.archive('hello')}", f"oci:{tmp_path}/layout:1.0")
    root = umoci_unpack(tmp_path / "layout", "1.0", tmp_path / "bundle")
    assert output("chroot", root, "dpkg", "--audit") == ""
    assert output("chroot", root, "dpkg", "-V") == ""


def test_python_under_docker(packed: Packed, docker: Docker) -> None:
    assert docker.run(docker.load(packed.archive("python")), "20") == _PRIMES


def test_python_under_podman(packed: Packed, podman: Podman) -> None:
    assert podman.run(podman.load(packed.archive("python")), "20") == _PRIMES


def test_two_stores_under_docker(packed: Packed, docker: Docker) -> None:
    assert docker.run(docker.load(packed.archive("two-stores"))) == "Hello from two stores, says bash 5.\n"


def test_curl_gets_the_page_of_nginx_from_docker(packed: Packed, docker: Docker) -> None:
    reference = docker.load(packed.archive("nginx"))
    assert docker.inspect(reference)["Config"]["ExposedPorts"] == {"8080/tcp": {}}
    identity = docker.command("run", "--detach", "--rm", "--network", "host", reference).strip()
    try:
        assert "Packed by ocipack" in _page(8080)
    finally:
        docker.command("stop", identity)


def test_curl_gets_the_page_of_nginx_from_a_chroot(packed: Packed, tmp_path: Path) -> None:
    skopeo_copy(f"oci-archive:{packed.archive('nginx')}:1.0", f"oci:{tmp_path}/layout:1.0")
    root = umoci_unpack(tmp_path / "layout", "1.0", tmp_path / "bundle")
    configuration = root / "etc/nginx/nginx.conf"
    configuration.write_text(configuration.read_text().replace("8080", "8099").replace("/dev/stderr", "/tmp/error"))
    with _running(["chroot", str(root), "/usr/sbin/nginx", "-g", "daemon off;"]):
        assert "Packed by ocipack" in _page(8099)


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _page(port: int) -> str:
    for _ in range(100):
        done = subprocess.run(
            ["curl", "--silent", "--show-error", f"http://127.0.0.1:{port}/"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        time.sleep(0.1)
    raise AssertionError(done.stderr)


@needs_root
def test_the_first_shell_of_wsl_makes_its_user(packed: Packed, tmp_path: Path) -> None:
    distribution, root = tmp_path / "hello.wsl", tmp_path / "root"
    command: list[str | Path] = [OCIPACK, "wsl2", EXAMPLES / "wsl" / "os.toml", "-o", distribution]
    done = subprocess.run(command, env=packed.environment(), capture_output=True, text=True, check=True)
    assert "warning" not in done.stderr  # it breaks none of Microsoft's rules
    root.mkdir()
    unpack: list[str | Path] = ["tar", "--numeric-owner", "-xpzf", distribution, "-C", root]
    subprocess.run(unpack, check=True)
    for _ in range(2):  # the second time there is a user already, and nothing is asked
        started: list[str | Path] = ["chroot", root, "/bin/sh", "-c", "/usr/lib/wsl/oobe"]
        subprocess.run(started, input="ada\nsecret\nsecret\n", capture_output=True, text=True, check=True)
    said = output("chroot", root, "id", "ada")
    assert said.startswith("uid=1000(ada)")
    assert "(sudo)" in said

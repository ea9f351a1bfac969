"""`ocipack sign` and `ocipack verify` as people run them; podman and skopeo as a second opinion."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import Podman
from tests.support import stored_images
from tests.support.command_line import OCIPACK, Answer
from tests.support.openpgp import KeyRing, key_ring
from tests.support.pushing import push_layout
from tests.support.stored_images import Layout

_CANARY = "canary of a passphrase"


@dataclass(frozen=True)
class Desk:
    """Keys, a registry with images, and a place to work.

    Attributes:
        ring: has the secret keys.
        release: fingerprint of the key that is believed; it has a passphrase.
        other: of another key, without one.
        registry: of the loopback.
    """

    folder: Path
    ring: KeyRing
    release: str
    other: str
    registry: Registry

    def run(self, *arguments: str | Path) -> Answer:
        done = subprocess.run(
            [str(OCIPACK), *map(str, arguments)], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def sign(self, *arguments: str | Path) -> list[str]:
        answer = self.run("sign", "--key", self.release, "--gnupg-home", self.ring.home, *self.passphrase, *arguments)
        assert (answer.code, answer.err) == (0, "")
        return answer.out.splitlines()

    def verify(self, *arguments: str | Path) -> Answer:
        return self.run("verify", "--key", self.folder / "release.gpg", *arguments)

    @property
    def passphrase(self) -> tuple[str, str]:
        return "--passphrase-file", str(self.folder / "passphrase")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"), "SOURCE_DATE_EPOCH": "7",
        }  # fmt: skip

    def reference(self, name: str) -> str:
        return f"{self.registry.address}/{name}"

    def trusting(self, lookaside: Path) -> Path:
        """The home of somebody who believes the key alone; the policy is in it."""
        home = self.folder / "trusting"
        shutil.rmtree(home, ignore_errors=True)
        registries = home / ".config/containers/registries.d"
        registries.mkdir(parents=True)
        names = {self.registry.address: {"lookaside": f"file://{lookaside}"}}
        (registries / "here.yaml").write_text(json.dumps({"docker": names}))
        rule = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(self.folder / "release.gpg")}
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.registry.address: [rule]}}}
        (home / "policy.json").write_text(json.dumps(policy))
        return home


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "home").mkdir()
    (folder / "passphrase").write_text(_CANARY + "\n")
    with key_ring() as ring, docker_registry(folder / "registry") as registry:
        desk = Desk(folder, ring, ring.key("release", passphrase=_CANARY), ring.key("other"), registry)
        (folder / "release.gpg").write_bytes(ring.public(desk.release))
        (folder / "release.asc").write_bytes(ring.gpg("--export", "--armor", desk.release))
        yield desk


def _platforms(folder: Path) -> Layout:
    manifests = []
    for architecture in ("amd64", "arm64"):
        described = stored_images.image(folder, [_tar(architecture.encode())], architecture)
        manifests.append(described | {"platform": {"os": "linux", "architecture": architecture}})
    return stored_images.close(folder, stored_images.index(folder, manifests))


@pytest.fixture
def image(desk: Desk, tmp_path: Path) -> Layout:
    """An image that nobody has signed, pushed as `NAME:1` and `NAME:2` (see `_name`)."""
    layout = stored_images.layout(tmp_path / "layout", [_tar(os.urandom(2000)), _tar(b"b")])
    for tag in ("1", "2"):
        push_layout(layout.folder, desk.reference(f"team/{_name(layout)}:{tag}"))
    return layout


def _name(layout: Layout) -> str:
    return f"app-{layout.digest[7:19]}"


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _skopeo(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    registries = home / ".config/containers/registries.d"
    command = ["skopeo", "--policy", str(home / "policy.json"), "--registries.d", str(registries), "copy", "-q"]
    return subprocess.run([*command, "--src-tls-verify=false", *arguments], capture_output=True, text=True, check=False)


def _podman(home: Path, reference: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["podman", "--root", folder / "root", "--runroot", folder / "run", "--tmpdir", folder / "tmp",
               "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file",
               "pull", "-q", "--tls-verify=false", "--signature-policy", home / "policy.json", reference]  # fmt: skip
    return subprocess.run(
        list(map(str, command)), env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=False
    )


def test_podman_and_skopeo_take_what_is_signed_and_nothing_else(
    desk: Desk, image: Layout, tmp_path: Path, podman: Podman
) -> None:
    lookaside, reference = tmp_path / "lookaside", desk.reference(f"team/{_name(image)}:1")
    home = desk.trusting(lookaside)
    assert "A signature was required" in _skopeo(home, f"docker://{reference}", f"dir:{tmp_path}/out").stderr
    assert "A signature was required" in _podman(home, reference, podman.folder).stderr
    written = desk.sign(reference, "--lookaside", lookaside)
    place = f"team/{_name(image)}@sha256={image.digest.removeprefix('sha256:')}"
    assert written == [str(lookaside / place / "signature-1")]
    done = _skopeo(home, f"docker://{reference}", f"dir:{tmp_path}/out")
    assert done.returncode == 0, done.stderr
    done = _podman(home, reference, podman.folder)
    assert done.returncode == 0, done.stderr
    assert desk.verify(reference, "--lookaside", lookaside).code == 0
    other = reference.removesuffix("1") + "2"
    assert "is not accepted" in _skopeo(home, f"docker://{other}", f"dir:{tmp_path}/out").stderr
    assert _podman(home, other, podman.folder).returncode != 0
    answer = desk.verify(other, "--lookaside", lookaside)
    assert answer.code == 1
    assert f"it is of '{reference}', and not of {other}" in answer.out

"""`ocipack sign` and `ocipack verify` as people run them; podman and skopeo as a second opinion."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import Podman
from tests.support import stored_images
from tests.support.command_line import AS_INSTALLED, OCIPACK, Answer
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
            "XDG_CACHE_HOME": str(self.folder / "cache"), "SOURCE_DATE_EPOCH": "7", **AS_INSTALLED,
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
    assert "is not accepted" in _podman(home, other, podman.folder).stderr
    answer = desk.verify(other, "--lookaside", lookaside)
    assert answer.code == 1
    assert f"it is of '{reference}', and not of {other}" in answer.out


@pytest.mark.parametrize("everything", [False, True])
def test_of_an_index_every_manifest_is_signed(desk: Desk, tmp_path: Path, podman: Podman, everything: bool) -> None:
    layout, lookaside = _platforms(tmp_path / "layout"), tmp_path / "lookaside"
    reference = desk.reference("team/platforms:1")
    push_layout(layout.folder, reference)
    home = desk.trusting(lookaside)
    how = ["--all"] if everything else []
    assert _skopeo(home, *how, f"docker://{reference}", f"dir:{tmp_path}/out").returncode != 0
    written = desk.sign(reference, "--lookaside", lookaside)
    assert len(written) == 3
    assert layout.digest.removeprefix("sha256:") in written[-1]
    done = _skopeo(home, *how, f"docker://{reference}", f"dir:{tmp_path}/out")
    assert done.returncode == 0, done.stderr
    if not everything:
        done = _podman(home, reference, podman.folder)
        assert done.returncode == 0, done.stderr
    answer = desk.verify(reference, "--lookaside", lookaside)
    assert answer.code == 0
    assert f"9 of 9 digests are right; signed by {desk.release}" in answer.out


def _by_another(desk: Desk, signature: bytes) -> bytes:
    return desk.ring.sign(_text(desk, signature), desk.other)


def _armored(desk: Desk, signature: bytes) -> bytes:
    return desk.ring.sign(_text(desk, signature), desk.release, more=("--armor",), passphrase=_CANARY)


def _cleartext(desk: Desk, signature: bytes) -> bytes:
    return desk.ring.sign(_text(desk, signature), desk.release, how="--clearsign", passphrase=_CANARY)


def _flipped(_: Desk, signature: bytes) -> bytes:
    place = signature.index(b"docker-reference") + 30
    return signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]


def _text(desk: Desk, signature: bytes) -> bytes:
    return desk.ring.gpg("--decrypt", data=signature)


_REFUSAL = "Source image rejected"
_DAMAGES: dict[str, Callable[[Desk, bytes], bytes]] = {
    "nothing": lambda desk, signature: signature,
    "another key": _by_another,
    "flipped": _flipped,
    "cut": lambda desk, signature: signature[:-1],
    "armored": _armored,
    "cleartext": _cleartext,
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_signature_that_was_damaged_is_refused(
    desk: Desk, image: Layout, tmp_path: Path, podman: Podman, damage: str
) -> None:
    lookaside, reference = tmp_path / "lookaside", desk.reference(f"team/{_name(image)}:1")
    (path,) = desk.sign(reference, "--lookaside", lookaside)
    Path(path).write_bytes(_DAMAGES[damage](desk, Path(path).read_bytes()))
    home = desk.trusting(lookaside)
    for done in (
        _skopeo(home, f"docker://{reference}", f"dir:{tmp_path}/out"),
        _podman(home, reference, podman.folder),
    ):
        assert (done.returncode != 0) == (damage != "nothing"), done.stderr
        assert (_REFUSAL in done.stderr) == (damage != "nothing"), done.stderr
    answer = desk.verify(reference, "--lookaside", lookaside)
    assert answer.code == (damage != "nothing")
    assert ("not signed by" in answer.out) == (damage != "nothing")


def test_an_image_that_was_replaced_is_refused(desk: Desk, image: Layout, tmp_path: Path, podman: Podman) -> None:
    lookaside, reference = tmp_path / "lookaside", desk.reference(f"team/{_name(image)}:1")
    desk.sign(reference, "--lookaside", lookaside, "--attach")
    evil = stored_images.layout(tmp_path / "evil", [_tar(b"evil")])
    push_layout(evil.folder, reference)
    good, new = (lookaside / f"team/{_name(image)}@sha256={digest[7:]}" for digest in (image.digest, evil.digest))
    shutil.copytree(good, new)
    home = desk.trusting(lookaside)
    assert _REFUSAL in _skopeo(home, f"docker://{reference}", f"dir:{tmp_path}/out").stderr
    assert _REFUSAL in _podman(home, reference, podman.folder).stderr
    answer = desk.verify(reference, "--lookaside", lookaside)
    assert answer.code == 1
    assert f"{evil.digest} is not signed by {desk.release}: signature 1: it is of {image.digest}" in answer.out
    assert desk.verify(f"{reference.rpartition(':')[0]}@{image.digest}", "--lookaside", lookaside).code == 0


def test_signatures_are_numbered_without_a_gap_and_one_good_one_will_do(
    desk: Desk, image: Layout, tmp_path: Path
) -> None:
    lookaside, reference = tmp_path / "lookaside", desk.reference(f"team/{_name(image)}:1")
    other = desk.run(
        "sign", "--key", desk.other, "--gnupg-home", desk.ring.home, "--lookaside", lookaside, reference
    ).out.strip()
    assert desk.verify(reference, "--lookaside", lookaside).code == 1
    (own,) = desk.sign(reference, "--lookaside", lookaside)
    assert [Path(path).name for path in (other, own)] == ["signature-1", "signature-2"]
    assert desk.verify(reference, "--lookaside", lookaside).code == 0
    assert _skopeo(desk.trusting(lookaside), f"docker://{reference}", f"dir:{tmp_path}/out").returncode == 0


def test_a_signature_is_kept_in_the_registry_beside_what_others_attached(
    desk: Desk, image: Layout, tmp_path: Path
) -> None:
    reference = desk.reference(f"team/{_name(image)}:1")
    assert desk.verify(reference).code == 1
    for _ in range(2):
        desk.sign(reference, "--attach")
    assert desk.verify(reference).code == 0
    tag = image.digest.replace(":", "-")
    index = json.loads(desk.registry.ask("GET", f"/v2/team/{_name(image)}/manifests/{tag}")[2])
    assert {each["artifactType"] for each in index["manifests"]} == {"application/vnd.ocipack.simple-signature.v1"}
    for each in index["manifests"]:
        manifest = json.loads(desk.registry.ask("GET", f"/v2/team/{_name(image)}/manifests/{each['digest']}")[2])
        assert manifest["subject"]["digest"] == image.digest
        assert desk.registry.whole(f"team/{_name(image)}", each["digest"])
    assert desk.verify(desk.reference(f"team/{_name(image)}:2")).code == 1


def test_an_archive_is_signed_before_it_is_pushed(desk: Desk, image: Layout, tmp_path: Path) -> None:
    lookaside, reference = tmp_path / "lookaside", desk.reference(f"team/{_name(image)}:1")
    archive = image.archive(tmp_path / "image.tar")
    for path in (archive, image.folder):
        options = ("--lookaside", lookaside, "--identity", reference)
        desk.sign(path, *options)
        assert desk.verify(path, *options).code == 0
        assert desk.verify(path, "--lookaside", lookaside, "--identity", reference.rpartition(":")[0]).code == 0
        answer = desk.verify(path, "--lookaside", lookaside, "--identity", f"{reference}1")
        assert answer.code == 1
    assert _skopeo(desk.trusting(lookaside), f"docker://{reference}", f"dir:{tmp_path}/out").returncode == 0


@pytest.mark.parametrize("ending", [".asc", ".sig"])
def test_files_are_signed_with_their_sums(desk: Desk, tmp_path: Path, ending: str) -> None:
    files = [tmp_path / name for name in ("b.iso", "a file.tar.zst")]
    for file in files:
        file.write_bytes(bytes(range(256)) * 1200)
    written = desk.sign(*files, *(["--binary"] if ending == ".sig" else []))
    assert written == [str(tmp_path / f"{name}{ending}") for name in ("a file.tar.zst", "b.iso", "SHA256SUMS")]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    for path in written:
        command = ["gpgv", "--keyring", str(desk.folder / "release.gpg"), path, path.removesuffix(ending)]
        subprocess.run(command, check=True, capture_output=True)
    assert desk.verify(*files, tmp_path / "SHA256SUMS").code == 0
    (tmp_path / f"b.iso{ending}").unlink()
    assert desk.verify(files[0]).code == 0, "the signed sums name it"
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"x")
    assert "is not what SHA256SUMS says" in desk.verify(files[0]).out
    (tmp_path / f"SHA256SUMS{ending}").unlink()
    answer = desk.verify(*files)
    assert answer.code == 1
    assert "b.iso is not signed" in answer.out


def test_a_bad_signature_beside_a_good_one_is_not_passed_over(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "disk.img"
    file.write_bytes(b"disk" * 1000)
    desk.sign(file)
    (tmp_path / "disk.img.sig").write_bytes(desk.ring.sign(b"another", desk.other, how="--detach-sign"))
    answer = desk.verify(file)
    assert answer.code == 1
    assert "disk.img.sig does not sign disk.img" in answer.out


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ('key = "release.asc"', 0),
        ('key = "release.gpg"\nfingerprint = "{release}"\nidentity = "{name}"', 0),
        ('key = "release.gpg"\nidentity = "{name}:1"', 0),
        ('key = "release.gpg"\nidentity = "{name}:2"', 1),
        ('key = "release.gpg"\nidentity = "{name}-not"', 1),
        ('key = "other.gpg"', 1),
        ('key = "release.gpg"\nfingerprint = "{other}"', 2),
        ('key = "missing.gpg"', 2),
        ("", 2),
        ('key = "release.gpg"\nnobody = true', 2),
        ('key = "release.gpg"\nidentity = "{name}@sha256:00"', 2),
    ],
)
def test_policies(desk: Desk, image: Layout, policy: str, code: int) -> None:
    name = desk.reference(f"team/{_name(image)}")
    desk.sign(f"{name}:1", "--attach")
    (desk.folder / "other.gpg").write_bytes(desk.ring.public(desk.other))
    (desk.folder / "policy.toml").write_text(policy.format(release=desk.release, other=desk.other, name=name))
    answer = desk.run("verify", "--policy", "policy.toml", f"docker://{name}:1")
    assert answer.code == code, answer
    assert "Traceback" not in answer.err


def test_without_a_key_digests_are_compared_and_that_is_said(desk: Desk, image: Layout) -> None:
    answer = desk.run("verify", image.folder, desk.reference(f"team/{_name(image)}:1"))
    assert answer.code == 0
    assert answer.out.count("6 of 6 digests are right; signatures were not looked at: no key was named") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sign", "--key", "ABCD", "FILE"], "is not the fingerprint of a key"),
        (["sign", "--key", "0" * 40, "FILE"], "no secret key"),
        (["sign", "--key", "KEY", "missing.tar"], "there is no missing.tar"),
        (["sign", "--key", "KEY", "LAYOUT"], "where is the signature of"),
        (["sign", "--key", "KEY", "LAYOUT", "--lookaside", "l"], "--identity REGISTRY/NAME:TAG"),
        (["sign", "--key", "KEY", "LAYOUT", "--lookaside", "l", "--identity", "a.org/b"], "has no tag"),
        (["sign", "--key", "KEY", "LAYOUT", "--attach"], "is in no registry"),
        (["sign", "--key", "KEY", "FILE", "--identity", "a.org/b:1"], "go with images"),
        (["sign", "--key", "KEY", "FILE", "--lookaside", "l", "--identity", "a.org/b:1"], "is no image"),
        (["sign", "--key", "KEY", "FILE", "--passphrase-file", "missing"], "passphrase file missing cannot be read"),
        (["sign", "--key", "KEY", "a.org/b:1"], "where is the signature of"),
        (["verify", "FILE", "--identity", "a.org/b:1"], "who has to have signed?"),
        (["verify", "FILE", "--key", "missing"], "the key missing cannot be read"),
        (["verify", "LAYOUT", "--key", "PUBLIC", "--lookaside", "l"], "Say it with --identity"),
        (["verify", "LAYOUT", "--key", "PUBLIC", "--identity", "a.org/b:1"], "where are the signatures of"),
        (["verify", "--policy", "p", "--key", "k", "FILE"], "a policy says who has to have signed"),
    ],
)
def test_mistakes_are_told(desk: Desk, image: Layout, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    known = {
        "FILE": str(tmp_path / "file"), "LAYOUT": str(image.folder), "KEY": desk.other,
        "PUBLIC": str(desk.folder / "release.gpg"),
    }  # fmt: skip
    home = ["--gnupg-home", str(desk.ring.home)] if arguments[0] == "sign" else []
    answer = desk.run(*(known.get(argument, argument) for argument in arguments), *home)
    assert answer.code == 2
    assert said in answer.err
    assert {path.name for path in tmp_path.iterdir()} <= {"file", "layout"}


def test_the_passphrase_is_nowhere_to_be_seen(desk: Desk, image: Layout, tmp_path: Path) -> None:
    """Not in outputs, files, or the arguments and the environment of any program."""
    (tmp_path / "disk.img").write_bytes(b"disk")
    desk.ring.forget()
    command = ["strace", "-f", "-v", "-s", "100000", "-e", "trace=execve", "-o", str(tmp_path / "trace"),
               str(OCIPACK), "sign", "--key", desk.release, "--gnupg-home", str(desk.ring.home),
               *desk.passphrase, "--lookaside", str(tmp_path / "lookaside"), "--identity",
               desk.reference(f"team/{_name(image)}:1"), str(image.folder)]  # fmt: skip
    done = subprocess.run(command, cwd=desk.folder, env=desk.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    desk.sign(tmp_path / "disk.img")
    (tmp_path / "wrong").write_text("another canary\n")
    desk.ring.forget()
    wrong = desk.run(
        "sign", "--key", desk.release, "--gnupg-home", desk.ring.home, "--passphrase-file", tmp_path / "wrong",
        tmp_path / "disk.img",
    )  # fmt: skip
    assert wrong.code == 1
    assert f"the passphrase of {desk.release} is wrong" in wrong.err
    (tmp_path / "wrong").unlink()
    trace = (tmp_path / "trace").read_text()
    assert "--local-user" in trace
    places = [path for place in (tmp_path, desk.folder / "home", desk.folder / "cache") for path in place.rglob("*")]
    told = [done.stdout, done.stderr, wrong.out, wrong.err]
    told += [path.read_text("latin-1") for path in places if path.is_file()]
    assert not [text for text in told if "canary" in text]


def test_what_is_signed_is_the_same_everywhere(desk: Desk, image: Layout, tmp_path: Path) -> None:
    """Only the time at which GnuPG signs differs."""
    reference = desk.reference(f"team/{_name(image)}:1")
    texts = []
    for name in ("one", "two"):
        (path,) = desk.sign(image.folder, "--lookaside", tmp_path / name, "--identity", reference)
        texts.append(_text(desk, Path(path).read_bytes()))
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["optional"]["timestamp"] == 7
    assert json.loads(texts[0])["critical"]["image"]["docker-manifest-digest"] == image.digest

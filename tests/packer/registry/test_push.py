"""Images pushed to a real registry, and what others make of them."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from layers.errors import InputError, PackError
from packer.registry.answer import RegistryError
from packer.registry.push import Outcome, Pushed
from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import output
from tests.support import stored_images
from tests.support.certificates import Certificates, make_certificates
from tests.support.pushing import LOGIN, Nobody, Recorder, as_user, push_layout
from tests.support.stored_images import Layout
from tests.support.token_server import TokenServer, token_server

_SIZES = (1, 10_000, 200_000, 3_000_000)


def _layers(seed: int) -> list[bytes]:
    return [random.Random(f"{seed} {size}").randbytes(size) for size in _SIZES]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Registry]:
    """A registry over https, with a certificate that nobody else knows."""
    folder = tmp_path_factory.mktemp("secure") / "registry"
    with docker_registry(folder, login=LOGIN, certificates=certificates) as running:
        yield running


@pytest.fixture
def tokens(certificates: Certificates) -> Iterator[TokenServer]:
    with token_server(certificates, LOGIN) as server:
        yield server


@pytest.fixture
def guarded(tmp_path: Path, certificates: Certificates, tokens: TokenServer) -> Iterator[Registry]:
    """A registry that wants tokens."""
    folder = tmp_path / "guarded"
    with docker_registry(folder, certificates=certificates, token=tokens.configuration) as running:
        yield running


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return stored_images.layout(tmp_path_factory.mktemp("image") / "layout", _layers(0))


def _outcomes(pushed: Pushed) -> Counter[Outcome]:
    return Counter(pushed.blobs.values())


@pytest.mark.parametrize("chunk", [0, 65536, 1 << 20])
@pytest.mark.parametrize("archived", [False, True])
def test_an_image_is_whole_in_the_registry(
    registry: Registry, layout: Layout, tmp_path: Path, archived: bool, chunk: int
) -> None:
    path = layout.archive(tmp_path / "image.tar") if archived else layout.folder
    repository = f"whole/{chunk}-{archived}".lower()
    pushed = push_layout(path, f"{registry.address}/{repository}:1.0", chunk=chunk)
    assert str(pushed.reference) == f"{registry.address}/{repository}@{layout.digest}"
    assert _outcomes(pushed) == {Outcome.SENT: 5}
    assert registry.tag(repository, "1.0") == layout.digest
    assert registry.whole(repository, "1.0")


def test_skopeo_reads_what_was_pushed(registry: Registry, layout: Layout, tmp_path: Path) -> None:
    push_layout(layout.folder, f"{registry.address}/for/skopeo")
    copied = tmp_path / "copy"
    output(
        "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--preserve-digests",
        f"docker://{registry.address}/for/skopeo", f"oci:{copied}",
    )  # fmt: skip
    theirs = {path.name: path.read_bytes() for path in (copied / "blobs/sha256").iterdir()}
    ours = {path.name: path.read_bytes() for path in (layout.folder / "blobs/sha256").iterdir()}
    assert theirs == ours


def test_a_second_push_sends_nothing(registry: Registry, layout: Layout) -> None:
    reference, progress = f"{registry.address}/twice:1", Recorder()
    assert push_layout(layout.folder, reference).is_new
    pushed = push_layout(layout.folder, reference, progress=progress)
    assert _outcomes(pushed) == {Outcome.KNOWN: 5}
    assert not pushed.is_new
    assert progress.said == [("push", 0)]
    assert not progress.transfers


def test_a_second_push_opens_no_layer(registry: Registry, layout: Layout, tmp_path: Path) -> None:
    small = stored_images.layout(tmp_path / "small", [b"a layer"])
    push_layout(small.folder, f"{registry.address}/unread")
    for digest in small.sizes:  # the right size, other bytes: whoever reads them notices
        small.path(digest).write_bytes(bytes(small.sizes[digest]))
    assert _outcomes(push_layout(small.folder, f"{registry.address}/unread")) == {Outcome.KNOWN: 2}


def test_one_changed_layer_sends_that_layer_and_the_configuration(registry: Registry, tmp_path: Path) -> None:
    before, after = _layers(1), _layers(1)
    after[1] = b"changed"
    push_layout(stored_images.layout(tmp_path / "before", before).folder, f"{registry.address}/changed")
    pushed = push_layout(stored_images.layout(tmp_path / "after", after).folder, f"{registry.address}/changed")
    sent = {blob.title for blob, outcome in pushed.blobs.items() if outcome is Outcome.SENT}
    assert sent == {"layer 2 of 4", "configuration"}
    assert pushed.is_new


def test_a_layer_that_occurs_twice_is_sent_once(registry: Registry, tmp_path: Path) -> None:
    twice = stored_images.layout(tmp_path / "layout", [b"same", b"other", b"same", b""])
    assert _outcomes(push_layout(twice.folder, f"{registry.address}/double")) == {Outcome.SENT: 4}
    assert registry.whole("double", "latest")


def test_blobs_are_mounted_from_another_repository(registry: Registry, layout: Layout, tmp_path: Path) -> None:
    push_layout(layout.folder, f"{registry.address}/mount/source")
    more = stored_images.layout(tmp_path / "layout", [*_layers(0), b"one more"])
    pushed = push_layout(more.folder, f"{registry.address}/mount/target", mounts=["mount/nothing", "mount/source"])
    assert _outcomes(pushed) == {Outcome.MOUNTED: 4, Outcome.SENT: 2}
    assert registry.whole("mount/target", "latest")


def test_an_index_is_pushed_as_a_whole(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    images = [
        {
            **stored_images.image(folder, [b"shared", name.encode()], name),
            "platform": {"os": "linux", "architecture": name},
        }
        for name in ("amd64", "arm64")
    ]
    several = stored_images.close(folder, stored_images.index(folder, images))
    pushed = push_layout(folder, f"{registry.address}/several:1")
    assert str(pushed.digest) == several.digest
    assert _outcomes(pushed) == {Outcome.SENT: 5}
    assert registry.whole("several", "1")
    for name in ("amd64", "arm64"):
        inspected = output(
            "skopeo", "--override-arch", name, "inspect", "--tls-verify=false", f"docker://{registry.address}/several:1"
        )
        assert f'"Architecture": "{name}"' in inspected


def test_a_digest_alone_makes_no_tag(registry: Registry, layout: Layout) -> None:
    push_layout(layout.folder, f"{registry.address}/untagged@{layout.digest}")
    assert registry.whole("untagged", layout.digest)
    assert (
        registry.ask("GET", "/v2/untagged/tags/list")[0] == 404
        or b'"tags":null' in registry.ask("GET", "/v2/untagged/tags/list")[2]
    )


def test_another_digest_than_the_references_is_refused_before_anything_is_sent(
    registry: Registry, layout: Layout
) -> None:
    with pytest.raises(InputError, match=layout.digest):
        push_layout(layout.folder, f"{registry.address}/other:1@sha256:{'0' * 64}")
    assert registry.ask("GET", "/v2/other/tags/list")[0] == 404


@pytest.mark.parametrize("chunk", [0, 65536])
def test_a_damaged_blob_never_becomes_one(registry: Registry, tmp_path: Path, chunk: int) -> None:
    damaged = stored_images.layout(tmp_path / "layout", _layers(2))
    largest = max(damaged.sizes, key=lambda digest: damaged.sizes[digest])
    with damaged.path(largest).open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"damage")
    with pytest.raises(PackError, match="the bytes are not those of " + largest):
        push_layout(damaged.folder, f"{registry.address}/damaged/{chunk}", chunk=chunk)
    assert registry.tag(f"damaged/{chunk}", "latest") is None


def test_a_tag_stays_as_it_was_when_a_push_fails(registry: Registry, layout: Layout, tmp_path: Path) -> None:
    push_layout(layout.folder, f"{registry.address}/stays:1")
    broken = stored_images.layout(tmp_path / "layout", [b"fine", b"broken"])
    broken.path(max(broken.sizes)).write_bytes(bytes(broken.sizes[max(broken.sizes)]))
    with pytest.raises(PackError):
        push_layout(broken.folder, f"{registry.address}/stays:1")
    assert registry.tag("stays", "1") == layout.digest


def test_progress_is_told_for_each_blob(registry: Registry, layout: Layout) -> None:
    progress = Recorder()
    push_layout(layout.folder, f"{registry.address}/progress", progress=progress)
    assert progress.said == [("push", sum(layout.sizes.values()))]
    assert progress.transfers["layer 4 of 4"] == [1 << 20, 2 << 20, 3_000_000]
    assert {name: done[-1] for name, done in progress.transfers.items() if name.startswith("layer")} == {
        f"layer {number} of 4": size for number, size in enumerate(_SIZES, 1)
    }


def test_basic_authentication(locked: Registry, layout: Layout) -> None:
    push_layout(layout.folder, f"{locked.address}/basic", keychain=as_user())
    assert locked.whole("basic", "latest")


@pytest.mark.parametrize(
    ("keychain", "said"),
    [
        (Nobody(), "wants a user name and a password"),
        (as_user(("ada", "wrong")), "does not accept the credentials of the test"),
    ],
)
def test_without_the_right_password(locked: Registry, layout: Layout, keychain: Nobody, said: str) -> None:
    with pytest.raises(RegistryError, match=said) as raised:
        push_layout(layout.folder, f"{locked.address}/basic/refused", keychain=keychain)
    assert f"docker login {locked.address}" in raised.value.hint
    assert locked.tag("basic/refused", "latest") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("way", ["--ca", "SSL_CERT_FILE"])
def test_https_with_an_authority_of_our_own(
    secure: Registry, layout: Layout, certificates: Certificates, way: str, host: str
) -> None:
    repository = f"tls/{host}/{way.strip('-').lower()}"
    environment = {"SSL_CERT_FILE": str(certificates.authority)} if way == "SSL_CERT_FILE" else {}
    authority = certificates.authority if way == "--ca" else None
    reference = f"{host}:{secure.port}/{repository}"
    push_layout(layout.folder, reference, keychain=as_user(), certificates=authority, environment=environment)
    assert secure.whole(repository, "latest")


def test_https_with_an_unknown_authority(secure: Registry, layout: Layout) -> None:
    with pytest.raises(RegistryError, match="is not trusted: unable to get local issuer certificate"):
        push_layout(layout.folder, f"{secure.address}/untrusted", keychain=as_user())


def test_https_is_spoken_to_who_is_not_on_this_machine(registry: Registry, layout: Layout) -> None:
    """127.0.0.1 under a name that nothing is known of."""
    with pytest.raises(RegistryError, match="the connection failed"):
        push_layout(layout.folder, f"{registry.address.replace('127.0.0.1', '0.0.0.0')}/remote")
    push_layout(layout.folder, f"{registry.address.replace('127.0.0.1', '0.0.0.0')}/remote", plain_http=True)


def test_token_authentication(
    guarded: Registry, tokens: TokenServer, layout: Layout, certificates: Certificates
) -> None:
    pushed = push_layout(
        layout.folder, f"{guarded.address}/token/app", keychain=as_user(), certificates=certificates.authority,
        mounts=["token/base"],
    )  # fmt: skip
    assert _outcomes(pushed) == {Outcome.SENT: 5}
    assert [(method, fields["scope"]) for method, fields, _ in tokens.requests] == [
        ("GET", ["repository:token/app:pull,push", "repository:token/base:pull"])
    ]
    assert output(
        "skopeo", "inspect", f"--cert-dir={_certificate_folder(certificates)}", "--creds=" + ":".join(LOGIN),
        f"docker://{guarded.address}/token/app",
    ).count(layout.digest)  # fmt: skip


def _certificate_folder(certificates: Certificates) -> Path:
    folder = certificates.authority.parent / "skopeo"
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_bytes(certificates.authority.read_bytes())
    return folder


def test_a_token_that_has_expired_is_asked_for_anew(
    guarded: Registry, tokens: TokenServer, layout: Layout, certificates: Certificates
) -> None:
    tokens.lifetime = -61  # docker-registry allows for clocks that are a minute wrong
    with pytest.raises(RegistryError, match="does not accept the credentials of the test"):
        push_layout(
            layout.folder, f"{guarded.address}/expired", keychain=as_user(), certificates=certificates.authority
        )
    tokens.lifetime = 300
    push_layout(layout.folder, f"{guarded.address}/expired", keychain=as_user(), certificates=certificates.authority)
    assert len(tokens.requests) > 1


def test_those_who_may_only_read(
    guarded: Registry, tokens: TokenServer, layout: Layout, certificates: Certificates
) -> None:
    tokens.anonymous = ("pull",)
    with pytest.raises(RegistryError, match="does not let anonymous users into"):
        push_layout(layout.folder, f"{guarded.address}/readers", certificates=certificates.authority)


def test_nobody_is_at_home(layout: Layout) -> None:
    with pytest.raises(RegistryError, match="the connection failed: Connection refused"):
        push_layout(layout.folder, "127.0.0.1:1/app")

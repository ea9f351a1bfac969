import pytest

from layers.digest import Digest
from packer.registry.reference import Reference, ReferenceError  # noqa: A004  # not Python's own

_DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "whole", "host"),
    [
        ("debian", "docker.io/library/debian:latest", "registry-1.docker.io"),
        ("debian:12", "docker.io/library/debian:12", "registry-1.docker.io"),
        ("team/app", "docker.io/team/app:latest", "registry-1.docker.io"),
        ("docker.io/debian", "docker.io/library/debian:latest", "registry-1.docker.io"),
        ("index.docker.io/a/b:c", "docker.io/a/b:c", "registry-1.docker.io"),
        ("docker://example.org/app:1.0", "example.org/app:1.0", "example.org"),
        ("example.org/a/b/c_d__e.f---g:T.1_x-", "example.org/a/b/c_d__e.f---g:T.1_x-", "example.org"),
        ("example.org:5000/app", "example.org:5000/app:latest", "example.org:5000"),
        ("localhost/app", "localhost/app:latest", "localhost"),
        ("localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000"),
        ("Host/app", "Host/app:latest", "Host"),
        (f"example.org/app@{_DIGEST}", f"example.org/app@{_DIGEST}", "example.org"),
        (f"example.org/app:1@{_DIGEST}", f"example.org/app:1@{_DIGEST}", "example.org"),
    ],
)  # fmt: skip
def test_references(text: str, whole: str, host: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == whole
    assert reference.host == host
    assert Reference.parse(whole) == reference


def test_a_reference_by_its_digest_has_no_tag_of_its_own() -> None:
    reference = Reference.parse(f"example.org/app@{_DIGEST}")
    assert (reference.tag, reference.digest) == ("", Digest("a" * 64))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a repository's name"),
        ("example.org/", "not a repository's name"),
        ("example.org/App", "lower case"),
        ("example.org/../app", "not a repository's name"),
        ("example.org/a//b", "not a repository's name"),
        ("example.org/a/./b", "not a repository's name"),
        ("example.org/a?x=1", "not a repository's name"),
        ("example.org/a%2e", "not a repository's name"),
        ("example.org/" + "a" * 256, "not a repository's name"),
        ("example.org/a:", "'' is not a tag"),
        ("example.org/a:-x", "is not a tag"),
        ("example.org/a:" + "x" * 129, "is not a tag"),
        ("example.org/a:ü", "is not a tag"),
        ("example.org/a@sha256:1", "is not a digest"),
        ("example.org/a@sha512:" + "a" * 128, "is not a digest"),
        ("user:password@example.org/a", "is not a"),
        ("https://example.org/a", "is not a"),
        ("example.org:99999/a", "host and port"),
        ("example.org:/a", "host and port"),
        ("-x.org/a", "host and port"),
        ("[::1/a", "host and port"),
        ("a" * 2000, "too long"),
        ("example.org/a\n", "not a repository's name"),
    ],
)  # fmt: skip
def test_what_is_no_reference(text: str, said: str) -> None:
    with pytest.raises(ReferenceError, match=said):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("registry", "is_loopback"),
    [
        ("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("127.8.9.10", True),
        ("[::1]:5000", True), ("0.0.0.0:5000", False), ("10.0.0.1", False), ("localhost.example.org", False),
        ("example.org", False), ("[fe80::1]", False), ("127.0.0.1.example.org", False),
    ],
)  # fmt: skip
def test_what_is_on_this_machine(registry: str, is_loopback: bool) -> None:
    assert Reference.parse(f"{registry}/app").is_loopback == is_loopback


def test_a_sibling_is_a_repository_of_the_same_registry() -> None:
    assert Reference.parse("example.org/a:1").sibling("b/c").name == "example.org/b/c"
    with pytest.raises(ReferenceError):
        Reference.parse("example.org/a").sibling("other.org:80/b")

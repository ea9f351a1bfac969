"""Challenges and tokens; `test_push` has them with a real registry."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from packer.registry.answer import Answer, InterruptedRequestError, RegistryError
from packer.registry.authorization import Authorization, challenges
from packer.registry.credentials import Credentials, GivenCredentials, Keychain
from packer.registry.reference import Reference
from tests.support.pushing import Nobody

_BEARER = 'Bearer realm="https://tokens.example.org/token?x=1",service="a registry",scope="repository:other:pull"'
_USER = Credentials("the test", "ada", "secret")
_IDENTITY = Credentials("the test", identity_token="identity")
_READY = Credentials("the test", registry_token="ready")


@dataclass
class _Server:
    """A token server."""

    status: int = 200
    facts: Any = field(default_factory=lambda: {"token": "given"})
    asked: list[tuple[str, dict[str, str], dict[str, str] | None]] = field(default_factory=list)

    def __call__(self, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answer:
        self.asked.append((url, dict(headers), dict(form) if form else None))
        return Answer(self.status, {"Retry-After": "7"}, json.dumps(self.facts).encode())


def _authorization(server: _Server, credentials: Credentials | None = None, scheme: str = "https") -> Authorization:
    keychain: Keychain = GivenCredentials(credentials) if credentials else Nobody()
    reference = Reference.parse("registry.example.org/app")
    scopes = ["repository:app:pull,push", "repository:base:pull"]
    return Authorization(reference, f"{scheme}://registry.example.org", scopes, keychain, server)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        (_BEARER, [("bearer", {
            "realm": "https://tokens.example.org/token?x=1", "service": "a registry", "scope": "repository:other:pull",
        })]),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('BEARER Realm = "x" , service=y', [("bearer", {"realm": "x", "service": "y"})]),
        (r'Bearer realm="a\"b\\c"', [("bearer", {"realm": r'a"b\c'})]),
        ('Bearer realm="x", Basic realm="y"', [("bearer", {"realm": "x"}), ("basic", {"realm": "y"})]),
        ('realm="x"', []),
        ('Bearer realm="unfinished', [("bearer", {}), ("realm", {}), ("unfinished", {})]),
    ],
)  # fmt: skip
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(one.scheme, dict(one.parameters)) for one in challenges(header)] == found


@pytest.mark.parametrize("header", ["a=" * 30_000, ", " * 30_000, '"\\' * 30_000])
def test_a_long_header_takes_no_longer_than_it_has_to(header: str) -> None:
    assert len(list(challenges(header))) < 60_000


def test_a_token_is_asked_for_with_all_scopes() -> None:
    server = _Server()
    assert _authorization(server, _USER).answer(_BEARER, "") == "Bearer given"
    ((url, headers, form),) = server.asked
    assert url == (
        "https://tokens.example.org/token?x=1&service=a+registry"
        "&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"
    )
    assert headers == {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    assert form is None


def test_nobody_asks_for_a_token_without_credentials() -> None:
    server = _Server(facts={"access_token": "anonymous"})
    assert _authorization(server).answer(_BEARER, "") == "Bearer anonymous"
    assert server.asked[0][1] == {}


def test_an_identity_token_is_posted() -> None:
    server = _Server()
    assert _authorization(server, _IDENTITY).answer(_BEARER, "") == "Bearer given"
    ((url, headers, form),) = server.asked
    assert (url, headers) == ("https://tokens.example.org/token?x=1", {})
    assert form == {
        "grant_type": "refresh_token", "refresh_token": "identity", "client_id": "ocipack",
        "service": "a registry", "scope": "repository:app:pull,push repository:base:pull",
    }  # fmt: skip


def test_a_token_of_the_registry_is_used_as_it_is() -> None:
    server = _Server()
    authorization = _authorization(server, _READY)
    assert authorization.answer(_BEARER, "") == "Bearer ready"
    with pytest.raises(RegistryError, match="does not accept the credentials of the test"):
        authorization.answer(_BEARER, "Bearer ready")
    assert not server.asked


def test_a_second_thread_takes_the_token_of_the_first() -> None:
    server = _Server()
    authorization = _authorization(server, _USER)
    assert authorization.answer(_BEARER, "") == authorization.answer(_BEARER, "")
    assert len(server.asked) == 1
    server.facts = {"token": "newer"}
    assert authorization.answer(_BEARER, "Bearer given") == "Bearer newer"


@pytest.mark.parametrize(
    ("realm", "scheme"),
    [
        ("http://tokens.example.org/token", "https"),
        ("http://registry.example.org/token", "https"),
        ("http://127.0.0.1:8000/token", "http"),
        ("http://registry.example.org:81/token", "http"),
        ("https://ada@tokens.example.org/", "https"),
        ("https://registry.example.org@evil.example.org/", "https"),
        ("ftp://tokens.example.org/", "https"),
        ("//tokens.example.org/", "https"),
        ("tokens.example.org", "https"),
        ("https://", "https"),
        ("https://x:99999999/", "https"),
        ("https://[", "https"),
        ("file:///etc/passwd", "http"),
        ("", "https"),
    ],
)
def test_an_evil_realm_is_not_asked(realm: str, scheme: str) -> None:
    server = _Server()
    with pytest.raises(RegistryError, match=r"neither its own origin nor https|not known"):
        _authorization(server, _USER, scheme).answer(f'Bearer realm="{realm}",service="s"', "")
    assert not server.asked


def test_a_token_server_at_the_registrys_own_origin() -> None:
    server = _Server()
    _authorization(server, _USER, "http").answer('Bearer realm="http://registry.example.org:80/token"', "")
    assert server.asked


@pytest.mark.parametrize(
    ("status", "facts", "said"),
    [
        (200, {}, "gives no token"),
        (200, [], "gives no token"),
        (200, {"token": 5}, "gives no token"),
        (200, {"token": "a\r\nX-Evil: 1"}, "gives no token"),
        (200, {"token": ""}, "gives no token"),
        (401, {"token": "x"}, "does not accept the credentials of the test"),
        (403, {}, "does not accept the credentials of the test"),
        (302, {}, "says 302"),
        (404, {}, "says 404"),
    ],
)
def test_a_token_server_that_gives_none(status: int, facts: Any, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        _authorization(_Server(status, facts), _USER).answer(_BEARER, "")


def test_a_token_server_that_is_busy() -> None:
    with pytest.raises(InterruptedRequestError, match="says 503") as raised:
        _authorization(_Server(503), _USER).answer(_BEARER, "")
    assert raised.value.wait == 7


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x"])
def test_a_challenge_that_nobody_knows(header: str) -> None:
    with pytest.raises(RegistryError, match="wants an authorization that is not known"):
        _authorization(_Server(), _USER).answer(header, "")


def test_what_a_registry_repeats_is_hidden() -> None:
    authorization = _authorization(_Server(), _USER)
    authorization.answer(_BEARER, "")
    basic = base64.b64encode(b"ada:secret").decode()
    hidden = authorization.hide(f"ada has secret, {basic} and given")
    assert "ada" in hidden
    assert not [word for word in ("secret", basic, "given") if word in hidden]

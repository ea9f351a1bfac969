"""A token server: it gives docker-registry's tokens (distribution's docs/spec/auth/token.md) to one user.

Tokens are JSON Web Tokens, signed with the key of a certificate that the registry knows.
"""

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.certificates import Certificates

_SERVICE, _ISSUER = "registry", "tokens"


@dataclass
class TokenServer:
    """The server.

    Attributes:
        certificates: of https, and of the tokens.
        login: name and password.
        identity_token: may be shown in place of them.
        lifetime: of tokens, in seconds.
        anonymous: what those who do not log in may do.
        requests: (method, query or form, Authorization) of each.
        given: tokens.
    """

    certificates: Certificates
    login: tuple[str, str]
    identity_token: str = "an-identity-token"
    lifetime: float = 300
    anonymous: tuple[str, ...] = ()
    port: int = 0
    requests: list[tuple[str, dict[str, list[str]], str]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)

    @property
    def configuration(self) -> dict[str, str]:
        """What docker-registry is to know."""
        return {
            "realm": f"https://127.0.0.1:{self.port}/token",
            "service": _SERVICE,
            "issuer": _ISSUER,
            "rootcertbundle": str(self.certificates.certificate),
        }

    def token(self, name: str, scopes: list[str], only: tuple[str, ...] | None = None) -> str:
        access = []
        for scope in scopes:
            kind, repository, actions = scope.split(":")
            wanted = [action for action in actions.split(",") if only is None or action in only]
            access.append({"type": kind, "name": repository, "actions": wanted})
        now = int(time.time())
        claims = {
            "iss": _ISSUER, "sub": name, "aud": _SERVICE, "jti": str(len(self.given)), "access": access,
            "iat": now, "nbf": now - 100, "exp": int(now + self.lifetime),
        }  # fmt: skip
        pem = self.certificates.certificate.read_text()
        header = {"typ": "JWT", "alg": "ES256", "x5c": ["".join(pem.split("-----")[2].split())]}
        text = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        key = load_pem_private_key(self.certificates.key.read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(text, ECDSA(SHA256())))
        signed = b".".join([text, _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))]).decode()
        self.given.append(signed)
        return signed


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: TokenServer

    def do_GET(self) -> None:
        fields, basic = parse_qs(urlsplit(self.path).query), self.headers.get("Authorization", "")
        self.state.requests.append(("GET", fields, basic))
        expected = "Basic " + base64.b64encode(":".join(self.state.login).encode()).decode()
        if basic == expected:
            self.give(self.state.login[0], fields.get("scope", []))
        elif not basic:
            self.give("", fields.get("scope", []), self.state.anonymous)
        else:
            self.answer(401, {})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.state.requests.append(("POST", form, self.headers.get("Authorization", "")))
        if form.get("refresh_token") == [self.state.identity_token] and form["grant_type"] == ["refresh_token"]:
            self.give("somebody", form["scope"][0].split())
        else:
            self.answer(401, {})

    def give(self, name: str, scopes: list[str], only: tuple[str, ...] | None = None) -> None:
        self.answer(200, {"access_token": self.state.token(name, scopes, only), "expires_in": 60})

    def answer(self, code: int, facts: dict[str, Any]) -> None:
        data = json.dumps(facts).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def token_server(certificates: Certificates, login: tuple[str, str]) -> Iterator[TokenServer]:
    """A token server on the loopback, over https."""
    state = TokenServer(certificates, login)
    with serving_https(type("Handler", (_Handler,), {"state": state}), certificates) as port:
        state.port = port
        yield state


@contextlib.contextmanager
def serving_https(handler: Any, certificates: Certificates | None) -> Iterator[int]:
    """A server of the loopback; the answer is its port."""
    with _Quiet(("127.0.0.1", 0), handler) as server:
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.certificate, certificates.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""

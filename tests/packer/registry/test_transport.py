"""What leaves this machine, to whom, and for how long."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from layers.errors import InputError
from packer import web
from packer.registry.answer import InterruptedRequestError, Limits, RegistryError, StoppedError
from packer.registry.credentials import Keychain
from packer.registry.reference import Reference
from packer.registry.transport import Access, Transport
from tests.support import fault_proxy
from tests.support.certificates import Certificates, make_certificates
from tests.support.pushing import QUICK, Nobody, as_user
from tests.support.token_server import serving_https

_LIMITS = Limits(patience=0.5, first_pause=0.01, stall=20, grace=20)
_NO_SILENCE = Limits(stall=0.3, grace=20)
_NO_TIME = Limits(stall=20, grace=0.6)


@dataclass
class _Server:
    """A server that answers as it is told, and remembers what it was asked."""

    port: int = 0
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    heard: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def _serving(certificates: Certificates | None = None) -> Iterator[_Server]:
    state = _Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            state.heard.append((self.command, self.path, {name.title(): value for name, value in self.headers.items()}))
            status, headers, body = state.answers.pop(0) if state.answers else (200, {}, b"")
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_one  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving_https(Handler, certificates) as port:
        state.port = port
        yield state


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def registry(certificates: Certificates) -> Iterator[_Server]:
    with _serving(certificates) as server:
        yield server


@pytest.fixture
def elsewhere(certificates: Certificates) -> Iterator[_Server]:
    """Another origin, whose certificate is trusted as well."""
    with _serving(certificates) as server:
        yield server


def _transport(
    server: Any, certificates: Certificates | None, keychain: Keychain | None = None, **access: Any
) -> Transport:
    reference = Reference.parse(f"{server.address}/app")
    authority = str(certificates.authority) if certificates else ""
    options = {"limits": _LIMITS, **access}
    return Transport(
        reference, Access(keychain or as_user(), certificates=authority, **options), ["repository:app:pull"]
    )


def _log_in(server: _Server, transport: Transport) -> None:
    server.answers.append((401, {"WWW-Authenticate": "Basic realm=x"}, b""))
    assert transport.request("GET", "/v2/").status == 200
    assert "Authorization" in server.heard[-1][2]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_question_is_asked_elsewhere_without_credentials(
    registry: _Server, elsewhere: _Server, certificates: Certificates, method: str
) -> None:
    with _transport(registry, certificates) as transport:
        _log_in(registry, transport)
        registry.answers.append((307, {"Location": f"https://{elsewhere.address}/blob?signature=x"}, b""))
        elsewhere.answers.append((200, {}, b"the blob"))
        answer = transport.request(method, "/v2/app/blobs/x")
    assert answer.body == (b"the blob" if method == "GET" else b"")
    ((_, path, headers),) = elsewhere.heard
    assert path == "/blob?signature=x"
    assert not {"Authorization", "Cookie"} & headers.keys()


@pytest.mark.parametrize("challenge", ["Basic realm=x", 'Bearer realm="https://{elsewhere}/token"'])
def test_who_is_elsewhere_is_not_told_who_asks(
    registry: _Server, elsewhere: _Server, certificates: Certificates, challenge: str
) -> None:
    with _transport(registry, certificates) as transport:
        _log_in(registry, transport)
        registry.answers.append((307, {"Location": f"https://{elsewhere.address}/blob"}, b""))
        asked = challenge.format(elsewhere=elsewhere.address)
        elsewhere.answers.append((401, {"WWW-Authenticate": asked}, b""))
        with pytest.raises(RegistryError):
            transport.request("GET", "/v2/app/blobs/x")
    assert len(elsewhere.heard) == 1
    assert "Authorization" not in elsewhere.heard[0][2]


def test_a_blob_is_sent_elsewhere_without_credentials(
    registry: _Server, elsewhere: _Server, certificates: Certificates
) -> None:
    with _transport(registry, certificates) as transport:
        _log_in(registry, transport)
        registry.answers.append((202, {"Location": f"https://{elsewhere.address}/upload"}, b""))
        place = transport.location(transport.request("POST", "/v2/app/blobs/uploads/"), registry.address)
        transport.request("PUT", place, body=b"blob", size=4)
    assert "Authorization" not in elsewhere.heard[0][2]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_is_sent_is_not_redirected(
    registry: _Server, elsewhere: _Server, certificates: Certificates, method: str, status: int
) -> None:
    with _transport(registry, certificates) as transport:
        registry.answers.append((status, {"Location": f"https://{elsewhere.address}/"}, b""))
        with pytest.raises(RegistryError, match="redirects what is sent to it"):
            transport.request(method, "/v2/", body=b"x")
    assert not elsewhere.heard


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/", "http://{registry}/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://a@{elsewhere}/",
        "https://{registry}@{elsewhere}/", "https://x:99999999/", "https://[/",
    ],
)  # fmt: skip
def test_where_nobody_goes(registry: _Server, elsewhere: _Server, certificates: Certificates, location: str) -> None:
    there = location.format(registry=registry.address, elsewhere=elsewhere.address)
    with _transport(registry, certificates) as transport:
        _log_in(registry, transport)
        registry.answers.append((307, {"Location": there}, b""))
        with pytest.raises(RegistryError, match="neither its own origin nor https"):
            transport.request("GET", "/v2/x")
    assert not elsewhere.heard


def test_redirects_end(registry: _Server, certificates: Certificates) -> None:
    with _transport(registry, certificates) as transport:
        registry.answers += [(307, {"Location": "/again"}, b"")] * 100
        with pytest.raises(RegistryError, match="redirects more than 5 times"):
            transport.request("GET", "/v2/")


def test_cookies_and_netrc_are_not_looked_at(
    registry: _Server, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone"))
    with _transport(registry, certificates, Nobody()) as transport:
        registry.answers.append((200, {"Set-Cookie": "a=b; Path=/"}, b""))
        transport.request("GET", "/v2/")
        transport.request("GET", "/v2/")
    assert len(registry.heard) == 2
    assert not [headers for _, _, headers in registry.heard if {"Authorization", "Cookie"} & headers.keys()]


def test_a_proxy_that_is_handed_in() -> None:
    with (
        _serving() as proxy,
        _transport(
            _Server(80), None, Nobody(), plain_http=True, environment={"http_proxy": proxy.address}
        ) as transport,
    ):
        transport.request("GET", "/v2/")
        assert proxy.heard[0][1] == "http://127.0.0.1:80/v2/"


def test_a_connection_is_kept(registry: _Server, certificates: Certificates) -> None:
    with fault_proxy.fault_proxy(registry.port) as proxy:
        proxy.always = lambda exchange: exchange.answer("404 Not Found", body=b"x" * 1000)
        with _transport(proxy, None, Nobody(), plain_http=True) as transport:
            for _ in range(20):
                transport.request("GET", "/v2/")
                transport.request("HEAD", "/v2/")
        assert proxy.connections == 1


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        (fault_proxy.stall, _NO_SILENCE),
        (fault_proxy.stall_halfway, _NO_SILENCE),
        (fault_proxy.stall, _NO_TIME),
        (fault_proxy.drip, _NO_TIME),
        (fault_proxy.garbage, _LIMITS),
        (fault_proxy.reset_answer(0), _LIMITS),
    ],
)
def test_every_request_ends(fault: fault_proxy.Fault, limits: Limits) -> None:
    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault
        with _transport(proxy, None, Nobody(), plain_http=True, limits=limits) as transport:
            began = time.monotonic()
            with pytest.raises(InterruptedRequestError):
                transport.request("GET", "/v2/")
            assert time.monotonic() - began < 10


def test_an_endless_answer_is_cut() -> None:
    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault_proxy.endless
        with _transport(proxy, None, Nobody(), plain_http=True) as transport:
            answer = transport.request("GET", "/v2/", most=100)
    assert (len(answer.body), answer.is_whole) == (100, False)


def test_an_endless_redirect_is_cut() -> None:
    """requests reads the whole body of a redirect that it does not follow."""

    def fault(exchange: fault_proxy.Exchange) -> None:
        exchange.client.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: ftp://x/\r\n\r\n")
        with contextlib.suppress(OSError):
            while not exchange.stopped.is_set():
                exchange.client.sendall(bytes(1 << 16))

    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault
        with _transport(proxy, None, Nobody(), plain_http=True) as transport:
            began = time.monotonic()
            with pytest.raises(RegistryError, match="neither its own origin"):
                transport.request("GET", "/v2/")
            assert time.monotonic() - began < 10


def test_what_is_stopped_ends_now() -> None:
    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault_proxy.stall
        patient = Limits(stall=20)
        with _transport(proxy, None, Nobody(), plain_http=True, limits=patient) as transport:
            threading.Timer(0.2, transport.stop).start()
            began = time.monotonic()
            with pytest.raises(StoppedError):
                transport.request("GET", "/v2/")
            assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("status", "wait"), [("429 Slow", "3"), ("503 Busy", "0"), ("500 Broken", "x"), ("502 Gate", "")]
)
def test_a_busy_registry(status: str, wait: str) -> None:
    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault_proxy.status(status, f"Retry-After: {wait}")
        with (
            _transport(proxy, None, Nobody(), plain_http=True) as transport,
            pytest.raises(InterruptedRequestError, match=status[:3]) as raised,
        ):
            transport.request("GET", "/v2/")
    assert raised.value.wait == (3 if wait == "3" else 0)


def test_patience_ends() -> None:
    with fault_proxy.fault_proxy(1) as proxy:
        proxy.always = fault_proxy.status("503 Busy", "Retry-After: 3600")
        with _transport(proxy, None, Nobody(), plain_http=True) as transport:
            patience = transport.patience()
            with pytest.raises(RegistryError, match="It was tried once; it asks for a pause of 3600 s"):
                patience.wait(InterruptedRequestError("busy", 3600))
            tries = 0
            patience = transport.patience()
            with pytest.raises(RegistryError, match="It was tried 6 times"):
                while True:
                    tries += 1
                    patience.wait(InterruptedRequestError("busy"))
            assert tries == 6


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for path in (tmp_path / "bad.pem", tmp_path / "gone.pem"):
        for options in ({"certificates": str(path)}, {"environment": {"SSL_CERT_FILE": str(path)}}):
            access = Access(Nobody(), limits=QUICK, **options)
            with (
                pytest.raises(InputError, match="cannot be read"),
                Transport(
                    Reference.parse("localhost:1/a" if "certificates" in options else "registry.invalid/a"), access, []
                ) as transport,
            ):
                transport.request("GET", "/v2/")


def test_the_first_requests_of_several_threads_read_certificates_once(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []

    def trust(access: Access) -> ssl.SSLContext:
        time.sleep(0.1)  # until all of them are here
        made.append(web.trust({"SSL_CERT_FILE": access.certificates}))
        return made[-1]

    monkeypatch.setattr(Access, "trust", trust)
    access = Access(Nobody(), certificates=str(certificates.authority), limits=QUICK)
    with (
        _serving(certificates) as server,
        Transport(Reference.parse(f"{server.address}/app"), access, []) as transport,
        ThreadPoolExecutor(6) as executor,
    ):
        answers = executor.map(lambda _: transport.request("GET", "/v2/").status, range(6))
        assert list(answers) == [200] * 6
    assert len(made) == 1

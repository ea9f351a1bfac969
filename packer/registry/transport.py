"""Requests to one registry: the only module that knows oras and requests.

oras sends a request, has a challenge answered, and sends the request again. All else of it is replaced, because it
fails open or without end (measured with 0.2.43): it retries for two minutes what cannot succeed and never what is
busy, has no timeouts, reads bodies as a whole, and follows redirects, cookies and realms with the credentials.

Here, whatever a registry does:

- Credentials go to its own origin alone. Redirects are followed for questions (GET, HEAD) only, within the origin or
  to https; the environment's netrc and proxies are not looked at: what is handed in counts.
- A request ends: after `Limits.stall` without a byte, and after a time that its size says.
- An answer has as many bytes as are wanted of it.
"""

import contextlib
import functools
import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
from oras.auth.base import AuthBackend  # type: ignore[import-untyped]
from oras.provider import Registry  # type: ignore[import-untyped]
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema
from urllib3.exceptions import HTTPError

from layers.errors import InputError
from layers.output import said
from packer import web
from packer.registry.answer import Answer, InterruptedRequestError, Limits, Patience, RegistryError, StoppedError
from packer.registry.authorization import Authorization
from packer.registry.connection import POOLS, Watch
from packer.registry.credentials import Keychain
from packer.registry.reference import Reference

_MOST_TOLD = 1 << 16  # bytes of an answer of which nothing more than its status and headers is wanted
_LARGEST_TOKEN = 1 << 20  # bytes of a token server's answer
_MOST_REDIRECTS = 5
_LONGEST_LINK = 1 << 13  # characters of a header
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next\b')
_CONNECTIONS = 16  # kept for each host
_QUESTIONS = ("GET", "HEAD")

Body = bytes | Iterable[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached.

    Attributes:
        keychain: knows credentials.
        environment: the variables of proxies (`https_proxy`, `no_proxy`, …) and certificates (`SSL_CERT_FILE`).
        certificates: a file of more authorities to trust, or empty.
        plain_http: speak http, not https.
        limits: how long is waited.
    """

    keychain: Keychain
    environment: Mapping[str, str] = field(default_factory=dict)
    certificates: str = ""
    plain_http: bool = False
    limits: Limits = field(default_factory=Limits)

    def trust(self) -> ssl.SSLContext:
        """Whose certificates are trusted.

        Raises:
            InputError: a file of certificates cannot be read.
        """
        try:
            context = web.trust(self.environment)
            if self.certificates:
                context.load_verify_locations(self.certificates)
        except OSError as error:  # an SSLError is one
            where = self.certificates or "what SSL_CERT_FILE and SSL_CERT_DIR name"
            raise InputError(f"the certificates in {where} cannot be read: {said(error)}") from None
        return context


class Transport:
    """Requests to a registry, from many threads if need be. Use it as a context manager.

    Args:
        reference: of a repository of the registry.
        access: how it is reached.
        scopes: what is going to be done: `repository:NAME:pull,push`.

    Raises:
        InputError: a file of certificates cannot be read.
        RegistryError: the registry does not answer, of which it is not known whether it speaks https.
    """

    def __init__(self, reference: Reference, access: Access, scopes: Sequence[str]) -> None:
        self.limits = access.limits
        self.stopped = threading.Event()
        self._reference = reference
        self._access = access
        self._trust = functools.cache(access.trust)
        self._under_way: set[Watch] = set()
        self._sessions: dict[tuple[str, str | None, int | None], _Session] = {}
        self._lock = threading.Lock()
        self.origin = f"{self._scheme()}://{reference.host}"
        self._authorization = Authorization(reference, self.origin, scopes, access.keychain, self._ask)
        self._client = _Client(reference.host, self.origin, self._session(self.origin), self._authorization)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for session in self._sessions.values():
            session.close()

    def stop(self) -> None:
        """Have all that is under way end now, with an error."""
        self.stopped.set()
        with self._lock:
            watches = list(self._under_way)
        for watch in watches:
            watch.end()

    def request(
        self,
        method: str,
        url: str,
        *,
        body: Body = b"",
        size: int = 0,
        headers: Mapping[str, str] | None = None,
        most: int = _MOST_TOLD,
    ) -> Answer:
        """Send one request.

        Args:
            method: of HTTP.
            url: absolute, or below the registry's origin.
            body: pieces that can be gone through again, because a challenge may have to be answered first; if they are
                no bytes, they have a length.
            size: bytes of the body, or those that are expected back: says how much time they may take.
            headers: more of them.
            most: bytes that are wanted back.

        Raises:
            InterruptedRequestError: there was no answer, or the registry is busy.
            RegistryError: the registry is not trusted, or does not accept the credentials.
            PackError: the body cannot be read.
        """
        here = urljoin(self.origin, url)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._once(method, here, body, size, dict(headers or {}), most)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise self._authorization.not_accepted()
            if answer.status in web.BUSY:
                raise InterruptedRequestError(self.told(answer), web.retry_after(answer.headers))
            if answer.status not in web.REDIRECTS:
                return answer
            if method not in _QUESTIONS:
                raise RegistryError(f"{self._reference.registry} redirects what is sent to it, which is not followed")
            here = self.location(answer, here)
        raise RegistryError(f"{self._reference.registry} redirects more than {_MOST_REDIRECTS} times")

    def location(self, answer: Answer, here: str) -> str:
        """Where an answer says to go on: within the registry's origin, or over https.

        Raises:
            RegistryError: it names no such place.
        """
        return self._trusted(answer.headers.get("Location", ""), here)

    def next_page(self, answer: Answer, here: str) -> str:
        """Where a list goes on (RFC 8288, as distribution-spec has it); empty at its end.

        Raises:
            RegistryError: it goes on at a place that is not trusted.
        """
        found = _NEXT.search(answer.headers.get("Link", "")[:_LONGEST_LINK])
        return self._trusted(found[1], urljoin(self.origin, here)) if found else ""

    def _trusted(self, there: str, here: str) -> str:
        try:
            there = urljoin(here, there)
            parts, own = urlsplit(there), web.origin(there) == web.origin(self.origin)
        except ValueError:
            parts, own, there = urlsplit(""), False, ""
        if not parts.hostname or "@" in parts.netloc or not (own or parts.scheme == "https"):
            raise RegistryError(
                f"{self._reference.registry} says to go on at {parts.scheme}://{parts.hostname},"
                " which is neither its own origin nor https"
            )
        return there

    def told(self, answer: Answer) -> str:
        """What an answer says, without secrets."""
        return answer.reason(self._authorization.hide)

    def patience(self) -> Patience:
        """How often a piece of work is tried."""
        return Patience(self._reference.registry, self.limits, self.stopped)

    def _once(self, method: str, url: str, body: Body, size: int, headers: dict[str, str], most: int) -> Answer:
        if self._authorization.header:
            headers["Authorization"] = self._authorization.header
        with self._watched(size):
            try:
                return _answer(self._client.once(method, url, body, headers), most)
            except _RefusedError as refused:
                return refused.answer

    @contextlib.contextmanager
    def _watched(self, size: int) -> Iterator[None]:
        """Have a request end in time, and its errors be ours."""
        if self.stopped.is_set():
            raise StoppedError("it is not wanted any more")
        watch = Watch(self.limits.grace + size / self.limits.slowest)
        with self._lock:
            self._under_way.add(watch)
        try:
            with watch, self._explained():
                yield
                if watch.ended:  # http.client takes the headers that were cut off for all of them
                    raise InterruptedRequestError("the registry is too slow")
        except InterruptedRequestError:
            if self.stopped.is_set():
                raise StoppedError("it is not wanted any more") from None
            if watch.ended:
                raise InterruptedRequestError("the registry is too slow") from None
            raise
        finally:
            with self._lock:
                self._under_way.discard(watch)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (InvalidURL, InvalidSchema, InvalidProxyURL, MissingSchema, InvalidHeader):
            raise RegistryError(f"{self._reference.registry} names an address, or has a header, that is none") from None
        except (requests.RequestException, HTTPError, OSError) as error:
            found = list(web.causes(error))
            if untrusted := next((one for one in found if isinstance(one, ssl.SSLCertVerificationError)), None):
                raise RegistryError(
                    f"{self._reference.registry} is not trusted: {untrusted.verify_message}",
                    hint="--ca names a file of certificates to trust.",
                ) from None
            raise InterruptedRequestError(f"the connection failed: {_innermost(found)}") from None

    def _ask(self, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> Answer:
        """Ask a token server; see `authorization.Ask`."""
        session = self._session(url)
        with self._explained():
            response = session.request("POST" if form else "GET", url, headers=dict(headers), data=dict(form or {}))
            return _answer(response, _LARGEST_TOKEN)

    def _session(self, url: str) -> "_Session":
        """The session for an origin."""
        place = web.origin(url)
        with self._lock:
            if place not in self._sessions:
                self._sessions[place] = _Session(place, self._trust, self._access)
            return self._sessions[place]

    def _scheme(self) -> str:
        """Whether http or https is spoken: on this machine, what the registry answers to."""
        if self._access.plain_http:
            return "http"
        if not self._reference.is_loopback or self._access.certificates:
            return "https"
        patience = self.patience()
        while True:
            with contextlib.suppress(InterruptedRequestError):
                if self._probe("http").status != HTTPStatus.BAD_REQUEST:  # what servers say who were spoken TLS to
                    return "http"
            try:
                self._probe("https")
            except InterruptedRequestError as error:
                patience.wait(error)
            else:
                return "https"

    def _probe(self, scheme: str) -> Answer:
        url = f"{scheme}://{self._reference.host}/v2/"
        session = self._session(url)
        with self._watched(0):
            return _answer(session.request("GET", url), _MOST_TOLD)


class _RefusedError(Exception):
    """A registry that does not want to know who asks, or has been told already."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class _Backend(AuthBackend):  # type: ignore[misc]
    """Has our `Authorization` answer challenges."""

    def __init__(self, origin: str, authorization: Authorization) -> None:
        super().__init__()
        self._origin = web.origin(origin)
        self._authorization = authorization

    def authenticate_request(
        self,
        original: requests.Response,
        headers: dict[str, str],
        refresh: bool = False,
    ) -> tuple[dict[str, str], bool]:
        """Called by oras after a 401 or a 403; the latter, and what others ask for, is answered to nobody."""
        answer = _answer(original, _MOST_TOLD)
        if refresh or answer.status != HTTPStatus.UNAUTHORIZED or web.origin(original.url) != self._origin:
            raise _RefusedError(answer)
        asked = answer.headers.get("Www-Authenticate", "")
        return {**headers, "Authorization": self._authorization.answer(asked, headers.get("Authorization", ""))}, True


class _Client(Registry):  # type: ignore[misc]
    """oras's registry, with our session and our answers to challenges."""

    session: requests.Session

    def __init__(self, host: str, origin: str, session: "_Session", authorization: Authorization) -> None:
        super().__init__(hostname=host, insecure=origin.startswith("http:"))
        self.session.close()
        self.session = session
        self.auth = _Backend(origin, authorization)

    def once(self, method: str, url: str, body: Body, headers: dict[str, str]) -> requests.Response:
        """A request, and once again if there is an answer to its challenge; goes round oras's retries."""
        send = Registry.do_request.__wrapped__
        response: requests.Response = send(self, url, method, data=body, headers=headers, stream=True)
        return response


class _Session(requests.Session):
    """Connections; credentials leave them to one origin only."""

    def __init__(
        self, place: tuple[str, str | None, int | None], trust: Callable[[], ssl.SSLContext], access: Access
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers.update({"User-Agent": "ocipack", "Accept-Encoding": "identity"})
        self._place = place
        self._access = access
        self._trust = trust
        self._lock = threading.Lock()
        self.adapters.clear()
        self.mount("http://", _Adapter(None))

    def get_adapter(self, url: str) -> BaseAdapter:
        """Called by requests, from all threads; certificates are read when they are needed, which takes 20 ms."""
        with self._lock:
            if url.startswith("https:") and "https://" not in self.adapters:
                self.mount("https://", _Adapter(self._trust()))
            return super().get_adapter(url)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Redirects are not looked at: requests would read the whole body of one."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request; all that requests and oras send comes through here."""
        url, stall = request.url or "", self._access.limits.stall
        if web.origin(url) != self._place:
            request.headers.pop("Authorization", None)
        proxy = web.proxy(url, self._access.environment)
        options |= {"proxies": {"all": proxy} if proxy else {}, "timeout": (stall, stall)}
        return super().send(request, **options | {"allow_redirects": False, "stream": True, "verify": True})


class _Adapter(HTTPAdapter):
    """Connections that can be ended, and that trust whom we trust."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Called by `HTTPAdapter`."""
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Called by `HTTPAdapter`."""
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def close(self) -> None:
        """Close all connections now: urllib3 would leave it to the collector of garbage."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for place in manager.pools.keys():  # noqa: SIM118  # it is no dict
                manager.pools[place].close()
        super().close()

    def cert_verify(self, *_: Any) -> None:
        """Called by `HTTPAdapter`, which would trust the authorities of another package as well."""


def _answer(response: requests.Response, most: int) -> Answer:
    """What a response says; the connection is kept if there is no more of it."""
    body = bytearray()
    try:
        while len(body) <= most and (piece := response.raw.read1(most + 1 - len(body), decode_content=False)):
            body += piece
    finally:
        response.close()
    headers = {name.title(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, bytes(body[:most]), len(body) <= most)


def _innermost(errors: Sequence[BaseException]) -> str:
    """What led to an error, in words: what the libraries say has addresses in it, and these have secrets."""
    told = (error.strerror for error in reversed(errors) if isinstance(error, OSError) and error.strerror)
    return next(told, type(errors[-1]).__name__)

"""HTTP as fetching needs it: retries with patience that ends, the rest of a body by Range, redirects that leak nothing.

RFC 9110: 10.2.3 (Retry-After), 14.2 (Range), 15.4 (redirects); RFC 7617 (credentials of an address).
"""

import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, ProxySchemeUnknown, SSLError
from urllib3.response import BaseHTTPResponse

from packer import web
from packer.fetch import FetchError, MissingError, without_credentials

_CHUNK = 1 << 16
_CONNECT_TIMEOUT = 20.0  # seconds
_READ_TIMEOUT = 30.0  # seconds without a byte
_MOST_REDIRECTS = 5
_MOST_FAILURES = 5  # in a row, without a byte between them
_MOST_REQUESTS = 30  # for one file
_FIRST_WAIT = 0.5  # seconds; doubles
_LONGEST_WAIT = 120.0  # seconds, in all
_GRACE = 60.0  # seconds for a body, and one more for each _SLOWEST bytes
_SLOWEST = 1 << 14

_AS_IT_IS: Any = {
    "preload_content": False,
    "decode_content": False,
    "redirect": False,
    "retries": False,
    "timeout": urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT),
}

_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN)  # S3 says "forbidden" for what is not there


class _InterruptedError(Exception):
    """A request failed in a way that another one may not.

    Attributes:
        wait: seconds that the server wants to be left alone, or 0.
    """

    def __init__(self, what: str, wait: float = 0) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(slots=True)
class _Patience:
    """How often a file is asked for, and how long between."""

    url: str
    stopped: threading.Event
    _failures: int = field(default=0, init=False)
    _requests: int = field(default=0, init=False)
    _waited: float = field(default=0, init=False)

    def wait(self, error: _InterruptedError, *, progress: bool) -> None:
        self._requests += 1
        self._failures = 1 if progress else self._failures + 1
        pause = max(error.wait, _FIRST_WAIT * 2 ** (self._failures - 1))
        self._waited += pause
        if self._failures >= _MOST_FAILURES or self._requests >= _MOST_REQUESTS or self._waited > _LONGEST_WAIT:
            tried = f"{self._requests} times" if self._requests > 1 else "once"
            raise FetchError(self.url, str(error), hint=f"It was tried {tried}.") from error
        if self.stopped.wait(pause):
            raise FetchError(self.url, "it is not wanted any more") from error


class HttpClient:
    """Connections to servers, kept for the next request.

    Args:
        environment: as `packer.fetch.Fetcher` has it.
        stopped: when it is set, waiting ends.
    """

    def __init__(self, environment: Mapping[str, str], stopped: threading.Event) -> None:
        self._environment = environment
        self._stopped = stopped
        self._lock = threading.Lock()
        self._managers: dict[str, urllib3.PoolManager] = {}

    def pieces(self, url: str, most: int) -> Generator[bytes, None, None]:
        """The body, piece by piece.

        Args:
            url: `http://…` or `https://…`; credentials in it are for this server alone.
            most: bytes that are wanted at most: says how much time they may take.

        Raises:
            MissingError: it is not there.
            FetchError: it cannot be had.
        """
        done, patience = 0, _Patience(url, self._stopped)
        while True:
            before = done
            try:
                for piece in self._rest(url, done, most):
                    done += len(piece)
                    yield piece
            except _InterruptedError as error:
                patience.wait(error, progress=done > before)
            else:
                return

    def _rest(self, url: str, start: int, most: int) -> Iterator[bytes]:
        """The body from a byte on, of one request."""
        try:
            response = self._response(url, {"Range": f"bytes={start}-"} if start else {})
            try:
                yield from _body(response, url, self._skipped(response, url, start), most)
            except BaseException:
                response.close()  # what is left of the body would be read as the answer to the next request
                raise
            finally:
                response.release_conn()
        except SSLError as error:
            raise FetchError(url, f"the connection is not trusted: {error}") from error
        except (LocationParseError, ProxySchemeUnknown) as error:
            raise FetchError(url, str(error)) from error
        except (HTTPError, OSError) as error:
            raise _InterruptedError(f"the connection failed: {_reason(error)}") from error

    def _skipped(self, response: BaseHTTPResponse, url: str, start: int) -> int:
        """How many bytes of the body are here already."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise FetchError(url, f"it has the Content-Encoding {response.headers['Content-Encoding']!r}, unasked")
        if response.status == HTTPStatus.OK:
            return start
        if start and response.status == HTTPStatus.PARTIAL_CONTENT:
            if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                return 0
            raise FetchError(url, f"byte {start} was asked for, {response.headers.get('Content-Range')!r} came")
        if response.status in _MISSING:
            raise MissingError(url, f"the server says {response.status}, it is not there")
        if response.status in web.BUSY:
            raise _InterruptedError(f"the server says {response.status}", web.retry_after(response.headers))
        raise FetchError(url, f"the server says {response.status}")

    def _response(self, url: str, more: Mapping[str, str]) -> BaseHTTPResponse:
        """The answer at the end of all redirects, its body not read."""
        here, origin = without_credentials(url), _origin(url, url)
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {"Accept-Encoding": "identity", "User-Agent": "ocipack", **more}
            if _origin(url, here) == origin:
                headers |= _authorization(url)
            response = self._manager(here).request("GET", here, headers=headers, **_AS_IT_IS)
            location = response.headers.get("Location")
            if response.status not in web.REDIRECTS or not location:
                return response
            response.close()
            here = _next(url, here, location)
        raise FetchError(url, f"it is redirected more than {_MOST_REDIRECTS} times")

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = web.proxy(url, self._environment)
        with self._lock:
            if proxy not in self._managers:
                context = web.trust(self._environment)
                self._managers[proxy] = (
                    urllib3.ProxyManager(proxy, maxsize=16, ssl_context=context)
                    if proxy
                    else urllib3.PoolManager(maxsize=16, ssl_context=context)
                )
            return self._managers[proxy]


def _body(response: BaseHTTPResponse, url: str, skip: int, most: int) -> Iterator[bytes]:
    slow = threading.Event()

    def end() -> None:
        slow.set()
        response.shutdown()

    limit = threading.Timer(_GRACE + most / _SLOWEST, end)
    limit.daemon = True
    limit.start()
    try:
        while piece := response.read1(_CHUNK):
            if len(piece) > skip:
                yield piece[skip:]
            skip = max(0, skip - len(piece))
    except (HTTPError, OSError):
        if slow.is_set():
            raise FetchError(url, "the server is too slow") from None
        raise
    finally:
        limit.cancel()
    if slow.is_set():
        raise FetchError(url, "the server is too slow")


def _next(url: str, here: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        there = without_credentials(urljoin(here, location))
    except ValueError as error:
        raise FetchError(url, f"it is redirected to {location!r}, which is no address: {error}") from error
    old, new = urlsplit(here).scheme, urlsplit(there).scheme
    if new not in ("http", "https") or (old, new) == ("https", "http"):
        raise FetchError(url, f"it is redirected to {there!r}, which is neither https nor as safe as before")
    return there


def _origin(url: str, here: str) -> tuple[str, str | None, int | None]:
    """Who is spoken to."""
    try:
        return web.origin(here)
    except ValueError as error:
        raise FetchError(url, f"{here!r} is no address: {error}") from error


def _authorization(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if not parts.username:
        return {}
    return urllib3.make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def _reason(error: BaseException) -> str:
    """The innermost of what urllib3 says: `Connection refused`."""
    return getattr(error, "strerror", None) or str(error).rpartition(">: ")[2] or type(error).__name__

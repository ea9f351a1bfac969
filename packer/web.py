"""What fetching from servers and pushing to registries have in common: RFC 9110, proxies, certificates."""

import ssl
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has it for Windows only

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: Another try may go better (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4).
BUSY = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)

#: The answer is elsewhere (RFC 9110, 15.4).
REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server wants to be left alone (RFC 9110, 10.2.3), or 0.

    A time is compared with the server's own clock.
    """
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        then, now = parsedate_to_datetime(text), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):
        return 0


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454, 4): who is spoken to.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def proxy(url: str, environment: Mapping[str, str]) -> str:
    """The proxy for an address, or an empty string.

    Args:
        url: the address.
        environment: `https_proxy`, `no_proxy` and their like.
    """
    parts = urlsplit(url)
    found = environment.get(f"{parts.scheme}_proxy") or environment.get("all_proxy", "")
    if found and proxy_bypass_environment(parts.netloc, {"no": environment.get("no_proxy", "")}):
        return ""
    return found if not found or "://" in found else f"http://{found}"


def trust(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Whose certificates are trusted: the system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Raises:
        OSError: the variables name something that cannot be read.
    """
    return ssl.create_default_context(cafile=environment.get("SSL_CERT_FILE"), capath=environment.get("SSL_CERT_DIR"))


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            waiting += [getattr(found, "reason", None), found.__cause__, found.__context__, *found.args]

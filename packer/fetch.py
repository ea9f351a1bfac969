"""Files from elsewhere: over `file://`, `http://` and `https://`, piece by piece, never more of them than was said.

What arrives is nobody's word yet: whoever asks for it compares its hash.
"""

import contextlib
import os
import stat
import threading
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

from layers.errors import PackError
from layers.output import said

if TYPE_CHECKING:
    from packer.fetch_http import HttpClient

_CHUNK = 1 << 16

#: How addresses may begin.
SCHEMES = ("file", "http", "https")


class FetchError(PackError):
    """A file cannot be had.

    Attributes:
        url: where it should be, without credentials.
    """

    def __init__(self, url: str, what: str, *, hint: str = "") -> None:
        super().__init__(f"{without_credentials(url)}: {what}", hint=hint)
        self.url = without_credentials(url)


class MissingError(FetchError):
    """There is no such file."""


def without_credentials(url: str) -> str:
    """The address as it may be shown to others."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Fetcher:
    """Fetches files, from many threads if need be.

    Args:
        environment: the variables of proxies (`https_proxy`, `no_proxy`, …) and certificates (`SSL_CERT_FILE`).
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._client: HttpClient | None = None

    def read(self, url: str, most: int) -> bytes:
        """A whole small file.

        Args:
            url: where it is.
            most: bytes that it may have.

        Raises:
            MissingError: it is not there.
            FetchError: it cannot be had, or is larger.
        """
        with self.stream(url, most) as pieces:
            return b"".join(pieces)

    @contextlib.contextmanager
    def stream(self, url: str, most: int) -> Iterator[Iterator[bytes]]:
        """A file piece by piece; what a broken connection left out is asked for again.

        The connection of somebody who does not want the rest is closed at the end of the `with`.

        Args:
            url: where it is.
            most: bytes that it may have.

        Raises:
            MissingError: it is not there.
            FetchError: it cannot be had, or is larger.
        """
        pieces = _local(url) if urlsplit(url).scheme == "file" else self._http().pieces(url, most)
        with contextlib.closing(pieces):
            yield self._wanted(pieces, url, most)

    def _wanted(self, pieces: Iterator[bytes], url: str, most: int) -> Iterator[bytes]:
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise FetchError(url, f"it has more than the {most} bytes that it may have")
            if self._stopped.is_set():
                raise FetchError(url, "it is not wanted any more")
            yield piece

    def stop(self) -> None:
        """Have all that is under way end soon, with an error."""
        self._stopped.set()

    def _http(self) -> "HttpClient":
        # Imported when it is needed: urllib3 takes 100 ms.
        from packer.fetch_http import HttpClient

        with self._lock:
            if self._client is None:
                self._client = HttpClient(self._environment, self._stopped)
            return self._client


def _local(url: str) -> Generator[bytes, None, None]:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchError(url, "a file:// address names a file of this machine", hint="It has three slashes: file:///…")
    try:
        # Opening a pipe without anybody at its other end would wait for ever.
        descriptor = os.open(unquote_to_bytes(parts.path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FetchError(url, "it is no regular file")
            while piece := os.read(descriptor, _CHUNK):
                yield piece
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(url, said(error)) from error
    except OSError as error:
        raise FetchError(url, said(error)) from error
    except ValueError as error:
        raise FetchError(url, str(error)) from error

"""Connections that can be ended from another thread: what a timeout between two bytes does not bound, this does."""

import contextlib
import socket
import threading
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_SOON = 0.1  # seconds


class Watch:
    """Ends what a thread has under way, when its time is over or somebody says so.

    Args:
        seconds: that it may take.
    """

    _current = threading.local()

    def __init__(self, seconds: float) -> None:
        self.ended = False
        self._seconds = seconds
        self._is_over = False
        self._connection: HTTPConnection | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._current.watch = self
        self._end_after(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if self._timer:
            self._timer.cancel()
        self._current.watch = self._connection = None

    @classmethod
    def see(cls, connection: HTTPConnection) -> None:
        """A connection is used by this thread."""
        if watch := getattr(cls._current, "watch", None):
            watch._connection = connection  # noqa: SLF001  # its own class's
            if watch.ended:
                raise OSError("ended")

    def end(self) -> None:
        """End it."""
        self.ended = True
        found = getattr(self._connection, "sock", None)
        if found is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)
        elif not self._is_over:  # it is only now being connected
            self._end_after(_SOON)

    def _end_after(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        self._timer.start()


class _HttpConnection(HTTPConnection):
    def connect(self) -> None:
        Watch.see(self)
        super().connect()

    def request(self, *arguments: Any, **options: Any) -> None:
        Watch.see(self)
        super().request(*arguments, **options)


class _HttpsConnection(_HttpConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


#: Pools of connections for urllib3, by scheme.
POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}

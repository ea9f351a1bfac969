"""A proxy in front of a registry that breaks what it passes on; and a server that should hear of no secret."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_PIECE = 1 << 16
_LONGEST_HEAD = 1 << 16


class GoneError(OSError):
    """One of the two ends has gone."""


@dataclass
class Exchange:
    """One request and its answer, between a client and the registry."""

    client: socket.socket
    registry: Callable[[], socket.socket]
    head: bytes
    begun: bytes
    stopped: threading.Event

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    def forward(
        self, *, request: int = 1 << 62, answer: int = 1 << 62, change: Callable[[bytes], bytes] = lambda head: head
    ) -> None:
        """Pass on so many bytes of the request, and of its answer; then the connection is reset.

        Args:
            request: bytes, the head included.
            answer: bytes, the head included.
            change: of the answer's head.
        """
        with self.registry() as upstream:
            _send(upstream, self.head[:request])
            left = request - len(self.head)
            for piece in self.body():
                _send(upstream, piece[: max(0, left)])
                left -= len(piece)
                if left < 0:
                    break
            if left < 0:
                reset(upstream)
                raise GoneError
            head, begun = _head(upstream)
            if not head:
                raise GoneError
            head = change(head)
            _send(self.client, head[:answer])
            left = answer - len(head)
            size = 0 if self.method == "HEAD" else _length(head)
            for piece in _body(upstream, begun, size):
                _send(self.client, piece[: max(0, left)])
                left -= len(piece)
            if left < 0:
                raise GoneError

    def body(self) -> Iterator[bytes]:
        """The rest of the request."""
        return _body(self.client, self.begun, _length(self.head))

    def answer(self, status: str, *headers: str, body: bytes = b"") -> None:
        """Answer in the registry's place; what the client sends is read and forgotten."""
        for _ in self.body():
            pass
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        _send(self.client, "\r\n".join(lines).encode() + (b"" if self.method == "HEAD" else body))


Fault = Callable[[Exchange], None]


def reset_request(count: int) -> Fault:
    """Reset when so many bytes of the request have arrived."""
    return lambda exchange: exchange.forward(request=count)


def reset_answer(count: int) -> Fault:
    """Reset when so many bytes of the answer were sent: what was asked for is done."""
    return lambda exchange: exchange.forward(answer=count)


def status(text: str, *headers: str, body: bytes = b"") -> Fault:
    """Answer with a status."""
    return lambda exchange: exchange.answer(text, *headers, body=body)


def stall(exchange: Exchange) -> None:
    """Say nothing until the client has gone."""
    _wait_for_the_end(exchange)


def stall_halfway(exchange: Exchange) -> None:
    """Begin to answer, and go on no more."""
    _send(exchange.client, b"HTTP/1.1 200 OK\r\nContent-Le")
    _wait_for_the_end(exchange)


def drip(exchange: Exchange) -> None:
    """Never stop answering, a byte at a time, in the headers."""
    _send(exchange.client, b"HTTP/1.1 200 OK\r\nX: ")
    while not exchange.stopped.wait(0.05):
        _send(exchange.client, b"x")


def endless(exchange: Exchange) -> None:
    """Answer without end."""
    _send(exchange.client, b"HTTP/1.1 202 Accepted\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not exchange.stopped.is_set():
        _send(exchange.client, b"10000\r\n" + bytes(0x10000) + b"\r\n")


def garbage(exchange: Exchange) -> None:
    """Answer in another language."""
    _send(exchange.client, b"\x00\xff garbage\r\n\r\n" * 10)
    raise GoneError


def other_digest(exchange: Exchange) -> None:
    """Answer with another digest than the registry."""

    def change(head: bytes) -> bytes:
        lines = head.split(b"\r\n")
        lines = [line for line in lines if not line.lower().startswith(b"docker-content-digest")]
        return b"\r\n".join([lines[0], b"Docker-Content-Digest: sha256:" + b"0" * 64, *lines[1:]])

    exchange.forward(change=change)


def redirect(url: str) -> Fault:
    """Send the client elsewhere."""
    return status("307 Temporary Redirect", f"Location: {url}")


def realm(url: str) -> Fault:
    """Have the client ask for a token elsewhere."""
    return status("401 Unauthorized", f'WWW-Authenticate: Bearer realm="{url}",service="s",scope="x"')


def location(url: str) -> Fault:
    """Have the client send blobs elsewhere."""

    def change(head: bytes) -> bytes:
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"location")]
        return b"\r\n".join([lines[0], b"Location: " + url.encode(), *lines[1:]])

    return lambda exchange: exchange.forward(change=change)


@dataclass
class Faults:
    """What goes wrong.

    Attributes:
        port: of the proxy.
        registry: its port.
        plan: the number of a request -> what happens to it.
        always: what happens to all others.
        requests: (head, body bytes) of each.
    """

    registry: int
    port: int = 0
    plan: dict[int, Fault] = field(default_factory=dict)
    always: Fault = Exchange.forward
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def begin(self, plan: dict[int, Fault]) -> None:
        """Count requests from zero."""
        with self._lock:
            self.plan, self.requests = plan, []

    def serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(20)
            try:
                while True:
                    head, begun = _head(client)
                    if not head:
                        return
                    with self._lock:
                        fault = self.plan.pop(len(self.requests), self.always)
                        self.requests.append(head)
                    fault(Exchange(client, self._connect, head, begun, self._stopped))
            except OSError:
                reset(client)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.registry), 20)

    def accept(self, listener: socket.socket) -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                if self._stopped.is_set():
                    client.close()
                    break
                self.connections += 1
                threads.append(threading.Thread(target=self.serve, args=(client,), daemon=True))
                threads[-1].start()
        for thread in threads:
            thread.join(20)

    def stop(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            pass


@contextlib.contextmanager
def fault_proxy(registry: int) -> Iterator[Faults]:
    """A proxy on the loopback, in front of the registry of a port."""
    faults = Faults(registry)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        faults.port = listener.getsockname()[1]
        thread = threading.Thread(target=faults.accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield faults
        finally:
            faults.stop()
            thread.join()


@dataclass
class Eavesdropper:
    """A server that answers everything with a token, and remembers what it was told.

    Attributes:
        heard: the heads of all requests.
    """

    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/elsewhere"


@contextlib.contextmanager
def eavesdropper() -> Iterator[Eavesdropper]:
    """Another origin, on the loopback."""
    ear = Eavesdropper()

    def answer(exchange: Exchange) -> None:
        ear.heard.append(exchange.head)
        exchange.answer("201 Created", "Content-Type: application/json", body=b'{"token":"evil"}')

    with fault_proxy(0) as faults:
        faults.always = answer
        ear.port = faults.port
        yield ear


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset, as a machine that loses power does it for its peer."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message, and what has arrived after it; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(_PIECE)
        if not piece or len(data) > _LONGEST_HEAD:
            return b"", b""
        data += piece
    head, _, begun = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", begun


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _body(connection: socket.socket, begun: bytes, size: int) -> Iterator[bytes]:
    done = len(begun)
    if begun:
        yield begun
    while done < size:
        piece = connection.recv(min(_PIECE, size - done))
        if not piece:
            raise GoneError
        done += len(piece)
        yield piece


def _wait_for_the_end(exchange: Exchange) -> None:
    exchange.client.settimeout(0.05)
    while not exchange.stopped.is_set():
        try:
            if not exchange.client.recv(_PIECE):
                return
        except TimeoutError:
            continue
    raise GoneError

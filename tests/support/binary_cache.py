"""Binary caches that Nix makes, of a tiny store; and a web server with faults to have them from."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_EXPRESSION = """
let
  source = builtins.path { name = "source"; path = ./tree; };
  shell = builtins.path { name = "shell"; path = ./bin; };
  make = name: script: more: derivation ({
    inherit name; system = "x86_64-linux"; builder = "${shell}/busybox"; args = [ "sh" "-c" script ];
  } // more);
in {
  addressed = builtins.toFile "addressed" "it needs ${source}\\n";
  built = make "tool-2.1" ''
    b=${shell}/busybox
    $b mkdir -p $out/bin $out/empty
    echo '#!/bin/sh' > $out/bin/tool
    $b chmod 755 $out/bin/tool
    $b ln -s bin/tool $out/link
    $b yes $lib $text $out | $b head -n 3000 > $out/references
  '' {
    lib = make "lib-1.0" "echo library > $out" {};
    text = builtins.toFile "text" "some text\\n";
    inherit source;
  };
}
"""


@dataclass(frozen=True)
class NixStore:
    """A store below a folder, with its own database.

    Attributes:
        folder: of the store, the caches and the keys.
        built: path of an item that a derivation made; it needs itself and others.
        addressed: path of an item that is named by its content, as all that it needs.
        flat: path of a file that is named by its content.
        key: the public key of `secret`.
    """

    folder: Path
    built: str
    addressed: str
    flat: str
    key: str

    @property
    def root(self) -> Path:
        """Where the store is: its items are in `nix/store` below."""
        return self.folder / "root"

    def closure(self, path: str) -> list[str]:
        """What Nix says is the closure of an item, sorted."""
        return sorted(_run(self.folder, "nix-store", "--store", str(self.root), "-qR", path).split())

    def cache(self, name: str, *, compression: str = "xz", signed: bool = True) -> Path:
        """A binary cache of all items; made once for each name."""
        folder = self.folder / name
        if not folder.exists():
            secret = f"&secret-key={self.folder / 'secret'}" if signed else ""
            url = f"file://{folder}?compression={compression}{secret}"
            paths = (self.built, self.addressed, self.flat)
            _run(self.folder, "nix", "copy", "--from", str(self.root), "--to", url, "--no-check-sigs", *paths)
        return folder


def _run(folder: Path, *command: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "NIX_CONFIG": "build-users-group =\nexperimental-features = nix-command\nsandbox = false\nsubstituters =",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def make_store(folder: Path) -> NixStore:
    """Build the tiny store, in a tenth of a second."""
    (folder / "tree" / "folder").mkdir(parents=True)
    (folder / "tree" / "folder" / "file").write_text("content\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (folder / "bin" / "busybox").chmod(0o755)
    (folder / "store.nix").write_text(_EXPRESSION)
    (folder / "flat").write_text("a file of its own\n")
    store = ("--store", str(folder / "root"))
    built = _run(folder, "nix-build", *store, "store.nix", "-A", "built", "--no-out-link")
    addressed = _run(
        folder, "nix-instantiate", *store, "--eval", "--read-write-mode", "store.nix", "-A", "addressed"
    ).strip('"')
    flat = _run(folder, "nix-store", *store, "--add-fixed", "sha256", "flat")
    _run(folder, "nix-store", "--generate-binary-cache-key", "key-1", "secret", "public")
    return NixStore(folder, built, addressed, flat, (folder / "public").read_text())


Fault = Callable[["_Handler", bytes], None]


def status(code: int, **headers: str) -> Fault:
    """Answer with a status and nothing else."""

    def fault(handler: "_Handler", _data: bytes) -> None:
        handler.head(code, {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Length": "0"})

    return fault


def reset_after(count: int, *, polite: bool = False) -> Fault:
    """Break the connection within the body: with a reset, or as if all had been sent."""

    def fault(handler: "_Handler", data: bytes) -> None:
        data = handler.begin(data)
        handler.wfile.write(data[:count])
        handler.wfile.flush()
        if not polite:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return fault


def altered(change: Callable[[bytes], bytes]) -> Fault:
    """Send another body."""

    def fault(handler: "_Handler", data: bytes) -> None:
        handler.send(change(data))

    return fault


def without_range(handler: "_Handler", data: bytes) -> None:
    """Send all of it, whatever part was asked for."""
    handler.head(200, {"Content-Length": str(len(data))})
    handler.wfile.write(data)


def endless(handler: "_Handler", data: bytes) -> None:
    """Send the body, and then zeros until nobody listens."""
    handler.head(200, {})
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.wfile.write(data)
        while True:
            handler.wfile.write(bytes(1 << 16))


@dataclass
class Server:
    """A web server for a folder.

    Attributes:
        folder: what it serves.
        url: its address.
        requests: (path, headers) of each.
        faults: what goes wrong: the end of a path -> faults for its next requests, each once; None is no fault.
    """

    folder: Path
    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    faults: dict[str, list[Fault | None]] = field(default_factory=dict)

    def asked(self, end: str) -> list[dict[str, str]]:
        """The headers of the requests for paths with this end."""
        return [headers for path, headers in self.requests if path.endswith(end)]

    def fault(self, path: str) -> Fault | None:
        """What goes wrong now."""
        return next((faults.pop(0) for end, faults in self.faults.items() if path.endswith(end) and faults), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server

    def do_GET(self) -> None:
        self.state.requests.append((self.path, {name.title(): value for name, value in self.headers.items()}))
        fault = self.state.fault(self.path)
        file = self.state.folder / self.path.partition("?")[0].lstrip("/")
        data = file.read_bytes() if file.is_file() else None
        if fault:
            fault(self, data or b"")
        elif data is None:
            status(404)(self, b"")
        else:
            self.send(data)

    def send(self, data: bytes) -> None:
        self.wfile.write(self.begin(data))

    def begin(self, data: bytes) -> bytes:
        """Send the headers; the answer is the part that was asked for."""
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        headers = {"Content-Length": str(len(data) - start)}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.head(206 if asked else 200, headers)
        return data[start:]

    def head(self, code: int, headers: dict[str, str]) -> None:
        if "Date" in headers:
            self.send_response_only(code)
        else:
            self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A web server on the loopback."""
    state = Server(folder)
    handler = type("Handler", (_Handler,), {"state": state})
    with _QuietServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()

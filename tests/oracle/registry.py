"""Debian's docker-registry, run for real: on the loopback, in a folder of its own."""

import base64
import contextlib
import hashlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.certificates import Certificates

_DOCUMENTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json"
)


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Registry:
    """A registry.

    Attributes:
        folder: of its configuration and its data.
        port: of the loopback.
        certificates: for https.
        login: name and password for the test's own questions.
    """

    folder: Path
    port: int
    certificates: Certificates | None = None
    login: tuple[str, str] | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = ["docker-registry", "serve", str(self.folder / "config.json")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.01)
        raise AssertionError("docker-registry did not start: " + (self.folder / "log").read_text())

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def ask(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """A question of the test's own, not through ocipack: status, headers, body."""
        if self.certificates:
            context = ssl.create_default_context(cafile=str(self.certificates.authority))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Accept": _DOCUMENTS}
        if self.login:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()

    def tag(self, repository: str, tag: str) -> str | None:
        """The digest that a tag leads to."""
        status, headers, _ = self.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        return headers["Docker-Content-Digest"] if status == 200 else None

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(500):
            with contextlib.suppress(OSError):
                self.ask("GET", "/v2/")
                return
            time.sleep(0.01)
        raise AssertionError("the registry does not answer")

    def whole(self, repository: str, name: str) -> bool:
        """Whether all that a manifest names is there, with the right bytes."""
        status, _, body = self.ask("GET", f"/v2/{repository}/manifests/{name}")
        if status != 200:
            return False
        manifest = json.loads(body)
        for below in manifest.get("manifests", ()):
            if not self.whole(repository, below["digest"]):
                return False
        blobs = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
        return all(self._has(repository, blob) for blob in blobs)

    def _has(self, repository: str, blob: dict[str, Any]) -> bool:
        status, _, body = self.ask("GET", f"/v2/{repository}/blobs/{blob['digest']}")
        return status == 200 and f"sha256:{hashlib.sha256(body).hexdigest()}" == blob["digest"]


@contextlib.contextmanager
def docker_registry(
    folder: Path,
    *,
    login: tuple[str, str] | None = None,
    certificates: Certificates | None = None,
    token: dict[str, str] | None = None,
) -> Iterator[Registry]:
    """Start a registry, ready in a tenth of a second; it is ended by its own process id.

    Args:
        folder: for its configuration and its data; is made.
        login: the only name and password that it lets in.
        certificates: of https.
        token: `realm`, `service`, `issuer` and `rootcertbundle` of a token server.
    """
    folder.mkdir(parents=True)
    registry = Registry(folder, free_port(), certificates, login)
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": registry.address, "secret": "not a secret"},
    }
    if certificates:
        configuration["http"]["tls"] = {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    if login:
        entry = subprocess.run(["htpasswd", "-Bbn", "-C4", *login], capture_output=True, check=True).stdout
        (folder / "htpasswd").write_bytes(entry)
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    if token:
        configuration["auth"] = {"token": token}
    (folder / "config.json").write_text(json.dumps(configuration))
    registry.start()
    try:
        yield registry
    finally:
        registry.kill(signal.SIGTERM)

"""Chunks, and going on where a registry has stopped: docker-registry forgets, others do not."""

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from packer.registry.answer import RegistryError
from tests.support import fault_proxy, stored_images
from tests.support.pushing import push_layout
from tests.support.stored_images import Layout
from tests.support.token_server import serving_https

_CHUNK = 10_000


@dataclass
class _Registry:
    """A registry that keeps what has arrived of a chunk.

    Attributes:
        breaks: after how many bytes of which PATCH the connection is reset.
        keeps: whether what has arrived is kept, up to how many bytes before the break.
        smallest: chunk that it wants.
    """

    port: int = 0
    breaks: dict[int, int] = field(default_factory=dict)
    keeps: int | None = 0
    smallest: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: list[bytearray] = field(default_factory=list)
    tags: dict[str, bytes] = field(default_factory=dict)
    patched: list[int] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _Registry

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": "0"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_HEAD(self) -> None:
        digest = self.path.rpartition("/")[2]
        if digest in self.state.tags:
            self.answer(200, Docker_Content_Digest=f"sha256:{hashlib.sha256(self.state.tags[digest]).hexdigest()}")
        elif digest in self.state.blobs:
            self.answer(200, Content_Length=str(len(self.state.blobs[digest])))
        else:
            self.answer(404)

    def do_GET(self) -> None:
        if self.path == "/v2/":
            return self.answer(200)
        upload = self.state.uploads[int(self.path.rpartition("/")[2])]
        if self.state.keeps is None:
            return self.answer(404)
        return self.answer(204, Range=f"0-{len(upload) - 1}", Location=self.path)

    def do_POST(self) -> None:
        self.state.uploads.append(bytearray())
        smallest = {"OCI_Chunk_Min_Length": str(self.state.smallest)} if self.state.smallest else {}
        self.answer(202, Location=f"/upload/{len(self.state.uploads) - 1}", **smallest)

    def do_PATCH(self) -> None:
        upload = self.state.uploads[int(self.path.rpartition("/")[2])]
        start, end = map(int, self.headers["Content-Range"].split("-"))
        size = int(self.headers["Content-Length"])
        assert (start, end) == (len(upload), start + size - 1)
        number = len(self.state.patched)
        self.state.patched.append(size)
        if number in self.state.breaks:
            upload += self.rfile.read(self.state.breaks[number])
            del upload[len(upload) - min(self.state.keeps or 0, len(upload) - start) :]
            fault_proxy.reset(self.connection)
            self.close_connection = True
            return
        upload += self.rfile.read(size)
        self.answer(202, Location=self.path, Range=f"0-{len(upload) - 1}")

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if found := re.fullmatch(r"/upload/(\d+)\?digest=sha256%3A([0-9a-f]+)", self.path):
            self.state.blobs[f"sha256:{found[2]}"] = bytes(self.state.uploads[int(found[1])]) + data
            self.answer(201)
        else:
            self.state.tags[self.path.rpartition("/")[2]] = data
            self.answer(201)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def registry() -> Iterator[_Registry]:
    state = _Registry()
    with serving_https(type("Handler", (_Handler,), {"state": state}), None) as port:
        state.port = port
        yield state


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return stored_images.layout(tmp_path_factory.mktemp("image") / "layout", [random.Random(7).randbytes(95_000)])


def _push(registry: _Registry, layout: Layout, chunk: int = _CHUNK) -> None:
    push_layout(layout.folder, f"127.0.0.1:{registry.port}/app", chunk=chunk)
    for digest in layout.sizes:
        assert registry.blobs[digest] == layout.path(digest).read_bytes()


def test_a_blob_goes_in_chunks(registry: _Registry, layout: Layout) -> None:
    _push(registry, layout)
    assert registry.patched == [10_000] * 9 + [5_000]


def test_a_blob_goes_at_once(registry: _Registry, layout: Layout) -> None:
    _push(registry, layout, 0)
    assert registry.patched == []


def test_a_registry_may_want_larger_chunks(registry: _Registry, layout: Layout) -> None:
    registry.smallest = 40_000
    _push(registry, layout)
    assert registry.patched == [40_000, 40_000, 15_000]


@pytest.mark.parametrize("keeps", [0, 1, 3_000, 20_000])
def test_an_upload_goes_on_where_it_broke(registry: _Registry, layout: Layout, keeps: int) -> None:
    registry.breaks, registry.keeps = {3: 7_000}, keeps
    _push(registry, layout)
    kept = max(0, 7_000 - keeps)
    whole, rest = divmod(95_000 - 30_000 - kept, 10_000)
    assert registry.patched == [10_000] * 4 + [10_000] * whole + [rest]


def test_an_upload_that_is_lost_begins_anew(registry: _Registry, layout: Layout) -> None:
    registry.breaks, registry.keeps = {3: 7_000}, None
    _push(registry, layout)
    assert registry.patched == [10_000] * 4 + [10_000] * 9 + [5_000]


def test_a_bad_line_is_borne_while_something_arrives(registry: _Registry, layout: Layout) -> None:
    """30 breaks, far more than a patience without progress would bear."""
    registry.breaks = dict.fromkeys(range(30), 3_000)
    _push(registry, layout)
    assert len(registry.uploads) == 2, "one for the layer, one for the configuration"


def test_a_blob_whose_answer_was_lost_is_not_sent_again(layout: Layout, registry: _Registry) -> None:
    with fault_proxy.fault_proxy(registry.port) as proxy:
        lost = fault_proxy.reset_answer(0)
        proxy.always = lambda exchange: (lost if exchange.head.startswith(b"PUT /upload/") else _forward)(exchange)
        push_layout(layout.folder, f"127.0.0.1:{proxy.port}/app")
        assert len([head for head in proxy.requests if head.startswith(b"PUT /upload/")]) == 2


def _forward(exchange: fault_proxy.Exchange) -> None:
    exchange.forward()


def test_a_blob_that_is_too_large_for_a_proxy(registry: _Registry, layout: Layout) -> None:
    with fault_proxy.fault_proxy(registry.port) as proxy:
        refuse = fault_proxy.status("413 Request Entity Too Large")
        proxy.always = lambda exchange: (refuse if exchange.method == "PUT" else _forward)(exchange)
        with pytest.raises(RegistryError, match="--chunk-size"):
            push_layout(layout.folder, f"127.0.0.1:{proxy.port}/app")

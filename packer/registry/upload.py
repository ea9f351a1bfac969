"""One blob on its way into a repository (distribution-spec 1.1, Pushing Blobs).

    POST  blobs/uploads/    202: the upload begins at Location
    PUT   Location?digest=  all of the blob, or nothing after the chunks
    PATCH Location          a chunk; the answer says where the next one goes
    GET   Location          204, Range: 0-N: what is there after a chunk failed

A blob is hashed while it is sent; its last piece is sent only when the digest is right, so that no registry has to be
relied on to refuse a damaged one.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from layers.entry import Content, Data
from layers.errors import PackError
from layers.reader import Reader
from packer.registry.answer import Answer, InterruptedRequestError, Patience, RegistryError, StoppedError
from packer.registry.image import Blob

if TYPE_CHECKING:
    from hashlib import _Hash

    from packer.registry.transport import Transport

Buffer = bytes | memoryview

_PIECE = 1 << 20  # bytes that are read, hashed and sent at a time
_BINARY = "application/octet-stream"
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_SMALLEST_CHUNK = "Oci-Chunk-Min-Length"

#: What a registry says of an upload that it has lost, or of bytes that were changed on their way.
_BEGIN_ANEW = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)


class Observer(Protocol):
    """Is told how far a blob is."""

    def __call__(self, done: int) -> None:
        """So many bytes were sent; less than before if it was begun anew."""
        ...


class Upload:
    """A blob on its way.

    Args:
        transport: to the registry.
        begin: where uploads begin.
        blob: what is sent.
        content: its bytes.
        chunk: bytes that are sent at a time; 0 for all of them at once.
        observer: is told how far it is.
    """

    def __init__(
        self, transport: "Transport", begin: str, blob: Blob, content: Content, chunk: int, observer: Observer
    ) -> None:
        self._transport = transport
        self._begin_at = begin
        self._blob = blob
        self._content = content
        self._chunk = chunk
        self._observer = observer
        self._location = ""  # empty when the upload has to begin
        self._kept = 0  # bytes that the registry has said it has
        self._most_kept = 0
        self._hash = hashlib.sha256()  # of those bytes

    def go_on(self, patience: Patience) -> None:
        """Send what the registry does not have yet.

        Args:
            patience: is told when a chunk has arrived that had not arrived before.

        Raises:
            InterruptedRequestError: it failed in a way that another try may not.
            RegistryError: the registry does not take it.
            PackError: the content is not what the digest says, or cannot be read.
        """
        if self._location:
            self._resume()
        if not self._location:
            self._begin()
        self._note(patience)
        while self._in_chunks and self._kept < self._blob.size:
            self._send_chunk()
            self._note(patience)
        self._finish(None if self._in_chunks else self._pieces(self._blob.size))

    @property
    def _in_chunks(self) -> bool:
        return 0 < self._chunk < self._blob.size

    def _note(self, patience: Patience) -> None:
        if self._kept > self._most_kept:
            self._most_kept = self._kept
            patience.progress()

    def _begin(self) -> None:
        answer = self._transport.request("POST", self._begin_at, headers={"Content-Type": _BINARY})
        if answer.status != HTTPStatus.ACCEPTED:
            raise self._refusal(answer)
        self._kept, self._hash = 0, hashlib.sha256()
        smallest = answer.headers.get(_SMALLEST_CHUNK, "")
        if self._chunk and smallest.isascii() and smallest.isdecimal():
            self._chunk = max(self._chunk, int(smallest[:18]))
        self._go_to(answer, urljoin(self._transport.origin, self._begin_at))

    def _resume(self) -> None:
        """Ask what is there of the chunks; the upload begins anew if that is unknown."""
        location, self._location = self._location, ""
        if not self._in_chunks:
            return
        try:
            answer = self._transport.request("GET", location)
        except InterruptedRequestError:
            self._location = location
            raise
        there = _end(answer) if answer.status == HTTPStatus.NO_CONTENT else -1
        if self._kept <= there <= self._blob.size:
            self._location = location
            if "Location" in answer.headers:
                self._go_to(answer, location)
            self._take(there)

    def _send_chunk(self) -> None:
        end = min(self._kept + self._chunk, self._blob.size)
        headers = {"Content-Type": _BINARY, "Content-Range": f"{self._kept}-{end - 1}"}
        pieces = self._pieces(end)
        answer = self._transport.request("PATCH", self._location, body=pieces, size=len(pieces), headers=headers)
        self._check(answer, HTTPStatus.ACCEPTED)
        there = _end(answer) if "Range" in answer.headers else end
        if not self._kept < there <= end:
            self._location = ""
            raise InterruptedRequestError(f"the registry has {there} bytes where {end} were sent")
        self._go_to(answer, self._location)
        if there == end and pieces.hash:
            self._kept, self._hash = end, pieces.hash
        else:
            self._take(there)

    def _finish(self, pieces: "_Pieces | None") -> None:
        parts = urlsplit(self._location)
        digest = urlencode({"digest": str(self._blob.digest)})
        url = urlunsplit(parts._replace(query=f"{parts.query}&{digest}" if parts.query else digest))
        body = pieces if pieces is not None and len(pieces) else b""
        answer = self._transport.request("PUT", url, body=body, size=len(body), headers={"Content-Type": _BINARY})
        self._check(answer, HTTPStatus.CREATED)
        answer.check_digest(self._blob.digest)

    def _check(self, answer: Answer, wanted: HTTPStatus) -> None:
        if answer.status in _BEGIN_ANEW:
            self._location = ""
            raise InterruptedRequestError(self._transport.told(answer))
        if answer.status not in (wanted, HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise self._refusal(answer)

    def _refusal(self, answer: Answer) -> RegistryError:
        hint = ""
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            hint = "--chunk-size sends a blob in pieces, which is what registries behind some proxies want."
        return RegistryError(f"{self._blob.title} is not taken: {self._transport.told(answer)}", hint=hint)

    def _go_to(self, answer: Answer, here: str) -> None:
        self._location = self._transport.location(answer, here)

    def _take(self, there: int) -> None:
        """The registry has so many bytes."""
        for piece in _read(self._content, self._kept, there):
            self._hash.update(piece)
        self._kept = there

    def _pieces(self, end: int) -> "_Pieces":
        return _Pieces(self._blob, self._content, self._kept, end, self._hash, self._observer, self._transport.stopped)


@dataclass(slots=True)
class _Pieces:
    """The bytes of a blob from one to another: they can be gone through again.

    Attributes:
        before: the hash of the bytes before them.
        hash: of the bytes up to their end; when they were gone through.
    """

    blob: Blob
    content: Content
    start: int
    end: int
    before: "_Hash"
    observer: Observer
    stopped: threading.Event
    hash: "_Hash | None" = None

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[Buffer]:
        state, done = self.before.copy(), self.start
        for piece in _read(self.content, self.start, self.end):
            if self.stopped.is_set():
                raise StoppedError("it is not wanted any more")
            state.update(piece)
            done += len(piece)
            if done == self.blob.size and state.hexdigest() != self.blob.digest.hex:
                raise PackError(
                    f"{self.blob.title}: the bytes are not those of {self.blob.digest}",
                    hint="They were changed since they were packed.",
                )
            yield piece
            self.observer(done)
        self.hash = state


def _read(content: Content, start: int, end: int) -> Iterator[Buffer]:
    """A range of a content, piece by piece; a piece is good until the next one is asked for."""
    if isinstance(content, Data):
        yield memoryview(content.data)[start:end]
        return
    buffer = memoryview(bytearray(min(_PIECE, end - start)))
    with Reader() as reader:
        while start < end:
            piece = buffer[: end - start]
            reader.read_into(content, start, piece)
            yield piece
            start += len(piece)


def _end(answer: Answer) -> int:
    """Bytes that the registry says it has."""
    found = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    return int(found[1]) + 1 if found else 0

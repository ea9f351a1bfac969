"""The tar of a layer, decompressed and hashed while it streams past."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from formats.reading.artefact import ArtefactError, StoredLayer
from layers.decompress import compression_of, decompressed
from layers.digest import Digest
from layers.hashing import ParallelHash

# Deflate makes 1,032 bytes of one at most; a zstd bomb makes 30,000.
_SMALL = 64 << 20
_RATIO = 1100


@dataclass(frozen=True, slots=True)
class Digests:
    """What a layer was found to be.

    Attributes:
        digest: of its blob.
        diff_id: of its tar.
    """

    digest: Digest
    diff_id: Digest


class LayerStream:
    """A layer that is read once.

    Args:
        layer: where it is.
        executor: hashes, beside decompressing and reading.

    Raises:
        ArtefactError: it cannot be read.
    """

    def __init__(self, layer: StoredLayer, executor: Executor) -> None:
        self._layer = layer
        self._stored, self._tar = ParallelHash(executor), ParallelHash(executor)
        self._raw = _hashed(layer.blob.pieces(), self._stored)
        self._first = next(self._raw, b"")
        self.compression = compression_of(self._first)

    def pieces(self) -> Iterator[bytes]:
        """The tar, a bounded piece at a time.

        Raises:
            PackError: it is damaged, or takes more than anybody would pack.
        """
        most = _SMALL + _RATIO * self._layer.blob.size
        pieces = decompressed(_joined(self._first, self._raw), self.compression, self._layer.title)
        plain = _bounded(pieces, most, self._layer.title)
        return _hashed(plain, self._tar) if self.compression != "none" else plain

    def digests(self) -> Digests:
        """What was read, when all of the pieces were."""
        digest = self._stored.digest()
        return Digests(digest, self._tar.digest() if self.compression != "none" else digest)

    def stored_digest(self) -> Digest:
        """The digest of the blob, whatever became of its tar."""
        for _ in self._raw:
            pass
        return self._stored.digest()


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _hashed(pieces: Iterator[bytes], state: ParallelHash) -> Iterator[bytes]:
    for piece in pieces:
        state.take(piece)
        yield piece


def _bounded(pieces: Iterator[bytes], most: int, title: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise ArtefactError(f"{title} expands to more than {most} bytes: no layer does")
        yield piece

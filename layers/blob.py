"""Blobs: a group of items to a compressed layer, in one pass; and the cache that keeps layers for ever.

A layer of unchanged items is a pure function of (the items' identities, where their paths land, which of them
another item replaces, the epoch, the tar profile, the codec). That is its key. Under the key the cache keeps the
layer's digests, and under its digest the blob: what has been packed once is not read, hashed or compressed again.

    CACHE/layers/KEY           {"diff_id": ..., "digest": ..., "size": ...}
    CACHE/blobs/sha256/HEX     the compressed bytes
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from layers import tar
from layers.codec import Codec
from layers.compressed import CompressedWriter
from layers.digest import Digest, DigestError
from layers.entry import Entry
from layers.hashing import ParallelHash
from layers.output import Buffer, PendingFile, make_cache
from layers.pipeline import Pipeline
from layers.progress import Progress
from layers.reader import Reader


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is in the cache.

    Attributes:
        diff_id: digest of the uncompressed tar.
        digest: digest of the blob.
        size: bytes of the blob.
        compression: the codec's name.
    """

    diff_id: Digest
    digest: Digest
    size: int
    compression: str


@dataclass(frozen=True, slots=True)
class LayerRequest:
    """A layer to be had.

    Attributes:
        title: what it holds, for progress.
        key: equal keys give equal layers, for ever.
        size: bytes of its files, for progress.
        entries: makes its entries, in `tree_order`; called only when the cache does not have the layer, with the
            reader of their contents.
    """

    title: str
    key: Digest
    size: int
    entries: Callable[[Reader], Iterable[Entry]]


def layer_key(items: object, codec: Codec, epoch: int) -> Digest:
    """The key of a layer.

    Args:
        items: what its entries are a function of, as JSON takes it.
        codec: how it is compressed.
        epoch: the time of its entries.
    """
    facts = {
        "profile": tar.PROFILE,
        "epoch": epoch,
        "codec": [codec.name, codec.level, codec.library],
        "items": items,
    }
    return Digest.of(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


class BlobCache:
    """Layers that were made before.

    A blob is not synced when it is kept: after a power loss its size is wrong (file systems count what has reached
    the disk), and a blob of a wrong size is made anew.

    Args:
        folder: made when it is missing; nobody else can read or write it.
    """

    def __init__(self, folder: str) -> None:
        self._layers = os.path.join(folder, "layers")
        self._blobs = os.path.join(folder, "blobs", "sha256")
        make_cache(folder, "layers", os.path.join("blobs", "sha256"))

    def path(self, digest: Digest) -> str:
        """Where the blob of a layer is."""
        return os.path.join(self._blobs, digest.hex)

    def recall(self, key: Digest) -> Layer | None:
        """The layer of a key; its blob may be gone."""
        try:
            with open(os.path.join(self._layers, key.hex), "rb") as file:
                facts = json.load(file)
            return Layer(
                Digest.parse(facts["diff_id"]),
                Digest.parse(facts["digest"]),
                facts["size"],
                facts["compression"],
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError, DigestError):
            return None

    def find(self, key: Digest) -> Layer | None:
        """The layer of a key, when both its record and its blob are whole."""
        layer = self.recall(key)
        try:
            return layer if layer and os.lstat(self.path(layer.digest)).st_size == layer.size else None
        except OSError:
            return None

    def pending(self) -> PendingFile:
        """A blob to write, for `keep`."""
        return PendingFile(self._blobs)

    def keep(self, key: Digest, layer: Layer, blob: PendingFile) -> None:
        """Keep a layer under its key."""
        blob.publish(layer.digest.hex, mode=0o400, durable=False)
        facts = {
            "diff_id": str(layer.diff_id),
            "digest": str(layer.digest),
            "size": layer.size,
            "compression": layer.compression,
        }
        with PendingFile(self._layers) as record:
            record.write(json.dumps(facts).encode())
            record.publish(key.hex, mode=0o400, durable=False)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What layers are made with.

    Attributes:
        cache: keeps them.
        codec: compresses them.
        epoch: the time of their entries.
        executor: compresses chunks.
        jobs: how many chunks it compresses at a time.
        progress: is told what is done.
        verify: whether items are compared with what their store has hashed.
    """

    cache: BlobCache
    codec: Codec
    epoch: int
    executor: Executor
    jobs: int
    progress: Progress
    verify: bool = True

    def layers(self, requests: Sequence[LayerRequest]) -> list[Layer]:
        """The layers, each from the cache or made now, in the order of the requests.

        Raises:
            PackError: an entry cannot be read or written; nothing is kept of the layer that it belongs to.
        """
        found = [self.cache.find(request.key) for request in requests]
        todo = [request for request, layer in zip(requests, found, strict=True) if layer is None]
        made: dict[Digest, Layer] = {}
        self.progress.begin("layers", sum(request.size for request in todo))
        pipeline = Pipeline(self.executor, window=2 * self.jobs + 2)
        with contextlib.ExitStack() as files:
            for request in todo:
                blob = files.enter_context(self.cache.pending())
                self._write(request, blob, pipeline, made)
            pipeline.drain()
        self.progress.end()
        return [layer or made[request.key] for request, layer in zip(requests, found, strict=True)]

    def described(self, requests: Sequence[LayerRequest]) -> list[Layer]:
        """The layers, in the order of the requests; those that were made once need not be in the cache any more.

        Raises:
            PackError: as `layers`.
        """
        recalled = [self.cache.recall(request.key) for request in requests]
        todo = [request for request, layer in zip(requests, recalled, strict=True) if layer is None]
        made = iter(self.layers(todo))
        return [layer or next(made) for layer in recalled]

    def stream(self, request: LayerRequest, write: Callable[[Buffer], object]) -> Layer:
        """Make a layer where it is to be, without compression and without the cache.

        Args:
            request: the layer.
            write: takes the layer's tar, piece by piece.

        Raises:
            PackError: an entry cannot be read or written.
        """
        diff_id, size = ParallelHash(self.executor), 0

        def sink(piece: bytearray) -> None:
            nonlocal size
            size += len(piece)
            diff_id.take(piece)
            write(piece)

        self._emit(request, sink)
        self.progress.advance(request.title, request.size)
        digest = diff_id.digest()
        return Layer(digest, digest, size, self.codec.name)

    def _emit(self, request: LayerRequest, sink: Callable[[bytearray], object]) -> None:
        with Reader() as reader:
            stream = tar.TarWriter(sink, self.epoch, reader)
            stream.add_all(request.entries(reader))
            stream.close()

    def _write(self, request: LayerRequest, blob: PendingFile, pipeline: Pipeline, made: dict[Digest, Layer]) -> None:
        def keep(diff_id: Digest, digest: Digest, size: int) -> None:
            layer = made[request.key] = Layer(diff_id, digest, size, self.codec.name)
            self.cache.keep(request.key, layer, blob)
            blob.close()
            self.progress.advance(request.title, request.size)

        writer = BlobWriter(self.codec, blob, pipeline, keep)
        self._emit(request, writer.write)
        writer.close()


class BlobWriter:
    """Compresses a stream into a file; digests and sizes of both sides come out of the same pass.

    Args:
        codec: how.
        file: takes the compressed bytes.
        pipeline: who compresses, and when.
        done: called with (digest of the input, digest of the output, size of the output) when all is written,
            which may be after `close`.
    """

    def __init__(
        self, codec: Codec, file: PendingFile, pipeline: Pipeline, done: Callable[[Digest, Digest, int], None]
    ) -> None:
        self._done = done
        self._input = None if codec.name == "none" else hashlib.sha256()  # what is not compressed is hashed once
        self._output = CompressedWriter(codec, file, pipeline, self._finish)

    def write(self, piece: bytearray) -> None:
        """Take the next `CHUNK` bytes of the input; only the last piece may be shorter."""
        if self._input:
            self._input.update(piece)
        self._output.write(piece)

    def close(self) -> None:
        """The input ended."""
        self._output.close()

    def _finish(self, digest: Digest, size: int) -> None:
        self._done(Digest(self._input.hexdigest()) if self._input else digest, digest, size)

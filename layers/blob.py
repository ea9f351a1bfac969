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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from layers import tar
from layers.cache import CacheFolder, Found, Kept, is_named_truly, mark_used
from layers.codec import Codec
from layers.compressed import CompressedWriter
from layers.decompress import compression_of, decompressed
from layers.digest import Digest, DigestError, is_hex
from layers.entry import Entry, Slice
from layers.errors import ChangedError, PackError
from layers.hashing import ParallelHash
from layers.output import Buffer, PendingFile, make_cache, sweep
from layers.pipeline import Inline, Pipeline, ahead
from layers.progress import Progress
from layers.reader import Reader
from layers.workers import MOST_TASKS, Colleague, Crew, can_fork, crew_of


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


#: Makes a layer: it gives the layer's tar, piece by piece, to the function that it is called with.
Emit = Callable[[Callable[[Buffer], object]], Layer]

# One thread reads, verifies and frames pieces, another one hashes and writes them. More pieces between them are no
# faster: 16 leave the processors' caches, which costs 3 % of the processors' time.
_PIECES_AHEAD = 4

# Bytes that a process has to have: forking one takes some 5 ms, and it lists what it works on by itself.
_LEAST_SHARED = 16 << 20

_MAGIC_SIZE = 8
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A layer that somebody else has made, and that is taken over byte for byte.

    Attributes:
        layer: what it is.
        blob: its bytes, which are compared with its digest whenever they are taken over.
    """

    layer: Layer
    blob: Slice


@dataclass(frozen=True, slots=True)
class LayerRequest:
    """A layer to be had.

    Attributes:
        title: what it holds, for progress.
        key: equal keys give equal layers, for ever.
        size: bytes of its files, for progress.
        entries: makes its entries, in `tree_order`; called only when the cache does not have the layer, with the
            reader of their contents, or with none if nobody will read these.
        diff_id: digest of its tar, if the key was made of that: contents that were read for it are read again, and a
            layer of others must not be kept under it.
        verbatim: the layer itself, if it is not to be made.
    """

    title: str
    key: Digest
    size: int
    entries: Callable[[Reader | None], Iterable[Entry]]
    diff_id: Digest | None = None
    verbatim: Verbatim | None = None

    def checked(self, layer: Layer) -> Layer:
        """The layer that was made.

        Raises:
            ChangedError: it is not the one that the key stands for.
        """
        if self.diff_id not in (None, layer.diff_id):
            raise ChangedError(f"the layer {self.title} changed while it was being packed")
        return layer


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


def verbatim_key(digest: Digest) -> Digest:
    """The key of a layer that is taken over.

    Args:
        digest: of its blob.
    """
    return Digest.of(json.dumps({"blob": str(digest)}).encode())


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
        record = os.path.join(self._layers, key.hex)
        layer = _recorded(record)
        if layer:
            mark_used(record)
        return layer

    def find(self, key: Digest) -> Layer | None:
        """The layer of a key, when both its record and its blob are whole."""
        layer = self.recall(key)
        try:
            return layer if layer and os.lstat(self.path(layer.digest)).st_size == layer.size else None
        except OSError:
            return None

    @contextlib.contextmanager
    def swept(self) -> Iterator[None]:
        """Take away what processes leave behind that are ended, if the block fails; see `layers.output`."""
        try:
            yield
        except BaseException:
            for folder in (self._blobs, self._layers):
                sweep(folder)
            raise

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

    def take_over(self, key: Digest, verbatim: Verbatim) -> None:
        """Keep a layer that somebody else has made, if it is not here yet.

        Raises:
            ChangedError: its bytes are not those of its digest any more.
        """
        if self.find(key):
            return
        state = hashlib.sha256()
        with self.pending() as blob, Reader() as reader:
            for piece in reader.pieces(verbatim.blob):
                state.update(piece)
                blob.write(piece)
            if state.hexdigest() != verbatim.layer.digest.hex:
                raise ChangedError(f"{verbatim.blob.path} is not the blob {verbatim.layer.digest} any more")
            self.keep(key, verbatim.layer, blob)


def _recorded(place: str) -> Layer | None:
    try:
        with open(place, "rb") as file:
            facts = json.load(file)
        return Layer(
            Digest.parse(facts["diff_id"]),
            Digest.parse(facts["digest"]),
            facts["size"],
            facts["compression"],
        )
    except (OSError, ValueError, LookupError, TypeError, RecursionError, DigestError):
        return None


def kept(cache: CacheFolder) -> Iterator[Kept]:
    """See `layers.cache.Keeper`; a blob is used when one of its layers is."""
    blobs = {found.name: found for found in cache.below("blobs/sha256").found() if _is_named_by_digest(found)}
    used = {name: blob.used for name, blob in blobs.items()}
    for record in filter(_is_named_by_digest, cache.below("layers").found()):
        layer = _recorded(record.place)
        blob = blobs.get(layer.digest.hex) if layer else None
        if blob:
            used[blob.name] = max(used[blob.name], record.used)
        yield Kept("layers", (record.path,), record.size, record.used, partial(_is_true, layer, blob))
    for name, blob in blobs.items():
        yield Kept("blobs", (blob.path,), blob.size, used[name], partial(is_named_truly, blob.place, name))


def _is_named_by_digest(found: Found) -> bool:
    return found.is_file and is_hex(found.name)


def _is_true(layer: Layer | None, blob: Found | None) -> bool:
    """Whether a record tells the truth, as far as its blob is there to tell; a damaged blob says nothing about it."""
    if not layer or not blob or layer.size != blob.size:
        return layer is not None and not blob
    with open(blob.place, "rb", buffering=0) as file:
        compression = compression_of(file.read(_MAGIC_SIZE))
        file.seek(0)
        pieces = iter(lambda: file.read(_CHUNK), b"")
        try:
            return compression == layer.compression and layer.diff_id == Digest.of_stream(
                decompressed(pieces, compression, blob.name)
            )
        except PackError:
            return True


@dataclass(frozen=True, slots=True)
class Workshop:
    """What layers are made with.

    Attributes:
        cache: keeps them.
        codec: compresses them.
        epoch: the time of their entries.
        executor: compresses chunks.
        jobs: how many chunks it compresses at a time, and how many processes there are at most.
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

    def layers(self, requests: Sequence[LayerRequest], take: Callable[[Layer], object] = lambda _: None) -> list[Layer]:
        """The layers, each from the cache or made now, in the order of the requests.

        Args:
            requests: the layers.
            take: is given each of them as soon as it and all before it are in the cache, while others are made.

        Raises:
            PackError: an entry cannot be read or written; nothing is kept of the layer that it belongs to.
        """
        for request in requests:
            if request.verbatim:
                self.cache.take_over(request.key, request.verbatim)
        known = {request.key: layer for request in requests if (layer := self.cache.find(request.key))}
        todo = list({request.key: request for request in requests if request.key not in known}.values())
        waiting = deque(request.key for request in requests)
        layers: list[Layer] = []

        def kept(request: LayerRequest, layer: Layer) -> None:
            known[request.key] = layer
            self.progress.advance(request.title, request.size)

        def hand_on() -> None:
            while waiting and waiting[0] in known:
                layers.append(known[waiting.popleft()])
                take(layers[-1])

        with self.cache.swept(), self._beside(todo) as crew:
            self.progress.begin("layers", sum(request.size for request in todo))
            hand_on()
            if crew:
                for rank, layer in crew.results():
                    kept(todo[rank], layer)
                    hand_on()
            else:
                self._make(todo, kept, hand_on)
        hand_on()
        self.progress.end()
        return layers

    def _make(
        self, todo: Sequence[LayerRequest], kept: Callable[[LayerRequest, Layer], None], hand_on: Callable[[], None]
    ) -> None:
        """Make layers one after another, each by several threads."""
        pipeline = Pipeline(self.executor, window=2 * self.jobs + 2)
        with contextlib.ExitStack() as files, self._made(todo) as made:
            for request, pieces in zip(todo, made, strict=True):
                blob = files.enter_context(self.cache.pending())
                writer = self._writer(request, blob, pipeline, kept)
                for piece in pieces:
                    writer.write(piece)
                writer.close()
                hand_on()
            pipeline.drain()

    def _beside(self, todo: Sequence[LayerRequest]) -> AbstractContextManager[Crew | None]:
        """Workers that make layers side by side, largest first, and tell the rank of each; or none, if few are due."""
        sizes = [request.size for request in todo]
        count = self.workers(sum(sizes), max(sizes, default=0))
        if not count or len(todo) > MOST_TASKS:
            return contextlib.nullcontext()
        order = sorted(range(len(todo)), key=lambda rank: (-todo[rank].size, rank))
        made: list[Layer] = []

        def work(numbers: Iterable[int], colleague: Colleague) -> None:
            pipeline = Pipeline(Inline(), window=0)
            for rank in (order[number] for number in numbers):
                with self.cache.pending() as blob:
                    writer = self._writer(todo[rank], blob, pipeline, lambda _, layer: made.append(layer))
                    self._emit(todo[rank], writer.write)
                    writer.close()
                    pipeline.drain()
                colleague.tell((rank, made.pop()))

        return crew_of(count, len(todo), work)

    def workers(self, size: int, largest: int = 1) -> int:
        """How many processes there may be that have enough to do; 0: one will do.

        Args:
            size: bytes that are to be worked on.
            largest: bytes of the largest part that one of them has to do alone.
        """
        count = min(self.jobs, size // _LEAST_SHARED, size // max(1, largest))
        return count if count > 1 and can_fork() else 0

    def described(self, requests: Sequence[LayerRequest]) -> list[Layer]:
        """The layers, in the order of the requests; those that were made once need not be in the cache any more.

        Raises:
            PackError: as `layers`.
        """
        recalled = [
            request.verbatim.layer if request.verbatim else self.cache.recall(request.key) for request in requests
        ]
        todo = [request for request, layer in zip(requests, recalled, strict=True) if layer is None]
        made = iter(self.layers(todo))
        return [layer or next(made) for layer in recalled]

    @contextlib.contextmanager
    def streams(self, requests: Sequence[LayerRequest]) -> Iterator[Iterator[Emit]]:
        """Make layers where they are to be, without compression and without the cache.

        Args:
            requests: the layers.

        Yields:
            For each layer what makes it. They are to be called one after another.

        Raises:
            PackError: an entry cannot be read or written.
        """
        self.progress.begin("layers", sum(request.size for request in requests))
        with self._made(requests) as made:
            yield (partial(self._stream, request, pieces) for request, pieces in zip(requests, made, strict=True))
        self.progress.end()

    def _stream(self, request: LayerRequest, pieces: Iterable[bytearray], write: Callable[[Buffer], object]) -> Layer:
        state, size = hashlib.sha256(), 0
        for piece in pieces:
            state.update(piece)
            write(piece)
            size += len(piece)
        self.progress.advance(request.title, request.size)
        digest = Digest(state.hexdigest())
        return request.checked(Layer(digest, digest, size, self.codec.name))

    def _made(self, requests: Sequence[LayerRequest]) -> AbstractContextManager[Iterator[Iterator[bytearray]]]:
        """The tar of each layer, in pieces."""
        return ahead([partial(self._emit, request) for request in requests], _PIECES_AHEAD)

    def _emit(self, request: LayerRequest, sink: Callable[[bytearray], object]) -> None:
        with Reader() as reader:
            stream = tar.TarWriter(sink, self.epoch, reader)
            stream.add_all(request.entries(reader))
            stream.close()

    def _writer(
        self,
        request: LayerRequest,
        blob: PendingFile,
        pipeline: Pipeline,
        kept: Callable[[LayerRequest, Layer], None],
    ) -> "BlobWriter":
        """Takes the tar of a layer; when all is written, the layer is kept."""

        def keep(diff_id: Digest, digest: Digest, size: int) -> None:
            layer = request.checked(Layer(diff_id, digest, size, self.codec.name))
            self.cache.keep(request.key, layer, blob)
            blob.close()
            kept(request, layer)

        return BlobWriter(self.codec, blob, pipeline, keep)


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
        # A thread of its own hashes: behind chunks that wait to be compressed, hashing would wait for them.
        inline = isinstance(pipeline.executor, Inline)
        self._hasher = pipeline.executor if inline else ThreadPoolExecutor(1)
        self._digest = ParallelHash(self._hasher)
        self._output = CompressedWriter(codec, file, pipeline, self._finish, self._digest.take)

    def write(self, piece: bytearray) -> None:
        """Take the next `CHUNK` bytes of the input; only the last piece may be shorter."""
        if self._input:
            self._input.update(piece)
        self._output.write(piece)

    def close(self) -> None:
        """The input ended."""
        self._output.close()

    def _finish(self, size: int) -> None:
        digest = self._digest.digest()
        self._hasher.shutdown()
        self._done(Digest(self._input.hexdigest()) if self._input else digest, digest, size)

"""A stream that is compressed into a file, in parallel."""

from collections.abc import Callable

from isal import isal_zlib

from layers.codec import Codec
from layers.output import Buffer, PendingFile, StreamedFile
from layers.pipeline import Pipeline


class CompressedWriter:
    """Compresses a stream into a file.

    Args:
        codec: how.
        file: takes the compressed bytes.
        pipeline: who compresses, and when.
        done: called with the size of the output when all is written, which may be after `close`.
        observe: sees what is written; it may keep it.
    """

    def __init__(
        self,
        codec: Codec,
        file: PendingFile | StreamedFile,
        pipeline: Pipeline,
        done: Callable[[int], None],
        observe: Callable[[Buffer], object] = lambda _: None,
    ) -> None:
        self._codec = codec
        self._file = file
        self._pipeline = pipeline
        self._done = done
        self._observe = observe
        self._checksum = 0
        self._chunk = bytearray()
        self._records = bytearray()
        self._read = 0
        self._written = 0
        self._emit(codec.start())

    def write(self, piece: bytearray) -> None:
        """Take the next `layers.tar.CHUNK` bytes of the input; only the last piece may be shorter."""
        if self._codec.checksummed:
            self._checksum = isal_zlib.crc32(piece, self._checksum)
        self._read += len(piece)
        self._chunk = self._chunk + piece if self._chunk else piece
        if len(self._chunk) >= self._codec.chunk:
            self._submit()

    def close(self) -> None:
        """The input ended."""
        if self._chunk:
            self._submit()
        self._pipeline.after(self._finish)

    def _submit(self) -> None:
        chunk, self._chunk = self._chunk, bytearray()
        self._pipeline.submit(self._codec.compress, chunk, self._emit_chunk)

    def _emit_chunk(self, compressed: bytes | bytearray) -> None:
        self._records += self._codec.record(compressed)
        self._emit(compressed)

    def _finish(self) -> None:
        self._emit(self._codec.end(self._checksum, self._read, bytes(self._records)))
        self._done(self._written)

    def _emit(self, data: bytes | bytearray) -> None:
        self._observe(data)
        self._file.write(data)
        self._written += len(data)

"""What a codec is: something that compresses chunks, each by itself."""

from typing import Protocol


class Codec(Protocol):
    """How bytes become fewer.

    Attributes:
        name: as in os.toml and in media types: `none`, `gzip`, `zstd`.
        level: the codec's own scale; 0 where it has none.
        library: what compresses, with its version where that can be known: the bytes depend on it.
        chunk: bytes that are compressed at a time, a multiple of `layers.tar.CHUNK`.
        checksummed: whether `end` has to know the CRC-32 of the input.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def level(self) -> int: ...  # noqa: D102
    @property
    def library(self) -> str: ...  # noqa: D102
    @property
    def chunk(self) -> int: ...  # noqa: D102
    @property
    def checksummed(self) -> bool: ...  # noqa: D102

    def start(self) -> bytes:
        """What comes before the first chunk."""
        ...

    def compress(self, chunk: bytearray) -> bytes | bytearray:
        """One chunk, compressed: a pure function, called from many threads."""
        ...

    def record(self, compressed: bytes | bytearray) -> bytes:
        """What `end` has to know of a chunk that was compressed."""
        ...

    def end(self, checksum: int, size: int, records: bytes = b"") -> bytes:
        """What comes after the last chunk.

        Args:
            checksum: CRC-32 of the whole input, of codecs that are `checksummed`.
            size: bytes of the whole input.
            records: those of all chunks, in order.
        """
        ...


class Concatenated(Protocol):
    """What codecs have in common whose chunks can stand one after another, without anything around them."""

    @property
    def checksummed(self) -> bool:
        """See `Codec`."""
        return False

    def compress(self, chunk: bytearray) -> bytes:
        """See `Codec`."""
        ...

    def start(self) -> bytes:
        """See `Codec`."""
        return b""

    def record(self, compressed: bytes | bytearray) -> bytes:  # noqa: ARG002
        """See `Codec`."""
        return b""

    def end(self, checksum: int, size: int, records: bytes = b"") -> bytes:  # noqa: ARG002
        """See `Codec`; an input of no bytes still has to be a valid stream."""
        return b"" if size else self.compress(bytearray())

"""Digests: bytes named by their hash (OCI image-spec, descriptor.md, section Digests)."""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layers.errors import PackError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


class DigestError(PackError):
    """A text that should name bytes and does not."""


def is_hex(name: str) -> bool:
    """Whether a file's name is the hexadecimal digits of a digest."""
    return bool(_SHA256.fullmatch(f"sha256:{name}"))


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest.

    Only `parse` takes text from outside: what it accepts is safe to use as a file name and in a URL.

    Attributes:
        hex: 64 lower-case hexadecimal digits.
    """

    hex: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read `sha256:HEX`.

        Raises:
            DigestError: the text is anything else.
        """
        if not _SHA256.fullmatch(text):
            raise DigestError(f"{text!r} is not a digest of the form sha256:<64 hexadecimal digits>")
        return cls(text.removeprefix("sha256:"))

    @classmethod
    def of(cls, *chunks: bytes) -> "Digest":
        """Hash the chunks as if they were one."""
        return cls.of_stream(chunks)

    @classmethod
    def of_stream(cls, chunks: "Iterable[bytes]") -> "Digest":
        """Hash a stream without keeping it."""
        state = hashlib.sha256()
        for chunk in chunks:
            state.update(chunk)
        return cls(state.hexdigest())

    @classmethod
    def of_file(cls, file: "FileIO") -> "Digest":
        """Hash what is left of a file that has no buffer.

        Raises:
            OSError: it cannot be read.
        """
        return cls(hashlib.file_digest(file, "sha256").hexdigest())

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

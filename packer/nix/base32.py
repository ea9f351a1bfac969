"""Nix's base 32: digits and letters without e, o, t and u; the last five bits of the hash come first.

nix: src/libutil/hash.cc, `printHash32` and `Hash::parseAnyPrefixed`; also in E. Dolstra's "The Purely Functional
Software Deployment Model", section 5.1.
"""

import base64
import binascii
import re

from layers.digest import Digest, DigestError

#: The digits; a store path's hash is made of them.
ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

_VALUES = {digit: value for value, digit in enumerate(ALPHABET)}
_BITS = 5  # a digit has
_SHA256_SIZE = 32  # bytes
_SHA256 = re.compile(
    rf"sha256:(?P<base16>[0-9a-f]{{64}})|sha256:(?P<base32>[{ALPHABET}]{{52}})|sha256-(?P<base64>[0-9A-Za-z+/]{{43}}=)"
)


def encode(data: bytes) -> str:
    """The text of some bytes."""
    number = int.from_bytes(data, "little")
    length = -(-len(data) * 8 // _BITS)
    return "".join(ALPHABET[number >> place * _BITS & 31] for place in reversed(range(length)))


def decode(text: str, size: int) -> bytes:
    """The bytes of a text.

    Args:
        text: what `encode` made.
        size: how many bytes there must be.

    Raises:
        DigestError: a letter is none of the alphabet's, or it is the text of more or fewer bytes.
    """
    number = 0
    for digit in text:
        if digit not in _VALUES:
            raise DigestError(f"{text!r} is not in Nix's base 32: it has no {digit!r}")
        number = number << _BITS | _VALUES[digit]
    if len(text) != -(-size * 8 // _BITS) or number >> size * 8:
        raise DigestError(f"{text!r} is not the base 32 of {size} bytes")
    return number.to_bytes(size, "little")


def parse_sha256(text: str) -> Digest:
    """Read a SHA-256 as Nix and Guix write it: `sha256:BASE16`, `sha256:BASE32`, or `sha256-BASE64` (W3C's SRI).

    Raises:
        DigestError: it is anything else.
    """
    found = _SHA256.fullmatch(text)
    if not found:
        raise DigestError(f"{text[:100]!r} is not a SHA-256 like sha256:BASE32")
    if found["base16"]:
        return Digest(found["base16"])
    if found["base32"]:
        return Digest(decode(found["base32"], _SHA256_SIZE).hex())
    try:
        data = base64.b64decode(found["base64"], validate=True)
    except binascii.Error as error:
        raise DigestError(f"{text!r} is not base 64: {error}") from error
    return Digest(data.hex())


def sha256_text(digest: Digest) -> str:
    """A SHA-256 as narinfos have it: `sha256:BASE32`."""
    return f"sha256:{encode(bytes.fromhex(digest.hex))}"

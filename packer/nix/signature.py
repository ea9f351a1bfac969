"""Signatures of Nix: Ed25519 (RFC 8032) over an item's fingerprint, by keys that have names.

A public key is `NAME:BASE64` of 32 bytes, a signature `NAME:BASE64` of 64 (nix: src/libstore/crypto.cc).
"""

import base64
import binascii
from collections.abc import Iterable

from layers.errors import InputError
from packer.nix.narinfo import NarInfo

_KEY_SIZE = 32  # bytes: RFC 8032, 5.1.5
_SIGNATURE_SIZE = 64  # bytes: RFC 8032, 5.1.6


class PublicKeyError(InputError):
    """A text that is no public key."""


def parse_key(text: str) -> tuple[str, bytes]:
    """Read `NAME:BASE64`.

    Raises:
        PublicKeyError: it is anything else.
    """
    name, _, encoded = text.partition(":")
    data = _decoded(encoded)
    if not name or data is None or any(letter.isspace() for letter in name):
        raise PublicKeyError(
            f"{text!r} is no public key", hint="It has the form NAME:BASE64, like cache.example:uk2…=."
        )
    if len(data) != _KEY_SIZE:
        hint = "A secret key does not belong here: nix key convert-secret-to-public." if len(data) == 64 else ""
        raise PublicKeyError(f"the public key {name} has {len(data)} bytes, not {_KEY_SIZE}", hint=hint)
    return name, data


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


class Keyring:
    """Public keys that are trusted.

    Args:
        keys: `NAME:BASE64`, each.

    Raises:
        PublicKeyError: one of them is none.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys: dict[str, list[bytes]] = {}
        for name, data in map(parse_key, keys):
            self._keys.setdefault(name, []).append(data)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def has_signed(self, info: NarInfo) -> bool:
        """Whether one of the item's signatures is a good one of a trusted key."""
        fingerprint = info.fingerprint.encode()
        return any(self._is_good(signature, fingerprint) for signature in info.signatures)

    def _is_good(self, signature: str, fingerprint: bytes) -> bool:
        name, _, encoded = signature.partition(":")
        data = _decoded(encoded)
        if data is None or len(data) != _SIGNATURE_SIZE:
            return False
        return any(_verifies(key, data, fingerprint) for key in self._keys.get(name, ()))


def _verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    # Imported here, because only this store needs it and it takes 30 ms.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True

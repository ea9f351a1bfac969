"""Identifiers that nobody draws: they derive from what is packed, and from what they are for."""

import hashlib
from uuid import UUID

from layers.digest import Digest

_UUID_BYTES = 16


def derived(identity: Digest, role: str, size: int) -> bytes:
    """Bytes that are unique to an identity and a role, at most 32."""
    return hashlib.sha256(f"{identity}\0{role}".encode()).digest()[:size]


def derived_uuid(identity: Digest, role: str) -> UUID:
    """A UUID of version 8, which is for such as are made of hashes (RFC 9562, section 5.8)."""
    number = int.from_bytes(derived(identity, role, _UUID_BYTES))
    number = number & ~(0xF << 76) | 0x8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)

"""Content addresses: items whose path is computed from what is in them, so that nobody has to be trusted.

nix: src/libstore/content-address.hh and store-api.cc, `makeStorePath`, `makeFixedOutputPath`, `makeTextPath`:

    fixed:r:sha256:HASH   the item's NAR has this hash
    fixed:sha256:HASH     the item is one file that may not be executed, and its content has this hash
    text:sha256:HASH      the same, and it may refer to other items

A path is `STORE/` + base32(fold(sha256(TYPE ":sha256:" BASE16 ":" STORE ":" NAME))) + `-NAME`.
"""

import hashlib
import re
from dataclasses import dataclass

from layers.digest import Digest, DigestError
from packer.nix.base32 import encode, parse_sha256
from packer.nix.narinfo import STORE, NarInfo

_ADDRESS = re.compile(r"(fixed:r|fixed|text):(sha256:[0-9a-z]+)")
_HASH_SIZE = 20  # bytes of the hash in a path
_HASH_LENGTH = 32  # letters of it


@dataclass(frozen=True, slots=True)
class Proof:
    """What has to be true of an item so that its path is right.

    Attributes:
        nar_hash: its NAR has this hash; or
        file_hash: it is one file whose content has this hash.
    """

    nar_hash: Digest | None
    file_hash: Digest | None


def proof(info: NarInfo) -> Proof | None:
    """What proves an item by itself, if its path is computed from its content address.

    None if it has no content address, one of another kind, or one of another path; also for an item that names
    itself, because then the hash leaves its own name out.
    """
    found = _ADDRESS.fullmatch(info.content_address)
    if not found or info.path in info.references:
        return None
    try:
        digest = parse_sha256(found[2])
    except DigestError:
        return None
    if info.path != _path(found[1], digest, info):
        return None
    return Proof(digest, None) if found[1] == "fixed:r" else Proof(None, digest)


def _path(method: str, digest: Digest, info: NarInfo) -> str | None:
    name = info.path.removeprefix(f"{STORE}/")[_HASH_LENGTH + 1 :]
    if method == "fixed:r":
        return store_path(":".join(("source", *info.references)), digest, name)
    if method == "text":
        return store_path(":".join(("text", *info.references)), digest, name)
    if info.references:
        return None
    inner = Digest.of(f"fixed:out:sha256:{digest.hex}:".encode())
    return store_path("output:out", inner, name)


def store_path(kind: str, digest: Digest, name: str) -> str:
    """The path of an item (`makeStorePath`).

    Args:
        kind: `source`, `text` with its references, or `output:out`.
        digest: what the path depends on.
        name: of the item.
    """
    whole = hashlib.sha256(f"{kind}:sha256:{digest.hex}:{STORE}:{name}".encode()).digest()
    folded = bytearray(_HASH_SIZE)
    for place, value in enumerate(whole):
        folded[place % _HASH_SIZE] ^= value
    return f"{STORE}/{encode(bytes(folded))}-{name}"

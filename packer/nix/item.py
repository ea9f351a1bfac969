"""How the items of Nix and Guix are called: `/nix/store/HASH-NAME-VERSION`, and what makes them equal."""

import re

from layers.digest import Digest

_HASH = re.compile(r"[0-9a-z]{32}-")
_VERSION = re.compile(r"-(?=[^A-Za-z])")


def name_and_version(path: str) -> tuple[str, str]:
    """What people call an item: the version begins behind the first `-` that no letter follows.

    nix: src/libstore/names.cc, `DrvName`: `bash-interactive-5.2-p15` gives `bash-interactive` and `5.2-p15`.
    """
    base = _HASH.sub("", path.rpartition("/")[2], count=1)
    name, *version = _VERSION.split(base, maxsplit=1)
    return (name, version[0]) if name and version and version[0] else (base, "")


def identity(path: str, nar_hash: Digest) -> Digest:
    """What is equal if two items have equal entries: a NAR does not have the path at which its entries are."""
    return Digest.of(f"{path} {nar_hash}".encode())

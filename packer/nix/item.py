"""How the items of Nix and Guix are called: `/nix/store/HASH-NAME-VERSION`, and what makes them equal."""

import re

from layers.digest import Digest
from layers.item import Contents, NarItem
from packer.nix.valid_path import ValidPath

_HASH = re.compile(r"[0-9a-z]{32}-")
_VERSION = re.compile(r"-(?=[^A-Za-z])")
# Outputs that nixpkgs and Guix split off, besides `out`, which no path names.
_OUTPUT = re.compile(r"(?<=.)-(?:bin|debug|dev|devdoc|dist|doc|gui|info|lib|man|py|static|terminfo|tk)\Z")


def name_and_version(path: str) -> tuple[str, str]:
    """What people call an item: the version begins behind the first `-` that no letter follows.

    nix: src/libstore/names.cc, `DrvName`: `bash-interactive-5.2-p15` gives `bash-interactive` and `5.2-p15`.
    """
    base = _HASH.sub("", path.rpartition("/")[2], count=1)
    name, *version = _VERSION.split(base, maxsplit=1)
    return (name, version[0]) if name and version and version[0] else (base, "")


def source_name(path: str) -> str:
    """What an item is built from: the name of its derivation, without version and output.

    The path alone says it, not the deriver: whoever has an item from a binary cache may know another deriver, or none,
    and would have other layers. An output stands behind the version: `gcc-12.2.0-lib`; without one, its name tells.
    """
    name, version = name_and_version(path)
    return name if version else _OUTPUT.sub("", name)


def identity(path: str, nar_hash: Digest) -> Digest:
    """What is equal if two items have equal entries: a NAR does not have the path at which its entries are."""
    return Digest.of(f"{path} {nar_hash}".encode())


def nar_item(valid: ValidPath, contents: Contents, nar_hash: Digest, nar_size: int) -> NarItem:
    """An item of a store.

    Args:
        valid: what the store says about it.
        contents: its entries.
        nar_hash: of its NAR.
        nar_size: bytes of its NAR.
    """
    name, version = name_and_version(valid.path)
    return NarItem(
        path=valid.path,
        name=name,
        version=version,
        identity=identity(valid.path, nar_hash),
        size=nar_size,
        references=tuple(reference for reference in valid.references if reference != valid.path),
        contents=contents,
        nar_hash=nar_hash,
        nar_size=nar_size,
        deriver=valid.deriver,
        signatures=valid.signatures,
        content_address=valid.content_address,
        ultimate=valid.ultimate,
        self_reference=valid.path in valid.references,
        source=source_name(valid.path),
    )

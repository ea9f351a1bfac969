"""Items of Nix and Guix stores, made of entries."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from layers.digest import Digest
from layers.entry import Data, Directory, Entry, File, Meta, Symlink
from layers.item import NarItem
from layers.nar import NarWriter
from tests.support.entries import Listed

_FILE = Meta(0o444)


def nar_item(
    path: str,
    *entries: Entry,
    references: Sequence[str] = (),
    deriver: str = "",
    signatures: Sequence[str] = (),
    content_address: str = "",
    ultimate: bool = False,
    self_reference: bool = False,
) -> NarItem:
    """An item; without entries it is a file that holds its references.

    Args:
        path: of the item.
        entries: their paths begin with the item's.
        references, deriver, signatures, content_address, ultimate, self_reference: as the item has them.
    """
    root = path.strip("/").encode()
    named = [*references, *([path] if self_reference else [])]
    made = entries or (File(root, Data("".join(f"{name}\n" for name in named).encode()), _FILE),)
    digest, size = _nar(root, made)
    return NarItem(
        path=path,
        name=path.partition("-")[2],
        version="",
        identity=digest,
        size=size,
        references=tuple(sorted(references)),
        contents=Listed(made),
        nar_hash=digest,
        nar_size=size,
        deriver=deriver,
        signatures=tuple(signatures),
        content_address=content_address,
        ultimate=ultimate,
        self_reference=self_reference,
    )


def items_of(graph: Mapping[str, Sequence[str]], store: str) -> list[NarItem]:
    """The items of a graph of short names; those that refer to themselves do."""
    paths = {
        name: f"{store}/{hashlib.sha256(name.encode()).hexdigest()[:32].translate(_DIGITS)}-{name}" for name in graph
    }
    return [
        nar_item(
            paths[name],
            references=[paths[other] for other in references if other != name],
            self_reference=name in references,
        )
        for name, references in graph.items()
    ]


# The letters of a store path's hash: Nix's base 32 has no `e`.
_DIGITS = str.maketrans("e", "g")


def write_entries(entries: Iterable[Entry], root: Path) -> None:
    """Unpack files, folders and symbolic links below a folder, as an image's root has them."""
    for entry in entries:
        place = root / os.fsdecode(entry.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, Directory):
            place.mkdir(exist_ok=True)
        elif isinstance(entry, Symlink):
            place.symlink_to(os.fsdecode(entry.target))
        else:
            assert isinstance(entry, File)
            assert isinstance(entry.content, Data)
            place.write_bytes(entry.content.data)
            place.chmod(entry.meta.mode)


def _nar(root: bytes, entries: Iterable[Entry]) -> tuple[Digest, int]:
    state = hashlib.sha256()
    writer = NarWriter(state.update)
    for entry in entries:
        writer.add(entry.path[len(root) + 1 :], entry)
        if isinstance(entry, File) and isinstance(entry.content, Data):
            writer.data(entry.content.data)
    writer.close()
    return Digest(state.hexdigest()), writer.size


def planned_item(
    path: str, size: int = 1, references: Sequence[str] = (), source: str = "", identity: str = ""
) -> NarItem:
    """An item without contents, for plans."""
    digest = Digest.of((identity or path).encode())
    return NarItem(
        path=path, name=path, version="", identity=digest, size=size, references=tuple(sorted(references)),
        contents=Listed(()), nar_hash=digest, nar_size=size, deriver="", signatures=(), content_address="",
        ultimate=False, source=source,
    )  # fmt: skip

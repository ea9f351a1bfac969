"""Artefacts made of entries, read as the commands read them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from layers.entry import Data, Entry, File, Meta
from packer.inspection.difference import compare
from packer.inspection.facts import difference_json, inspection_json
from packer.inspection.inspection import Inspection, inspect
from packer.inspection.text import difference_text, files_text, inspection_text
from tests.support.entries import tar_of
from tests.support.layers import layout


def inspected(path: Path) -> Inspection:
    """An artefact that was read."""
    with ThreadPoolExecutor(2) as executor:
        return inspect(str(path), executor)


def tarball(folder: Path, entries: Iterable[Entry], name: str = "it.tar") -> Inspection:
    """A tarball of some entries."""
    (folder / name).write_bytes(tar_of(entries))
    return inspected(folder / name)


def image(
    folder: Path, layers: Sequence[Iterable[Entry]], config: Mapping[str, Any] | None = None, name: str = "it"
) -> Inspection:
    """An image of some layers."""
    made = layout()
    made.index(made.image([tar_of(layer) for layer in layers], config))
    return inspected(made.folder(folder / name))


def file(path: str, content: str | bytes = "", mode: int = 0o644, **meta: Any) -> File:
    """A file."""
    data = content if isinstance(content, bytes) else content.encode()
    return File(path.encode(), Data(data), Meta(mode, **meta))


def look(path: Path, executor: ThreadPoolExecutor) -> Inspection:
    """An artefact that was read, with all that is told of it."""
    found = inspect(str(path), executor)
    json.loads(inspection_json(found, files=True))
    for text in (inspection_text(found, everything=True), *files_text(found)):
        assert not set(text) & {"\x1b", "\x07", "\r"}
        text.encode()
    return found


def compare_all(one: Inspection, other: Inspection) -> None:
    """Compare two artefacts, with all that is told of it."""
    difference = compare(one, other)
    json.loads(difference_json(difference))
    difference_text(difference, everything=True).encode()

"""Layers and images made of entries, without the program that makes them."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats.reading.artefact import FileBlob, StoredLayer
from layers.digest import Digest
from layers.entry import Entry
from tests.support.entries import tar_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def stored(folder: Path, entries: Iterable[Entry], *, whiteouts: bool = True) -> StoredLayer:
    """A layer in a file of its own."""
    data = tar_of(entries)
    path = folder / f"{Digest.of(data).hex}.tar"
    path.write_bytes(data)
    return StoredLayer(path.name, FileBlob(str(path), 0, len(data)), whiteouts=whiteouts)


@dataclass(frozen=True)
class Layout:
    """The files of a layout by name; tests change some."""

    files: dict[str, bytes]

    def blob(self, data: bytes) -> Digest:
        """Add a blob."""
        digest = Digest.of(data)
        self.files[f"blobs/sha256/{digest.hex}"] = data
        return digest

    def described(self, media_type: str, data: bytes, **more: object) -> dict[str, Any]:
        """Add a blob, and describe it."""
        return {"mediaType": media_type, "digest": str(self.blob(data)), "size": len(data), **more}

    def image(self, layers: Sequence[bytes], config: Mapping[str, Any] | None = None, **more: object) -> dict[str, Any]:
        """Add an image, and describe its manifest."""
        facts = {
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]}, **(config or {}),
        }  # fmt: skip
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.described(CONFIG, json.dumps(facts).encode()),
            "layers": [self.described(LAYER, gzip.compress(layer, mtime=0)) for layer in layers],
        }  # fmt: skip
        return self.described(MANIFEST, json.dumps(manifest).encode(), **more)

    def index(self, *descriptors: Mapping[str, Any]) -> None:
        """Write the index."""
        self.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()

    def folder(self, path: Path) -> Path:
        """Write it as a folder."""
        for name, data in self.files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path

    def archive(self, path: Path) -> Path:
        """Write it as an archive."""
        with tarfile.open(path, "w") as archive:
            for name, data in self.files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path


def layout() -> Layout:
    """A layout without an image."""
    return Layout({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'})

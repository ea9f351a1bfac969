"""Small image layouts, made of bytes, without ocipack's own writers."""

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Layout:
    """A layout in a folder.

    Attributes:
        folder: of the layout.
        digest: of what its index names.
        sizes: of all blobs but that one, by digest.
    """

    folder: Path
    digest: str
    sizes: Mapping[str, int]

    def path(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def archive(self, path: Path) -> Path:
        """The same layout as an archive."""
        with tarfile.open(path, "w") as archive:
            for name in ("blobs", "index.json", "oci-layout"):
                archive.add(self.folder / name, name)
        return path


def put(folder: Path, data: bytes, media_type: str) -> dict[str, Any]:
    """Write a blob; its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def image(
    folder: Path,
    layers: Sequence[bytes],
    architecture: str = "amd64",
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write an image's blobs; the descriptor of its manifest."""
    described = [put(folder, data, LAYER) for data in layers]
    facts = {
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in described]},
    }
    config = put(folder, json.dumps(facts).encode(), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
    if annotations:
        manifest["annotations"] = dict(annotations)
    return put(folder, json.dumps(manifest).encode(), MANIFEST)


def index(folder: Path, manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write an index as a blob; its descriptor."""
    facts = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
    return put(folder, json.dumps(facts).encode(), INDEX)


def close(folder: Path, descriptor: Mapping[str, Any]) -> Layout:
    """Write what makes a folder a layout of one image."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    blobs = sorted((folder / "blobs" / "sha256").iterdir())
    sizes = {f"sha256:{blob.name}": blob.stat().st_size for blob in blobs}
    sizes.pop(descriptor["digest"])
    return Layout(folder, descriptor["digest"], sizes)


def layout(folder: Path, layers: Sequence[bytes], tag: str = "") -> Layout:
    """A layout of one image."""
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
    return close(folder, image(folder, layers) | named)

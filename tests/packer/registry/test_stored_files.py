"""An image of a registry is read with no more requests than it has documents and parts."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from formats.reading.image_layout import images, read_image
from layers.errors import PackError
from packer.registry.reference import Reference
from packer.registry.repository import Repository
from packer.registry.stored_files import RegistryFiles
from packer.registry.transport import Access, Transport
from tests.oracle.registry import Registry
from tests.support import fault_proxy, stored_images
from tests.support.pushing import QUICK, Nobody, push_layout
from tests.support.stored_images import MANIFEST, Layout


@contextmanager
def _files(address: str, name: str) -> Iterator[RegistryFiles]:
    reference = Reference.parse(f"{address}/{name}:1")
    with Transport(reference, Access(Nobody(), limits=QUICK), [f"repository:{name}:pull"]) as transport:
        yield RegistryFiles(reference, Repository(reference, transport))


def _read(files: RegistryFiles) -> list[bytes]:
    """The layers' bytes."""
    (found,) = images(files)
    return [b"".join(layer.blob.pieces()) for layer in read_image(files, found)[1]]


def test_nobody_asks_whether_a_layer_is_there(registry: Registry, tmp_path: Path) -> None:
    layers = [bytes([rank]) * (5 << 20) for rank in range(3)]
    push_layout(stored_images.layout(tmp_path / "layout", layers).folder, f"{registry.address}/asked:1")
    with fault_proxy.fault_proxy(registry.port) as proxy, _files(proxy.address, "asked") as files:
        assert _read(files) == layers
        asked = [request.partition(b"\r\n")[0].split(b" ") for request in proxy.requests]
    parts = [path.rpartition(b"/")[0] for method, path, _ in asked if method == b"GET"]
    assert parts == [b"/v2", b"/v2/asked/manifests", *[b"/v2/asked/blobs"] * (1 + 2 * len(layers))]
    assert len(parts) == len(asked)


def _claim(registry: Registry, layout: Layout, name: str, more: int) -> None:
    """Have a manifest say another size than its layer has."""
    manifest = json.loads(layout.path(layout.digest).read_text())
    manifest["layers"][0]["size"] += more
    (layout.folder / "manifest").write_text(json.dumps(manifest))
    subprocess.run(
        ["curl", "-sf", "-T", layout.folder / "manifest", "-H", f"Content-Type: {MANIFEST}",
         f"http://{registry.address}/v2/{name}/manifests/1"], check=True,
    )  # fmt: skip


@pytest.mark.parametrize("more", [1, 4 << 20])
def test_a_layer_is_smaller_than_the_manifest_says(registry: Registry, tmp_path: Path, more: int) -> None:
    layout = stored_images.layout(tmp_path / "layout", [b"a layer"])
    push_layout(layout.folder, f"{registry.address}/smaller:1")
    _claim(registry, layout, "smaller", more)
    with _files(registry.address, "smaller") as files, pytest.raises(PackError, match="has 7 bytes, fewer than"):
        _read(files)


def test_a_layer_that_is_gone(registry: Registry, tmp_path: Path) -> None:
    layout = stored_images.layout(tmp_path / "layout", [b"a layer"])
    push_layout(layout.folder, f"{registry.address}/gone:1")
    with fault_proxy.fault_proxy(registry.port) as proxy, _files(proxy.address, "gone") as files:
        (found,) = images(files)
        layer = read_image(files, found)[1][0]
        proxy.always = fault_proxy.status("404 Not Found")
        with pytest.raises(PackError, match="is not given: the registry says 404"):
            list(layer.blob.pieces())

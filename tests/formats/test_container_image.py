"""The documents of an image, by the specification's own schemas and by what the system says."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from formats.container_image import ContainerImage, container_image, layer_requests
from formats.format import Order
from formats.image_index import ImageIndex
from formats.image_layout import LAYOUT
from formats.platform import PLATFORMS
from formats.system import Healthcheck, RunConfiguration, System
from layers.digest import Digest
from layers.entry import Data, File, Meta, Slice
from layers.errors import ChangedError
from layers.item import NarItem
from layers.placement import Placement
from layers.plan import plan
from layers.strategies import strategy
from tests.oracle.image_spec import problems
from tests.support.entries import noise
from tests.support.nar_items import nar_item
from tests.support.systems import item, system, workshop

_ITEMS = (item("base", {"base": b"1"}), item("leaf", {"leaf": b"22"}, ("base",)))

_RUN = RunConfiguration(
    entrypoint=("/bin/app",),
    cmd=("--serve",),
    env={"PATH": "/bin", "A": "b=c"},
    workdir="/srv",
    user="www-data:www-data",
    labels={"maintainer": "nobody"},
    ports=("80/tcp", "53/udp"),
    volumes=("/data",),
    stop_signal="SIGQUIT",
    healthcheck=Healthcheck(("CMD", "/bin/check"), 30 * 10**9, 10**9, 90 * 10**9, 5 * 10**8, 3),
)


def _image(tmp_path: Path, of: System, compression: str = "gzip", max_layers: int = 100) -> ContainerImage:
    with workshop(tmp_path, compression) as made_with:
        order = Order(of, plan(of.closure, strategy("size"), max_layers), made_with, "")
        return container_image(order, made_with.layers(layer_requests(order)))


def _config(tmp_path: Path, of: System) -> Any:
    return json.loads(_image(tmp_path, of).config)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("run", [RunConfiguration(), _RUN], ids=["empty", "full"])
def test_the_schemas_accept_all_documents(tmp_path: Path, run: RunConfiguration, compression: str) -> None:
    image = _image(tmp_path, system(*_ITEMS, run=run), compression)
    documents = {
        "config": image.config, "image-manifest": image.manifest, "image-layout": LAYOUT,
        "image-index": ImageIndex.of([image]).entry_point,
    }  # fmt: skip
    assert not [found for name, document in documents.items() for found in problems(name, document)]


def test_an_item_that_lands_elsewhere_has_another_layer(tmp_path: Path) -> None:
    moved = replace(_ITEMS[0], placement=Placement(((b"bin", b"usr/bin"),)))
    moved, plain = (replace(one, contents=item("x", {"bin/x": b"1"}).contents) for one in (moved, _ITEMS[0]))
    layers = [_image(tmp_path, system(one)).layers[0].digest for one in (moved, plain, moved, plain)]
    assert layers[0] != layers[1]
    assert layers[:2] == layers[2:]


def test_the_schemas_refuse_what_is_wrong(tmp_path: Path) -> None:
    manifest = json.loads(_image(tmp_path, system(*_ITEMS)).manifest)
    manifest["layers"][0]["digest"] = "sha256"
    assert problems("image-manifest", json.dumps(manifest).encode())


def test_the_configuration_says_how_it_runs(tmp_path: Path) -> None:
    assert _config(tmp_path, system(*_ITEMS, run=_RUN))["config"] == {
        "Entrypoint": ["/bin/app"],
        "Cmd": ["--serve"],
        "Env": ["A=b=c", "PATH=/bin"],
        "WorkingDir": "/srv",
        "User": "www-data:www-data",
        "Labels": {"maintainer": "nobody"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGQUIT",
        "Healthcheck": {
            "Test": ["CMD", "/bin/check"],
            "Interval": 30_000_000_000,
            "Timeout": 1_000_000_000,
            "StartPeriod": 90_000_000_000,
            "StartInterval": 500_000_000,
            "Retries": 3,
        },
    }


def test_what_a_healthcheck_leaves_to_the_runtime_is_not_said(tmp_path: Path) -> None:
    run = RunConfiguration(healthcheck=Healthcheck(("NONE",)))
    assert _config(tmp_path, system(*_ITEMS, run=run))["config"] == {"Healthcheck": {"Test": ["NONE"]}}


@pytest.mark.parametrize(
    ("platform", "architecture", "variant"),
    [
        ("x86_64-linux", "amd64", None),
        ("i686-linux", "386", None),
        ("aarch64-linux", "arm64", "v8"),
        ("armhf-linux", "arm", "v7"),
        ("riscv64-linux", "riscv64", None),
        ("ppc64le-linux", "ppc64le", None),
        ("s390x-linux", "s390x", None),
        ("mips64el-linux", "mips64le", None),
        ("i586-gnu", "386", None),
    ],
)
def test_platforms(tmp_path: Path, platform: str, architecture: str, variant: str | None) -> None:
    image = _image(tmp_path, system(*_ITEMS, platform=platform))
    config, index = json.loads(image.config), json.loads(ImageIndex.of([image]).entry_point)
    described = index["manifests"][0]["platform"]
    kernel = "hurd" if platform.endswith("-gnu") else "linux"
    assert (config["architecture"], config.get("variant"), config["os"]) == (architecture, variant, kernel)
    assert (described["architecture"], described.get("variant"), described["os"]) == (architecture, variant, kernel)


def test_every_platform_is_in_the_table_above() -> None:
    assert len(PLATFORMS) == 9


def test_history_names_what_each_layer_holds(tmp_path: Path) -> None:
    config = _config(tmp_path, system(*_ITEMS))
    comments = [entry["comment"] for entry in config["history"]]
    assert comments == ["leaf 1.0 (number 1 by size)", "base 1.0 (number 2 by size)", "customization"]
    assert len(config["rootfs"]["diff_ids"]) == len(comments)


def test_all_times_are_the_epoch(tmp_path: Path) -> None:
    image = _image(tmp_path, system(*_ITEMS))
    config, manifest = json.loads(image.config), json.loads(image.manifest)
    times = {config["created"], *(entry["created"] for entry in config["history"])}
    assert times | {manifest["annotations"]["org.opencontainers.image.created"]} == {"1970-01-01T00:00:01Z"}


def test_when_it_was_made_is_told_apart_from_the_times_of_files(tmp_path: Path) -> None:
    before, after = (_image(tmp_path, system(*_ITEMS, created=created)) for created in (None, 1_747_733_400))
    config, manifest = json.loads(after.config), json.loads(after.manifest)
    times = {config["created"], *(entry["created"] for entry in config["history"])}
    assert times | {manifest["annotations"]["org.opencontainers.image.created"]} == {"2025-05-20T09:30:00Z"}
    assert after.layers == before.layers
    assert after.config != before.config


def test_annotations_of_the_user_win(tmp_path: Path) -> None:
    of = system(*_ITEMS, annotations={"org.opencontainers.image.title": "Other", "org.example.key": "value"})
    annotations = json.loads(_image(tmp_path, of).manifest)["annotations"]
    assert annotations["org.opencontainers.image.title"] == "Other"
    assert annotations["org.opencontainers.image.version"] == "1.0"
    assert annotations["org.example.key"] == "value"


def test_the_manifest_says_what_compressed_the_layers(tmp_path: Path) -> None:
    annotations = json.loads(_image(tmp_path, system(*_ITEMS)).manifest)["annotations"]
    assert annotations["ocipack.compression"].startswith("gzip level 3, isal ")


def test_a_layer_is_at_home_in_the_cache_under_its_digest(tmp_path: Path) -> None:
    image = _image(tmp_path, system(*_ITEMS))
    for layer in image.layers:
        blob = (tmp_path / "blobs" / "sha256" / layer.digest.hex).read_bytes()
        assert (Digest.of(blob), len(blob)) == (layer.digest, layer.size)


def test_one_changed_item_changes_one_layer(tmp_path: Path) -> None:
    before = _image(tmp_path, system(*_ITEMS))
    changed = item("leaf", {"leaf": b"23"}, ("base",))
    after = _image(tmp_path, system(_ITEMS[0], changed))
    assert [old == new for old, new in zip(before.layers, after.layers, strict=True)] == [False, True, True]


def _store_item(path: str, data: bytes, *references: str) -> NarItem:
    return nar_item(path, File(path.strip("/").encode(), Data(data), Meta(0o444)), references=references)


def _tail(tmp_path: Path, large: str) -> tuple[list[str], Digest]:
    """The order of the two small items that share a layer, and that layer's key; a large item needs one of them."""
    small = [_store_item("/gnu/store/b-b", b"b"), _store_item("/gnu/store/c-c", b"c")]
    of = system(*small, _store_item(large, noise(10_000), "/gnu/store/c-c"))
    with workshop(tmp_path) as made_with:
        order = Order(of, plan(of.closure, strategy("size"), 3), made_with, "")
        (group,) = (group for group in order.plan.groups if len(group.items) == len(small))
        return [item.name for item in group.items], layer_requests(order)[order.plan.groups.index(group)].key


def test_the_order_of_a_stores_items_is_no_part_of_a_layers_key(tmp_path: Path) -> None:
    before, key = _tail(tmp_path, "/gnu/store/a-large")
    after, same = _tail(tmp_path, "/gnu/store/z-large")
    assert (before, after) == (["c", "b"], ["b", "c"])
    assert key == same


def test_what_another_item_replaces_is_not_in_the_layer_and_is_in_its_key(tmp_path: Path) -> None:
    whole = system(*_ITEMS)
    without = replace(whole, omitted={"leaf": frozenset({b"leaf"})})
    before, after = _image(tmp_path, whole), _image(tmp_path, without)
    assert before.layers[0].diff_id != after.layers[0].diff_id
    assert before.layers[1:] == after.layers[1:]


def test_a_file_that_changes_between_key_and_layer_is_not_kept_under_the_key(tmp_path: Path) -> None:
    """Of a file whose state nobody knows: what is in the cache would be wrong for ever."""
    source = tmp_path / "source"
    of = replace(system(*_ITEMS), customization=(File(b"etc-motd", Slice(str(source), 0, 4)),))
    with workshop(tmp_path / "cache") as made_with:
        order = Order(of, plan(of.closure, strategy("size"), 100), made_with, "")
        source.write_bytes(b"AAAA")
        requests = layer_requests(order)
        source.write_bytes(b"BBBB")
        with pytest.raises(ChangedError, match="the layer customization changed"):
            made_with.layers(requests)
        source.write_bytes(b"AAAA")
        layers = made_with.layers(layer_requests(order))
        blob = Path(made_with.cache.path(layers[-1].digest)).read_bytes()
    assert gzip.decompress(blob)[512:516] == b"AAAA"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello", "docker.io/library/hello:1.0"),
        ("team/app", "docker.io/team/app:1.0"),
        ("docker.io/hello", "docker.io/library/hello:1.0"),
        ("ghcr.io/team/app", "ghcr.io/team/app:1.0"),
        ("localhost/app", "localhost/app:1.0"),
        ("localhost:5000/app", "localhost:5000/app:1.0"),
    ],
)
def test_the_containerd_store_is_told_the_whole_name(tmp_path: Path, name: str, expected: str) -> None:
    index = json.loads(ImageIndex.of([_image(tmp_path, system(*_ITEMS, name=name))]).entry_point)
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": expected,
        "org.opencontainers.image.ref.name": "1.0",
    }

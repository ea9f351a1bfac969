"""A system as a container image: layers, configuration and manifest.

    manifest -> configuration
             -> layer, layer, ..., customization layer

The documents are those of the OCI image specification 1.1 (config.md, manifest.md, annotations.md); docker reads the
same configuration. Their bytes are canonical JSON: sorted keys, no spaces, UTF-8. What names the manifest is in
`image_index`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from formats import layer_items
from formats.format import Order
from formats.identity import item_facts, stream_digest
from formats.platform import Platform
from formats.system import Healthcheck, RunConfiguration, System
from layers.base import BaseLayer
from layers.blob import Layer, LayerRequest, layer_key, verbatim_key
from layers.digest import Digest
from layers.entry import File
from layers.item import NarItem
from layers.plan import Group

Json = dict[str, Any]
Items = Sequence[Sequence[layer_items.Row]]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = {
    "none": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image whose layers are in the cache.

    Attributes:
        repository: canonical name.
        tag: of this version.
        platform: the processor that it is for.
        config: bytes of the configuration.
        manifest: bytes of the manifest.
        layers: lowest first; a layer may occur twice.
    """

    repository: str
    tag: str
    platform: Platform
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def reference(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"

    @property
    def annotations(self) -> dict[str, str]:
        """Those of the manifest."""
        found: dict[str, str] = json.loads(self.manifest)["annotations"]
        return found


@dataclass(frozen=True, slots=True)
class ImageArtefact:
    """An artefact that holds one image.

    Attributes:
        path: where it is.
        reference: repository and tag.
        digest: of the image's manifest: what a registry calls it.
        image_id: digest of the image's configuration: what docker calls it.
        layers: lowest first, the customization layer last.
    """

    path: str
    reference: str
    digest: Digest
    image_id: Digest
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, image: ContainerImage, path: str) -> "ImageArtefact":
        """The artefact at a path that holds an image."""
        return cls(path, image.reference, Digest.of(image.manifest), Digest.of(image.config), image.layers)

    @property
    def summary(self) -> str:
        """See `formats.format.Artefact`."""
        return f"{self.reference} {self.digest} ({len(self.layers)} layers)"

    @property
    def facts(self) -> Json:
        """See `formats.format.Artefact`."""
        return {
            "reference": self.reference,
            "digest": str(self.digest),
            "image-id": str(self.image_id),
            "layers": [layer_facts(layer) for layer in self.layers],
        }


def layer_facts(layer: Layer) -> Json:
    """What programs are told of a layer."""
    return {
        "diff-id": str(layer.diff_id),
        "digest": str(layer.digest),
        "size": layer.size,
        "compression": layer.compression,
    }


def layer_requests(order: Order) -> list[LayerRequest]:
    """The layers of an image, lowest first, the customization layer last."""
    return [*(_group_request(order, group) for group in order.plan.groups), _customization_request(order)]


def container_image(order: Order, layers: Sequence[Layer]) -> ContainerImage:
    """The documents of an image.

    Args:
        order: what to make.
        layers: what came of `layer_requests`.
    """
    system, codec = order.system, order.workshop.codec
    items = layer_items.rows([group.items for group in order.plan.groups])
    config = canonical_json(_config(order, layers, items))
    compression = f"{codec.name} level {codec.level}, {codec.library}"
    manifest = canonical_json(_manifest(system, config, layers, items, compression))
    named = system.image_name
    return ContainerImage(named.repository, named.tag, system.platform, config, manifest, tuple(layers))


def canonical_json(value: object) -> bytes:
    """The one way in which we write JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _group_request(order: Order, group: Group) -> LayerRequest:
    system, workshop = order.system, order.workshop
    if isinstance(group.items[0], BaseLayer):
        return _base_request(group.items[0])
    items = [item_facts(item, system.omitted.get(item.path, frozenset())) for item in group.items]
    if all(isinstance(item, NarItem) for item in group.items):
        items.sort()  # they have no folder in common, and their order changes with the path of any item
    facts: Json = {"items": items}
    if not workshop.verify:
        facts["verified"] = False  # a later build that verifies must not take its word
    return LayerRequest(
        title=layer_items.title(group.items),
        key=layer_key(facts, workshop.codec, workshop.epoch),
        size=group.size,
        entries=lambda reader: system.group_entries(group.items, reader, verify=workshop.verify),
    )


def _base_request(item: BaseLayer) -> LayerRequest:
    verbatim = item.verbatim
    key = verbatim_key(verbatim.layer.digest)
    return LayerRequest(str(item), key, verbatim.layer.size, lambda _: (), verbatim=verbatim)


def _customization_request(order: Order) -> LayerRequest:
    workshop, entries = order.workshop, order.system.customization
    stream = stream_digest(entries, workshop.epoch)
    return LayerRequest(
        title="customization",
        key=layer_key({"stream": str(stream)}, workshop.codec, workshop.epoch),
        size=sum(entry.content.size for entry in entries if isinstance(entry, File)),
        entries=lambda _: entries,
        diff_id=stream,
    )


def _config(order: Order, layers: Sequence[Layer], items: Items | None) -> Json:
    system = order.system
    created = _created(system)
    history = _history(order, created)
    of_layers = [entry for entry in history if not entry.get("empty_layer")]
    for entry, rows in zip(of_layers, items or (), strict=False):
        entry[layer_items.KEY] = rows
    return _without_empty(
        {
            "created": created,
            "architecture": system.platform.architecture,
            "variant": system.platform.variant,
            "os": system.platform.system,
            "config": _run_config(system.run),
        }
    ) | {
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
        "history": history,
    }


def _history(order: Order, created: str) -> list[Json]:
    """What became of what: the base's own history, then a layer each of ours."""
    base = order.system.base.history if order.system.base else ()
    groups = [group for group in order.plan.groups if not group.is_base]
    comments = [*(layer_items.comment(group.items, group.reason) for group in groups), "customization"]
    ours = ({"created": created, "created_by": "ocipack", "comment": comment} for comment in comments)
    return [*map(dict, base), *ours]


def _run_config(run: RunConfiguration) -> Json:
    return _without_empty(
        {
            "Entrypoint": list(run.entrypoint),
            "Cmd": list(run.cmd),
            "Env": [f"{name}={value}" for name, value in sorted(run.env.items())],
            "WorkingDir": run.workdir,
            "User": run.user,
            "Labels": dict(run.labels),
            "ExposedPorts": {port: {} for port in run.ports},
            "Volumes": {volume: {} for volume in run.volumes},
            "StopSignal": run.stop_signal,
            "Healthcheck": _healthcheck(run.healthcheck) if run.healthcheck else {},
        }
    )


def _healthcheck(check: Healthcheck) -> Json:
    return _without_empty(
        {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
    )


def _without_empty(fields: Json) -> Json:
    return {key: value for key, value in fields.items() if value}


def _manifest(system: System, config: bytes, layers: Sequence[Layer], items: Items | None, compression: str) -> Json:
    descriptors: list[Json] = [
        {"mediaType": _LAYER[layer.compression], "digest": str(layer.digest), "size": layer.size} for layer in layers
    ]
    for described, rows in zip(descriptors, items or (), strict=False):  # the customization layer has none
        described["annotations"] = {layer_items.KEY: layer_items.annotation(rows)}
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": descriptors,
        "annotations": {**annotations(system), "ocipack.compression": compression},
    }


def annotations(system: System) -> dict[str, str]:
    """What is known about a system, under the specification's keys; the user's own win."""
    known = {
        "org.opencontainers.image.created": _created(system),
        "org.opencontainers.image.title": system.name,
        "org.opencontainers.image.version": system.version,
        "org.opencontainers.image.base.name": system.base.name if system.base else "",
        "org.opencontainers.image.base.digest": str(system.base.digest or "") if system.base else "",
    }
    return {**_without_empty(known), **system.annotations}


def descriptor(media_type: str, document: bytes) -> Json:
    """What names a document in another one (image-spec, descriptor.md)."""
    return {"mediaType": media_type, "digest": str(Digest.of(document)), "size": len(document)}


def _created(system: System) -> str:
    seconds = system.epoch if system.created is None else system.created
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

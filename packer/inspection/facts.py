"""What was found, as JSON for programs: docs/inspect.md has every key.

Paths and names that are no UTF-8 have lone surrogates for their odd bytes, as Python's `os.fsdecode` makes them.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

from formats.reading.artefact import StoredImage, StoredLayer
from formats.reading.disk import Partition
from formats.reading.listing import Node
from formats.reading.merged import Placed
from packer.inspection.accounts import User
from packer.inspection.difference import Difference, EntryChange, ItemChange
from packer.inspection.inspection import Inspection, LayerFacts
from packer.inspection.items import Item
from packer.inspection.outline import Outline, OutlineDifference

_FORMAT = 1  # counts up when a key changes its meaning or goes


def inspection_json(found: Inspection, *, files: bool) -> str:
    """An artefact.

    Args:
        found: the artefact.
        files: whether to list its entries.
    """
    facts: dict[str, Any] = {
        "version": _FORMAT,
        "path": found.artefact.path,
        "kind": found.kind,
        "form": found.artefact.form,
        "size": found.artefact.size,
        "file-size": found.file_size,
        "hidden-size": found.tree.hidden,
        "entries": len(found.tree.nodes),
        "system": found.system,
        "image": _image(found.artefact.image),
        "disk": _disk(found),
        "layers": [_layer(layer) for layer in found.layers],
        "items": [_item(item) for item in found.items.all.values()],
        "users": [_user(user) for user in found.users],
        "special": [{"reason": reason, **_node(node)} for reason, node in found.special()],
        "notes": list(found.notes),
    }
    if files:
        owners = found.items.owners
        facts["files"] = [
            {**_node(placed.node), **_origin(placed, found), "item": _path(owners.get(placed.node.path))}
            for placed in found.tree
        ]
    return _json(facts)


def difference_json(difference: Difference) -> str:
    """A difference."""
    return _json(
        {
            "version": _FORMAT,
            "equal": not difference,
            "items": [_item_change(change) for change in difference.items],
            "entries": [_entry_change(change) for change in difference.entries],
            "causes": [{"cause": cause, "bytes": size} for cause, size in difference.causes.items()],
            "configuration": {key: list(pair) for key, pair in difference.configuration.items()},
            "layers": [_layer(layer) for layer in difference.layers],
            "layers-gone": difference.layers_gone,
            "pull-size": difference.pull_size,
        }
    )


def outline_json(found: Outline) -> str:
    """An image by its documents alone."""
    layers = [_stored(layer) for layer in found.artefact.layers]
    return _json(
        {
            "version": _FORMAT,
            "path": found.artefact.path,
            "kind": found.artefact.kind,
            "size": found.size,
            "image": _image(found.image),
            "layers": layers,
            "items": [_item(item) for item in found.items.values()],
        }
    )


def index_json(found: Sequence[Outline]) -> str:
    """The images of an index."""
    images = [{**(_image(one.image) or {}), "size": one.size, "layers": len(one.artefact.layers)} for one in found]
    return _json({"version": _FORMAT, "path": found[0].artefact.path, "images": images})


def outline_difference_json(difference: OutlineDifference) -> str:
    """A difference between two images by their documents alone."""
    return _json(
        {
            "version": _FORMAT,
            "equal": not difference,
            "items": [_item_change(change) for change in difference.items],
            "configuration": {key: list(pair) for key, pair in difference.configuration.items()},
            "layers": [{**_stored(each.layer), "causes": list(each.causes)} for each in difference.layers],
            "layers-gone": difference.layers_gone,
            "pull-size": difference.pull_size,
        }
    )


def _origin(placed: Placed, found: Inspection) -> dict[str, int]:
    disk = found.artefact.disk
    return {"partition": disk.partitions[placed.layer].entry.number} if disk else {"layer": placed.layer + 1}


def _disk(found: Inspection) -> dict[str, Any] | None:
    disk = found.artefact.disk
    if not disk:
        return None
    return {
        "size": disk.size,
        "table": disk.table or None,
        "uuid": disk.uuid or None,
        "boot-code": str(disk.boot_code) if disk.boot_code else None,
        "partitions": [_partition(*pair) for pair in zip(disk.partitions, found.mounts, strict=True)],
    }


def _partition(partition: Partition, mount: bytes | None) -> dict[str, Any]:
    entry = partition.entry
    return {
        "number": entry.number,
        "offset": entry.offset,
        "size": entry.size,
        "type": entry.type,
        "label": entry.label,
        "uuid": entry.uuid,
        "bootable": entry.bootable,
        "file-system": partition.file_system or None,
        "file-system-label": partition.label,
        "file-system-uuid": partition.uuid,
        "digest": str(partition.digest) if partition.digest else None,
        "mount": None if mount is None else "/" + os.fsdecode(mount),
    }


def _stored(layer: StoredLayer) -> dict[str, Any]:
    return {
        "digest": str(layer.digest) if layer.digest else None,
        "diff-id": str(layer.diff_id),
        "size": layer.blob.size,
        "media-type": layer.media_type,
        "created-by": layer.created_by,
        "comment": layer.comment,
        "items": None if layer.items is None else [item.path for item in layer.items],
    }


def _image(image: StoredImage | None) -> dict[str, Any] | None:
    if not image:
        return None
    return {
        "names": list(image.names),
        "platform": image.platform,
        "digest": str(image.manifest_digest) if image.manifest_digest else None,
        "image-id": str(image.config_digest),
        "created": image.config.get("created"),
        "config": image.config.get("config") or {},
        "annotations": image.manifest.get("annotations") or {},
    }


def _layer(layer: LayerFacts) -> dict[str, Any]:
    stored = layer.stored
    return {
        "digest": str(layer.digest),
        "diff-id": str(layer.diff_id),
        "size": stored.blob.size,
        "tar-size": layer.tar_size,
        "file-size": layer.file_size,
        "entries": layer.entries,
        "compression": layer.compression,
        "media-type": stored.media_type,
        "created-by": stored.created_by,
        "comment": stored.comment,
        "items": None if stored.items is None else [item.path for item in stored.items],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": item.name,
        "version": item.version,
        "path": item.path,
        "size": item.size,
        "identity": str(item.identity) if item.identity else None,
        "layer": None if item.layer is None else item.layer + 1,
    }


def _path(item: Item | None) -> str | None:
    return item.path if item else None


def _user(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "uid": user.uid,
        "gid": user.gid,
        "home": user.home,
        "shell": user.shell,
        "password": user.password.value,
        "can-log-in": user.can_log_in,
    }


def _node(node: Node) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "path": "/" + os.fsdecode(node.path),
        "type": node.kind.value,
        "mode": f"{node.meta.mode:04o}",
        "uid": node.meta.uid,
        "gid": node.meta.gid,
        "size": node.size,
    }
    if node.digest:
        facts["digest"] = str(node.digest)
    if node.target:
        facts["target"] = os.fsdecode(node.target)
    if node.same_as:
        facts["hard-link"] = "/" + os.fsdecode(node.same_as)
    if any(node.device):
        facts["device"] = list(node.device)
    if node.meta.xattrs:
        facts["xattrs"] = {os.fsdecode(name): value.hex() for name, value in node.meta.xattrs}
    return facts


def _item_change(change: ItemChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "before": _item(change.before) if change.before else None,
        "after": _item(change.after) if change.after else None,
    }


def _entry_change(change: EntryChange) -> dict[str, Any]:
    return {
        "path": "/" + os.fsdecode(change.path),
        "cause": change.cause,
        "bytes": change.bytes,
        "attributes": list(change.attributes),
        "before": _node(change.before) if change.before else None,
        "after": _node(change.after) if change.after else None,
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2)

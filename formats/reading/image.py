"""An image of documents that were read: its manifest, its configuration, its layers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from formats import layer_items
from formats.layer_items import LayerItem
from formats.reading import documents
from formats.reading.artefact import ArtefactError, Blob, StoredLayer
from formats.reading.documents import Descriptor, Json
from layers.digest import Digest


def layers_of(
    blobs: Sequence[Blob], descriptors: Sequence[Descriptor] | None, config: Json, origin: str
) -> tuple[StoredLayer, ...]:
    """The layers of an image, lowest first.

    Args:
        blobs: of the layers.
        descriptors: of the manifest; none if there is no manifest.
        config: of the image.
        origin: of the image, for messages.

    Raises:
        ArtefactError: the configuration does not fit.
        PackError: a list of items is none.
    """
    diff_ids = diff_ids_of(config, origin)
    if len(diff_ids) != len(blobs):
        raise ArtefactError(f"{origin}: {len(blobs)} layers, and {len(diff_ids)} diff_ids in the configuration")
    history = list(_history(config, origin))
    if len(history) != len(blobs):
        history = [{}] * len(blobs)  # some builders write none, or not all
    return tuple(
        _layer(
            blob, diff_id, descriptors[rank] if descriptors else None, history[rank], f"layer {rank + 1} of {origin}"
        )
        for rank, (blob, diff_id) in enumerate(zip(blobs, diff_ids, strict=True))
    )


def diff_ids_of(config: Json, origin: str) -> list[Digest]:
    """The digests of the layers' tars, lowest first.

    Raises:
        ArtefactError: there are none, or they are damaged.
    """
    where = f"{origin}: rootfs.diff_ids"
    rootfs = documents.table(config.get("rootfs"), f"{origin}: rootfs")
    return [documents.digest(each, where) for each in documents.array(rootfs.get("diff_ids"), where)]


def _history(config: Json, origin: str) -> Iterator[Json]:
    """What the history says about the layers that are not empty."""
    for each in documents.array(config.get("history"), f"{origin}: history"):
        entry = documents.table(each, f"{origin}: history")
        if entry.get("empty_layer") is not True:
            yield entry


def _layer(
    blob: Blob, diff_id: Digest, descriptor: Descriptor | None, history: Mapping[str, Any], title: str
) -> StoredLayer:
    return StoredLayer(
        title=title,
        blob=blob,
        digest=descriptor.digest if descriptor else None,
        diff_id=diff_id,
        media_type=descriptor.media_type if descriptor else "",
        items=_items(descriptor, history, title),
        created_by=documents.text(history.get("created_by"), f"{title}: created_by"),
        comment=documents.text(history.get("comment"), f"{title}: comment"),
    )


def _items(descriptor: Descriptor | None, history: Mapping[str, Any], title: str) -> tuple[LayerItem, ...] | None:
    if descriptor and layer_items.KEY in descriptor.annotations:
        return layer_items.parse_annotation(descriptor.annotations[layer_items.KEY], title)
    if layer_items.KEY in history:
        return layer_items.parse_rows(history[layer_items.KEY], title)
    return None

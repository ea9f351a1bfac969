"""Layers of bases that were read before: their blobs among all others, and beside them their tars, never unpacked.

    CACHE/layers, CACHE/blobs    as of layers that are made; see `layers.blob`
    CACHE/base/HEX.tar           the tar of a layer, by its diff_id

What an image holds is copied from ranges of the tars. A tar appears whole and compared with its digests, or not at all.
It is not synced: one that a power loss has cut is no archive any more, and is made anew.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from formats.reading.artefact import ArtefactError, Blob, FileBlob, StoredLayer, reading
from formats.reading.layer_stream import LayerStream
from formats.reading.listing import Budget, Node, memory
from layers.base import BaseLayer
from layers.blob import BlobCache, Layer, Verbatim, verbatim_key
from layers.cache import CacheFolder, Kept, is_named_truly, mark_used
from layers.digest import Digest, is_hex
from layers.entry import Device, DeviceKind, Directory, Entry, File, Hardlink, Slice, Symlink
from layers.errors import PackError
from layers.output import PendingFile, make_cache
from layers.tar_reader import FileStream, Kind, TarReader

_TAR = ".tar"
_COMPRESSIONS = ("none", "gzip", "zstd")
_DEVICES = {Kind.CHARACTER: DeviceKind.CHARACTER, Kind.BLOCK: DeviceKind.BLOCK, Kind.FIFO: DeviceKind.FIFO}


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What is in a layer: nodes whose contents are ranges of its tar.

    Attributes:
        tar: path of the tar.
        nodes: in its order, whiteouts among them.
    """

    tar: str
    nodes: tuple[Node, ...]

    @property
    def file_size(self) -> int:
        """Bytes of all files."""
        return sum(node.size for node in self.nodes)

    def entries(self) -> Iterator[Entry]:
        """See `layers.item.Contents`."""
        return map(entry_of, self.nodes)


def entry_of(node: Node) -> Entry:
    """The entry that a node is."""
    match node.kind:
        case Kind.DIRECTORY:
            return Directory(node.path, node.meta)
        case Kind.SYMLINK:
            return Symlink(node.path, node.target, node.meta)
        case Kind.HARDLINK:
            return Hardlink(node.path, node.same_as)
        case Kind.FILE if node.content:
            return File(node.path, node.content, node.meta)
        case _:
            return Device(node.path, _DEVICES[node.kind], *node.device, node.meta)


@dataclass(frozen=True, slots=True)
class KeptLayer:
    """A layer in the cache.

    Attributes:
        verbatim: the layer, and where its blob is.
        contents: what is in it.
    """

    verbatim: Verbatim
    contents: LayerContents

    def item(self, path: str, name: str, references: tuple[str, ...]) -> BaseLayer:
        """The layer as an item."""
        identity = self.verbatim.layer.diff_id
        size = self.contents.file_size
        return BaseLayer(path, name, "", identity, size, references, self.contents, self.verbatim)


class LayerCache:
    """Layers of bases.

    Args:
        cache: for all stores.
        folder: of it, for tars; made when it is missing.

    Raises:
        OutputError: it cannot be made.
    """

    def __init__(self, cache: str, folder: str) -> None:
        self._blobs = BlobCache(cache)
        self._folder = folder
        make_cache(folder)

    def find(self, stored: StoredLayer) -> KeptLayer | None:
        """The layer, if its blob and its tar are here and whole."""
        layer = self._blobs.find(verbatim_key(_digest(stored)))
        if not layer or layer.diff_id != stored.diff_id:
            return None
        path = self._path(layer.diff_id)
        try:
            with open(path, "rb", buffering=0) as tar:
                contents = _contents(tar, path, stored.title)
        except (OSError, PackError):
            return None
        mark_used(path)
        return KeptLayer(self._verbatim(layer), contents)

    def keep(self, stored: StoredLayer) -> KeptLayer:
        """Read the layer, and keep it.

        Raises:
            ArtefactError: it is not what its digests say, or is compressed in a way that layers are not.
            PackError: it cannot be read, or is no tar of a layer.
            OutputError: the cache cannot be written.
        """
        known = self._blobs.find(verbatim_key(_digest(stored)))
        source = FileBlob(self._blobs.path(known.digest), 0, known.size) if known else stored.blob
        with (
            self._blobs.pending() as copy,
            PendingFile(self._folder) as tar,
            ThreadPoolExecutor(2) as hasher,
        ):
            stream = LayerStream(replace(stored, blob=_Copied(source, copy, stored.title)), hasher)
            if stream.compression not in _COMPRESSIONS:
                raise ArtefactError(f"{stored.title} is compressed with {stream.compression}, as no layer is")
            for piece in stream.pieces():
                tar.write(piece)
            found = stream.digests()
            _compare("digest", stored.digest, found.digest, stored.title)
            _compare("diff_id", stored.diff_id, found.diff_id, stored.title)
            path = self._path(found.diff_id)
            contents = _contents(tar.file, path, stored.title)
            tar.publish(os.path.basename(path), mode=0o400, durable=False)
            layer = Layer(found.diff_id, found.digest, stored.blob.size, stream.compression)
            self._blobs.keep(verbatim_key(layer.digest), layer, copy)
        return KeptLayer(self._verbatim(layer), contents)

    def _verbatim(self, layer: Layer) -> Verbatim:
        return Verbatim(layer, Slice(self._blobs.path(layer.digest), 0, layer.size))

    def _path(self, diff_id: Digest) -> str:
        return os.path.join(self._folder, diff_id.hex + _TAR)


@dataclass(frozen=True, slots=True)
class _Copied:
    """A blob that is written into a file while it is read."""

    blob: Blob
    copy: PendingFile
    title: str

    @property
    def size(self) -> int:
        return self.blob.size

    def pieces(self) -> Iterator[bytes]:
        for piece in self._read():
            self.copy.write(piece)  # a full disk is no damage of the layer
            yield piece

    def _read(self) -> Iterator[bytes]:
        with reading(self.title):
            yield from self.blob.pieces()


def _digest(stored: StoredLayer) -> Digest:
    """Of the blob: `docker save` before version 25 writes none down."""
    if stored.digest:
        return stored.digest
    with reading(stored.title):
        return Digest.of_stream(stored.blob.pieces())


def _compare(what: str, expected: Digest | None, found: Digest, title: str) -> None:
    if expected and expected != found:
        raise ArtefactError(f"{title} is damaged: its {what} is {found}, and not {expected}")


def _contents(tar: BinaryIO, path: str, title: str) -> LayerContents:
    """What is in a tar: its headers are read, and no content."""
    budget, nodes = Budget(), []
    stream = FileStream(tar.fileno(), os.fstat(tar.fileno()).st_size)
    for header in TarReader(stream, title):
        budget.take(memory(header.path, header.target, header.meta), title)
        link = header.target if header.kind is Kind.HARDLINK else b""
        nodes.append(
            Node(
                header.path,
                header.kind,
                header.meta,
                header.size,
                b"" if link else header.target,
                header.device,
                header.mtime,
                same_as=link,
                content=Slice(path, stream.position, header.size) if header.kind is Kind.FILE else None,
            )
        )
    return LayerContents(path, tuple(nodes))


def kept(folder: CacheFolder) -> Iterator[Kept]:
    """The tars of a folder of the cache; see `layers.cache.Keeper`."""
    for found in folder.found():
        name = found.name.removesuffix(_TAR)
        if found.is_file and name != found.name and is_hex(name):
            yield Kept("base layers", (found.path,), found.size, found.used, partial(is_named_truly, found.place, name))

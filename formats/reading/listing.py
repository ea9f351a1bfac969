"""What is in a layer: its nodes, with digests of their contents, from one pass over its bytes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field

from formats.reading.artefact import ArtefactError, StoredLayer, reading
from formats.reading.layer_stream import LayerStream
from layers.digest import Digest
from layers.entry import Meta, Slice
from layers.tar_reader import Header, Kind, PieceStream, TarReader

_MOST_METADATA = 1 << 30  # bytes of memory, of a whole artefact: 2 million entries
_NODE_BYTES = 400  # of memory, beside paths and attributes
_ATTRIBUTE_BYTES = 200  # of memory, beside its name and value
_LARGEST_KEPT = 16 << 20
_MOST_KEPT = 64 << 20


@dataclass(frozen=True, slots=True)
class Node:
    """A file-system object as an artefact has it; no content, but for the few that somebody wants to read.

    Attributes:
        path: as entries have it.
        kind: what it is; a hard link is what it links to, once layers are merged.
        meta: who owns it and who may do what with it.
        size: bytes of a file, else 0.
        target: of a symbolic link.
        device: major and minor number.
        mtime: seconds since 1970.
        digest: of a file's content.
        same_as: the path that a hard link names.
        data: the content, if it was to be kept.
        content: where the content is, if it is to be read later.
    """

    path: bytes
    kind: Kind
    meta: Meta
    size: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    mtime: int = 0
    digest: Digest | None = None
    same_as: bytes = b""
    data: bytes | None = None
    content: Slice | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A layer that was read.

    Attributes:
        nodes: in the order of the tar.
        digest: of its blob.
        diff_id: of its tar.
        size: bytes of its tar.
        compression: as `layers.decompress` calls it.
    """

    nodes: tuple[Node, ...]
    digest: Digest
    diff_id: Digest
    size: int
    compression: str


@dataclass(slots=True)
class Budget:
    """What reading an artefact may take.

    Attributes:
        metadata: bytes of memory.
        kept: bytes of contents.
    """

    metadata: int = field(default=_MOST_METADATA)
    kept: int = field(default=_MOST_KEPT)

    def take(self, size: int, title: str) -> None:
        """Count memory.

        Raises:
            ArtefactError: there is no more.
        """
        self.metadata -= size
        if self.metadata < 0:
            raise ArtefactError(f"{title}: more entries than anybody would pack")


def memory(path: bytes, target: bytes, meta: Meta) -> int:
    """Bytes that an entry takes, at most: others may have the same attributes.

    Args:
        path: of the entry.
        target: of a link.
        meta: who owns it and who may do what with it.
    """
    attributes = sum(_ATTRIBUTE_BYTES + len(name) + len(value) for name, value in meta.xattrs)
    return _NODE_BYTES + len(path) + len(target) + attributes


def list_layer(layer: StoredLayer, keep: Callable[[bytes], bool], executor: Executor, budget: Budget) -> Listing:
    """Read a layer, and compare it with its digests.

    Args:
        layer: where it is.
        keep: whether the content of a path is wanted, which must be small.
        executor: hashes, beside decompressing and reading.
        budget: shared by all layers of an artefact.

    Raises:
        ArtefactError: it is damaged, is not what its digests say, or takes more than anybody would pack.
    """
    with reading(layer.title):
        layer_stream = LayerStream(layer, executor)
        stream = PieceStream(layer_stream.pieces())
        tar = TarReader(stream, layer.title)
        nodes = tuple(nodes_of(((header, tar.content()) for header in tar), keep, budget, layer.title))
        digests = layer_stream.digests()
        found = Listing(nodes, digests.digest, digests.diff_id, stream.position, layer_stream.compression)
        _compare("digest", layer.digest, found.digest, layer.title)
        _compare("diff_id", layer.diff_id, found.diff_id, layer.title)
        return found


def _compare(what: str, expected: Digest | None, found: Digest, title: str) -> None:
    if expected and expected != found:
        raise ArtefactError(f"{title} is damaged: its {what} is {found}, and not {expected}")


def nodes_of(
    entries: Iterable[tuple[Header, Iterable[bytes | memoryview]]],
    keep: Callable[[bytes], bool],
    budget: Budget,
    title: str,
) -> Iterator[Node]:
    """The nodes of entries, their contents read.

    Args:
        entries: each with its content, which is only there until the next one is asked for.
        keep: whether the content of a path is wanted, which must be small.
        budget: shared by all parts of an artefact.
        title: whose entries they are, for messages.

    Raises:
        ArtefactError: they take more than anybody would pack.
        PackError: they are damaged.
    """
    for header, content in entries:
        budget.take(memory(header.path, header.target, header.meta), title)
        yield _node(header, content, keep, budget)


def _node(header: Header, content: Iterable[bytes | memoryview], keep: Callable[[bytes], bool], budget: Budget) -> Node:
    path, kind, meta = header.path, header.kind, header.meta
    if kind is Kind.HARDLINK:
        return Node(path, kind, meta, mtime=header.mtime, same_as=header.target)
    if kind is not Kind.FILE:
        return Node(path, kind, meta, 0, header.target, header.device, header.mtime)
    state = hashlib.sha256()
    kept: list[bytes] | None = None
    if keep(path) and header.size <= min(_LARGEST_KEPT, budget.kept):
        budget.kept -= header.size
        kept = []
    for piece in content:
        state.update(piece)
        if kept is not None:
            kept.append(bytes(piece))
    data = None if kept is None else b"".join(kept)
    return Node(path, kind, meta, header.size, mtime=header.mtime, digest=Digest(state.hexdigest()), data=data)

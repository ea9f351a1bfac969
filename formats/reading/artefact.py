"""What an artefact is, whoever made it: layers where they are stored, and the documents that are about them.

A tarball is an artefact of one layer without documents; a disk has partitions in place of layers.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from formats.layer_items import LayerItem, parse_reason
from layers.digest import Digest
from layers.errors import InputError, PackError
from layers.output import said

if TYPE_CHECKING:
    from formats.reading.disk import StoredDisk

_CHUNK = 1 << 18


class ArtefactError(InputError):
    """An artefact that cannot be read, or that is none."""


@contextlib.contextmanager
def reading(origin: str) -> Iterator[None]:
    """Say of errors in the block that the artefact is what is wrong.

    Raises:
        ArtefactError: it cannot be read, is damaged, or holds what nobody should unpack.
    """
    try:
        yield
    except ArtefactError:
        raise
    except PackError as error:
        raise ArtefactError(str(error)) from error
    except OSError as error:
        raise ArtefactError(f"cannot read {origin}: {said(error)}") from error


class Blob(Protocol):
    """Stored bytes.

    Attributes:
        size: in bytes.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    def pieces(self) -> Iterator[bytes]:
        """The bytes, a bounded piece at a time.

        Raises:
            PackError: they cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A range of a file.

    Attributes:
        path: of the file; a symbolic link is not followed.
        offset: first byte.
        size: number of bytes.
    """

    path: str
    offset: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """See `Blob`."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            offset, end = self.offset, self.offset + self.size
            while offset < end:
                data = os.pread(descriptor, min(_CHUNK, end - offset), offset)
                if not data:
                    raise ArtefactError(f"{self.path} became shorter while it was read")
                offset += len(data)
                yield data
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class DataBlob:
    """Bytes that are at hand.

    Attributes:
        data: the bytes.
    """

    data: bytes

    @property
    def size(self) -> int:
        """See `Blob`."""
        return len(self.data)

    def pieces(self) -> Iterator[bytes]:
        """See `Blob`."""
        yield self.data


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer, or the one tar of a tarball.

    Attributes:
        title: what it is, for messages.
        blob: its bytes.
        digest: what the blob must have, if something says so.
        diff_id: what the uncompressed tar must have, if something says so.
        media_type: as the manifest has it, or empty.
        whiteouts: whether names that begin with `.wh.` take away what lower layers have.
        items: what ocipack says that is in it; none if nobody says.
        created_by: of the history.
        comment: of the history.
    """

    title: str
    blob: Blob
    digest: Digest | None = None
    diff_id: Digest | None = None
    media_type: str = ""
    whiteouts: bool = True
    items: tuple[LayerItem, ...] | None = None
    created_by: str = ""
    comment: str = ""

    @property
    def reason(self) -> str:
        """Why its items are together; empty if nobody says."""
        return parse_reason(self.comment, self.items or ())


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The documents of an image.

    Attributes:
        names: repository and tag, or the tag alone; there may be none or several.
        manifest_digest: what registries call it; none if it is stored without a manifest.
        manifest: the document.
        config_digest: what docker calls it.
        config: the document.
        platform: `linux/arm64/v8`.
    """

    names: tuple[str, ...]
    manifest_digest: Digest | None
    manifest: Mapping[str, Any]
    config_digest: Digest
    config: Mapping[str, Any]
    platform: str


@dataclass(frozen=True, slots=True)
class StoredArtefact:
    """An artefact where it is stored.

    Attributes:
        path: of the file or folder.
        kind: `docker`, `oci`, `tarball`, `disk`, `iso9660` or `squashfs`.
        form: how it is stored: `folder`, `archive`, what a tarball is compressed with, or a disk's container.
        size: bytes of the file, or of the image's blobs in a folder.
        layers: lowest first; a disk has none.
        image: its documents; none for a tarball.
        disk: its partitions; none for what is no disk.
        notes: what people should know of how it is stored.
    """

    path: str
    kind: str
    form: str
    size: int
    layers: tuple[StoredLayer, ...]
    image: StoredImage | None = None
    disk: "StoredDisk | None" = None
    notes: tuple[str, ...] = field(default=())

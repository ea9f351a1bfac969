"""The files of an image archive or of a layout folder, by name: where they are, none of them read yet."""

import os
import posixpath
import re
import stat
from collections.abc import Mapping
from typing import Protocol

from formats.reading.artefact import ArtefactError, Blob, FileBlob
from layers.tar_reader import FileStream, Kind, TarReader

_MOST_MEMBERS = 20_000  # of an image archive: 125 layers are three files each; archives may hold many images
_MOST_MEMORY = 16 << 20  # bytes of their names, which have 100 each in images
_MOST_LINKS = 8
_NAME = re.compile(r"blobs/sha256/[0-9a-f]{64}|index\.json|oci-layout")


class Files(Protocol):
    """Files by name.

    Attributes:
        origin: the archive, the folder or the reference, for messages.
    """

    origin: str

    def find(self, name: str) -> Blob | None:
        """The file of a name, if there is one.

        Raises:
            ArtefactError: it cannot be looked at.
        """
        ...


class StoredFiles(Files, Protocol):
    """Files of this machine."""

    def find(self, name: str) -> FileBlob | None:
        """See `Files`."""
        ...


class FolderFiles:
    """The files of a layout in a folder.

    Args:
        folder: of the layout.
    """

    def __init__(self, folder: str) -> None:
        self.origin = folder

    def find(self, name: str) -> FileBlob | None:
        """See `Files`; only names that a layout has are looked for."""
        if not _NAME.fullmatch(name):
            return None
        path = os.path.join(self.origin, name)
        try:
            status = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise ArtefactError(f"{path} is not a file")
        return FileBlob(path, 0, status.st_size)


class ArchiveFiles:
    """The files of an uncompressed archive.

    Args:
        origin: the archive.
        files: what is in it.
        links: hard and symbolic links: docker before version 25 writes a layer that occurs twice as a link.
        twice: a name that is there twice: readers differ in which they take.
    """

    def __init__(self, origin: str, files: Mapping[str, FileBlob], links: Mapping[str, str], twice: str = "") -> None:
        self.origin = origin
        self.twice = twice
        self._files = files
        self._links = links

    def find(self, name: str) -> FileBlob | None:
        """See `Files`."""
        for _ in range(_MOST_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        return self._files.get(name)


def archive_files(path: str) -> ArchiveFiles:
    """The files of an archive, or of its beginning, if it has more members than image archives have.

    Raises:
        PackError: it is no archive, or a damaged one.
    """
    files: dict[str, FileBlob] = {}
    links: dict[str, str] = {}
    twice, left = "", _MOST_MEMORY
    with open(path, "rb", buffering=0) as file:
        stream = FileStream(file.fileno(), os.fstat(file.fileno()).st_size)
        for rank, header in enumerate(TarReader(stream, path)):
            left -= len(header.path) + len(header.target)
            if rank == _MOST_MEMBERS or left < 0:
                break
            name, target = os.fsdecode(header.path), os.fsdecode(header.target)
            if name in files or name in links:
                twice = twice or name
            if header.kind is Kind.FILE:
                files[name] = FileBlob(path, stream.position, header.size)
            elif header.kind is Kind.HARDLINK:
                links[name] = target
            elif header.kind is Kind.SYMLINK:
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return ArchiveFiles(path, files, links, twice)

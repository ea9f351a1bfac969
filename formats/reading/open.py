"""Recognising artefacts by what is in them."""

import os
import stat
from collections.abc import Sequence
from typing import TypeVar

from formats.reading import docker_archive, image_layout
from formats.reading.artefact import ArtefactError, FileBlob, StoredArtefact, StoredImage, StoredLayer, reading
from formats.reading.disk import ISO9660, SQUASHFS, StoredDisk, open_disk
from formats.reading.files import ArchiveFiles, Files, FolderFiles, StoredFiles, archive_files
from layers.decompress import compression_of
from layers.tar import BLOCK

_LAYOUT = "oci-layout"
_MAGIC = slice(257, 262)  # zeros before POSIX
_USTAR = b"ustar"
_KNOWN = (
    "It reads docker and OCI archives, OCI layout folders, tarballs, .wsl files, disks, ISO 9660 and squashfs images."
)
_IMAGES = "Images are docker and OCI archives, and OCI layout folders."


_Image = TypeVar("_Image")


def open_artefact(path: str, choice: str = "") -> StoredArtefact:
    """Look at an artefact; its layers are not read yet.

    Args:
        path: of a file or of a folder.
        choice: which of several images: name, platform or digest; empty if there is one.

    Raises:
        ArtefactError: it is none, is damaged, or has several images.
    """
    with reading(path):
        status = os.stat(path)
        real = os.path.realpath(path)
        if stat.S_ISDIR(status.st_mode):
            return _folder(real, path, choice)
        if not stat.S_ISREG(status.st_mode):
            raise ArtefactError(f"{path} is neither a file nor a folder", hint=_KNOWN)
        with open(real, "rb", buffering=0) as file:
            beginning = file.read(BLOCK)
        compression = compression_of(beginning)
        if compression == "none":
            if beginning[_MAGIC] != _USTAR:
                disk = open_disk(real, path)
                if disk:
                    return _disk(disk, path, status.st_size)
                if beginning[_MAGIC] != bytes(5):  # which a tar has that is older than POSIX
                    raise ArtefactError(f"{path} is nothing that ocipack reads", hint=_KNOWN)
            files = archive_files(real)
            if _is_image(files):
                return _archive(files, path, status.st_size, choice)
        layer = StoredLayer(path, FileBlob(real, 0, status.st_size), whiteouts=False)
        return StoredArtefact(path, "tarball", compression, status.st_size, (layer,))


def _disk(disk: StoredDisk, path: str, size: int) -> StoredArtefact:
    kind = disk.whole if disk.whole in (ISO9660, SQUASHFS) else "disk"
    return StoredArtefact(path, kind, disk.container, size, (), disk=disk, notes=disk.notes)


def may_be_image(path: str) -> bool:
    """Whether a path is a folder, or an archive of a kind that images are stored in.

    Raises:
        ArtefactError: it cannot be read.
    """
    with reading(path):
        if os.path.isdir(path):
            return True
        if not os.path.isfile(path) and os.path.exists(path):  # a pipe would let us wait for who writes
            raise ArtefactError(f"{path} is neither a file nor a folder", hint=_IMAGES)
        with open(path, "rb", buffering=0) as file:
            return file.read(BLOCK)[_MAGIC] == _USTAR


def refuse_compressed(path: str, said: str) -> None:
    """Refuse a file that is compressed as a whole: an image in it would have to be read twice.

    Args:
        path: of it.
        said: the path as people have it.

    Raises:
        ArtefactError: it is, or it cannot be read.
    """
    with reading(path):
        if not os.path.isfile(path):
            return
        with open(path, "rb", buffering=0) as file:
            compression = compression_of(file.read(BLOCK))
    if compression != "none":
        raise ArtefactError(f"{said} is compressed as a whole", hint=f"Undo {compression}'s compression first.")


def image_files(path: str) -> StoredFiles | None:
    """The files of an image archive or of a layout folder; None for a file that is neither.

    Raises:
        ArtefactError: it cannot be read, is damaged, or is a folder without a layout.
    """
    with reading(path):
        if not may_be_image(path):  # disks, too, may begin with zeros
            return None
        real = os.path.realpath(path)
        if os.path.isdir(real):
            folder = FolderFiles(real)
            if not folder.find(_LAYOUT):
                raise ArtefactError(f"{path} is a folder without an OCI image layout", hint=_IMAGES)
            return folder
        files = archive_files(real)
        if _is_image(files):
            _refuse_twice(files, path)
            return files
        return None


def _is_image(files: Files) -> bool:
    return bool(files.find(_LAYOUT) or files.find(docker_archive.NAME))


def _refuse_twice(files: ArchiveFiles, path: str) -> None:
    if files.twice:
        raise ArtefactError(f"{path} has {files.twice!r} twice: programs differ in which they take")


def _folder(real: str, path: str, choice: str) -> StoredArtefact:
    files = FolderFiles(real)
    if not files.find(_LAYOUT):
        raise ArtefactError(f"{path} is a folder without an OCI image layout", hint=_KNOWN)
    image, layers = _from_layout(files, choice)
    return StoredArtefact(path, "oci", "folder", sum(layer.blob.size for layer in layers), layers, image)


def _archive(files: ArchiveFiles, path: str, size: int, choice: str) -> StoredArtefact:
    """Of an archive that is both, the layout is read: it says more."""
    _refuse_twice(files, path)
    docker, notes = bool(files.find(docker_archive.NAME)), tuple[str, ...]()
    if not files.find(_LAYOUT):
        image, layers = docker_archive.read_image(
            files, _one(docker_archive.chosen(files, choice), docker_archive.images(files), choice, path)
        )
    else:
        image, layers = _from_layout(files, choice)
        notes = _differences(files, image) if docker else ()
    return StoredArtefact(path, "docker" if docker else "oci", "archive", size, layers, image, notes=notes)


def _from_layout(files: Files, choice: str) -> tuple[StoredImage, tuple[StoredLayer, ...]]:
    found, images = image_layout.chosen(files, choice), image_layout.images(files)
    return image_layout.read_image(files, _one(found, images, choice, files.origin))


def _differences(files: Files, image: StoredImage) -> tuple[str, ...]:
    """An archive for both docker and OCI could give each another image."""
    digests = [docker_archive.config_digest(files, found) for found in docker_archive.images(files)]
    if image.config_digest in digests:
        return ()
    return ("its manifest.json, which docker reads, has another image than its index.json, which others read",)


def _one(found: Sequence[_Image], images: Sequence[_Image], choice: str, path: str) -> _Image:
    """The only one that was found among images."""
    if len(found) == 1:
        return found[0]
    if not images:
        raise ArtefactError(f"{path} has no image")
    listed = "".join(f"\n  {image}" for image in images[:20])
    what = f"no image {choice!r}; there are" if choice and not found else f"{len(found)} images"
    raise ArtefactError(f"{path} has {what}:{listed}", hint="--image names one: its name, its platform or its digest.")

"""The folder from which podman and skopeo take signatures (containers-registries.d(5), signature-protocols.md).

    LOOKASIDE/team/app@sha256=HEX/signature-1
                                  signature-2      …  without a gap: readers end at the first that is missing

The registry's host is not part of it, and `=` stands for a digest's colon. A folder of a web server will do as well.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from layers.digest import Digest
from layers.errors import PackError
from layers.output import OutputError, PendingFile, said
from packer.signing.gpg import MOST_BYTES

_MOST = 100  # signatures of an image that are looked at


def signatures(folder: str, repository: str, digest: Digest) -> Iterator[bytes]:
    """The signatures of an image, whoever made them; one that is too long is cut.

    Args:
        folder: the lookaside.
        repository: in its registry.
        digest: of the manifest.

    Raises:
        PackError: one cannot be read.
    """
    place = _place(folder, repository, digest)
    for number in range(1, _MOST + 1):
        try:
            with open(os.path.join(place, f"signature-{number}"), "rb") as file:
                yield file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            raise PackError(f"a signature in {place} cannot be read: {said(error)}") from None


def add(folder: str, repository: str, digest: Digest, signature: bytes) -> str:
    """Put a signature behind those that are there; it is there whole or not at all.

    Returns:
        Its path.

    Raises:
        OutputError: the folder does not take it.
    """
    place = _place(folder, repository, digest)
    try:
        _make(folder, place)
        with _locked(place), PendingFile(place) as file:
            number = 1
            while os.path.lexists(os.path.join(place, f"signature-{number}")):
                number += 1
            file.write(signature)
            file.publish(f"signature-{number}")
    except OSError as error:
        raise OutputError(f"cannot write into {place}: {said(error)}") from error
    return os.path.join(place, f"signature-{number}")


def _place(folder: str, repository: str, digest: Digest) -> str:
    return os.path.join(folder, f"{repository}@sha256={digest.hex}")


def _make(folder: str, place: str) -> None:
    """Make the folders that are missing, for everybody to read: web servers and other users do."""
    missing = []
    while not os.path.isdir(place) and len(place) >= len(folder):
        missing.append(place)
        place = os.path.dirname(place)
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            os.chmod(path, 0o755)  # noqa: S103  # as any folder, whatever the umask


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Two that sign at the same time get two numbers."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

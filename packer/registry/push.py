"""An image into a repository: what is there already is neither made nor sent, and the tag comes last.

    all blobs    side by side   is it there?  can it be mounted?
    the others                  made, if they are not at hand
                 side by side   sent
    manifests    one by one     those that others name first, by their digests; the last one under the tag

A push that fails leaves the tag as it was; what has arrived by then is found by the next one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

from layers.digest import Digest
from layers.errors import InputError
from layers.progress import Progress
from packer.registry.image import Blob, Image
from packer.registry.reference import Reference
from packer.registry.repository import Repository

_SIDE_BY_SIDE = 6  # as skopeo has it

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Outcome(Enum):
    """What became of a blob."""

    KNOWN = "known"
    MOUNTED = "mounted"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was done.

    Attributes:
        reference: of the image by its digest.
        digest: of the image.
        blobs: what became of each.
        is_new: whether the tag led elsewhere before.
        attached: digests of the manifests that attach something to it, by what that is.
    """

    reference: Reference
    digest: Digest
    blobs: Mapping[Blob, Outcome]
    is_new: bool
    attached: Mapping[str, Digest] = field(default_factory=dict)


class PushProgress(Progress, Protocol):
    """Watches a push; from several threads."""

    def transfer(self, what: str, done: int, size: int) -> None:
        """So many bytes of one of several pieces are done; less than before if it was begun anew."""
        ...


def push(image: Image, reference: Reference, repository: Repository, progress: PushProgress) -> Pushed:
    """Push an image.

    Args:
        image: what is pushed.
        reference: where to: under its tag, or under its digest if it has no tag.
        repository: the reference's.
        progress: is told what is done.

    Raises:
        InputError: the reference has a digest, and it is not the image's.
        RegistryError: the registry does not take it.
        PackError: a blob cannot be had.
    """
    digest = image.manifests[-1].digest
    if reference.digest and reference.digest != digest:
        raise InputError(f"{reference}: the image is {digest}")
    blobs = list(image.blobs)
    found = _side_by_side(lambda blob: _find(repository, blob), blobs, repository)
    wanted = [blob for blob, outcome in zip(blobs, found, strict=True) if outcome is Outcome.SENT]
    _send(image, wanted, repository, progress)
    is_new = _put_manifests(image, reference.tag or str(digest), repository)
    named = Reference(reference.registry, reference.repository, "", digest)
    return Pushed(named, digest, dict(zip(blobs, found, strict=True)), is_new)


def _find(repository: Repository, blob: Blob) -> Outcome:
    """What is to become of a blob."""
    if repository.has(blob):
        return Outcome.KNOWN
    return Outcome.MOUNTED if repository.mount(blob) else Outcome.SENT


def _send(image: Image, wanted: Sequence[Blob], repository: Repository, progress: PushProgress) -> None:
    contents = image.contents(wanted)

    def send(blob: Blob) -> None:
        repository.upload(blob, contents[blob.digest], lambda done: progress.transfer(blob.title, done, blob.size))

    progress.begin("push", sum(blob.size for blob in wanted))
    _side_by_side(send, sorted(wanted, key=lambda blob: (-blob.size, blob.digest)), repository)
    progress.end()


def _put_manifests(image: Image, name: str, repository: Repository) -> bool:
    *named, last = image.manifests
    for manifest in named:
        if repository.manifest_digest(str(manifest.digest)) != manifest.digest:
            repository.put(manifest, str(manifest.digest))
    if repository.manifest_digest(name) == last.digest:
        return False
    repository.put(last, name)
    return True


def _side_by_side(work: Callable[[_Item], _Result], items: Iterable[_Item], repository: Repository) -> list[_Result]:
    """The results in the order of the items; the first failure ends all that is under way."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as executor:
        try:
            futures = [executor.submit(work, item) for item in items]
            for future in as_completed(futures):
                future.result()
        except BaseException:
            repository.stop()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]

"""Blobs and manifests of one repository (distribution-spec 1.1, Pulling and Pushing).

HEAD  blobs/DIGEST                        200: the registry has it; nothing is read or sent
POST  blobs/uploads/?mount=DIGEST&from=R  201: it was in the repository R; else see `upload`
HEAD  manifests/TAG                       what the tag leads to
PUT   manifests/TAG                       when all that the manifest names is there
GET   manifests/NAME                      a document, compared with its digest by who asks by one
GET   blobs/DIGEST, Range: bytes=N-M      a part of a blob; compared by who puts the parts together
GET   referrers/DIGEST                    what refers to a manifest, page by page; 404 where that is not known
"""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from formats.container_image import INDEX, MANIFEST
from layers.digest import Digest, DigestError
from layers.entry import Content
from packer.registry.answer import Answer, InterruptedRequestError, RegistryError
from packer.registry.image import LARGEST_DOCUMENT, Blob, Manifest
from packer.registry.reference import Reference
from packer.registry.upload import Observer, Upload

if TYPE_CHECKING:
    from packer.registry.transport import Transport

_MOST_PAGES = 100  # of referrers
_MOST_REFERRERS = 16 << 20  # bytes, of all pages
_WHOLE_SIZE = re.compile(r"bytes \d+-\d+/(\d{1,18})")  # RFC 9110, 14.4

_Result = TypeVar("_Result")

#: Manifests and indexes, in OCI's words and in docker's.
DOCUMENTS = (
    MANIFEST,
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Repository:
    """A repository of a registry.

    Args:
        reference: of it.
        transport: to its registry.
        mounts: other repositories of the registry, in which blobs may be already.
        chunk: bytes of a blob that are sent at a time; 0 for all of them at once.
    """

    def __init__(
        self, reference: Reference, transport: "Transport", mounts: Sequence[Reference] = (), chunk: int = 0
    ) -> None:
        self._reference = reference
        self._transport = transport
        self._mounts = [mount.repository for mount in mounts if mount.repository != reference.repository]
        self._chunk = chunk

    def stop(self) -> None:
        """Have all that is under way end now, with an error."""
        self._transport.stop()

    def has(self, blob: Blob) -> bool:
        """Whether the registry has a blob.

        Raises:
            RegistryError: it does not say.
        """
        answer = self._tried(lambda: self._transport.request("HEAD", self._path(f"blobs/{blob.digest}")))
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        if answer.status != HTTPStatus.OK:
            raise RegistryError(f"{self._reference.name} cannot be read: {self._transport.told(answer)}")
        answer.check_digest(blob.digest)
        size = answer.headers.get("Content-Length", str(blob.size))
        if size != str(blob.size):
            raise RegistryError(f"{blob.digest} has {blob.size} bytes, and the registry says {size[:20]!r}")
        return True

    def mount(self, blob: Blob) -> bool:
        """Have a blob taken over from another repository, if the registry finds it there.

        Raises:
            RegistryError: it does not say.
        """
        return any(self._mounted(blob, repository) for repository in self._mounts)

    def _mounted(self, blob: Blob, repository: str) -> bool:
        query = urlencode({"mount": str(blob.digest), "from": repository})
        answer = self._tried(lambda: self._transport.request("POST", self._path(f"blobs/uploads/?{query}")))
        if answer.status == HTTPStatus.CREATED:
            answer.check_digest(blob.digest)
        return answer.status == HTTPStatus.CREATED

    def upload(self, blob: Blob, content: Content, observer: Observer) -> None:
        """Send a blob, until the registry has it.

        Args:
            blob: what is sent.
            content: its bytes.
            observer: is told how far it is.

        Raises:
            RegistryError: the registry does not take it.
            PackError: the content is not what the digest says, or cannot be read.
        """
        patience = self._transport.patience()
        upload = Upload(self._transport, self._path("blobs/uploads/"), blob, content, self._chunk, observer)
        while True:
            try:
                return upload.go_on(patience)
            except InterruptedRequestError as error:
                patience.wait(error)
            if self.has(blob):  # only the answer was lost
                return None

    def manifest_digest(self, name: str) -> Digest | None:
        """What a tag or a digest leads to, if it leads anywhere.

        Raises:
            RegistryError: the registry does not say.
        """
        return self._tried(lambda: self._digest(name))

    def put(self, manifest: Manifest, name: str) -> None:
        """Put a manifest under a tag, or under its own digest; and see that it is there.

        Raises:
            RegistryError: the registry does not take it, or calls it something else.
        """
        self._tried(lambda: self._put_and_look(manifest, name))

    def put_shared(self, manifest: Manifest, tag: str) -> None:
        """Put a manifest under a tag that others write as well, and that may lead to theirs a moment later.

        Raises:
            RegistryError: the registry does not take it, or calls it something else.
        """
        self._tried(lambda: self._put(manifest, tag))

    def _put_and_look(self, manifest: Manifest, name: str) -> None:
        self._put(manifest, name)
        there = self._digest(name)
        if there != manifest.digest:
            raise InterruptedRequestError(f"{name} was put, and leads to {there or 'nothing'}")

    def _put(self, manifest: Manifest, name: str) -> None:
        headers, size = {"Content-Type": manifest.media_type}, len(manifest.data)
        path = self._path(f"manifests/{name}")
        answer = self._transport.request("PUT", path, body=manifest.data, size=size, headers=headers)
        if answer.status not in (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise RegistryError(f"the manifest {name} is not taken: {self._transport.told(answer)}")
        answer.check_digest(manifest.digest)

    def _digest(self, name: str) -> Digest | None:
        path, headers = self._path(f"manifests/{name}"), {"Accept": ", ".join(DOCUMENTS)}
        answer = self._transport.request("HEAD", path, headers=headers)
        if answer.status == HTTPStatus.OK and "Docker-Content-Digest" not in answer.headers:
            answer = self._transport.request("GET", path, headers=headers, most=LARGEST_DOCUMENT)
            return Digest.of(answer.body) if answer.status == HTTPStatus.OK else None
        try:
            return Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
        except DigestError:
            return None

    def document(self, name: str) -> Manifest | None:
        """What a tag or a digest leads to, as it is; None if that is nothing.

        Raises:
            RegistryError: the registry does not say, or gives other bytes than those of the digest.
        """
        answer = self._document(self._path(f"manifests/{name}"), ", ".join(DOCUMENTS))
        if not answer:
            return None
        manifest = Manifest(answer.headers.get("Content-Type", "").partition(";")[0].strip(), answer.body)
        answer.check_digest(manifest.digest)
        if ":" in name and name != str(manifest.digest):
            raise RegistryError(f"{self._reference.name} gives {manifest.digest} for {name}")
        return manifest

    def referrers(self, digest: Digest) -> list[bytes] | None:
        """The indexes of what refers to a manifest, one a page; None if the registry does not know such things.

        Raises:
            RegistryError: the registry does not say, or does not come to an end.
        """
        path = self._path(f"referrers/{digest}")
        pages: list[bytes] = []
        while answer := self._document(path, INDEX):
            pages.append(answer.body)
            path = self._transport.next_page(answer, path)
            if not path:
                return pages
            if len(pages) == _MOST_PAGES or sum(map(len, pages)) > _MOST_REFERRERS:
                raise RegistryError(f"{self._reference.name} names more referrers of {digest} than anybody has")
        if pages:
            raise RegistryError(f"{self._reference.name} does not have the next page of referrers that it names")
        return None

    def _document(self, path: str, accepted: str) -> Answer | None:
        most, headers = LARGEST_DOCUMENT, {"Accept": accepted}
        answer = self._tried(lambda: self._transport.request("GET", path, headers=headers, size=most, most=most))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise RegistryError(f"{self._reference.name} cannot be read: {self._transport.told(answer)}")
        if not answer.is_whole:
            raise RegistryError(f"{self._reference.name}: {path} is larger than {most >> 20} MiB")
        return answer

    def blob_part(self, digest: Digest, start: int, size: int) -> bytes:
        """A part of a blob; its bytes are not compared with anything.

        Raises:
            RegistryError: the registry does not give it.
        """
        headers = {"Range": f"bytes={start}-{start + size - 1}"}
        path = self._path(f"blobs/{digest}")

        def part() -> bytes:
            answer = self._transport.request("GET", path, headers=headers, size=size, most=size)
            whole = answer.status == HTTPStatus.OK and not start
            if not whole and answer.status != HTTPStatus.PARTIAL_CONTENT:
                raise RegistryError(f"{self._reference.name}: {digest} is not given: {self._transport.told(answer)}")
            if (whole_size := _whole_size(answer)) is not None and whole_size < start + size:
                raise RegistryError(
                    f"{self._reference.name}: {digest} has {whole_size} bytes, fewer than it is said to have"
                )
            if len(answer.body) != size or not answer.is_whole:
                raise InterruptedRequestError(f"{digest}: {len(answer.body)} bytes came where {size} were wanted")
            return answer.body

        return self._tried(part)

    def _path(self, name: str) -> str:
        return f"/v2/{self._reference.repository}/{name}"

    def _tried(self, work: Callable[[], _Result]) -> _Result:
        patience = self._transport.patience()
        while True:
            try:
                return work()
            except InterruptedRequestError as error:
                patience.wait(error)


def _whole_size(answer: Answer) -> int | None:
    """Bytes of all of which an answer has a part, if it says so."""
    found = _WHOLE_SIZE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None

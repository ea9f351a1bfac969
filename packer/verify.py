"""`ocipack verify`: whether artefacts are what their digests say, and who has signed them. It fails closed.

an image      index, manifests, configurations, blobs, diff_ids; one good signature of each digest that it goes by
other files   a detached signature, or a line of a signed SHA256SUMS
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from formats.reading.artefact import ArtefactError
from formats.reading.files import Files
from formats.reading.open import image_files
from formats.reading.verification import Check, checks, named_documents
from layers.digest import Digest
from layers.errors import InputError
from packer.registry.repository import Repository
from packer.registry.stored_files import RegistryFiles
from packer.signing import lookaside, referrer, sums
from packer.signing.gpg import BadSignatureError, Verifier
from packer.signing.policy import Trust
from packer.signing.simple_signing import Identity, Statement
from packer.subject import AccessOf, Registries, Subject


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of an artefact or an image.

    Attributes:
        name: as the user wrote it.
        checks: digests that were compared; none of a file that holds none.
        is_image: whether it holds digests.
        signer: fingerprint of the key whose signature was asked for; empty if none was.
        refusal: why it does not count as signed; empty if it does, or if nobody asked.
    """

    name: str
    checks: tuple[Check, ...]
    is_image: bool
    signer: str
    refusal: str

    @property
    def faults(self) -> tuple[str, ...]:
        """All that is wrong."""
        damage = tuple(f"{check.level.value}: {check.fault}" for check in self.checks if check.fault)
        return (*damage, f"signature: {self.refusal}") if self.refusal else damage


class Judge:
    """Verifies artefacts and images.

    Args:
        trust: who is to have signed, and as what.
        executor: hashes.
        environment: for gpg.
        access: how registries are reached.
    """

    def __init__(self, trust: Trust, executor: Executor, environment: Mapping[str, str], access: AccessOf) -> None:
        self._trust = trust
        self._executor = executor
        self._environment = environment
        self._registries = Registries(access)

    def verdict(self, subject: Subject) -> Verdict:
        """Verify an artefact or an image.

        Raises:
            InputError: what was said does not go together.
            PackError: it cannot be read.
        """
        with self._verifier() as verifier:
            if subject.reference:
                with self._registries.open(subject.reference, "pull") as repository:
                    files = RegistryFiles(subject.reference, repository)
                    wanted = [Identity.of(subject.reference), *self._identities()]
                    return self._image(subject, files, wanted, repository, verifier)
            files_or_none = image_files(subject.path)
            if files_or_none and (self._trust.lookaside or not subject.is_file):
                return self._image(subject, files_or_none, self._identities(), None, verifier)
            return self._file(subject, files_or_none, verifier)

    @contextlib.contextmanager
    def _verifier(self) -> Iterator[Verifier | None]:
        trust = self._trust
        if not trust.key:
            yield None
            return
        with Verifier(trust.key, trust.origin, self._environment) as verifier:
            if trust.fingerprint not in (None, verifier.fingerprint):
                raise InputError(f"{trust.origin} is the key {verifier.fingerprint}, and not {trust.fingerprint}")
            yield verifier

    def _identities(self) -> list[Identity]:
        return [self._trust.identity] if self._trust.identity else []

    def _file(self, subject: Subject, files: Files | None, verifier: Verifier | None) -> Verdict:
        refusal = ""
        if verifier:
            try:
                sums.verify(subject.path, verifier)
            except BadSignatureError as error:
                refusal = str(error)
        found = tuple(checks(files, self._executor)) if files else ()
        return Verdict(subject.name, found, bool(files), _signer(verifier), refusal)

    def _image(
        self,
        subject: Subject,
        files: Files,
        wanted: list[Identity],
        repository: Repository | None,
        verifier: Verifier | None,
    ) -> Verdict:
        refusal = ""
        if verifier:
            if not wanted:
                raise InputError(f"what is {subject.name} to be called?", hint="Say it with --identity.")
            if not repository and not self._trust.lookaside:
                raise InputError(f"where are the signatures of {subject.name}?", hint="Say it with --lookaside.")
            try:
                for digest in _names(files):
                    _require(self._candidates(digest, wanted, repository), digest, wanted, verifier)
            except (ArtefactError, BadSignatureError) as error:
                refusal = str(error)
        found = tuple(checks(files, self._executor))
        return Verdict(subject.name, found, True, _signer(verifier), refusal)

    def _candidates(self, digest: Digest, wanted: list[Identity], repository: Repository | None) -> Iterator[bytes]:
        if self._trust.lookaside:
            path = wanted[0].name.partition("/")[2]
            yield from lookaside.signatures(self._trust.lookaside, path, digest)
        if repository:
            yield from referrer.signatures(digest, repository)


def _signer(verifier: Verifier | None) -> str:
    return str(verifier.fingerprint) if verifier else ""


def _names(files: Files) -> list[Digest]:
    """The digests that an image goes by: what they name is named by digests, too."""
    found = [document for document in named_documents(files) if document.depth == 1]
    if not found:
        raise BadSignatureError(f"{files.origin} holds no image")
    return [document.descriptor.digest for document in found]


def _require(candidates: Iterable[bytes], digest: Digest, wanted: list[Identity], verifier: Verifier) -> None:
    """See that one signature is good; what else is there does not matter.

    Raises:
        BadSignatureError: none is.
    """
    reasons = []
    for number, candidate in enumerate(candidates, 1):
        try:
            return _accept(candidate, digest, wanted, verifier)
        except BadSignatureError as error:
            reasons.append(f"signature {number}: {error}")
    if not reasons:
        raise BadSignatureError(f"{digest} is not signed")
    raise BadSignatureError(f"{digest} is not signed by {verifier.fingerprint}: {'; '.join(reasons)}")


def _accept(candidate: bytes, digest: Digest, wanted: list[Identity], verifier: Verifier) -> None:
    statement = Statement.parse(verifier.inline(candidate))
    if statement.digest != digest:
        raise BadSignatureError(f"it is of {statement.digest}")
    for identity in wanted:
        if not identity.accepts(statement.name):
            raise BadSignatureError(f"it is of {statement.name!r:.300}, and not of {identity}")

"""`ocipack sign`: images as podman and skopeo check them, everything else with detached signatures and SHA256SUMS.

An image is signed by the digest of its manifest. Of an index, all that it names is signed as well: podman and skopeo
choose the manifest of a platform first, and check that one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from formats.reading.documents import Descriptor
from formats.reading.files import Files
from formats.reading.open import image_files
from formats.reading.verification import named_documents
from layers.errors import InputError, PackError
from layers.output import said
from packer.registry.reference import Reference
from packer.registry.repository import Repository
from packer.registry.stored_files import RegistryFiles
from packer.signing import lookaside, referrer, sums
from packer.signing.gpg import Fingerprint, Signer
from packer.signing.simple_signing import Identity, Statement
from packer.subject import AccessOf, Registries, Subject

_LONGEST_PASSPHRASE = 1 << 10


@dataclass(frozen=True, slots=True)
class Places:
    """Where signatures go.

    Attributes:
        identity: what images are called; empty for their references.
        lookaside: a folder, or empty.
        attach: into the registry.
        armored: signatures of files as text.
    """

    identity: str
    lookaside: str
    attach: bool
    armored: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signs, and when.

    Attributes:
        signer: the key.
        creator: the program.
        timestamp: seconds since 1970, of what is signed: the time of the signature itself is GnuPG's.
    """

    signer: Signer
    creator: str
    timestamp: int

    def of(self, name: str, image: Descriptor) -> bytes:
        """The signature of an image."""
        return self.signer.inline(Statement(name, image.digest).encode(self.creator, self.timestamp))


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is signed.

    Attributes:
        subject: where it is.
        identity: its name, with a tag.
        reference: the same, parsed.
    """

    subject: Subject
    identity: Identity
    reference: Reference


@dataclass(frozen=True, slots=True)
class Work:
    """What is signed, and how.

    Attributes:
        files: paths of those that get a detached signature.
        images: those that get a simple one.
    """

    files: Sequence[str]
    images: Sequence[Image]


def plan(subjects: Sequence[Subject], places: Places) -> Work:
    """See how each is signed; nothing is read yet.

    Raises:
        InputError: what was said does not go together.
    """
    images = [subject for subject in subjects if subject.reference or places.lookaside or not subject.is_file]
    files = [subject.path for subject in subjects if subject not in images]
    if files and (places.identity or places.attach):
        raise InputError("--identity and --attach go with images", hint="An image's archive needs --lookaside, too.")
    if len(images) > 1 and places.identity:
        raise InputError("one --identity for several images", hint="Sign them one by one.")
    return Work(files, [_image(subject, places) for subject in images])


def _image(subject: Subject, places: Places) -> Image:
    if not subject.reference and places.attach:
        raise InputError(f"{subject.name} is in no registry", hint="--attach goes with a reference: push it first.")
    if not places.lookaside and not places.attach:
        raise InputError(
            f"where is the signature of {subject.name} to go?",
            hint="--lookaside FOLDER writes it for podman and skopeo, --attach puts it into the registry.",
        )
    reference = subject.reference
    if places.identity or not reference or not reference.tag:
        if not places.identity:
            raise InputError(f"what is {subject.name} called?", hint="Say it with --identity REGISTRY/NAME:TAG.")
        identity = Identity.parse(places.identity)
        reference = Reference.parse(places.identity)
    else:
        identity = Identity.of(reference)
    if not identity.tag:
        raise InputError(f"{identity} has no tag", hint=f"Say for example {identity}:1.0.")
    return Image(subject, identity, reference)


def open_signer(key: str, home: str, passphrase_file: str | None, environment: Mapping[str, str]) -> Signer:
    """The key that signs.

    Args:
        key: its fingerprint.
        home: GnuPG's folder, or empty.
        passphrase_file: a file whose first line is the passphrase.
        environment: for gpg, its agent, and what asks for passphrases.

    Raises:
        InputError: there is no such key, or no such file.
        SigningError: there is no GnuPG.
    """
    passphrase = _passphrase(passphrase_file) if passphrase_file else None
    return Signer(Fingerprint.parse(key), home, passphrase, environment)


def _passphrase(path: str) -> str:
    try:
        with open(path, "rb") as file:
            line = file.readline(_LONGEST_PASSPHRASE + 1).rstrip(b"\r\n")
    except OSError as error:
        raise InputError(f"the passphrase file {path} cannot be read: {said(error)}") from None
    if not line or len(line) > _LONGEST_PASSPHRASE or {0, 13} & set(line):
        raise InputError(f"the first line of {path} is no passphrase")
    return line.decode("latin-1")  # as python-gnupg writes it again: the same bytes


def sign(work: Work, places: Places, signature: Signature, access: AccessOf) -> Iterator[str]:
    """Sign; gives what was written, one by one.

    Args:
        work: what is signed.
        places: where signatures go.
        signature: who signs.
        access: how registries are reached.

    Raises:
        PackError: something cannot be read or written, or GnuPG does not sign.
    """
    if work.files:
        yield from sums.sign(work.files, signature.signer, armored=places.armored)
    registries = Registries(access)
    for image in work.images:
        reference = image.subject.reference
        if not reference:
            files = image_files(image.subject.path)
            if not files:
                raise InputError(
                    f"{image.subject.name} is no image", hint="Without --lookaside it is signed as a file."
                )
            yield from _sign_image(files, image, places, signature, None)
            continue
        with registries.open(reference, "pull,push" if places.attach else "pull") as repository:
            yield from _sign_image(RegistryFiles(reference, repository), image, places, signature, repository)


def _sign_image(
    files: Files, image: Image, places: Places, signature: Signature, repository: Repository | None
) -> Iterator[str]:
    found = list(named_documents(files))
    for document in found:
        if document.fault:
            raise PackError(f"{image.subject.name} is damaged, and not signed: {document.fault}")
    if not found:
        raise InputError(f"{image.subject.name} holds no image")
    for document in reversed(found):  # what names others last
        descriptor = document.descriptor
        data = signature.of(str(image.identity), descriptor)
        if places.lookaside:
            yield lookaside.add(places.lookaside, image.reference.repository, descriptor.digest, data)
        if places.attach and repository:
            yield f"{image.subject.name} {descriptor.digest}: {referrer.add(descriptor, data, repository)}"

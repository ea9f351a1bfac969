"""Files, signed apart from them: `SHA256SUMS`, as coreutils' sha256sum writes and checks it, and OpenPGP signatures.

FILE                 an artefact
FILE.asc             its signature, armored; or FILE.sig, binary
SHA256SUMS           HEX  FILE           a line for each artefact that was signed at one time, sorted by names
SHA256SUMS.asc       its signature, or SHA256SUMS.sig
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from layers.digest import Digest
from layers.errors import InputError, PackError
from layers.output import PendingFile, said
from packer.signing.gpg import MOST_BYTES, BadSignatureError, Signer, Verifier

SUMS = "SHA256SUMS"
ENDINGS = (".asc", ".sig")

_MOST_SUMS = 1 << 20  # bytes: ten thousand artefacts
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\n\\]+)")


def sign(paths: Sequence[str], signer: Signer, *, armored: bool) -> list[str]:
    """Sign files: each for itself, and the sums of all in each of their folders.

    Args:
        paths: of the files; absolute.
        signer: the key.
        armored: whether signatures are text.

    Returns:
        What was written.

    Raises:
        InputError: a file has a name that sha256sum would write in another way.
        PackError: a file cannot be read, or GnuPG does not sign.
    """
    ending = ENDINGS[0] if armored else ENDINGS[1]
    for path in paths:
        if set("\n\r\\") & set(path) or os.path.basename(path) == SUMS:
            raise InputError(f"{path!r} is a name that {SUMS} cannot have")
    written = []
    for folder in sorted({os.path.dirname(path) for path in paths}):
        own = sorted({path for path in paths if os.path.dirname(path) == folder})
        lines = [f"{digest_of(path).hex}  {os.path.basename(path)}\n" for path in own]
        _write(folder, SUMS, "".join(lines).encode())
        for path in (*own, os.path.join(folder, SUMS)):
            _write(folder, os.path.basename(path) + ending, signer.detached(path, armored=armored))
            written.append(path + ending)
    return written


def verify(path: str, verifier: Verifier) -> list[str]:
    """See that a file is signed; every signature that lies beside it has to be good.

    Returns:
        The files that prove it.

    Raises:
        BadSignatureError: it is not.
        PackError: something cannot be read.
    """
    proofs = list(_signed(path, verifier))
    sums = os.path.join(os.path.dirname(path), SUMS)
    if os.path.basename(path) != SUMS and os.path.lexists(sums) and (by_sums := list(_signed(sums, verifier))):
        named = _parsed(sums)
        if (wanted := named.get(os.path.basename(path))) and wanted != (found := digest_of(path)):
            raise BadSignatureError(f"{path} is not what {SUMS} says: its digest is {found}, and not {wanted}")
        proofs += by_sums if wanted else []
    if not proofs:
        raise BadSignatureError(f"{path} is not signed: there is neither {path}.asc nor a signed {SUMS} that names it")
    return proofs


def digest_of(path: str) -> Digest:
    """The digest of a file.

    Raises:
        PackError: it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return Digest.of_file(file)
    except OSError as error:
        raise PackError(f"{path} cannot be read: {said(error)}") from None


def _signed(path: str, verifier: Verifier) -> Iterator[str]:
    """The good signatures beside a file."""
    for ending in ENDINGS:
        if os.path.lexists(path + ending):
            try:
                verifier.detached(_read(path + ending, MOST_BYTES), path)
            except BadSignatureError as error:
                raise BadSignatureError(f"{path + ending} does not sign {os.path.basename(path)}: {error}") from None
            yield path + ending


def _parsed(path: str) -> Mapping[str, Digest]:
    found: dict[str, Digest] = {}
    for line in os.fsdecode(_read(path, _MOST_SUMS)).removesuffix("\n").split("\n"):
        match = _LINE.fullmatch(line)
        if not match or match[2] in found:
            raise BadSignatureError(f"{path} is not what sha256sum writes: {line[:100]!r}")
        found[match[2]] = Digest(match[1])
    return found


def _read(path: str, most: int) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise PackError(f"{path} cannot be read: {said(error)}") from None
    if len(data) > most:
        raise BadSignatureError(f"{path} has more than {most} bytes")
    return data


def _write(folder: str, name: str, data: bytes) -> None:
    with PendingFile(folder) as file:
        file.write(data)
        file.publish(name)

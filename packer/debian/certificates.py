"""Certificate authorities in /etc/ssl/certs, as update-ca-certificates(8) and `openssl rehash` leave them.

    NAME.pem -> /usr/share/ca-certificates/…/NAME.crt     each authority
    HASH.N -> NAME.pem                                    how OpenSSL finds it: hash of the subject, N from 0
    ca-certificates.crt                                   all of them in one file

HASH is X509_NAME_hash(3): the first four bytes, little-endian, of SHA-1 over the subject's *canonical* encoding,
in which each string is UTF-8 in lower case without superfluous spaces, and the outer SEQUENCE's header is left out.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterator

from layers.entry import Data, Directory, Entry, File, Symlink
from layers.errors import PackError
from packer.debian.scripts import Script, heredocs
from packer.debian.unpacked import Unpacked

SOURCE = "/usr/share/ca-certificates"
TARGET = b"etc/ssl/certs/"

_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_RENAMED = bytes.maketrans(b" (),", b"_==_")

# Tags of ASN.1's basic encoding (X.690, 8.1.2) and of its strings, with how their bytes are read.
_SEQUENCE, _SET, _UTF8, _VERSION = 0x30, 0x31, 0x0C, 0xA0
_STRINGS = {
    _UTF8: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"
}  # fmt: skip


class CertificateError(PackError):
    """Bytes that are no certificate."""


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The certificates of all packages, when ca-certificates is one of them.

    ca-certificates.conf lists those that are left out of packages, too: the postinst has the names in its text, and
    update-ca-certificates passes over what is not there.

    Raises:
        PackError: a certificate's file cannot be read.
    """
    if "ca-certificates" not in unpacked:
        return
    # `sort` of the postinst, in the C locale
    files = sorted(unpacked.files(SOURCE, ".crt"), key=lambda file: file.path)
    names = [file.path.removeprefix(unpacked.real(SOURCE) + b"/") for file in files]
    listed = sorted({*names, *_left_out(unpacked)})
    yield File(b"etc/ca-certificates.conf", Data(_heading(unpacked) + b"".join(name + b"\n" for name in listed)))
    yield Directory(b"usr/local/share/ca-certificates")
    bundle: list[bytes] = []
    authorities: dict[bytes, bytes] = {}
    for name in names:
        data = unpacked.read(f"{SOURCE}/".encode() + name) or b""
        bundle.append(data if data.endswith(b"\n") else data + b"\n")
        pem = os.path.basename(name).removesuffix(b".crt").translate(_RENAMED) + b".pem"
        yield Symlink(TARGET + pem, f"{SOURCE}/".encode() + name)
        authorities[pem] = data
    yield from _hash_links(unpacked, authorities)
    yield File(TARGET + b"ca-certificates.crt", Data(b"".join(bundle)))


def _left_out(unpacked: Unpacked) -> Iterator[bytes]:
    folder = unpacked.real(SOURCE) + b"/"
    for package in unpacked.packages:
        for path in package.left_out:
            if path.startswith(folder) and path.endswith(b".crt"):
                yield path.removeprefix(folder)


def _heading(unpacked: Unpacked) -> bytes:
    script = Script("ca-certificates", "postinst", unpacked.script("ca-certificates", "postinst"))
    found = (document.body for document in heredocs(script) if "/etc/ca-certificates.conf" in document.line)
    return next(found, "").encode(errors="surrogateescape")


def _hash_links(unpacked: Unpacked, authorities: dict[bytes, bytes]) -> Iterator[Symlink]:
    """One link for each certificate, in the order of names; the second copy of a certificate gets none."""
    known: dict[str, list[bytes]] = {}
    for pem, data in sorted(authorities.items()):
        try:
            certificate = _decoded(data)
            subject = subject_hash(certificate)
        except CertificateError as error:
            unpacked.skip(Script("ca-certificates", "postinst", ""), f"openssl rehash {os.fsdecode(pem)}", str(error))
            continue
        same = known.setdefault(subject, [])
        if certificate not in same:
            yield Symlink(TARGET + b"%s.%d" % (subject.encode(), len(same)), pem)
            same.append(certificate)


def _decoded(pem: bytes) -> bytes:
    found = _CERTIFICATE.findall(pem)
    if len(found) != 1:
        raise CertificateError(f"{len(found)} certificates in the file, not one")
    try:
        return base64.b64decode(b"".join(found[0].split()), validate=True)
    except binascii.Error as error:
        raise CertificateError(f"its base64 is wrong: {error}") from error


def subject_hash(certificate: bytes) -> str:
    """The hash under which OpenSSL looks for an authority: 8 hexadecimal digits.

    Args:
        certificate: in DER (RFC 5280, 4.1: tbsCertificate's sixth field, the version being optional).

    Raises:
        CertificateError: it is no certificate.
    """
    try:
        signed = _children(_children(_children(certificate)[0][1])[0][1])
        subject = signed[5 if signed[0][0] == _VERSION else 4]
        canonical = b"".join(_canonical_set(part) for _, part in _children(subject[1]))
    except (IndexError, ValueError) as error:
        raise CertificateError("it is no certificate in DER") from error
    return hashlib.sha1(canonical, usedforsecurity=False).digest()[3::-1].hex()


def _children(data: bytes) -> list[tuple[int, bytes]]:
    """The (tag, content) pairs of which a constructed value consists (X.690, 8.1)."""
    found, position = [], 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise ValueError
        found.append((tag, data[position : position + length]))
        position += length
    return found


def _canonical_set(attributes: bytes) -> bytes:
    """A RelativeDistinguishedName in canonical form: its attributes sorted, as DER has sets."""
    encoded = []
    for _, attribute in _children(attributes):
        (tag, name), (kind, value) = _children(attribute)
        if kind in _STRINGS:
            words = value.decode(_STRINGS[kind]).encode().split(None)
            kind, value = _UTF8, b" ".join(words).lower()
        encoded.append(_encode(_SEQUENCE, _encode(tag, name) + _encode(kind, value)))
    return _encode(_SET, b"".join(sorted(encoded)))


def _encode(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content

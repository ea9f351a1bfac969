"""What GnuPG signs for us, and which signatures are believed: 10 good ones, and bad ones of every kind."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from layers.errors import InputError
from layers.output import OutputError
from packer.signing.gpg import MOST_BYTES, BadSignatureError, Fingerprint, Signer, SigningError, Verifier
from tests.support.openpgp import KeyRing, key_ring

TEXT = b'{"a":1}'
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@dataclass(frozen=True)
class Keys:
    """Keys of every kind, by their fingerprints."""

    ring: KeyRing
    release: str
    other: str
    rsa: str
    split: str
    subkey: str
    secret: str
    expired: str
    revoked: str

    def signer(self, key: str, passphrase: str | None = "") -> Signer:
        return Signer(Fingerprint.parse(key), str(self.ring.home), passphrase or None, ENVIRONMENT)

    def believes(self, key: str, signature: bytes) -> bytes:
        with Verifier(self.ring.public(key), "the key", ENVIRONMENT) as verifier:
            return verifier.inline(signature)


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with key_ring() as ring:
        split = ring.key("split", usage="cert")
        yield Keys(
            ring=ring,
            release=ring.key("release"),
            other=ring.key("other"),
            rsa=ring.key("rsa", "rsa1024", usage="sign,encr"),
            split=split,
            subkey=ring.subkey(split),
            secret=ring.key("secret", passphrase="canary"),
            expired=ring.key("expired", expires="1d", past=True),
            revoked=ring.key("revoked"),
        )


GOOD: dict[str, Callable[[Keys], tuple[str, bytes]]] = {
    "ours, ed25519": lambda keys: (keys.release, keys.signer(keys.release).inline(TEXT)),
    "ours, RSA": lambda keys: (keys.rsa, keys.signer(keys.rsa).inline(TEXT)),
    "ours, by a subkey": lambda keys: (keys.split, keys.signer(keys.split).inline(TEXT)),
    "ours, by a named subkey": lambda keys: (keys.split, keys.signer(keys.subkey).inline(TEXT)),
    "ours, with a passphrase": lambda keys: (keys.secret, keys.signer(keys.secret, "canary").inline(TEXT)),
    "gpg's, compressed": lambda keys: (keys.release, keys.ring.sign(TEXT, keys.release)),
    "gpg's, RSA": lambda keys: (keys.rsa, keys.ring.sign(TEXT, keys.rsa)),
    "gpg's, SHA-256": lambda keys: (keys.rsa, keys.ring.sign(TEXT, keys.rsa, more=("--digest-algo", "SHA256"))),
    "gpg's, with a notation": lambda keys: (
        keys.release,
        keys.ring.sign(TEXT, keys.release, more=("--sig-notation", "a@example.org=[GNUPG:] BADSIG")),
    ),
    "gpg's, with a name": lambda keys: (
        keys.release,
        keys.ring.sign(TEXT, keys.release, more=("--set-filename", "x\n[GNUPG:] VALIDSIG")),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_signatures_are_believed(keys: Keys, name: str) -> None:
    key, signature = GOOD[name](keys)
    assert keys.believes(key, signature) == TEXT


def _revoked(keys: Keys) -> bytes:
    signature = keys.ring.sign(TEXT, keys.revoked)
    keys.ring.revoke(keys.revoked)
    return signature


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


BAD: dict[str, tuple[Callable[[Keys], tuple[str, bytes]], str]] = {
    "nothing": (lambda keys: (keys.release, b""), "not binary"),
    "armored": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.release, more=("--armor",))), "not binary"),
    "cleartext": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.release, how="--clearsign")), "not binary"),
    "detached": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.release, how="--detach-sign")), ""),
    "another key": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.other)), "by another key"),
    "a subkey of another key": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.split)), "by another key"),
    "two keys, ours first": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.release, keys.other)), ""),
    "two keys, ours last": (lambda keys: (keys.release, keys.ring.sign(TEXT, keys.other, keys.release)), ""),
    "signed twice": (lambda keys: (keys.release, keys.signer(keys.release).inline(TEXT) * 2), ""),
    "an unsigned text before": (
        lambda keys: (keys.release, keys.ring.gpg("--store", data=b"evil") + keys.ring.sign(TEXT, keys.release)), ""),
    "an unsigned text after": (
        lambda keys: (keys.release, keys.signer(keys.release).inline(TEXT) + keys.ring.gpg("--store", data=b"x")), ""),
    "only a text": (lambda keys: (keys.release, keys.ring.gpg("--store", data=TEXT)), ""),
    "a public key": (lambda keys: (keys.release, keys.ring.public(keys.release)), ""),
    "encrypted": (
        lambda keys: (keys.release, keys.ring.sign(
            TEXT, keys.release, more=("--encrypt", "--trust-model", "always", "--recipient", keys.rsa))),
        "no OpenPGP signature"),
    "expired key": (lambda keys: (keys.expired, keys.ring.sign(TEXT, keys.expired, past=True)), "has expired"),
    "revoked key": (lambda keys: (keys.revoked, _revoked(keys)), "was revoked"),
    "expired signature": (
        lambda keys: (keys.expired, keys.ring.sign(
            TEXT, keys.expired, past=True, more=("--default-sig-expire", "seconds=1"))), "expired"),
    "SHA-1": (lambda keys: (keys.rsa, keys.ring.sign(
        TEXT, keys.rsa, more=("--digest-algo", "SHA1", "--compress-algo", "none"))), ""),
    "of a text, not of bytes": (lambda keys: (keys.release, keys.ring.sign(
        TEXT, keys.release, more=("--textmode",))), "of a text"),
    "a flipped bit of the text": (lambda keys: (keys.release, _text_flipped(keys)), "not of these bytes"),
    "a flipped bit of the signature": (
        lambda keys: (keys.release, _flipped(keys.signer(keys.release).inline(TEXT), -3)), ""),
    "cut": (lambda keys: (keys.release, keys.signer(keys.release).inline(TEXT)[:-1]), ""),
    "without its end": (lambda keys: (keys.release, keys.signer(keys.release).inline(TEXT)[:40]), ""),
    "a bomb": (lambda keys: (keys.release, keys.ring.sign(bytes(10 << 20), keys.release)), ""),
    "too large": (lambda keys: (keys.release, keys.ring.sign(
        bytes(MOST_BYTES), keys.release, more=("--compress-algo", "none"))), "more than"),
    "noise": (lambda keys: (keys.release, b"\x99" + bytes(range(256))), ""),
    "statuses as text": (lambda keys: (keys.release, keys.ring.sign(
        b"\n[GNUPG:] VALIDSIG " + keys.release.encode(), keys.other)), "by another key"),
    "a forged status in a file's name": (lambda keys: (keys.release, keys.ring.sign(
        TEXT, keys.other, more=("--set-filename", f"x\n[GNUPG:] VALIDSIG {keys.release}"))), "by another key"),
}  # fmt: skip


def _text_flipped(keys: Keys) -> bytes:
    signature = keys.signer(keys.release).inline(TEXT)
    return _flipped(signature, signature.index(TEXT))


@pytest.mark.parametrize("name", BAD)
def test_bad_signatures_are_refused(keys: Keys, name: str) -> None:
    make, reason = BAD[name]
    key, signature = make(keys)
    with pytest.raises(BadSignatureError, match=reason or "."):
        keys.believes(key, signature)


@pytest.mark.parametrize("more", [b"evil", b"\xcb\x0ab\0\0\0\0\0evil"])
def test_what_follows_a_compressed_signature_is_not_part_of_it(keys: Keys, more: bytes) -> None:
    """Its packet has no end of its own (RFC 4880, 4.2.1), and what is left over gpg does not look at."""
    assert keys.believes(keys.release, keys.ring.sign(TEXT, keys.release) + more) == TEXT


@pytest.mark.parametrize("armored", [True, False])
def test_files_are_signed_apart(keys: Keys, tmp_path: Path, armored: bool) -> None:
    file = tmp_path / "-a file"
    file.write_bytes(TEXT * 100_000)
    signature = keys.signer(keys.release).detached(str(file), armored=armored)
    assert signature.startswith(b"-----BEGIN PGP SIGNATURE") == armored
    (tmp_path / "signature").write_bytes(signature)
    keys.ring.gpg("--verify", tmp_path / "signature", file)
    with Verifier(keys.ring.public(keys.release), "the key", ENVIRONMENT) as verifier:
        verifier.detached(signature, str(file))
        for bad in (
            keys.ring.sign(file.read_bytes(), keys.other, how="--detach-sign"),
            keys.ring.sign(file.read_bytes(), keys.release, how="--clearsign"),
            keys.ring.sign(file.read_bytes()[:1000], keys.release),
            signature * 2,
            b"",
        ):
            with pytest.raises(BadSignatureError):
                verifier.detached(bad, str(file))
        file.write_bytes(TEXT)
        with pytest.raises(BadSignatureError, match="not of these bytes"):
            verifier.detached(signature, str(file))


@pytest.mark.parametrize(
    "text", ["", "release", "B03271EE945EAF3E", "0xB03271EE945EAF3E", "A" * 39, "G" * 40, "A" * 41]
)
def test_a_key_is_named_by_its_whole_fingerprint(text: str) -> None:
    with pytest.raises(InputError, match="is not the fingerprint"):
        Fingerprint.parse(text)


def test_fingerprints_as_gpg_prints_them() -> None:
    assert (
        str(Fingerprint.parse("0123 4567 89ab cdef 0123  4567 89AB CDEF 0123 4567"))
        == "0123456789ABCDEF" * 2 + "01234567"
    )


def test_no_other_key_signs_in_place_of_one_that_is_not_there(keys: Keys) -> None:
    with pytest.raises(InputError, match="no secret key"):
        keys.signer("0" * 40)


@pytest.mark.parametrize(("key", "said"), [("expired", "has expired"), ("gone", "was revoked")])
def test_keys_that_are_not_good_any_more_do_not_sign(keys: Keys, key: str, said: str) -> None:
    if key == "gone":
        fingerprint = keys.ring.key("gone")
        keys.ring.revoke(fingerprint)
    else:
        fingerprint = keys.expired
    with pytest.raises(InputError, match=said):
        keys.signer(fingerprint)


@pytest.mark.parametrize(("passphrase", "said"), [("wrong", "is wrong"), (None, "does not sign")])
def test_without_the_passphrase_nothing_is_signed(keys: Keys, passphrase: str | None, said: str) -> None:
    keys.ring.forget()
    with pytest.raises(SigningError, match=said):
        keys.signer(keys.secret, passphrase).inline(TEXT)


@pytest.mark.parametrize("what", ["none", "two", "secret", "noise", "empty"])
def test_a_policy_has_one_public_key(keys: Keys, what: str) -> None:
    data = {
        "none": keys.ring.sign(TEXT, keys.release),
        "two": keys.ring.public(keys.release, keys.other),
        "secret": keys.ring.gpg("--export-secret-keys", keys.release),
        "noise": bytes(range(256)),
        "empty": b"",
    }[what]
    with pytest.raises(InputError, match=r"key\.gpg holds"):
        Verifier(data, "key.gpg", ENVIRONMENT)


def test_nothing_is_left_behind(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Verifier(keys.ring.public(keys.release), "the key", ENVIRONMENT) as verifier:
        verifier.inline(keys.ring.sign(TEXT, keys.release))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_not_the_key_s_fault(keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", tmp_path], check=True)
    try:
        with pytest.raises(OutputError, match=f"cannot write into {tmp_path}: No space left on device"):
            Verifier(keys.ring.public(keys.release), "the key", ENVIRONMENT)
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (lambda keys: keys.ring.public(keys.release), lambda keys: keys.ring.sign(TEXT, keys.release)),
        (lambda keys: keys.ring.gpg("--export-secret-keys", keys.release), lambda _: b""),
        (
            lambda keys: keys.ring.public(keys.rsa),
            lambda keys: keys.ring.gpg(
                "--trust-model", "always", "--encrypt", "--recipient", keys.rsa, data=keys.ring.sign(TEXT, keys.rsa)
            ),
        ),
    ],
    ids=["public key", "secret key", "encrypted"],
)
def test_checking_starts_no_agent(
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    key: Callable[[Keys], bytes],
    signature: Callable[[Keys], bytes],
) -> None:
    """One would outlive a run that is killed."""
    left: list[str] = []
    close = Verifier.close

    def look(verifier: Verifier) -> None:
        left.extend(os.listdir(verifier._home))
        close(verifier)

    monkeypatch.setattr(Verifier, "close", look)
    with contextlib.suppress(InputError, BadSignatureError), Verifier(key(keys), "a key", ENVIRONMENT) as verifier:
        verifier.inline(signature(keys))
    assert sorted(left) == ["pubring.kbx", "pubring.kbx~"]


def test_without_gnupg_that_is_said(keys: Keys) -> None:
    with pytest.raises(SigningError, match="GnuPG cannot be run"):
        Verifier(b"x", "the key", {"PATH": "/nonexistent"})

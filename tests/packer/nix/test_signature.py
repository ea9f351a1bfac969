import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from layers.digest import Digest
from layers.errors import InputError
from packer.nix.narinfo import NarInfo
from packer.nix.signature import Keyring, PublicKeyError, parse_key
from tests.packer.nix.test_narinfo import parse, text

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def public(secret: Ed25519PrivateKey, name: str = "key-1") -> str:
    return f"{name}:{base64.b64encode(secret.public_key().public_bytes_raw()).decode()}"


def signature(info: NarInfo, secret: Ed25519PrivateKey = SECRET, name: str = "key-1") -> str:
    return f"{name}:{base64.b64encode(secret.sign(info.fingerprint.encode())).decode()}"


INFO = parse(text(Sig=None))
SIGNED = replace(INFO, signatures=(signature(INFO),))


@pytest.mark.parametrize(
    ("keys", "good"),
    [
        ([public(SECRET)], True),
        ([public(OTHER, "key-2"), public(SECRET)], True),
        ([public(OTHER), public(SECRET)], True),  # two keys of one name
        ([], False),
        ([public(OTHER)], False),
        ([public(SECRET, "key-2")], False),
    ],
)
def test_which_keys_are_believed(keys: list[str], good: bool) -> None:
    assert Keyring(keys).has_signed(SIGNED) == good


@pytest.mark.parametrize(
    "altered",
    [
        replace(SIGNED, path=SIGNED.path + "x"),
        replace(SIGNED, nar_size=457),
        replace(SIGNED, nar_hash=Digest.of()),
        replace(SIGNED, references=SIGNED.references[1:]),
        replace(SIGNED, references=()),
        replace(SIGNED, signatures=()),
        replace(SIGNED, signatures=("key-1:AAAA",)),
        replace(SIGNED, signatures=("key-1:" + "A" * 86 + "==",)),
        replace(SIGNED, signatures=("key-1:A",)),
        replace(SIGNED, signatures=(signature(INFO, OTHER),)),
        replace(SIGNED, signatures=(signature(INFO, name="key-2"),)),
    ],
)
def test_what_was_altered_is_not_signed(altered: NarInfo) -> None:
    assert not Keyring([public(SECRET)]).has_signed(altered)


def test_one_good_signature_is_enough() -> None:
    info = replace(INFO, signatures=("key-1:AAAA", signature(INFO), "other:AAAA"))
    assert Keyring([public(SECRET)]).has_signed(info)


def test_keys_that_nix_makes(tmp_path: Path) -> None:
    secret, key = tmp_path / "secret", tmp_path / "public"
    subprocess.run(["nix-store", "--generate-binary-cache-key", "a-1", str(secret), str(key)], check=True)
    name, data = parse_key(key.read_text())
    assert (name, len(data)) == ("a-1", 32)
    with pytest.raises(PublicKeyError, match="has 64 bytes") as caught:
        parse_key(secret.read_text())
    assert secret.read_text().partition(":")[2] not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["", "name", "name:", ":" + "A" * 43 + "=", "name:&", "name:AAAA", "a b:" + "A" * 43 + "="]
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(PublicKeyError) as caught:
        Keyring([key])
    assert isinstance(caught.value, InputError)

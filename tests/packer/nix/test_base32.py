import base64
import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.digest import Digest, DigestError
from packer.nix.base32 import ALPHABET, decode, encode, parse_sha256, sha256_text

EMPTY = hashlib.sha256().digest()
EMPTY_BASE32 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\0", "00"),
        (b"\x1f", "0z"),
        (b"\x20", "10"),
        (b"\xff", "7z"),
        (b"\0" * 20, "0" * 32),
        (b"\xff" * 20, "z" * 32),
        (EMPTY, EMPTY_BASE32),
    ],
)
def test_bytes_and_text(data: bytes, text: str) -> None:
    assert encode(data) == text
    assert decode(text, len(data)) == data


@given(st.binary(min_size=32, max_size=32))
def test_there_and_back(data: bytes) -> None:
    assert decode(encode(data), 32) == data
    assert parse_sha256(sha256_text(Digest(data.hex()))) == Digest(data.hex())


@pytest.mark.parametrize("text", ["hello", "", "nix", "x" * 10_000])
def test_nix_writes_the_same(text: str) -> None:
    digest = hashlib.sha256(text.encode())
    command = ["nix-hash", "--type", "sha256", "--to-base32", digest.hexdigest()]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert encode(digest.digest()) == said
    assert decode(said, 32) == digest.digest()


@pytest.mark.parametrize("text", ["e" * 52, "E" * 52, EMPTY_BASE32[1:], "0" + EMPTY_BASE32, "z" * 52, "é" * 52, ""])
def test_no_base_32_of_a_sha256(text: str) -> None:
    with pytest.raises(DigestError):
        decode(text, 32)


@pytest.mark.parametrize(
    "text", ["sha256:" + EMPTY.hex(), "sha256:" + EMPTY_BASE32, "sha256-" + base64.b64encode(EMPTY).decode()]
)
def test_every_way_to_write_a_hash(text: str) -> None:
    assert parse_sha256(text) == Digest(EMPTY.hex())


@pytest.mark.parametrize(
    "text",
    [
        "", "sha256:", EMPTY.hex(), EMPTY_BASE32, "sha512:" + EMPTY.hex(), "md5:" + EMPTY.hex(),
        "sha256:" + EMPTY.hex().upper(), "sha256:" + "z" * 52, "sha256-" + EMPTY.hex(), "sha256:" + EMPTY.hex() + "\n",
        "sha256:../../etc/passwd", "sha256-" + "=" * 44,
    ],
)  # fmt: skip
def test_no_hash(text: str) -> None:
    with pytest.raises(DigestError):
        parse_sha256(text)


def test_the_alphabet_has_no_letters_that_make_words() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("eotu")

import hashlib
from pathlib import Path

import pytest

from layers.digest import Digest, DigestError

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_of_is_sha256() -> None:
    assert str(Digest.of(b"hello")) == f"sha256:{HELLO}"
    assert Digest.of(b"he", b"", b"llo") == Digest.of_stream(iter([b"hel", b"lo"])) == Digest(HELLO)
    assert Digest.of().hex == hashlib.sha256().hexdigest()


def test_a_file_is_hashed_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before" + b"hello" * 300_000)
    with open(tmp_path / "file", "rb", buffering=0) as file:
        file.seek(6)
        assert Digest.of_file(file) == Digest.of(b"hello" * 300_000)


def test_parse_takes_what_str_gives() -> None:
    digest = Digest.of(b"x")
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        HELLO,
        f"sha256:{HELLO[:-1]}",
        f"sha256:{HELLO}0",
        f"sha256:{HELLO}\n",
        f"\nsha256:{HELLO}",
        f"sha256:{HELLO.upper()}",
        f"SHA256:{HELLO}",
        f"sha512:{HELLO}",
        f"sha256:sha256:{HELLO}",
        f"sha256:../../{HELLO[6:]}",
        f"sha256:{HELLO[:-1]}/",
        "sha256:" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
    ],
)
def test_parse_refuses_all_else(text: str) -> None:
    """What it accepts becomes a file name and a part of a URL."""
    with pytest.raises(DigestError, match="is not a digest"):
        Digest.parse(text)

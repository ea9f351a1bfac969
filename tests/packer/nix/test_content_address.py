from dataclasses import replace

import pytest

from layers.digest import Digest
from packer.nix.base32 import sha256_text
from packer.nix.content_address import Proof, proof
from packer.nix.narinfo import NarInfo

#: What nix-store made: `--add` of a file, `--add-fixed sha256` of it, and `builtins.toFile` with a reference.
CONTENT = b"hello\n"


def info(path: str, content_address: str, *references: str) -> NarInfo:
    return NarInfo(path, "nar/x", "none", None, None, Digest.of(), 0, references, "", (), content_address)


HELLO = sha256_text(Digest.of(CONTENT))
TEXT = info("/nix/store/q3laishhmk84vl44j1973qpzkyhmr90c-text", f"text:{HELLO}")
SOURCE = info(
    "/nix/store/cb3b57bmw39hxpdcsw99l666kj0v3zx1-source",
    "fixed:r:sha256:0fzd3xy0rg1gdxfi7wg675q1vs7hh332lz0x4ml9l3arvl37yx9d",
)


def test_paths_that_nix_made() -> None:
    assert proof(TEXT) == Proof(None, Digest.of(CONTENT))
    found = proof(SOURCE)
    assert found
    assert found.nar_hash
    assert sha256_text(found.nar_hash) == SOURCE.content_address.removeprefix("fixed:r:")


@pytest.mark.parametrize(
    "altered",
    [
        replace(TEXT, path=TEXT.path + "x"),
        replace(TEXT, path=TEXT.path.replace("q3", "q4")),
        replace(TEXT, content_address=f"text:{sha256_text(Digest.of())}"),
        replace(TEXT, content_address=f"fixed:{HELLO}"),
        replace(TEXT, content_address=f"fixed:r:{HELLO}"),
        replace(TEXT, content_address=""),
        replace(TEXT, content_address="text:sha256:" + "z" * 52),
        replace(TEXT, content_address="text:sha512:" + "0" * 103),
        replace(TEXT, content_address=f"fixed:git:{HELLO}"),
        replace(TEXT, references=(SOURCE.path,)),
        replace(SOURCE, references=(TEXT.path,)),
        replace(SOURCE, references=(SOURCE.path,)),
    ],
)
def test_what_proves_nothing(altered: NarInfo) -> None:
    assert proof(altered) is None

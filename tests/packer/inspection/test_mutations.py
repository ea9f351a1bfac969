"""Damaged artefacts are read or refused, whatever is damaged: never a traceback, never a hang."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from formats.reading.artefact import ArtefactError
from layers.entry import Entry, Hardlink, Symlink
from tests.support.entries import tar_of
from tests.support.inspections import compare_all, file, look
from tests.support.layers import layout

_ROWS = json.dumps([["bash", "5.2-1", "bash_5.2-1_amd64", 7, "0" * 64, "bash", [0]]])
_ENTRIES: list[Entry] = [
    Symlink(b"bin", b"usr/bin"),
    file("etc/os-release", 'PRETTY_NAME="Debian"\n'),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada::1000:1000::/home:/bin/sh\n"),
    file("etc/shadow", "root:*:1::::::\n"),
    file("nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12/bin/hello", "hello", 0o4755),
    file("usr/bin/bash", "bash", 0o755),
    Hardlink(b"usr/bin/rbash", b"usr/bin/bash"),
    file("var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n/bin/rbash\n"),
    file("var/lib/dpkg/status", "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\nArchitecture: amd64\n\n"),
    file(".wh.usr"),
]
_BYTES = b'\0\xff0/."{}[]:,x\x80\n\x1b-.wh'


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(damaged))
        damaged[at : at + chance.choice((0, 1, 1, 1))] = bytes([chance.choice(_BYTES)])
    return bytes(damaged)


def _with_checksums(data: bytes) -> bytes:
    mended = bytearray(data)
    for at in range(0, len(mended) - 511, 512):
        if mended[at + 257 : at + 262] == b"ustar":
            mended[at + 148 : at + 156] = b" " * 8
            mended[at + 148 : at + 156] = b"%06o\0 " % sum(mended[at : at + 512])
    return bytes(mended)


@pytest.mark.parametrize("what", ["tarball", "layer", "documents"])
def test_mutations(tmp_path: Path, what: str) -> None:
    """500 of each; 30,000 were once."""
    chance, refused, path = random.Random(11), 0, tmp_path / "it"
    whole = tar_of(_ENTRIES)
    history = {"history": [{"created_by": "x", "comment": "y", "ocipack.items": json.loads(_ROWS)}]}
    with ThreadPoolExecutor(2) as executor:
        path.write_bytes(whole)
        unspoilt = look(path, executor)
        for _ in range(500):
            if what == "tarball":
                path.write_bytes(_with_checksums(_spoilt(whole, chance)))
            else:
                made = layout()
                layer = _with_checksums(_spoilt(whole, chance)) if what == "layer" else whole
                config = history
                if what == "documents":
                    try:
                        config = json.loads(_spoilt(json.dumps(history).encode(), chance))
                    except ValueError:
                        continue
                made.index(made.image([whole, layer], config, annotations={"ocipack.items": _ROWS}))
                if what == "documents":
                    made.files["index.json"] = _spoilt(made.files["index.json"], chance)
                made.archive(path)
            try:
                compare_all(unspoilt, look(path, executor))
            except ArtefactError:
                refused += 1
    assert 10 < refused < 490
